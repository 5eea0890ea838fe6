/**
 * Preloaded into an agent by a kernel test: SIGUSR2 blocks its JS loop for three seconds, and a line
 * on standard error says when that is over.
 */
process.on("SIGUSR2", () => {
  const end = performance.now() + 3_000;
  while (performance.now() < end);
  process.stderr.write("js loop was blocked\n");
});
