/**
 * Rounds of hole punching: both sides of a pair that talks through a relay agree on a moment and try
 * one another's candidates then, each from a fresh port.
 *
 *      caller    preparing --fresh port seen by witnesses--> told --the peer's answer--> try
 *      called    preparing --fresh port seen by witnesses--> waiting --half a round trip--> try
 *
 * Fresh ports each round: a probe that met an unguarded NAT too early spoilt the ports of the round
 * before (the NAT took it for a connection of its own, and maps that inside port otherwise from then
 * on). Witnesses are peers with a direct path: a probe from the fresh port shows them where it is mapped.
 */
import type { EngineCommand, SocketIndex } from "../base/engine.ts";
import { Outbox } from "../base/machine.ts";
import { type Endpoint, sameEndpoint } from "../base/net.ts";
import { type Millis, NEVER } from "../base/time.ts";
import { OPENINGS } from "./birthday.ts";
import type { DropCounters } from "./drop-counters.ts";
import { type ExtraSockets, openSocket } from "./extra-sockets.ts";
import type { LinkId } from "./link-types.ts";
import type { OwnPlace } from "./own-place.ts";
import { RateWindow } from "./rate-window.ts";

/** Rounds that wait for witnesses or for the peer. A site that wakes up may have them all to make. */
const MAX_PUNCHES = 64;
/** Sockets for punching, in use or on trial, and those of one search by birthday. */
const MAX_PUNCH_SOCKETS = 256 + OPENINGS;
/** Peers asked about one fresh port: one may be slow, or lie. */
const WITNESSES = 2;
/** A witness that does not answer within this is not waited for. */
const WITNESS_MS = 400;
/** The peer's answer comes within this, or never: the next round is due then. */
const TOLD_MS = 1_500;
/**
 * Rounds a peer may call in a minute: the twelve of a peer that moved, and some of one whose
 * relay broke. Each costs a socket and some thirty probes to wherever the peer says it is.
 */
export const MAX_CALLED = 20;
const CALLED_MS = 60_000;

type Phase =
  | { readonly kind: "preparing"; readonly until: Millis; awaited: number }
  | { readonly kind: "told"; readonly until: Millis }
  | { readonly kind: "waiting"; readonly until: Millis };

interface Punch {
  readonly link: LinkId;
  readonly isCaller: boolean;
  socket: SocketIndex | undefined;
  /** Where witnesses saw the socket. */
  readonly seen: Endpoint[];
  phase: Phase;
}

export type PuncherOutput =
  | { readonly kind: "engine"; readonly command: EngineCommand }
  /** Ask up to `count` other peers where they see `socket`; to be answered by `asked`. */
  | {
      readonly kind: "ask";
      readonly link: LinkId;
      readonly socket: SocketIndex;
      readonly count: number;
    }
  /** Tell the peer our candidates, these first; with `answer` ask for its own. */
  | {
      readonly kind: "tell";
      readonly link: LinkId;
      readonly first: readonly Endpoint[];
      readonly answer: boolean;
    }
  /** Try the peer's candidates now. */
  | { readonly kind: "start"; readonly link: LinkId; readonly socket: SocketIndex | undefined };

/** What the puncher must know of the links. */
export interface PunchLinks {
  /** Round-trip time of the link's path; undefined when not known. */
  rttMs(link: LinkId): Millis | undefined;
}

export interface PuncherOptions {
  readonly sockets: ExtraSockets<LinkId>;
  readonly links: PunchLinks;
  readonly place: OwnPlace;
  /** Without a socket of IPv4 there is no NAT to punch. */
  readonly hasIpv4: boolean;
  readonly drops: DropCounters;
}

export class Puncher {
  readonly #options: PuncherOptions;
  readonly #out = new Outbox<PuncherOutput>();
  readonly #punches = new Map<LinkId, Punch>();
  /** Rounds that the peer of a link called; at most one entry a link. */
  readonly #called = new Map<LinkId, RateWindow>();

  constructor(options: PuncherOptions) {
    this.#options = options;
  }

  poll(): PuncherOutput | undefined {
    return this.#out.poll();
  }

