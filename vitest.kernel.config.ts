import { existsSync } from "node:fs";
import { configDefaults, defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";

/**
 * Real agents on a real kernel, in two lanes: first the files that wait for most of their time, a few
 * at once, then those of ALONE, one by one. Every name that a lab gives carries its process's number,
 * so files do not meet; what the machine has only once is waited for (test/netns/turn.ts).
 */
const ALL = "test/netns/**/*.test.ts";

/**
 * They keep both processors busy by themselves, or the subject is how long nothing arrived, or that
 * nothing at all was lost.
 */
const ALONE = [
  "bridge-storm",
  "clock",
  "floods",
  "js-stall",
  "nat-aggressive",
  "nat-burnt-port",
  "nat-pairs",
  "nat-staying",
  "post-quantum",
  "swarm-hundreds",
  "twelve-sites",
].map(pathOf);

/** More than a minute each, or they wait for another of these: begun last, they would end alone. */
const LONG = [
  "containers",
  "packages",
  "path-mtu",
  "revocation",
  "survival",
  "dhcp-clients",
  "relay-choice",
  "authority",
  "bridge-clients",
].map(pathOf);
for (const file of [...ALONE, ...LONG]) {
  if (!existsSync(new URL(file, import.meta.url))) throw new Error(`there is no ${file}`);
}

class LongFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const isLong = ({ moduleId }: TestSpecification): boolean =>
      LONG.some((path) => moduleId.endsWith(`/${path}`));
    return [...sorted.filter(isLong), ...sorted.filter((file) => !isLong(file))];
  }
}

function pathOf(name: string): string {
  return `test/netns/${name}.test.ts`;
}

/** A file uses a sixth of a processor on the average: five of them leave half of two processors free. */
const AT_ONCE = 5;

const COMMON = {
  testTimeout: 180_000,
  hookTimeout: 120_000,
  // the pairs of nat-pairs wait for each other by a gate of their own
  maxConcurrency: 16,
  pool: "forks",
} as const;

export default defineConfig({
  test: {
    globalSetup: ["test/netns/nothing-left.ts"],
    sequence: { sequencer: LongFirst },
    projects: [
      {
        test: {
          ...COMMON,
          name: "sharing",
          include: [ALL],
          exclude: [...configDefaults.exclude, ...ALONE],
          maxWorkers: AT_ONCE,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          ...COMMON,
          name: "alone",
          include: ALONE,
          maxWorkers: 1,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
});
