import { defineConfig } from "vitest/config";

/** Real agents on a real kernel: one file at a time, so that they do not take each other's processor. */
export default defineConfig({
  test: {
    include: ["test/netns/**/*.test.ts"],
    globalSetup: ["test/netns/nothing-left.ts"],
    testTimeout: 180_000,
    // the pairs of nat-pairs wait for each other by a gate of their own
    maxConcurrency: 16,
    hookTimeout: 120_000,
    pool: "forks",
    fileParallelism: false,
  },
});
