import { describe, expect, it } from "vitest";
import { introduce, natPair, runUntil } from "./nat-pair.ts";

const SEEDS = Array.from({ length: 20 }, (_, i) => i + 1);

/** Linux routers as many homes have them: what comes too early spoils the port for the pair. */
describe("two members behind unguarded NATs", () => {
  // Without routers in the middle even the first probe, meant to die on the way, meets the other NAT.
  for (const hops of [6, 0]) {
    for (const jitterMs of [0, 20]) {
      it(`are direct within 20 s: ${hops} hops, ${jitterMs} ms of jitter`, () => {
        const took = SEEDS.map((seed) => punch({ seed, hops, jitterMs }));
        const reached = took.filter((ms) => ms !== undefined);
        expect(reached.length, took.join(" ")).toBeGreaterThanOrEqual(18);
      });
    }
  }

  it("use a fresh port for each round and close those that led nowhere", () => {
    const pair = natPair("portrestricted", "symmetric", { guard: false });
    introduce(pair);
    const { world, a, b } = pair;
    world.run(30_000);
    expect(a.linkTo(b)?.path.kind).toBe("relay");
    expect(a.opened).toBeGreaterThanOrEqual(8);
    expect(a.sockets.size + b.sockets.size).toBeLessThanOrEqual(2);
  });

  it("keep the fresh port while the path over it works, and close it with the link", () => {
    const pair = natPair("portrestricted", "portrestricted", { guard: false });
    introduce(pair);
    expect(runUntil(pair, "direct", 20_000)).toBeDefined();
    const { world, a, b } = pair;
    world.run(120_000);
    expect(a.linkTo(b)?.path.kind).toBe("direct");
    expect([a.sockets.size, b.sockets.size]).toEqual([1, 1]);
    a.input({ kind: "close", link: a.linkTo(b)?.peer.link ?? 0, reason: "test" });
    world.run(1_000);
    expect(a.sockets.size + b.sockets.size).toBe(0);
  });
});

function punch(options: { seed: number; hops: number; jitterMs: number }): number | undefined {
  const pair = natPair("portrestricted", "portrestricted", { ...options, guard: false });
  introduce(pair);
  expect(runUntil(pair, "relay", 1_000)).toBeDefined();
  return runUntil(pair, "direct", 20_000);
}
