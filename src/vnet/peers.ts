import type { RingAddress } from "../base/ring-address.ts";
import type { LinkId, PeerInfo } from "../link/link-types.ts";

/** The peers we have a link with; bounded by the links' own table. */
export class Peers {
  readonly #byLink = new Map<LinkId, PeerInfo>();
  readonly #byAddress = new Map<RingAddress, PeerInfo>();

  add(peer: PeerInfo): void {
    this.#byLink.set(peer.link, peer);
    this.#byAddress.set(peer.address, peer);
  }

  remove(link: LinkId): PeerInfo | undefined {
    const peer = this.#byLink.get(link);
    if (peer === undefined) return undefined;
    this.#byLink.delete(link);
    if (this.#byAddress.get(peer.address)?.link === link) this.#byAddress.delete(peer.address);
    return peer;
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
