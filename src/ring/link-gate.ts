/**
 * Limits what arrives routed and costs public-key work, per link it comes in by: unlike the source
 * that an envelope names, the link cannot be forged. A token bucket.
 */
import type { Millis } from "../base/time.ts";
import type { LinkId } from "../link/link-types.ts";

export interface GateRate {
  readonly perSecond: number;
  readonly burst: number;
}

const HANDSHAKES_PER_SECOND = 10;
/** A joining node hears all its neighbours through one link, several messages each. */
const HANDSHAKE_BURST = 64;
/** At 0.3 ms each one member takes a seventh of a core. */
const DHT_REQUESTS_PER_SECOND = 500;
/** Three sites with 250 machines each that start within a second stay below. */
const DHT_REQUEST_BURST = 2_000;

/** Each costs its issuer an X25519; a neighbour also brings those of a class that joins by it. */
const ISSUE_QUESTIONS_PER_SECOND = 10;
const ISSUE_QUESTION_BURST = 64;

export const HANDSHAKE_RATE: GateRate = {
  perSecond: HANDSHAKES_PER_SECOND,
  burst: HANDSHAKE_BURST,
};
export const DHT_REQUEST_RATE: GateRate = {
  perSecond: DHT_REQUESTS_PER_SECOND,
  burst: DHT_REQUEST_BURST,
};

export const ISSUE_QUESTION_RATE: GateRate = {
  perSecond: ISSUE_QUESTIONS_PER_SECOND,
  burst: ISSUE_QUESTION_BURST,
};

export class LinkGate {
  readonly #rate: GateRate;
  readonly #buckets = new Map<LinkId, { tokens: number; at: Millis }>();

  constructor(rate: GateRate) {
    this.#rate = rate;
  }

  /** @returns false when this one is over the limit */
  admit(now: Millis, link: LinkId): boolean {
    const { perSecond, burst } = this.#rate;
    const bucket = this.#buckets.get(link) ?? { tokens: burst, at: now };
    this.#buckets.set(link, bucket);
    bucket.tokens = Math.min(burst, bucket.tokens + ((now - bucket.at) * perSecond) / 1_000);
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
