import { describe, expect, it } from "vitest";
import { runChurn } from "../../sim/scenarios/churn.ts";
import { runJoins } from "../../sim/scenarios/joins.ts";
import { World } from "../../sim/world.ts";

describe("one seed explains a run", () => {
  it("the same seed gives the same trace, another seed another one", () => {
    const hashes = [7, 7, 8].map((seed) => runChurn(seed, 60_000).cluster.trace.hash());
    expect(hashes[0]).toBe(hashes[1]);
    expect(hashes[0]).not.toBe(hashes[2]);
  });

  it("a join repeats to the last datagram", () => {
    const runs = [runJoins([0, 2, 1], 5), runJoins([0, 2, 1], 5)];
    expect(runs[0]?.cluster.trace.datagrams).toBe(runs[1]?.cluster.trace.datagrams);
    expect(runs[0]?.cluster.trace.hash()).toBe(runs[1]?.cluster.trace.hash());
  });
});

describe("virtual time", () => {
  it("that stands still is an error, not a hang", () => {
    const world = new World();
    const again = (): void => world.schedule(world.now, again);
    again();
    expect(() => world.runUntil(1)).toThrow("time stands still");
  });
});
