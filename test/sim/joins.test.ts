import { describe, expect, it } from "vitest";
import { explainFailure, type Run } from "../../sim/scenario.ts";
import { joinOrders, placesOf, runJoins, sampledOrders } from "../../sim/scenarios/joins.ts";
import { EXHAUSTIVE_UP_TO, ORDERS_PER_SIZE } from "./scale.ts";

/** (n - 1)! / 2 from three nodes on. */
const ORDERS = [1, 1, 1, 3, 12, 60, 360];
const sizes = Array.from({ length: EXHAUSTIVE_UP_TO }, (_, i) => i + 1);
const larger = Array.from({ length: 12 - EXHAUSTIVE_UP_TO }, (_, i) => EXHAUSTIVE_UP_TO + 1 + i);

function expectSound(run: Run, parameters: string): void {
  const words = run.failures.length === 0 ? "" : explainFailure("joins", parameters, run);
  expect(words).toBe("");
}

describe("small rings, every join order up to rotation and reflection", () => {
  it.each(sizes)("N = %i", (n) => {
    const seed = 1_000 + n;
    const places = placesOf(n, seed);
    let played = 0;
    for (const order of joinOrders(n)) {
      const hosts = order.map((place) => places[place] ?? 0);
      expectSound(runJoins(hosts, seed), `${hosts.join(",")} ${seed}`);
      played++;
    }
    expect(played).toBe(ORDERS[n - 1]);
  });
});

describe(`larger rings, ${ORDERS_PER_SIZE} seeded orders each`, () => {
  it.each(larger)("N = %i", (n) => {
    for (const { order, seed } of sampledOrders(n, ORDERS_PER_SIZE)) {
      expectSound(runJoins(order, seed), `${order.join(",")} ${seed}`);
    }
  });
});
