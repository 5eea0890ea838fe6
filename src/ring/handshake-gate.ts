/**
 * Limits handshakes that arrive routed, per link they come in by: each costs public-key work, and
 * unlike a datagram's source the link cannot be forged. A token bucket.
 */
import type { Millis } from "../base/time.ts";
import type { LinkId } from "../link/link-types.ts";

const PER_SECOND = 10;
/** A joining node hears all its neighbours through one link, several messages each. */
const BURST = 64;

export class HandshakeGate {
  readonly #buckets = new Map<LinkId, { tokens: number; at: Millis }>();

  /** @returns false when this one is over the limit */
  admit(now: Millis, link: LinkId): boolean {
    const bucket = this.#buckets.get(link) ?? { tokens: BURST, at: now };
    this.#buckets.set(link, bucket);
    bucket.tokens = Math.min(BURST, bucket.tokens + ((now - bucket.at) * PER_SECOND) / 1_000);
    bucket.at = now;
    if (bucket.tokens < 1) return false;
    bucket.tokens -= 1;
    return true;
  }

  /** The link is gone: the table stays as large as the set of links. */
  dropped(link: LinkId): void {
    this.#buckets.delete(link);
  }
}
