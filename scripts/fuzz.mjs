/**
 * Coverage-guided fuzzing of the engine's parsers (fuzz/targets), one target after the other:
 *
 *     npm run fuzz                          every target, a million runs each
 *     npm run fuzz -- frame-parse --runs 10000000
 *     npm run fuzz -- frame-parse --keep    the small inputs of its corpus become seeds in git
 *
 * The grown corpus lies in .cache/fuzz/corpus, seeds in fuzz/seeds (one input a line, hex). A crash, a
 * hang or memory past its bound fails; the input is kept and the command that replays it printed.
 */
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";

const ROOT = new URL("..", import.meta.url).pathname;
const CACHE = join(ROOT, ".cache", "fuzz");
/** Of the inputs a target may make; most parsers look at the first hundreds of bytes only. */
const USUAL_MAX_BYTES = 512;
const MAX_BYTES = {
  blake2b: 420,
  // one byte more than a proxy may say
  "http-connect": 4_608,
  "rx-datagram": 4_096,
  "stream-frames": 2_048,
  superframe: 1_024,
  "tap-frame": 4_096,
};
const DEFAULT_RUNS = 1_000_000;
/** One input that takes longer hangs. */
const HANG_SECONDS = 20;
const MEMORY_MB = 1_024;
/** Seeds in git are small and few: they open doors, the corpus in .cache goes through them. */
const SEED_BYTES = 200;
const SEEDS = 40;

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    runs: { type: "string", default: String(DEFAULT_RUNS) },
    seed: { type: "string", default: "0" },
    smoke: { type: "boolean", default: false },
    keep: { type: "boolean", default: false },
  },
});

const known = readdirSync(join(ROOT, "fuzz", "targets"))
  .filter((file) => file.endsWith(".cc"))
  .map((file) => file.replace(/\.cc$/, ""));
const unknown = positionals.find((name) => !known.includes(name));
if (unknown !== undefined || !/^\d+$/.test(options.runs)) {
  console.error(`fuzz: [TARGET...] [--runs N]; targets are ${known.join(" ")}`);
  process.exit(2);
}
if (spawnSync("clang++", ["--version"], { stdio: "ignore" }).status !== 0) {
  console.log("skipped: fuzz targets: needs clang++ (Debian: clang, libclang-rt-14-dev)");
  console.log("0 passed, 0 failed");
  process.exit(0);
}
const made = spawnSync("make", ["-s", "-j2", "-C", join(ROOT, "fuzz"), "all"], {
  stdio: ["ignore", "inherit", "inherit"],
});
if (made.status !== 0) process.exit(1);

let running;
for (const signal of ["SIGINT", "SIGTERM"]) {
  process.once(signal, () => {
    running?.kill(signal);
    process.exit(130);
  });
}
let failed = 0;
const chosen = positionals.length > 0 ? positionals : known;
for (const target of chosen) {
  if (options.keep) keepSeeds(target);
  else if (!(await fuzz(target))) failed++;
}
if (!options.keep) console.log(`${chosen.length - failed} passed, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;

/** A smoke starts from the seeds alone, so that it does the same work on every machine. */
async function fuzz(target) {
  const folders = options.smoke ? [unpackSeeds(target)] : [corpusOf(target), unpackSeeds(target)];
  const crashes = join(CACHE, "crashes", `${target}-`);
  mkdirSync(join(CACHE, "crashes"), { recursive: true });
  const argv = [
    `-runs=${options.runs}`,
    `-seed=${options.seed}`,
    `-max_len=${MAX_BYTES[target] ?? USUAL_MAX_BYTES}`,
    `-timeout=${HANG_SECONDS}`,
    `-rss_limit_mb=${MEMORY_MB}`,
    `-artifact_prefix=${crashes}`,
    "-print_final_stats=1",
    "-verbosity=1",
    ...folders,
  ];
  const started = performance.now();
  const { status, output } = await play(binaryOf(target), argv);
  const seconds = ((performance.now() - started) / 1_000).toFixed(1);
  const runs = Number(/number_of_executed_units: +(\d+)/.exec(output)?.[1] ?? 0);
  // Inputs of a large corpus count as runs too, so that fewer than asked for is always a failure.
  if (status === 0 && runs >= Number(options.runs)) {
    const coverage = [...output.matchAll(/cov: (\d+)/g)].at(-1)?.[1] ?? "?";
    console.log(`fuzz ${target}: ${runs} runs in ${seconds} s, ${coverage} branches, no crash`);
    return true;
  }
  console.log(output.split("\n").slice(-60).join("\n"));
  const input = /Test unit written to (\S+)/.exec(output)?.[1];
  console.log(`fuzz ${target}: failed after ${runs} runs; replay: ${binaryOf(target)} ${input}`);
  return false;
}

function play(program, argv) {
  const env = { ...process.env, ASAN_OPTIONS: "detect_leaks=1:allocator_may_return_null=1" };
  const child = spawn(program, argv, { cwd: ROOT, env, stdio: ["ignore", "ignore", "pipe"] });
  let output = "";
  child.stderr.setEncoding("utf8").on("data", (text) => {
    output = (output + text).slice(-262_144);
  });
  running = child;
  return new Promise((resolve) =>
    child.once("close", (status) => resolve({ status: status ?? 128, output })),
  );
}

function binaryOf(target) {
  return join(CACHE, "bin", target);
}

function corpusOf(target) {
  const folder = join(CACHE, "corpus", target);
  mkdirSync(folder, { recursive: true });
  return folder;
}

function seedFile(target) {
  return join(ROOT, "fuzz", "seeds", `${target}.hex`);
}

/** One file for each line: libFuzzer reads folders. */
function unpackSeeds(target) {
  const folder = join(CACHE, "seeds", target);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const text = existsSync(seedFile(target)) ? readFileSync(seedFile(target), "utf8") : "";
  for (const line of text.split("\n").filter((each) => each !== "")) write(folder, line);
  return folder;
}

function write(folder, hex) {
  const bytes = Buffer.from(hex, "hex");
  writeFileSync(join(folder, createHash("sha256").update(bytes).digest("hex").slice(0, 16)), bytes);
}

/** The smallest inputs that together reach what the corpus reaches. */
function keepSeeds(target) {
  const merged = join(CACHE, "merged", target);
  rmSync(merged, { recursive: true, force: true });
  mkdirSync(merged, { recursive: true });
  const argv = ["-merge=1", `-max_len=${SEED_BYTES}`, merged, unpackSeeds(target)];
  spawnSync(binaryOf(target), [...argv, corpusOf(target)], { stdio: "ignore" });
  const inputs = readdirSync(merged)
    .map((name) => readFileSync(join(merged, name)))
    .filter(({ length }) => length > 0 && length <= SEED_BYTES)
    .sort((a, b) => a.length - b.length || a.compare(b));
  // Evenly over the sizes: the short ones show refusals, the long ones go deep.
  const step = Math.max(1, inputs.length / SEEDS);
  const kept = Array.from({ length: Math.min(SEEDS, inputs.length) }, (_, i) =>
    inputs[Math.floor(i * step)].toString("hex"),
  );
  writeFileSync(seedFile(target), `${kept.join("\n")}\n`);
  console.log(`fuzz ${target}: ${kept.length} seeds of ${inputs.length} inputs`);
}
