import { type Millis, NEVER } from "../base/time.ts";
import type { LeaseState } from "../lease/leases.ts";

/** Clients ask within a second of an offer; those that choose among several servers within ten. */
const OFFER_MS = 30_000;
/**
 * Clients without an address at one time: their records, nobody vouches for them, fit into a
 * signer's basic share of the DHT (dht/quota.ts). A site of 250 that boots at once passes in two goes.
 */
const OFFERS_MAX = 128;
/** An offer gives way to other clients after this: a storm of DISCOVER shuts nobody out. */
const OFFER_MIN_MS = 2_000;

interface Offer {
  /** undefined: an address is being looked for */
  lease: LeaseState | undefined;
  /** When the client asked last. */
  at: Millis;
  /** Since when it could have taken the address. */
  leasedAt: Millis;
}

/** Clients that asked for an address and have not taken one yet. */
export class DhcpOffers {
  /** In the order of their last question. */
  readonly #offers = new Map<string, Offer>();

  lease(client: string): LeaseState | undefined {
    return this.#offers.get(client)?.lease;
  }

  has(client: string): boolean {
    return this.#offers.has(client);
  }

  /** The client asked, or asked again. @returns false when there is no room */
  open(now: Millis, client: string): boolean {
    const known = this.#offers.get(client);
    if (known === undefined && this.#offers.size >= OFFERS_MAX) return false;
    this.#offers.delete(client);
    this.#offers.set(client, { lease: known?.lease, at: now, leasedAt: known?.leasedAt ?? NEVER });
    return true;
  }

  /** @returns false when the client is none of these */
  bound(now: Millis, lease: LeaseState): boolean {
    const offer = this.#offers.get(lease.client);
    if (offer === undefined) return false;
    if (offer.lease === undefined) offer.leasedAt = now;
    offer.lease = lease;
    return true;
  }

  close(client: string): boolean {
    return this.#offers.delete(client);
  }

  /**
   * The oldest one that may give way to another client. None whose address is still looked for:
   * where that takes long, those who come later would undo the work of those before, for ever.
   */
  yielding(now: Millis): string | undefined {
    for (const [client, { leasedAt }] of this.#offers) {
      if (now - leasedAt >= OFFER_MIN_MS) return client;
    }
    return undefined;
  }

  /** Those nobody took in time; they are still here. */
  expired(now: Millis): string[] {
    const out: string[] = [];
    for (const [client, { at }] of this.#offers) {
      if (now - at < OFFER_MS) break;
      out.push(client);
    }
    return out;
  }

  deadline(): Millis {
    const oldest = this.#offers.values().next();
    return oldest.done === true ? NEVER : oldest.value.at + OFFER_MS;
  }
}
