/**
 * How many members the ring has, from the gaps between neighbours. One node's eight gaps are off by
 * a third; the mean over the gaps that neighbours report is off by about a tenth.
 */
import { clockwise, type RingAddress } from "../base/ring-address.ts";
import { FULL_MESH_MEMBERS, nearOf, type Sides } from "./near-set.ts";

/** Gaps travel as multiples of 2^112: 48 bits are more precise than the estimate will ever be. */
const GAP_SHIFT = 112n;
/** The whole ring in gap units. */
const RING_IN_UNITS = 1n << 48n;

/** The mean gap around `self` in units of 2^112, at least 1; 0 when there are no neighbours. */
export function gapOf(self: RingAddress, sides: Sides): bigint {
  const near = nearOf(sides).size;
  if (near === 0) return 0n;
  if (near + 1 < FULL_MESH_MEMBERS) return RING_IN_UNITS / BigInt(near + 1);
  const first = sides.predecessors.at(-1) ?? self;
  const last = sides.successors.at(-1) ?? self;
  const span = clockwise(first, last) >> GAP_SHIFT;
  const gap = span / BigInt(sides.predecessors.length + sides.successors.length);
  return gap === 0n ? 1n : gap;
}

/**
 * Members of the ring, this node included.
 * @param reported gaps that linked nodes told us; zeros are ignored
 */
export function estimateSize(self: RingAddress, sides: Sides, reported: Iterable<bigint>): number {
  const near = nearOf(sides).size;
  if (near + 1 < FULL_MESH_MEMBERS) return near + 1;
  let sum = gapOf(self, sides);
  let count = 1n;
  for (const gap of reported) {
    if (gap === 0n) continue;
    sum += gap;
    count += 1n;
  }
  return Math.max(near + 1, Number((RING_IN_UNITS * count + sum / 2n) / sum));
}
