import { expect, it } from "vitest";
import { explainFailure } from "../../sim/scenario.ts";
import { runChurn } from "../../sim/scenarios/churn.ts";

/** Two files of this many seeds each, so that both cores have work. */
export const SEEDS_PER_FILE = 150;
/** A failure names a small slice; the slice's words name the seed. */
const SLICE = 25;

/** One test for each slice of seeds in [first, first + SEEDS_PER_FILE). */
export function itSurvivesChurn(first: number): void {
  const slices = Array.from({ length: SEEDS_PER_FILE / SLICE }, (_, i) => first + i * SLICE);
  it.each(slices)("25 seeds from %i", (start) => {
    for (let seed = start; seed < start + SLICE; seed++) {
      const run = runChurn(seed);
      const words = run.failures.length === 0 ? "" : explainFailure("churn", `${seed}`, run);
      expect(words).toBe("");
    }
  });
}
