import type { RingAddress } from "../base/ring-address.ts";
import type { Millis } from "../base/time.ts";

/** What this member does for others that cannot reach each other. */
export type RelayPolicy =
  | { readonly kind: "off" }
  /** Any member, as fast as it goes. */
  | { readonly kind: "members" }
  | RelayLimit;

/** Any member; bytes per second from one member and to one member, and of all of them together. */
export interface RelayLimit {
  readonly kind: "limit";
  readonly perMember: number;
  readonly inAll: number;
}

/** A member that sends all it may takes a quarter of what there is: three others are served still. */
export const TOTAL_PER_MEMBER = 4;

/** 100 Mbit/s: a relayed desktop or backup runs well, a volunteer's line is not eaten up. */
export const DEFAULT_RELAY_POLICY: RelayPolicy = {
  kind: "limit",
  perMember: 12_500_000,
  inAll: 12_500_000 * TOTAL_PER_MEMBER,
};

/** In the handshake's capabilities: the sender relays for nobody. */
export const CAPABILITY_NO_RELAY = 1;

/** Own evidence is forgotten after this long: machines and lines get better. */
const AVOID_MS: Millis = 600_000;
/** Pairs of relay and peer that were served badly: more than are ever tried within that time. */
const MAX_AVOIDED = 256;
/** Cost of a relay whose round trip is not known yet. */
const UNKNOWN_RTT_MS = 1_000;

/** What a relay costs: its round trip, made dearer by what is lost on the way to it. */
export function relayCostMs(rttMs: number | undefined, lossFraction: number): number {
  const kept = Math.max(0.1, 1 - lossFraction);
  return (rttMs ?? UNKNOWN_RTT_MS) / (kept * kept);
}

/**
 * Relays convicted on this node's own evidence; what others say of a relay counts nothing. The
 * evidence is of one peer, which may be the one that loses: for other peers the relay stays good.
 */
export class AvoidedRelays {
  readonly #until = new Map<string, Millis>();

  avoid(now: Millis, relay: RingAddress, peer: RingAddress): void {
    const pair = `${relay} ${peer}`;
    this.#until.delete(pair);
    this.#until.set(pair, now + AVOID_MS);
    for (const oldest of this.#until.keys()) {
      if (this.#until.size <= MAX_AVOIDED) break;
      this.#until.delete(oldest);
    }
  }

  has(now: Millis, relay: RingAddress, peer: RingAddress): boolean {
    return now < (this.#until.get(`${relay} ${peer}`) ?? Number.NEGATIVE_INFINITY);
  }
}
