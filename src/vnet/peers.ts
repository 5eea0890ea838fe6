import type { RingAddress } from "../base/ring-address.ts";
import type { LinkId, PeerInfo } from "../link/link-types.ts";

/** The peers we have a link with; bounded by the links' own table. */
export class Peers {
  readonly #byLink = new Map<LinkId, PeerInfo>();
  readonly #byAddress = new Map<RingAddress, PeerInfo>();
  readonly #usable = new Set<LinkId>();

  add(peer: PeerInfo): void {
    this.#byLink.set(peer.link, peer);
    this.#byAddress.set(peer.address, peer);
  }

  remove(link: LinkId): PeerInfo | undefined {
    const peer = this.#byLink.get(link);
    if (peer === undefined) return undefined;
    this.#byLink.delete(link);
    this.#usable.delete(link);
    if (this.#byAddress.get(peer.address)?.link === link) this.#byAddress.delete(peer.address);
    return peer;
  }

  /** @returns the peer when it became reachable just now */
  setUsable(link: LinkId, usable: boolean): PeerInfo | undefined {
    const peer = this.#byLink.get(link);
    const isNews = usable && peer !== undefined && !this.#usable.has(link);
    if (usable && peer !== undefined) this.#usable.add(link);
    else this.#usable.delete(link);
    return isNews ? peer : undefined;
  }

  /** Some path leads to the peer: frames sent now can arrive. */
  isUsable(link: LinkId): boolean {
    return this.#usable.has(link);
  }

  byLink(link: LinkId): PeerInfo | undefined {
    return this.#byLink.get(link);
  }

  byAddress(address: RingAddress): PeerInfo | undefined {
    return this.#byAddress.get(address);
  }

  addresses(): Iterable<RingAddress> {
    return this.#byAddress.keys();
  }

  all(): Iterable<PeerInfo> {
    return this.#byLink.values();
  }
}
