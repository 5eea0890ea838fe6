/**
 * Who is near: the four nodes that follow a place on the ring clockwise and the four before it.
 * Four a side make every ring of up to nine members a full mesh, and an acknowledged broadcast
 * survives stale entries (docs/ARCHITECTURE.md).
 */
import type { RingAddress } from "../base/ring-address.ts";

export const NEAR_PER_SIDE = 4;
/** Up to this many members everyone is everyone's near neighbour. */
export const FULL_MESH_MEMBERS = 2 * NEAR_PER_SIDE + 1;

/** Nearest first. In small rings one node stands on both sides. */
export interface Sides {
  readonly successors: readonly RingAddress[];
  readonly predecessors: readonly RingAddress[];
}

/** The sides of `self` among `others`, which may hold duplicates and `self`. */
export function sidesOf(self: RingAddress, others: Iterable<RingAddress>): Sides {
  const order = clockwiseFrom(self, others);
  return {
    successors: order.slice(0, NEAR_PER_SIDE),
    predecessors: order.slice(-NEAR_PER_SIDE).reverse(),
  };
}

/** Unique, without `self`, in clockwise order. */
export function clockwiseFrom(self: RingAddress, others: Iterable<RingAddress>): RingAddress[] {
  const unique = new Set(others);
  unique.delete(self);
  const order = [...unique].sort((a, b) => (a < b ? -1 : 1));
  const turn = order.findIndex((address) => address > self);
  return turn <= 0 ? order : [...order.slice(turn), ...order.slice(0, turn)];
}

/** Both sides as one set. */
export function nearOf(sides: Sides): Set<RingAddress> {
  return new Set([...sides.successors, ...sides.predecessors]);
}

export function sameSides(a: Sides, b: Sides): boolean {
  return sameOrder(a.successors, b.successors) && sameOrder(a.predecessors, b.predecessors);
}

function sameOrder(a: readonly RingAddress[], b: readonly RingAddress[]): boolean {
  return a.length === b.length && a.every((address, i) => address === b[i]);
}
