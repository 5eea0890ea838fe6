/** Small rings in every join order: where Chord-like rings are known to go wrong (P. Zave, 2012). */
import { SeededRng, shuffled } from "../../src/base/rng.ts";
import { checkBounds, checkOnline, checkRing } from "../checkers/invariants.ts";
import { checkLookups, checkPings } from "../checkers/reachability.ts";
import { Cluster } from "../cluster.ts";
import type { Run } from "../scenario.ts";

/** A joining node has its lease within 5 s; the ring needs little more to settle. */
const SETTLE_LIMIT_MS = 15_000;
/** Apart, so that the order of joining is the order given. */
const BETWEEN_JOINS_MS = 400;

/** Nodes join in `order` (indices of hosts; the first one is the bootstrap of all). */
export function runJoins(order: readonly number[], seed: number): Run {
  const first = order[0] ?? 0;
  const cluster = new Cluster({ seed, size: order.length, bootstrap: [first] });
  for (const index of order) {
    cluster.host(index).start();
    cluster.world.runUntil(cluster.world.now + BETWEEN_JOINS_MS);
  }
  const wrong = () => [
    ...checkRing(cluster.up),
    ...checkOnline(cluster.up),
    ...checkBounds(cluster.up),
  ];
  cluster.world.runUntilHolds(() => wrong().length === 0, SETTLE_LIMIT_MS, 250);
  const failures = wrong();
  if (failures.length === 0) failures.push(...checkLookups(cluster), ...checkPings(cluster));
  return { cluster, failures };
}

/**
 * Every order of n nodes up to rotation and reflection of the ring. Addresses come from a hash, so
 * "position on the ring" is made the index by sorting the hosts of this seed by address first.
 */
export function* joinOrders(n: number): Generator<number[]> {
  if (n <= 2) {
    yield Array.from({ length: n }, (_, i) => i);
    return;
  }
  const rest = Array.from({ length: n - 1 }, (_, i) => i + 1);
  for (const tail of permutations(rest)) {
    const mirrored = tail.map((index) => n - index);
    if (compareOrders(tail, mirrored) <= 0) yield [0, ...tail];
  }
}

/** @returns `count` seeded orders of n nodes */
export function* sampledOrders(
  n: number,
  count: number,
): Generator<{ order: number[]; seed: number }> {
  const rng = new SeededRng(n * 7919);
  const indices = Array.from({ length: n }, (_, i) => i);
  for (let i = 0; i < count; i++) yield { order: shuffled(rng, indices), seed: rng.u32() };
}

/** Maps places on the ring to host indices for this seed, so that orders speak of places. */
export function placesOf(n: number, seed: number): number[] {
  const cluster = new Cluster({ seed, size: n });
  for (const host of cluster.hosts) host.start();
  const addresses = cluster.hosts.map((host) => host.status()?.address ?? "");
  return addresses
    .map((address, index) => ({ address, index }))
    .sort((a, b) => (a.address < b.address ? -1 : 1))
    .map(({ index }) => index);
}

function* permutations(items: readonly number[]): Generator<number[]> {
  if (items.length <= 1) {
    yield [...items];
    return;
  }
  for (const [i, item] of items.entries()) {
    const others = [...items.slice(0, i), ...items.slice(i + 1)];
    for (const tail of permutations(others)) yield [item, ...tail];
  }
}

function compareOrders(a: readonly number[], b: readonly number[]): number {
  for (const [i, value] of a.entries()) {
    const difference = value - (b[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
