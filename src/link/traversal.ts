/**
 * How pairs without a direct path get one, after the mode of the file:
 *
 *      off         what the peer tells is tried, from the usual socket, at any time
 *      standard    rounds at agreed moments, from fresh ports (puncher.ts)
 *      aggressive  the same, with ports foretold (port-prediction.ts); where two NATs leave nothing but
 *                  luck, one search (birthday.ts) in place of the round
 *
 * It owns the sockets that were opened for it. What links must do, it has them do at once.
 */
import type { EngineCommand, SessionId, SocketIndex } from "../base/engine.ts";
import { Outbox } from "../base/machine.ts";
import { type NatReport, UNKNOWN_NAT } from "../base/nat.ts";
import type { Endpoint, IpFamily } from "../base/net.ts";
import type { RingAddress } from "../base/ring-address.ts";
import type { Rng } from "../base/rng.ts";
import type { Millis } from "../base/time.ts";
import { MAX_CANDIDATES } from "../wire/handshake-payload.ts";
import { Birthday, type BirthdayPart, birthdayPart, isStrict, type NatKind } from "./birthday.ts";
import type { DropCounters } from "./drop-counters.ts";
import { ExtraSockets } from "./extra-sockets.ts";
import { GUESSED_ROUNDS, GuessBudget } from "./guess-budget.ts";
import type { Link } from "./link.ts";
import type { LinkId } from "./link-types.ts";
import type { OwnPlace } from "./own-place.ts";
import { isPredictable, predictEndpoints } from "./port-prediction.ts";
import { Puncher, type PuncherOutput, type PunchLinks } from "./puncher.ts";
import type { DirectLinks } from "./relays.ts";
import { CAPABILITY_AGGRESSIVE, type TraversalMode } from "./traversal-mode.ts";

/** What one end told of its NAT has reached the other after this, unless it was lost. */
const BOTH_KNOW_MS = 1_000;
/** From the call of a search to its start, witnesses and the peer's answer included (puncher.ts). */
const PROMISE_MS = 2_000;

/** Our part of a search, or rounds with ports foretold. */
type Guess = BirthdayPart | "ports";

/** What traversal must know and use of the links. */
export interface TraversalLinks extends PunchLinks, DirectLinks {
  /** To be used now; undefined when it is closed. */
  use(link: LinkId): Link | undefined;
  whereabouts(): { endpoints: readonly Endpoint[]; relays: readonly RingAddress[] };
}

export interface TraversalOptions {
  readonly mode: TraversalMode;
  readonly rng: Rng;
  /** The family of each of the engine's UDP sockets, in order. */
  readonly sockets: readonly IpFamily[];
  readonly links: TraversalLinks;
  readonly place: OwnPlace;
  readonly drops: DropCounters;
}

export class Traversal {
  nat: NatReport = UNKNOWN_NAT;
  readonly #mode: TraversalMode;
  readonly #links: TraversalLinks;
  /** The socket of IPv4 that everybody is told of. */
  readonly #usual: SocketIndex;
  readonly #sockets: ExtraSockets<LinkId>;
  readonly #puncher: Puncher;
  readonly #birthday: Birthday;
  readonly #budget = new GuessBudget();
  /** Who has the next search: its peer begins with us, and would search alone if another came first. */
  #promise: { readonly link: LinkId; readonly until: Millis } | undefined;
  readonly #out = new Outbox<EngineCommand>();

  constructor({ mode, rng, sockets, links, place, drops }: TraversalOptions) {
    const hasIpv4 = sockets.includes(4);
    this.#usual = sockets.indexOf(4);
    this.#mode = mode;
    this.#links = links;
    this.#sockets = new ExtraSockets(sockets.length);
    this.#puncher = new Puncher({ sockets: this.#sockets, links, place, hasIpv4, drops });
    this.#birthday = new Birthday(this.#sockets, rng);
  }

  poll(): EngineCommand | undefined {
    return this.#out.poll();
  }

