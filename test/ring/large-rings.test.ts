import { describe, expect, it } from "vitest";
import { SeededRng, shuffled } from "../../src/base/rng.ts";
import { type TestNode, text, VirtualNet } from "./virtual-net.ts";

function build(net: VirtualNet, count: number, spacingMs: number): TestNode[] {
  const rng = new SeededRng(count, 3);
  const made: TestNode[] = [];
  for (let i = 0; i < count; i++) {
    const node = net.add(net.randomAddress());
    const host = made[rng.u32() % Math.max(1, made.length)];
    made.push(node);
    if (host !== undefined) net.bootstrap(node, host);
    net.run(net.now + spacingMs);
  }
  return made;
}

function settle(net: VirtualNet, limitMs: number): number {
  const took = net.runUntil(() => net.isClosed() && net.isStable(), limitMs);
  const unstable = net.live().filter((node) => !node.ring.view().stable);
  const why = `${net.faults().join(", ")}; unstable ${unstable.map((one) => text(one.address))}`;
  expect(took, why).toBeDefined();
  return took ?? Number.NaN;
}

describe("large rings", () => {
  for (const [count, spacing, loss] of [
    [24, 0, 0.02],
    [64, 50, 0.01],
  ] as const) {
    it(`${count} members ${spacing} ms apart close within 10 s`, () => {
      const net = new VirtualNet({ seed: count, loss });
      build(net, count, spacing);
      settle(net, 10_000);
      const { share, hops } = net.routableShare();
      expect(share).toBe(1);
      expect(hops).toBeLessThan(count / 6);
      expect(net.nearestShare(200)).toBe(1);
    });
  }

  it("a crash of a third at once heals within 15 s", () => {
    for (const seed of [1, 2]) {
      const net = new VirtualNet({ seed });
      const nodes = build(net, 30, 20);
      settle(net, 10_000);
      net.run(net.now + 4_000);
      for (const node of shuffled(new SeededRng(seed, 7), nodes).slice(0, 10)) net.crash(node);
      settle(net, 15_000);
      expect(net.routableShare().share).toBe(1);
      expect(net.nearestShare(100)).toBe(1);
    }
  });

  it("loses eight neighbours in a row and closes the gap", () => {
    const net = new VirtualNet({ seed: 11 });
    const nodes = build(net, 30, 20);
    settle(net, 10_000);
    net.run(net.now + 4_000);
    const order = [...nodes].sort((a, b) => (a.address < b.address ? -1 : 1));
    for (const node of order.slice(10, 18)) net.crash(node);
    settle(net, 15_000);
    expect(net.routableShare().share).toBe(1);
  });

  it("a member that says goodbye is replaced at once", () => {
    const net = new VirtualNet({ seed: 4 });
    const nodes = build(net, 20, 50);
    settle(net, 10_000);
    const leaving = nodes[5];
    if (leaving !== undefined) net.leave(leaving);
    expect(settle(net, 2_000)).toBeLessThan(2_000);
  });

  it("two rings merge over one link", () => {
    for (const [first, second] of [
      [2, 2],
      [1, 6],
      [14, 20],
    ] as const) {
      const net = new VirtualNet({ seed: first * 100 + second });
      const one = build(net, first, 50);
      const two = build(net, second, 50);
      net.run(net.now + 8_000);
      expect(net.isClosed(one) && net.isClosed(two)).toBe(true);
      const [a, b] = [one[0], two[0]];
      if (a !== undefined && b !== undefined) net.bootstrap(a, b);
      settle(net, 15_000);
      expect(net.routableShare().share).toBe(1);
    }
  });

  it("a partition splits into two rings and heals into one", () => {
    const net = new VirtualNet({ seed: 21 });
    const nodes = build(net, 24, 50);
    settle(net, 10_000);
    const half = new Set(nodes.slice(0, 12));
    net.partition((node) => (half.has(node) ? 1 : 2));
    const took = net.runUntil(
      () => net.isClosed([...half]) && net.isClosed(nodes.filter((one) => !half.has(one))),
      20_000,
    );
    expect(took, "both halves close").toBeDefined();
    net.run(net.now + 30_000);
    net.heal();
    const [a, b] = [nodes[0], nodes[13]];
    if (a !== undefined && b !== undefined) net.bootstrap(a, b);
    settle(net, 60_000);
  });

  it("routes 99 % of pairs when 30 % of pairs can have no link", () => {
    let share = 0;
    for (const seed of [1, 2]) {
      const blocked = (a: bigint, b: bigint): boolean => ((a ^ b) * 2654435761n) % 1009n < 303n;
      const net = new VirtualNet({ seed, blocked });
      build(net, 32, 50);
      net.run(net.now + 15_000);
      share += net.routableShare().share / 2;
    }
    expect(share).toBeGreaterThanOrEqual(0.99);
  });

  it("keeps a live neighbour whose path alone broke", () => {
    const net = new VirtualNet({ seed: 5 });
    const nodes = build(net, 10, 100);
    settle(net, 10_000);
    const [a] = nodes;
    const next = nodes.find((one) => one.address === a?.ring.view().successors[0]);
    if (a === undefined || next === undefined) throw new Error("no neighbour");
    net.breakPath(a, next);
    net.run(net.now + 3_000);
    expect(net.pathBroken).toBe(1);
    expect(net.closes).toEqual([]);
  });
});
