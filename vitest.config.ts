import { defineConfig } from "vitest/config";

/**
 * Unit, property and addon tests; the simulator and the kernel have configurations of their own. The
 * limits end what hangs; on a busy machine the longest of them take minutes.
 */
export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    exclude: ["test/netns/**", "test/sim/**", "**/node_modules/**"],
    testTimeout: 180_000,
    hookTimeout: 60_000,
    pool: "forks",
    maxWorkers: 2,
  },
});