  deadline(): Millis {
    return Math.min(this.#puncher.deadline(), this.#birthday.deadline());
  }

  timeout(now: Millis): void {
    this.#puncher.timeout(now);
    this.#birthday.timeout(now);
  }

  /** Whether the socket was opened here, for whichever link. */
  owns(socket: SocketIndex): boolean {
    return this.#sockets.ownerOf(socket) !== undefined;
  }

  /** A witness asks back at a port that was opened for another peer: it is no path to the witness. */
  isForeign({ socket, session }: { socket: SocketIndex; session: SessionId }): boolean {
    const owner = this.#sockets.ownerOf(socket);
    return owner !== undefined && owner !== session;
  }

  /** It could not be opened, or ended by itself. */
  lost(now: Millis, socket: SocketIndex): void {
    this.#sockets.lost(socket);
    this.#puncher.lost(now, socket);
    this.#birthday.lost(socket);
  }

  /** No direct path works, and it is time to look for one. */
  wantRound(now: Millis, link: Link): void {
    if (this.#mode === "off") return link.startRound(now, undefined);
    if (this.#mayMeet(now, link)) this.#puncher.call(now, link.id);
  }

  /** The peer told its candidates. @param wantsAnswer it calls a round */
  told(now: Millis, link: Link, wantsAnswer: boolean): void {
    if (this.#mode === "off") {
      if (wantsAnswer) link.announce(now, this.#links.whereabouts(), false);
    } else if (!wantsAnswer || this.#mayMeet(now, link)) {
      this.#puncher.told(now, link.id, wantsAnswer);
    }
  }

  observed(now: Millis, socket: SocketIndex, endpoint: Endpoint): void {
    this.#puncher.observed(now, socket, endpoint);
  }

  /** The last path over this socket is gone. */
  unused(link: LinkId, socket: SocketIndex): void {
    this.#puncher.unused(link, socket);
  }

  /** The link has a direct path: nothing is left to look for. */
  found({ id, address }: Link, socket: SocketIndex): void {
    this.#birthday.end(id, socket);
    this.#budget.found(address);
  }

  /** The link is no more. */
  forget(link: LinkId): void {
    this.#birthday.end(link, undefined);
    this.#puncher.forget(link);
  }

  /** @returns whether there was anything to do */
  settle(now: Millis): boolean {
    let isBusy = false;
    for (let out = this.#puncher.poll(); out !== undefined; out = this.#puncher.poll()) {
      isBusy = true;
      this.#takePuncher(now, out);
    }
    for (let out = this.#birthday.poll(); out !== undefined; out = this.#birthday.poll()) {
      isBusy = true;
      if (out.kind === "engine") this.#out.push(out.command);
      else this.#links.use(out.link)?.probeOnce(now, out);
    }
    return isBusy;
  }

  #takePuncher(now: Millis, out: PuncherOutput): void {
    switch (out.kind) {
      case "engine":
        return this.#out.push(out.command);
      case "ask":
        return this.#puncher.asked(now, out.link, this.#askWitnesses(now, out));
      case "tell":
        return this.#tell(now, out);
      case "start":
        return this.#start(now, out);
    }
  }

  #tell(now: Millis, out: Extract<PuncherOutput, { kind: "tell" }>): void {
    const { endpoints, relays } = this.#links.whereabouts();
    const isAggressive = this.#mode === "aggressive";
    const first = isAggressive ? predictEndpoints(this.nat, out.first) : out.first;
    const all = [...first, ...endpoints].slice(0, MAX_CANDIDATES);
    this.#links.use(out.link)?.announce(now, { endpoints: all, relays }, out.answer);
  }

  #start(now: Millis, out: Extract<PuncherOutput, { kind: "start" }>): void {
    const link = this.#links.use(out.link);
    if (link === undefined) return;
    const { id, address } = link;
    const guess = this.#guessFor(link);
    const peer = link.paths.firstTold;
    if (guess === undefined || guess === "ports" || peer === undefined) {
      if (guess === "ports") this.#budget.spend(now, address, 1);
      return link.startRound(now, out.socket);
    }
    const { socket = this.#usual } = out;
    const maySearch = this.#mayMeet(now, link);
    if (this.#promise?.link === id) this.#promise = undefined;
    if (!maySearch) return this.unused(id, socket);
    this.#budget.spend(now, address, GUESSED_ROUNDS);
    this.#birthday.begin(now, { link: id, part: guess, peer, socket });
  }

  #askWitnesses(now: Millis, ask: Extract<PuncherOutput, { kind: "ask" }>): number {
    let asked = 0;
    for (const { link: id } of this.#links.directLinks()) {
      if (asked === ask.count) break;
      if (id !== ask.link && this.#links.use(id)?.askAbout(now, ask.socket)) asked++;
    }
    return asked;
  }

  /** Where only guesses help: whether there are any left, and both ends know as much. */
  #mayMeet(now: Millis, link: Link): boolean {
    const guess = this.#guessFor(link);
    if (guess === undefined) return true;
    if (guess === "ports") return this.#budget.hasLeft(now, link.address, 1);
    if (!this.#budget.hasLeft(now, link.address, GUESSED_ROUNDS)) return false;
    return link.nats.isSettled(now, BOTH_KNOW_MS) && this.#takePromise(now, link.id);
  }

  /** @returns whether the next search is this link's */
  #takePromise(now: Millis, link: LinkId): boolean {
    const promise = this.#promise;
    const isAnothers = promise !== undefined && promise.link !== link && now < promise.until;
    if (isAnothers || this.#birthday.isBusy) return false;
    this.#promise = { link, until: now + PROMISE_MS };
    return true;
  }

  /** What these NATs leave to be guessed. By what both ends know, so that both come to the same view. */
  #guessFor({ nats: { told, peer }, peer: { capabilities } }: Link): Guess | undefined {
    if (this.#mode !== "aggressive" || told === undefined || peer === undefined) return undefined;
    if ((capabilities & CAPABILITY_AGGRESSIVE) === 0) return undefined;
    return birthdayPart(told, peer) ?? (needsForetelling(told, peer) ? "ports" : undefined);
  }
}

/** A NAT that counts its ports up, and another one where what is sent to another port is lost. */
function needsForetelling(ours: NatReport, peers: NatKind): boolean {
  const isHard = (nat: NatKind) => isPredictable(nat) || isStrict(nat);
  return isHard(ours) && isHard(peers) && (isPredictable(ours) || isPredictable(peers));
}
