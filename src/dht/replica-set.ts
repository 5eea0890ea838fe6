/**
 * Who keeps a key: its owner (the member nearest on the ring) with two predecessors and two
 * successors. They are one another's near neighbours, so no look-up is needed to find them.
 *
 *   ... -4  -3 [-2  -1  OWNER  +1  +2] +3  +4 ...
 *
 * Computed from a window of the ring (self and up to four neighbours a side) closed to a circle:
 * exact whenever the result contains self, because then the owner is at most two places away and
 * its set lies inside the window. For other keys the result is a guess nobody may rely on.
 */
import { clockwise, nearestTo, type RingAddress } from "../base/ring-address.ts";
import type { RingView } from "../ring/ring.ts";

/** Replicas beside the owner, on each side. */
const SIDE = 2;
export const MAX_REPLICAS = 2 * SIDE + 1;

/** A majority of the set; every two majorities share a member. */
export function quorumOf(members: number): number {
  return Math.floor(members / 2) + 1;
}

/** Self and its neighbours, each once, ascending. */
export function membersOf(view: RingView): RingAddress[] {
  return ascending([view.self, ...view.predecessors, ...view.successors]);
}

export function ascending(addresses: readonly RingAddress[]): RingAddress[] {
  return [...new Set(addresses)].sort((a, b) => (a < b ? -1 : 1));
}

/**
 * The replicas of a key among the members of a window, ascending; empty only when there are none.
 * @param members ascending, without repetition
 */
export function replicasOf(members: readonly RingAddress[], key: RingAddress): RingAddress[] {
  if (members.length <= MAX_REPLICAS) return [...members];
  const owner = members.indexOf(nearestTo(key, members) as RingAddress);
  const out: RingAddress[] = [];
  for (let step = -SIDE; step <= SIDE; step++) {
    out.push(members[(owner + step + members.length) % members.length] as RingAddress);
  }
  return ascending(out);
}

/** The member a request for the key belongs to, as far as this window shows. */
export function ownerOf(members: readonly RingAddress[], key: RingAddress): RingAddress {
  return nearestTo(key, members) as RingAddress;
}

export function sameSet(a: readonly RingAddress[], b: readonly RingAddress[]): boolean {
  return a.length === b.length && a.every((address, i) => address === b[i]);
}

/**
 * Keeps a window a window: the view's four nearest on each side, after newcomers were added.
 * @param sides neighbours kept on each side
 */
export function windowAround(
  self: RingAddress,
  addresses: readonly RingAddress[],
  sides: number,
): RingAddress[] {
  const others = [...new Set(addresses)].filter((address) => address !== self);
  if (others.length <= 2 * sides) return ascending([self, ...others]);
  const round = others.sort((a, b) => (clockwise(self, a) < clockwise(self, b) ? -1 : 1));
  return ascending([self, ...round.slice(0, sides), ...round.slice(-sides)]);
}
