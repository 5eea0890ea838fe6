/**
 * Neighbour lists: what this node tells of its links, and what it believes of those it is told.
 * A list names usable links only, so "X lists Y" also means "X reaches Y in one hop".
 */
import { equalBytes } from "../base/bytes.ts";
import type { Outbox } from "../base/machine.ts";
import type { Endpoint } from "../base/net.ts";
import type { RingAddress } from "../base/ring-address.ts";
import type { Millis } from "../base/time.ts";
import {
  emitNeighbours,
  MAX_NEIGHBOUR_ENDPOINTS,
  type NeighbourEntry,
  type Neighbours,
} from "../wire/ring-messages.ts";
import type { ContactBook } from "./contact-book.ts";
import { Expiring } from "./expiring.ts";
import { describe, type LinkTable, type RingLink } from "./link-table.ts";
import { nearOf, type Sides, sidesOf } from "./near-set.ts";
import type { RingOutput } from "./ring-types.ts";
import { gapOf } from "./size-estimate.ts";

/** Answers to a question name nodes that are tried at once: an attempt and a little more. */
const RUMOUR_LIFE_MS = 8_000;
/** Near neighbours repeat theirs within five seconds; an older list may name the dead. */
const LIST_LIFE_MS = 6_000;
/** Several answers at once. */
const RUMOURS_MAX = 128;

export interface ListsOptions {
  readonly self: RingAddress;
  readonly name: string;
  readonly links: LinkTable;
  readonly contacts: ContactBook;
  readonly outbox: Outbox<RingOutput>;
}

/** A node that may be there, and how to reach it. */
export interface Evidence {
  readonly endpoints: readonly Endpoint[];
  /** It asked for a link itself: no waiting for it to begin. */
  readonly asked: boolean;
}

export class Lists {
  readonly #options: ListsOptions;
  readonly #rumours = new Expiring<Evidence>(RUMOURS_MAX);
  #endpoints: readonly Endpoint[] = [];

  constructor(options: ListsOptions) {
    this.#options = options;
  }

  setEndpoints(endpoints: readonly Endpoint[]): void {
    this.#endpoints = endpoints.slice(0, MAX_NEIGHBOUR_ENDPOINTS);
  }

  get endpoints(): readonly Endpoint[] {
    return this.#endpoints;
  }

  /** Tell one peer our neighbours and those of our links that are nearest to it. */
  tell(link: RingLink, inRing: boolean, wantsReply: boolean): void {
    const { self, outbox } = this.#options;
    const gap = gapOf(self, this.#sides(self));
    const entries = this.entriesFor(link.address);
    const bytes = emitNeighbours({ wantsReply, inRing, gap, entries });
    outbox.push({ kind: "send", link: link.link, bytes, reliable: true, token: 0 });
  }

  /** Our near links and the links nearest to `address`, without `address` unless it is near us. */
  entriesFor(address: RingAddress): NeighbourEntry[] {
    const near = nearOf(this.#sides(this.#options.self));
    return this.#entries(new Set([...near, ...nearOf(this.#sides(address))]));
  }

  /** This node first, then `entriesFor`: the answer to a question. */
  answerFor(address: RingAddress, inRing: boolean): NeighbourEntry[] {
    const { self, name } = this.#options;
    const own = { address: self, inRing, name, endpoints: this.#endpoints };
    return [own, ...this.entriesFor(address)];
  }

  /** The same list again only shows that the peer still holds it. */
  isRepeated(now: Millis, link: RingLink, bytes: Uint8Array): boolean {
    if (!equalBytes(bytes, link.listBytes)) return false;
    link.listAt = now;
    return true;
  }

  heard(now: Millis, link: RingLink, list: Neighbours, bytes: Uint8Array): void {
    link.list = list;
    link.listAt = now;
    link.listBytes = bytes;
    for (const entry of list.entries) this.#note(entry);
  }

  /** What an answer told; believed for a short while. */
  rumour(now: Millis, entries: readonly NeighbourEntry[], asked: boolean): void {
    for (const entry of entries) {
      if (entry.address === this.#options.self) continue;
      this.#rumours.set(entry.address, { endpoints: entry.endpoints, asked }, now + RUMOUR_LIFE_MS);
    }
  }

  /** Every node that somebody we are linked to vouched for lately, and fresh rumours. */
  evidence(now: Millis): Map<RingAddress, Evidence> {
    const found = new Map<RingAddress, Evidence>(this.#rumours.current(now));
    for (const link of this.#options.links.usable()) {
      if (link.listAt + LIST_LIFE_MS < now) continue;
      for (const { address, endpoints } of link.list?.entries ?? []) {
        if (address !== this.#options.self && !found.has(address)) {
          found.set(address, { endpoints, asked: false });
        }
      }
    }
    return found;
  }

  /** Gaps that linked members measured around themselves. */
  gaps(): bigint[] {
    return this.#options.links.usable().map((link) => link.list?.gap ?? 0n);
  }

  #note(entry: NeighbourEntry): void {
    this.#options.contacts.note(entry.address, entry.name, entry.endpoints);
  }

  #sides(of: RingAddress): Sides {
    return sidesOf(
      of,
      this.#options.links.usable().map((link) => link.address),
    );
  }

  #entries(addresses: ReadonlySet<RingAddress>): NeighbourEntry[] {
    const links = [...addresses].map((address) => this.#options.links.byAddress(address));
    return links.filter((link) => link !== undefined).map(describe);
  }
}
