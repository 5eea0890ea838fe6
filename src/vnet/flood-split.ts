/**
 * Recursive range split: a node that answers for a part of the ring gives each linked node inside it
 * the stretch from that node to the next, so that everybody is reached once, in N - 1 messages.
 *
 *      self ──────── a ─────────── b ──────── to
 *                    └─ (a, b)     └─ (b, to)
 */
import { clockwise, compareNearness, type RingAddress } from "../base/ring-address.ts";
import type { FloodRange } from "../wire/flood.ts";

/** Branches of one node: keeps a hub with many links from sending all copies itself. */
export const FANOUT_MAX = 16;

export interface Share {
  readonly to: RingAddress;
  readonly range: FloodRange;
}

/** Shares of the linked nodes inside the range; together with their receivers they cover it. */
export function splitRange(range: FloodRange, linked: Iterable<RingAddress>): Share[] {
  const inside = [...linked].filter((address) => isInside(range, address));
  inside.sort((a, b) => (clockwise(range.from, a) < clockwise(range.from, b) ? -1 : 1));
  const chosen = thinOut(inside);
  return chosen.map((to, i) => ({ to, range: { from: to, to: chosen[i + 1] ?? range.to } }));
}

/** Linked nodes near the start of a range whose own node failed, best first. */
export function standIns(range: FloodRange, linked: Iterable<RingAddress>): RingAddress[] {
  const others = [...linked].filter((address) => address !== range.from);
  return others.sort((a, b) => compareNearness(range.from, a, b));
}

function isInside({ from, to }: FloodRange, address: RingAddress): boolean {
  if (address === from || address === to) return false;
  return from === to || clockwise(from, address) < clockwise(from, to);
}

/** Always the first (nobody else may know who is before the second), then every k-th. */
function thinOut(sorted: readonly RingAddress[]): readonly RingAddress[] {
  if (sorted.length <= FANOUT_MAX) return sorted;
  const step = sorted.length / FANOUT_MAX;
  return sorted.filter((_, i) => Math.floor(i / step) !== Math.floor((i - 1) / step));
}
