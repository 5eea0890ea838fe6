import { expect, it } from "vitest";
import { explainFailure } from "../../sim/scenario.ts";
import { runChurn } from "../../sim/scenarios/churn.ts";
import { CHURN_SEEDS } from "./scale.ts";

/** Two files share the seeds, so that both cores have work. @param half 0 or 1 */
export function itSurvivesChurn(half: 0 | 1): void {
  const count = CHURN_SEEDS / 2;
  const seeds = Array.from({ length: count }, (_, i) => 1 + half * count + i);
  it.each(seeds)("seed %i", (seed) => {
    const run = runChurn(seed);
    const words = run.failures.length === 0 ? "" : explainFailure("churn", `${seed}`, run);
    expect(words).toBe("");
  });
}
