import { type NatReport, sameNat, UNKNOWN_NAT } from "../base/nat.ts";
import type { Millis } from "../base/time.ts";
import type { PeerNat } from "../wire/link-messages.ts";

/** What the two ends of a link know of each other's NATs: what both know, both decide alike. */
export class LinkNats {
  #told: NatReport | undefined;
  #peer: PeerNat | undefined;
  #changedAt: Millis = Number.NEGATIVE_INFINITY;

  /** Ours, as the peer was told. */
  get told(): NatReport | undefined {
    return this.#told;
  }

  /** The peer's own word. */
  get peer(): PeerNat | undefined {
    return this.#peer;
  }

  /** Nothing of it changed for so long. */
  isSettled(now: Millis, ms: Millis): boolean {
    return now - this.#changedAt >= ms;
  }

  learn(now: Millis, peer: PeerNat): void {
    this.#peer = peer;
    this.#changedAt = now;
  }

  /** @returns whether it is news to the peer */
  tell(now: Millis, nat: NatReport): boolean {
    if (sameNat(this.#told ?? UNKNOWN_NAT, nat)) return false;
    this.#told = nat;
    this.#changedAt = now;
    return true;
  }

  /** The peer made the link anew. */
  forgetTold(): void {
    this.#told = undefined;
  }
}
