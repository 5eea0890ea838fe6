/**
 * Peers that were good once, with their endpoints: they seed long hops, rejoining and the merge of
 * rings. Kademlia's buckets (Maymounkov, Mazieres 2002) keep them spread over all scales: a few far
 * away, every one nearby, and old ones are not pushed out by new ones.
 */
import KBucket from "k-bucket";
import type { Endpoint } from "../base/net.ts";
import { addressToBytes, type RingAddress } from "../base/ring-address.ts";

/** Contacts per bucket: with 160 buckets, of which log2 N fill, about 120 contacts at 1,000 members. */
const BUCKET_SIZE = 8;
/** A bound that holds whatever addresses strangers make up. */
const CONTACTS_MAX = 256;

export interface Contact {
  readonly id: Uint8Array;
  readonly address: RingAddress;
  readonly name: string;
  readonly endpoints: readonly Endpoint[];
}

export class ContactBook {
  readonly #self: RingAddress;
  readonly #buckets: KBucket<Contact>;

  constructor(self: RingAddress) {
    this.#self = self;
    this.#buckets = new KBucket<Contact>({
      localNodeId: addressToBytes(self),
      numberOfNodesPerKBucket: BUCKET_SIZE,
      arbiter: (_, candidate) => candidate,
    });
  }

  get size(): number {
    return this.#buckets.count();
  }

  /** Keep or refresh a contact that was seen alive; endpoints once known are not forgotten for none. */
  note(address: RingAddress, name: string, endpoints: readonly Endpoint[]): void {
    if (address === this.#self) return;
    const id = addressToBytes(address);
    const known = this.#buckets.get(id);
    if (known === null && this.size >= CONTACTS_MAX) return;
    const kept = endpoints.length === 0 ? (known?.endpoints ?? []) : endpoints;
    this.#buckets.add({ id, address, name, endpoints: kept });
  }

  endpointsOf(address: RingAddress): readonly Endpoint[] {
    return this.#buckets.get(addressToBytes(address))?.endpoints ?? [];
  }

  forget(address: RingAddress): void {
    this.#buckets.remove(addressToBytes(address));
  }

  addresses(): RingAddress[] {
    return this.#buckets.toArray().map((contact) => contact.address);
  }
}
