import type { RingAddress } from "../base/ring-address.ts";
import { sameSides } from "./near-set.ts";

/** What the ring looks like from one node; told on every change. */
export interface RingView {
  readonly self: RingAddress;
  /** Nearest first, at most four, linked and usable; small rings list one node on both sides. */
  readonly predecessors: readonly RingAddress[];
  readonly successors: readonly RingAddress[];
  /** Members, this node included. */
  readonly sizeEstimate: number;
  /** Everyone near is linked, and one exchange of lists revealed nobody nearer. */
  readonly stable: boolean;
}

/** A node without links: a ring of one. */
export function aloneView(self: RingAddress): RingView {
  return { self, predecessors: [], successors: [], sizeEstimate: 1, stable: true };
}

/** An estimate that moved by less than a tenth is no news: its own error is as large. */
export function sameView(a: RingView, b: RingView): boolean {
  const moved = Math.abs(a.sizeEstimate - b.sizeEstimate);
  return a.stable === b.stable && moved * 10 < a.sizeEstimate && sameSides(a, b);
}
