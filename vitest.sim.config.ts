import { defineConfig } from "vitest/config";

/** Whole clusters in virtual time: the bounds are generous because only the machine's speed counts. */
export default defineConfig({
  test: {
    include: ["test/sim/**/*.test.ts"],
    testTimeout: 1_800_000,
    pool: "forks",
    maxWorkers: 2,
  },
});