  deadline(): Millis {
    let earliest = NEVER;
    for (const { phase } of this.#punches.values()) earliest = Math.min(earliest, phase.until);
    return earliest;
  }

  /** A round of this link is due on our side. */
  call(now: Millis, link: LinkId): void {
    if (!this.#punches.has(link)) this.#prepare(now, link, true);
  }

  /** So many witnesses were asked for this link. */
  asked(now: Millis, link: LinkId, count: number): void {
    const punch = this.#punches.get(link);
    if (punch?.phase.kind !== "preparing") return;
    punch.phase.awaited = count;
    if (count === 0) this.#tell(now, punch);
  }

  /** The peer told its candidates. @param wantsAnswer it calls a round */
  told(now: Millis, link: LinkId, wantsAnswer: boolean): void {
    const punch = this.#punches.get(link);
    if (wantsAnswer && punch === undefined) return this.#join(now, link);
    // Both called at once: what the peer told is what was waited for.
    if (punch?.isCaller === true && punch.phase.kind === "told") {
      if (wantsAnswer) this.#out.push({ kind: "tell", link, first: punch.seen, answer: false });
      this.#start(punch);
    }
  }

  /** A witness saw our socket there. */
  observed(now: Millis, socket: SocketIndex, endpoint: Endpoint): void {
    for (const punch of this.#punches.values()) {
      const { phase, seen } = punch;
      if (punch.socket !== socket || phase.kind !== "preparing") continue;
      if (!seen.some((known) => sameEndpoint(known, endpoint))) seen.push(endpoint);
      phase.awaited--;
      if (phase.awaited === 0) this.#tell(now, punch);
    }
  }

  /** The socket could not be opened, or ended by itself: the round goes on without it, at once. */
  lost(now: Millis, socket: SocketIndex): void {
    for (const punch of this.#punches.values()) {
      if (punch.socket !== socket) continue;
      punch.socket = undefined;
      punch.seen.length = 0;
      if (punch.phase.kind === "preparing") this.#tell(now, punch);
    }
  }

  /** The last path over this socket is gone. */
  unused(link: LinkId, socket: SocketIndex): void {
    const isOurs = this.#options.sockets.ownerOf(socket) === link;
    if (isOurs && this.#punches.get(link)?.socket !== socket) this.#close(socket);
  }

  /** The link is no more. */
  forget(link: LinkId): void {
    this.#punches.delete(link);
    this.#called.delete(link);
    for (const socket of this.#options.sockets.ownedBy(link)) this.#close(socket);
  }

  timeout(now: Millis): void {
    for (const punch of this.#punches.values()) {
      if (punch.phase.until > now) continue;
      if (punch.phase.kind === "preparing") this.#tell(now, punch);
      else if (punch.phase.kind === "waiting") this.#start(punch);
      else this.#abandon(punch);
    }
  }

  /** The peer called a round. */
  #join(now: Millis, link: LinkId): void {
    const called = this.#called.get(link) ?? new RateWindow(CALLED_MS);
    this.#called.set(link, called);
    if (called.add(now) <= MAX_CALLED) this.#prepare(now, link, false);
    else this.#options.drops.count("rate-limited");
  }

  #prepare(now: Millis, link: LinkId, isCaller: boolean): void {
    if (this.#punches.size >= MAX_PUNCHES) return;
    const socket = this.#openFor(link);
    const phase: Phase = { kind: "preparing", until: now + WITNESS_MS, awaited: WITNESSES };
    const punch: Punch = { link, isCaller, socket, seen: [], phase };
    this.#punches.set(link, punch);
    if (socket === undefined) this.#tell(now, punch);
    else this.#out.push({ kind: "ask", link, socket, count: WITNESSES });
  }

  #tell(now: Millis, punch: Punch): void {
    const { link, isCaller, seen } = punch;
    // Where nobody saw the fresh port it cannot be told either.
    if (seen.length === 0) this.#dropSocket(punch);
    // The caller hears of our answer half a round trip from now, and begins then.
    const halfWayMs = (this.#options.links.rttMs(link) ?? 0) / 2;
    punch.phase = isCaller
      ? { kind: "told", until: now + TOLD_MS }
      : { kind: "waiting", until: now + halfWayMs };
    this.#out.push({ kind: "tell", link, first: seen, answer: isCaller });
  }

  #start({ link, socket }: Punch): void {
    this.#punches.delete(link);
    this.#out.push({ kind: "start", link, socket });
  }

  #abandon(punch: Punch): void {
    this.#punches.delete(punch.link);
    this.#dropSocket(punch);
  }

  #dropSocket(punch: Punch): void {
    if (punch.socket !== undefined) this.#close(punch.socket);
    punch.socket = undefined;
  }

  #openFor(link: LinkId): SocketIndex | undefined {
    const { sockets, hasIpv4, place } = this.#options;
    const isNeeded = hasIpv4 && place.isBehindNat;
    if (!isNeeded || sockets.size >= MAX_PUNCH_SOCKETS) return undefined;
    const socket = sockets.take(link);
    if (socket !== undefined) this.#engine(openSocket(socket, 4));
    return socket;
  }

  #close(socket: SocketIndex): void {
    const command = this.#options.sockets.close(socket);
    if (command !== undefined) this.#engine(command);
  }

  #engine(command: EngineCommand): void {
    this.#out.push({ kind: "engine", command });
  }
}
