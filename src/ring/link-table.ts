/** The ring's picture of its links: one per peer, whoever opened it. */
import type { Endpoint } from "../base/net.ts";
import type { RingAddress } from "../base/ring-address.ts";
import type { Millis } from "../base/time.ts";
import type { LinkId, LinkRole, PathView, PeerInfo } from "../link/link-types.ts";
import { udpEndpointOf } from "../link/stream-sockets.ts";
import type { NeighbourEntry, Neighbours } from "../wire/ring-messages.ts";

export interface RingLink {
  readonly link: LinkId;
  readonly address: RingAddress;
  readonly name: string;
  readonly candidates: readonly Endpoint[];
  readonly openedAt: Millis;
  role: LinkRole;
  /** Opened for the ring's own ends, so the ring may close it when nobody needs it. */
  readonly owned: boolean;
  path: PathView;
  rttMs: number | undefined;
  /** Silent and being asked about: not used as a next hop meanwhile. */
  suspect: boolean;
  /** The newest list the peer told us; undefined before the first. */
  list: Neighbours | undefined;
  listAt: Millis;
  /** That list as it came: most lists repeat the one before, and need no second look. */
  listBytes: Uint8Array;
  /** Since when neither side needs it as a neighbour; undefined while somebody does. */
  idleSince: Millis | undefined;
}

/** Relayed links carry messages like direct ones. */
export function isUsable(link: RingLink): boolean {
  return link.path.kind !== "none";
}

/** May a message that is not for this very peer go through it? */
export function isInRing(link: RingLink): boolean {
  return link.list?.inRing ?? false;
}

/** The peer counts us among its neighbours. */
export function lists(link: RingLink, address: RingAddress): boolean {
  return link.list?.entries.some((entry) => entry.address === address) ?? false;
}

/** How this node describes a linked peer to others. The endpoint in use goes first: it works. */
export function describe(link: RingLink): NeighbourEntry {
  const inUse = udpEndpointOf(link.path);
  const active = inUse === undefined ? [] : [inUse];
  const rest = link.candidates.filter(
    (one) => !active.some((two) => one.ip === two.ip && one.port === two.port),
  );
  const endpoints = [...active, ...rest];
  return { address: link.address, inRing: isInRing(link), name: link.name, endpoints };
}

export class LinkTable {
  readonly #byLink = new Map<LinkId, RingLink>();
  readonly #byAddress = new Map<RingAddress, RingLink>();

  /** A link that replaces another with the same peer takes its place. */
  add(now: Millis, peer: PeerInfo, role: LinkRole, owned: boolean): RingLink {
    const link: RingLink = {
      link: peer.link,
      address: peer.address,
      name: peer.name,
      candidates: peer.candidates,
      openedAt: now,
      role,
      owned,
      path: { kind: "none" },
      rttMs: undefined,
      suspect: false,
      list: undefined,
      listAt: now,
      listBytes: new Uint8Array(0),
      idleSince: undefined,
    };
    const older = this.#byAddress.get(peer.address);
    if (older !== undefined) this.#byLink.delete(older.link);
    this.#byLink.set(link.link, link);
    this.#byAddress.set(link.address, link);
    return link;
  }

  remove(link: LinkId): RingLink | undefined {
    const found = this.#byLink.get(link);
    if (found === undefined) return undefined;
    this.#byLink.delete(link);
    this.#byAddress.delete(found.address);
    return found;
  }

  get(link: LinkId): RingLink | undefined {
    return this.#byLink.get(link);
  }

  byAddress(address: RingAddress): RingLink | undefined {
    return this.#byAddress.get(address);
  }

  get size(): number {
    return this.#byLink.size;
  }

  all(): RingLink[] {
    return [...this.#byLink.values()];
  }

  usable(): RingLink[] {
    return this.all().filter(isUsable);
  }
}
