import { describe, expect, it } from "vitest";
import { SeededRng, shuffled } from "../../src/base/rng.ts";
import { evenAddresses, VirtualNet } from "./virtual-net.ts";

/** Members join one after the other through the first, the last or a random earlier one. */
function joinInOrder(order: readonly number[], seed: number, spacingMs: number): VirtualNet {
  const net = new VirtualNet({ seed });
  const rng = new SeededRng(seed, 99);
  const addresses = evenAddresses(order.length);
  for (const [i, place] of order.entries()) {
    const node = net.add(addresses[place] ?? 0n);
    net.feed(node, { kind: "timeout" });
    const host = net.nodes[rng.u32() % Math.max(1, i)];
    if (host !== undefined && i > 0) net.bootstrap(node, host);
    net.run(net.now + spacingMs);
  }
  return net;
}

function check(order: readonly number[], seed: number, spacingMs: number): void {
  const net = joinInOrder(order, seed, spacingMs);
  const took = net.runUntil(() => net.isClosed() && net.isStable(), 10_000);
  const why = `order ${order.join(" ")} seed ${seed} spacing ${spacingMs}`;
  expect(took, `${why}: ${net.faults().join(", ")}`).toBeDefined();
  expect(net.routableShare().lost, why).toEqual([]);
}

/** All orders of 0..n-1 that differ by more than turning or mirroring the ring. */
function* ordersOf(n: number): Generator<number[]> {
  function* extend(head: number[], rest: readonly number[]): Generator<number[]> {
    if (rest.length === 0) yield head;
    for (const place of rest) {
      yield* extend(
        [...head, place],
        rest.filter((one) => one !== place),
      );
    }
  }
  const all = Array.from({ length: n }, (_, i) => i);
  for (const order of extend([0], all.slice(1))) {
    if (n < 3 || (order[1] ?? 0) <= n / 2) yield order;
  }
}

describe("small rings", () => {
  it("a node without links is a stable ring of one", () => {
    const net = new VirtualNet({ seed: 1 });
    const node = net.add(5n);
    net.run(5_000);
    expect(node.ring.view()).toEqual({
      ...{ self: 5n, predecessors: [], successors: [], sizeEstimate: 1, stable: true },
    });
    expect(net.routableShare().share).toBe(1);
  });

  for (let n = 2; n <= 6; n++) {
    it(`closes for every order of ${n} members`, () => {
      for (const order of ordersOf(n)) check(order, n, 700);
    });
  }

  for (const n of [7, 8, 9, 10, 11, 12]) {
    it(`closes for random orders of ${n} members, one by one and all at once`, () => {
      const rng = new SeededRng(n, 5);
      for (let i = 0; i < 4; i++) {
        const order = shuffled(rng, [...Array(n).keys()]);
        check(order, 100 * n + i, [0, 30, 300, 2_000][i % 4] ?? 0);
      }
    });
  }

  it("knows the size exactly up to nine members", () => {
    for (const n of [1, 2, 5, 8, 9]) {
      const net = joinInOrder([...Array(n).keys()], n, 300);
      net.run(net.now + 10_000);
      expect(net.nodes.map((node) => node.ring.view().sizeEstimate)).toEqual(Array(n).fill(n));
    }
  });
});
