import type { NatReport } from "../base/nat.ts";
import type { RingAddress } from "../base/ring-address.ts";
import type { Rng } from "../base/rng.ts";
import { type Millis, NEVER } from "../base/time.ts";
import type { Membership } from "../crypto/membership.ts";
import type { OwnWhereabouts } from "./handshake-self.ts";
import type { Link } from "./link.ts";
import type { LinkId } from "./link-types.ts";

/** Near links, shortcuts and 128 on demand, with room for leaves and for what others open. */
const MAX_LINKS = 512;

type Whereabouts = ReturnType<OwnWhereabouts["whereabouts"]>;

/** The links by id and by address, and which of them the input at hand reached. */
export class LinkTable {
  readonly #rng: Rng;
  readonly #links = new Map<LinkId, Link>();
  readonly #byAddress = new Map<RingAddress, Link>();
  /** Only these can have outputs or other deadlines. */
  readonly #touched = new Set<Link>();
  readonly #deadlines = new Map<LinkId, Millis>();
  readonly #isTaken: (id: LinkId) => boolean;

  /** @param isTaken ids that sessions without a link still have */
  constructor(rng: Rng, isTaken: (id: LinkId) => boolean) {
    this.#rng = rng;
    this.#isTaken = isTaken;
  }

  get size(): number {
    return this.#links.size;
  }

  get isFull(): boolean {
    return this.#links.size >= MAX_LINKS;
  }

  /** A copy: links may open and end while the caller walks. */
  all(): readonly Link[] {
    return [...this.#links.values()];
  }

  touched(): Iterable<Link> {
    return this.#touched;
  }

  has(link: Link): boolean {
    return this.#links.get(link.id) === link;
  }

  at(address: RingAddress): Link | undefined {
    return this.#byAddress.get(address);
  }

  /** To look at, not to touch. */
  get(id: LinkId): Link | undefined {
    return this.#links.get(id);
  }

  /** The link with this id; it is touched. */
  use(id: LinkId): Link | undefined {
    return this.#touch(this.#links.get(id));
  }

  /** The link with this peer; it is touched. */
  useAddress(address: RingAddress): Link | undefined {
    return this.#touch(this.#byAddress.get(address));
  }

  /** Every link, all of them touched. */
  useAll(): readonly Link[] {
    for (const link of this.#links.values()) this.#touched.add(link);
    return this.all();
  }

  /** Those whose peers were shut out, or somebody above them. */
  useRevoked(membership: Membership): readonly Link[] {
    return this.useAll().filter((link) => membership.isRevoked(link.peer.certificate));
  }

  /** Our own addresses changed. */
  doubtAll(now: Millis): void {
    for (const link of this.useAll()) link.doubtPaths(now);
  }

  /** Tells every peer that can be reached where we may be found, and behind what. */
  announceAll(now: Millis, own: Whereabouts, nat: NatReport): void {
    for (const link of this.useAll()) {
      if (link.paths.view().kind === "none") continue;
      link.announce(now, own, false);
      link.tellNat(now, nat);
    }
  }

  /** Ours was renewed. */
  tellCertificate(now: Millis, certificate: Uint8Array): void {
    for (const link of this.useAll()) link.sendLink(now, { type: "certificate", certificate });
  }

  useDue(now: Millis): readonly Link[] {
    const due = [...this.#deadlines].filter(([, at]) => at <= now);
    return due.flatMap(([id]) => this.use(id) ?? []);
  }

  /** Not in use and not zero. */
  drawId(): LinkId {
    for (;;) {
      const id = this.#rng.u32();
      if (id !== 0 && !this.#links.has(id) && !this.#isTaken(id)) return id;
    }
  }

  add(link: Link): void {
    this.#links.set(link.id, link);
    this.#byAddress.set(link.address, link);
    this.#touched.add(link);
  }

  remove(link: Link): void {
    this.#links.delete(link.id);
    this.#deadlines.delete(link.id);
    this.#byAddress.delete(link.address);
  }

  /** Everything the touched links put out was acted on: note when they want to be called. */
  settle(): void {
    for (const link of this.#touched) {
      if (this.has(link)) this.#deadlines.set(link.id, link.deadline());
    }
    this.#touched.clear();
  }

  deadline(): Millis {
    let earliest = NEVER;
    for (const at of this.#deadlines.values()) if (at < earliest) earliest = at;
    return earliest;
  }

  #touch(link: Link | undefined): Link | undefined {
    if (link !== undefined) this.#touched.add(link);
    return link;
  }
}
