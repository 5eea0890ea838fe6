/**
 * The search for a hole between a NAT that gives each destination a random port and one that lets in
 * only endpoints it has sent to. Neither end can be told where to send, but two sets of ports soon meet,
 * as birthdays do:
 *
 *      opener (random ports)    OPENINGS sockets, one probe each to the knocker's one endpoint
 *      knocker (one port)       then up to KNOCKS probes to ports of the opener's address, none twice
 *
 * A knock that hits one of the opened ports is answered, and is a path as any that the peer found.
 * 400 of 64,512 ports are open, so that 640 knocks miss all of them twice in 100 searches.
 */
import type { EngineCommand, SocketIndex } from "../base/engine.ts";
import { Outbox } from "../base/machine.ts";
import type { NatAllocation, NatFiltering, NatMapping } from "../base/nat.ts";
import type { Endpoint } from "../base/net.ts";
import { below, type Rng } from "../base/rng.ts";
import { type Millis, NEVER } from "../base/time.ts";
import { type ExtraSockets, openSocket } from "./extra-sockets.ts";
import type { LinkId } from "./link-types.ts";

/** Sockets of the opener; see above. */
export const OPENINGS = 400;
/** Probes of the knocker; with the rounds before the search both ends together stay below 1,200. */
export const KNOCKS = 640;
/**
 * Probes that leave together, and the gap to the next ones: 36 in any second. The path that is found begins with
 * probes of its own, and its first second is to stay below 50 as well.
 */
const BATCH = 4;
const BATCH_MS = 115;
/** The knocker waits until most ports are open; all are after OPENINGS / BATCH times BATCH_MS, 11.5 s. */
const OPENING_MS = 7_500;
/** All of it and the last answer; NATs keep what was not answered for 30 s at least. */
const SEARCH_MS = 28_000;
const FIRST_PORT = 1_024;
const PORTS = 65_536 - FIRST_PORT;

export interface NatKind {
  readonly mapping: NatMapping;
  readonly filtering: NatFiltering;
  readonly allocation: NatAllocation;
}

export type BirthdayPart = "opener" | "knocker";

/** Our part where such a search is the only way; undefined where it is not, or of no use. */
export function birthdayPart(ours: NatKind, peers: NatKind): BirthdayPart | undefined {
  if (isRandom(ours) && isStrict(peers)) return "opener";
  return isStrict(ours) && isRandom(peers) ? "knocker" : undefined;
}

function isRandom({ mapping, allocation }: NatKind): boolean {
  return (mapping === "address" || mapping === "address-and-port") && allocation === "random";
}

/** Where nobody could tell one port for all from one for each address, the first is what RFC 4787 asks for. */
export function isStrict({ mapping, filtering }: NatKind): boolean {
  const hasOnePort = mapping === "endpoint-independent" || mapping === "unknown";
  return hasOnePort && filtering === "address-and-port";
}

export type BirthdayOutput =
  | { readonly kind: "engine"; readonly command: EngineCommand }
  | {
      readonly kind: "probe";
      readonly link: LinkId;
      readonly socket: SocketIndex;
      readonly to: Endpoint;
      /** It is to open our NAT, and better does not reach the peer's, whose port it might spoil. */
      readonly isOpener: boolean;
    };

export interface SearchRequest {
  readonly link: LinkId;
  readonly part: BirthdayPart;
  /** Where the peer sends from, as it was seen; of an opener's only the address is used. */
  readonly peer: Endpoint;
  /** The knocker's one socket; an opener has no use for it. */
  readonly socket: SocketIndex;
}

interface Search extends SearchRequest {
  readonly endsAt: Millis;
  nextAt: Millis;
  left: number;
  opened: SocketIndex[];
  readonly knocked: Set<number>;
}

/** At most one search at a time. */
export class Birthday {
  readonly #sockets: ExtraSockets<LinkId>;
  readonly #rng: Rng;
  readonly #out = new Outbox<BirthdayOutput>();
  #search: Search | undefined;

  constructor(sockets: ExtraSockets<LinkId>, rng: Rng) {
    this.#sockets = sockets;
    this.#rng = rng;
  }

  poll(): BirthdayOutput | undefined {
    return this.#out.poll();
  }

  deadline(): Millis {
    const search = this.#search;
    return search === undefined ? NEVER : Math.min(search.nextAt, search.endsAt);
  }

  get isBusy(): boolean {
    return this.#search !== undefined;
  }

  begin(now: Millis, request: SearchRequest): void {
    const { part, socket } = request;
    if (part === "opener") this.#close(socket);
    this.#search = {
      ...request,
      endsAt: now + SEARCH_MS,
      nextAt: part === "opener" ? now : now + OPENING_MS,
      left: part === "opener" ? OPENINGS : KNOCKS,
      opened: [],
      knocked: new Set(),
    };
  }

  /** The socket could not be opened, or ended by itself: its index may be another one's from now on. */
  lost(socket: SocketIndex): void {
    const search = this.#search;
    if (search === undefined) return;
    search.opened = search.opened.filter((other) => other !== socket);
    if (search.part === "knocker" && search.socket === socket) this.#search = undefined;
  }

  /** @param used the socket that a path of the link uses now */
  end(link: LinkId, used: SocketIndex | undefined): void {
    const search = this.#search;
    if (search?.link !== link) return;
    this.#search = undefined;
    for (const socket of search.opened) if (socket !== used) this.#close(socket);
    if (search.part === "knocker" && search.socket !== used) this.#close(search.socket);
  }

  timeout(now: Millis): void {
    const search = this.#search;
    if (search === undefined) return;
    if (search.endsAt <= now) return this.end(search.link, undefined);
    if (search.nextAt > now) return;
    // What is late is not made up for: no second may see more than its share.
    search.nextAt = now + BATCH_MS;
    for (let i = 0; i < BATCH && search.left > 0; i++) this.#probe(search);
    if (search.left === 0) search.nextAt = NEVER;
  }

  #probe(search: Search): void {
    search.left--;
    const { link, peer } = search;
    if (search.part === "knocker") {
      const to = { ip: peer.ip, port: this.#drawPort(search.knocked) };
      const { socket } = search;
      return this.#out.push({ kind: "probe", link, socket, to, isOpener: false });
    }
    const socket = this.#sockets.take(link);
    if (socket === undefined) return;
    search.opened.push(socket);
    this.#out.push({ kind: "engine", command: openSocket(socket, 4) });
    this.#out.push({ kind: "probe", link, socket, to: peer, isOpener: true });
  }

  /** One that was not tried: few are, so the next free one is near. */
  #drawPort(knocked: Set<number>): number {
    let offset = below(this.#rng, PORTS);
    while (knocked.has(offset)) offset = (offset + 1) % PORTS;
    knocked.add(offset);
    return FIRST_PORT + offset;
  }

  #close(socket: SocketIndex): void {
    const command = this.#sockets.close(socket);
    if (command !== undefined) this.#out.push({ kind: "engine", command });
  }
}
