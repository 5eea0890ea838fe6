import { describe, expect, it } from "vitest";
import { explainFailure, type Run } from "../../sim/scenario.ts";
import { joinOrders, placesOf, runJoins, sampledOrders } from "../../sim/scenarios/joins.ts";

/** Seeded orders for each size from 8 to 12. */
const SAMPLES = 500;

function expectSound(run: Run, parameters: string): void {
  const words = run.failures.length === 0 ? "" : explainFailure("joins", parameters, run);
  expect(words).toBe("");
}

describe("small rings, every join order up to rotation and reflection", () => {
  it.each([1, 2, 3, 4, 5, 6, 7])("N = %i", (n) => {
    const seed = 1_000 + n;
    const places = placesOf(n, seed);
    let played = 0;
    for (const order of joinOrders(n)) {
      const hosts = order.map((place) => places[place] ?? 0);
      expectSound(runJoins(hosts, seed), `${hosts.join(",")} ${seed}`);
      played++;
    }
    expect(played).toBe([1, 1, 1, 3, 12, 60, 360][n - 1]);
  });
});

describe(`rings where the full mesh ends, ${SAMPLES} seeded orders each`, () => {
  it.each([8, 9, 10, 11, 12])("N = %i", (n) => {
    for (const { order, seed } of sampledOrders(n, SAMPLES)) {
      expectSound(runJoins(order, seed), `${order.join(",")} ${seed}`);
    }
  });
});
