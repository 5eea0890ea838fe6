/**
 * The paths of one session: which exist, which work, which one carries traffic.
 *
 *      candidate --probe--> trying --ack--> good --best--> active
 *         ^                   | no ack        | no ack, three probes
 *         \---- next round <--/---------------/
 *
 * A path becomes active only when the peer answered over it inside the session (or inside the
 * handshake): an address that merely appeared on a datagram proves nothing. A direct path is
 * preferred to a relay, a clearly faster one to a slower one. While no direct path works, all candidates
 * are tried again in rounds that back off.
 */
import {
  ENGINE_LIMITS,
  type Label,
  type PathIndex,
  type PathTarget,
  type SessionId,
  type SocketIndex,
} from "../base/engine.ts";
import { Outbox } from "../base/machine.ts";
import { type Endpoint, type IpFamily, isIpv6, sameEndpoint } from "../base/net.ts";
import type { RingAddress } from "../base/ring-address.ts";
import { below, type Rng } from "../base/rng.ts";
import { type Millis, NEVER } from "../base/time.ts";
import { emitControl } from "../wire/control.ts";
import { emitLinkMessage, type LinkMessage } from "../wire/link-messages.ts";
import { socketFor } from "./handshake-initiator.ts";
import type { LinksOutput, PathView } from "./link-types.ts";
import { PathSize } from "./path-size.ts";
import { LIVE_GAPS_MS, ProbeSchedule, TRYING_GAPS_MS } from "./probe-schedule.ts";
import { RttEstimate } from "./rtt.ts";

/** Paths through relays; the rest of the engine's eight are direct. */
const MAX_RELAY_PATHS = 2;
const MAX_DIRECT_PATHS = ENGINE_LIMITS.pathsPerSession - MAX_RELAY_PATHS;
/** Probes that may still be answered. */
const MAX_PROBES = 64;
/** The peer's candidates and the addresses it was seen at. */
const MAX_CANDIDATES_KEPT = 16;
/** NATs forget a UDP mapping after 30 s at the earliest (RFC 4787 asks for 120 s). */
const KEEPALIVE_MS = 20_000;
const KEEPALIVE_SPREAD_MS = 5_001;
/** A spare path is asked rarely, but often enough to keep its mapping. */
const SPARE_PERIOD_MS = 20_000;
/** Rounds of probing while no direct path works: 1, 2, 4 .. 60 s. */
const FIRST_ROUND_MS = 1_000;
const LAST_ROUND_MS = 60_000;
/** Another path must be this much faster to be worth the change. */
const FASTER_FRACTION = 0.8;
const FASTER_MS = 2;
/** An answer on the active path this young stands against any doubt. */
const DOUBT_AFTER_MS = 1_000;
/** Weight of one probe in the loss estimate. */
const LOSS_GAIN = 1 / 16;

interface Path {
  readonly index: PathIndex;
  readonly to: PathTarget;
  /** The relaying member; undefined for a direct path. */
  readonly via: RingAddress | undefined;
  readonly keepaliveMs: Millis;
  readonly rtt: RttEstimate;
  readonly schedule: ProbeSchedule;
  readonly size: PathSize;
  /** It appeared on an authenticated datagram: once it answers, the peer may have moved there. */
  readonly isRoaming: boolean;
  isGood: boolean;
  lastAckAt: Millis;
}

interface Probe {
  readonly path: Path;
  readonly sentAt: Millis;
  readonly padTo: number | undefined;
}

export type PathsOutput =
  | Extract<LinksOutput, { kind: "engine" }>
  /** Another path is active, or none. */
  | { readonly kind: "active" }
  /** The active path did not answer three probes and no other took over. */
  | { readonly kind: "unanswered"; readonly since: Millis }
  /** A probe of the active path is overdue: time to ask the engine what it heard. */
  | { readonly kind: "overdue" }
  /** A round of probing without a direct path begins. */
  | { readonly kind: "round" }
  /** A relay path is given up; its circuit may go. */
  | { readonly kind: "relay-removed"; readonly via: SessionId; readonly label: Label };

export interface PathsOptions {
  readonly session: SessionId;
  readonly rng: Rng;
  readonly sockets: readonly IpFamily[];
  readonly periodMs: Millis;
}

export class Paths {
  readonly #options: PathsOptions;
  readonly #out = new Outbox<PathsOutput>();
  readonly #paths = new Map<PathIndex, Path>();
  readonly #probes = new Map<number, Probe>();
  #candidates: { readonly socket: SocketIndex; readonly endpoint: Endpoint }[] = [];
  #active: Path | undefined;
  #periodMs: Millis;
  /** When the candidates are tried next. */
  #tryAt: Millis = NEVER;
  #roundAt: Millis = NEVER;
  #roundGapMs: Millis = FIRST_ROUND_MS;
  lossFraction = 0;

  constructor(options: PathsOptions) {
    this.#options = options;
    this.#periodMs = options.periodMs;
  }

  poll(): PathsOutput | undefined {
    return this.#out.poll();
  }

  deadline(): Millis {
    let earliest = Math.min(this.#roundAt, this.#tryAt);
    for (const path of this.#paths.values()) {
      earliest = Math.min(earliest, path.schedule.deadline());
      if (path === this.#active) earliest = Math.min(earliest, path.size.deadline());
    }
    return earliest;
  }

  view(): PathView {
    const active = this.#active;
    if (active === undefined) return { kind: "none" };
    if (active.to.kind === "direct") return { kind: "direct", endpoint: active.to.endpoint };
    return { kind: "relay", via: active.via ?? 0n };
  }

  get rttMs(): number | undefined {
    return this.#active?.rtt.meanMs;
  }

  get maxDatagram(): number {
    return this.#active?.size.confirmed ?? 0;
  }

  /** A direct path carries traffic and answers. */
  get hasDirect(): boolean {
    return this.#active?.to.kind === "direct" && this.#active.isGood;
  }

  /** Endpoints that answered lately, best first: where to find the peer again. */
  get knownEndpoints(): Endpoint[] {
    const good = [...this.#paths.values()].filter((path) => path.isGood);
    good.sort((a, b) => Number(b === this.#active) - Number(a === this.#active));
    const known = good.flatMap(({ to }) => (to.kind === "direct" ? [to.endpoint] : []));
    return [...known, ...this.#candidates.map(({ endpoint }) => endpoint)];
  }

  get relays(): { via: SessionId; label: Label; isActive: boolean }[] {
    return [...this.#paths.values()].flatMap((path) =>
      path.to.kind === "relay"
        ? [{ via: path.to.via, label: path.to.label, isActive: path === this.#active }]
        : [],
    );
  }

  setPeriod(now: Millis, periodMs: Millis): void {
    this.#periodMs = periodMs;
    this.#active?.schedule.setPeriod(now, periodMs);
  }

  /** The handshake came this way in both directions: it works. */
  addProven(now: Millis, socket: SocketIndex, endpoint: Endpoint): void {
    this.#keepCandidate(socket, endpoint);
    const path = this.#direct(socket, endpoint) ?? this.#addDirect(now, socket, endpoint, true);
    if (path !== undefined) this.#succeed(now, path);
    // A renewal: if the peer moved here, the active path stays silent and this one takes over.
    if (path !== this.#active) this.#active?.schedule.hurry(now);
  }

  /** Whether some path to this endpoint answers. */
  worksAt(endpoint: Endpoint): boolean {
    for (const { to, isGood } of this.#paths.values()) {
      if (isGood && to.kind === "direct" && sameEndpoint(to.endpoint, endpoint)) return true;
    }
    return false;
  }

  /** The peer's probe came this way: if ours does not work yet, now is the time (RFC 8445, 7.3.1.4). */
  trigger(now: Millis, index: PathIndex): void {
    const path = this.#paths.get(index);
    if (path === undefined || path.isGood) return;
    path.schedule.hurry(now);
    this.#run(now, path);
  }

  /** The peer sends on another path than we do: perhaps ours broke for it, so look soon. */
  noteArrival(now: Millis, index: PathIndex): void {
    const active = this.#active;
    if (active === undefined || active.index === index) return;
    if (now - active.lastAckAt < DOUBT_AFTER_MS) return;
    active.schedule.hurry(now);
    this.#run(now, active);
  }

  get activeIndex(): PathIndex | undefined {
    return this.#active?.index;
  }

  /**
   * Where the peer says it may be found. A probe that reaches an unguarded NAT before its owner sent
   * anything spoils the port for this pair, so `delayMs` lets the peer hear of us first.
   */
  addCandidates(now: Millis, endpoints: readonly Endpoint[], delayMs: Millis): void {
    for (const endpoint of endpoints) {
      const socket = socketFor(endpoint, this.#options.sockets);
      if (socket !== undefined) this.#keepCandidate(socket, endpoint);
    }
    this.#tryAt = now + delayMs;
    if (delayMs === 0) this.#tryCandidates(now);
    if (!this.hasDirect) this.#roundAt = Math.min(this.#roundAt, now + this.#roundGapMs);
  }

  /** Authenticated data came from an address that is no path: ask there before believing it. */
  challenge(now: Millis, socket: SocketIndex, endpoint: Endpoint): PathIndex | undefined {
    const known = this.#direct(socket, endpoint);
    const path = known ?? this.#addDirect(now, socket, endpoint, true);
    if (path !== undefined) this.#run(now, path);
    return path?.index;
  }

  addRelay(now: Millis, via: SessionId, address: RingAddress, label: Label): void {
    const relays = [...this.#paths.values()].filter(({ to }) => to.kind === "relay");
    if (relays.length >= MAX_RELAY_PATHS) {
      const spare = relays.find((path) => path !== this.#active);
      if (spare !== undefined) this.#remove(now, spare);
    }
    const to: PathTarget = { kind: "relay", via, label };
    const path = this.#add(now, to, address, false);
    if (path !== undefined) this.#run(now, path);
  }

  removeRelay(now: Millis, via: SessionId, label: Label): void {
    for (const path of this.#paths.values()) {
      const { to } = path;
      if (to.kind === "relay" && to.via === via && to.label === label) this.#remove(now, path);
    }
  }

  /** The peer lives but this path does not: everything else is tried, this one again too. */
  breakActive(now: Millis): void {
    const broken = this.#active;
    if (broken === undefined) return;
    broken.isGood = false;
    broken.schedule.setGaps(TRYING_GAPS_MS);
    this.#choose(now);
    this.#roundGapMs = FIRST_ROUND_MS;
    this.startRound(now);
  }

  /** Try every candidate that does not work at present. */
  startRound(now: Millis): void {
    this.#tryCandidates(now);
    for (const path of this.#paths.values()) path.schedule.hurry(now);
    this.#roundAt = this.hasDirect ? NEVER : now + this.#roundGapMs;
    this.#runAll(now);
  }

  /** Keys arrived that let us seal: ask every path now. */
  hurry(now: Millis): void {
    for (const path of this.#paths.values()) path.schedule.hurry(now);
    this.#runAll(now);
  }

  /** The core saw traffic on the active path: a hole for large datagrams must be found. */
  verifySize(now: Millis): void {
    this.#active?.size.verify(now);
  }

  /** A probe-ack; undefined when it answers nothing, else the time it took. */
  receiveAck(now: Millis, id: number): Millis | undefined {
    const probe = this.#probes.get(id);
    if (probe === undefined || this.#paths.get(probe.path.index) !== probe.path) return undefined;
    this.#probes.delete(id);
    const { path, sentAt, padTo } = probe;
    path.rtt.observe(now - sentAt);
    this.lossFraction -= this.lossFraction * LOSS_GAIN;
    if (padTo !== undefined && path.size.answered(now, padTo)) this.#writePath(path);
    // The peer may have moved here: then the active path stays silent and this one takes over.
    if (path.isRoaming && !path.isGood) this.#active?.schedule.hurry(now);
    this.#succeed(now, path);
    return now - sentAt;
  }

  timeout(now: Millis): void {
    if (this.#roundAt <= now) this.#nextRound(now);
    if (this.#tryAt <= now) this.#tryCandidates(now);
    this.#runAll(now);
  }

  #nextRound(now: Millis): void {
    this.#roundGapMs = Math.min(2 * this.#roundGapMs, LAST_ROUND_MS);
    this.#roundAt = this.hasDirect ? NEVER : now + this.#roundGapMs;
    if (this.hasDirect) return;
    this.#out.push({ kind: "round" });
    // The peer hears of this round over the relay, half a round trip from now.
    this.#tryAt = now + (this.rttMs ?? 0) / 2;
  }

  #runAll(now: Millis): void {
    for (const path of [...this.#paths.values()]) this.#run(now, path);
  }

  #run(now: Millis, path: Path): void {
    switch (path.schedule.take(now, path.rtt.meanMs === undefined ? 0 : path.rtt.timeoutMs())) {
      case "probe":
        this.#sendProbe(now, path, undefined);
        return this.#noteMiss(now, path);
      case "exhausted":
        return this.#exhaust(now, path);
    }
    if (path === this.#active) this.#runSize(now, path);
  }

  #noteMiss(now: Millis, path: Path): void {
    if (path.schedule.misses === 0) return;
    this.lossFraction += (1 - this.lossFraction) * LOSS_GAIN;
    if (path !== this.#active) return;
    this.#out.push({ kind: "overdue" });
    if (path.schedule.misses > 1) return this.#choose(now);
    for (const other of this.#paths.values()) if (other.isGood) other.schedule.hurry(now);
  }

  #runSize(now: Millis, path: Path): void {
    const size = path.size.take(now, path.rtt.timeoutMs());
    if (size === undefined) return;
    if (size === "shrunk") this.#writePath(path);
    else this.#sendProbe(now, path, size);
  }

  #exhaust(now: Millis, path: Path): void {
    if (path !== this.#active) return this.#remove(now, path);
    path.isGood = false;
    this.#choose(now);
    if (this.#active !== path) return;
    this.#out.push({ kind: "unanswered", since: path.schedule.startedAt });
    this.#roundGapMs = FIRST_ROUND_MS;
    this.#roundAt = Math.min(this.#roundAt, now + FIRST_ROUND_MS);
    this.#tryCandidates(now);
  }

  #succeed(now: Millis, path: Path): void {
    path.isGood = true;
    path.lastAckAt = now;
    if (path === this.#active && path.to.kind === "direct") this.#roundAt = NEVER;
    path.schedule.setGaps(LIVE_GAPS_MS);
    path.schedule.setPeriod(now, path === this.#active ? this.#periodMs : SPARE_PERIOD_MS);
    path.schedule.answered(now);
    if (path !== this.#active) this.#choose(now);
  }

  /** Active = the best good path; a silent active one stays until another works. */
  #choose(now: Millis): void {
    let best = this.#active;
    for (const path of this.#paths.values()) {
      if (path.isGood && (best === undefined || isBetter(path, best))) best = path;
    }
    if (best !== undefined && best !== this.#active) this.#activate(now, best);
  }

  #activate(now: Millis, path: Path): void {
    this.#active?.schedule.setPeriod(now, SPARE_PERIOD_MS);
    this.#active = path;
    path.schedule.setPeriod(now, this.#periodMs);
    path.size.start(now);
    if (path.to.kind === "direct") {
      this.#roundAt = NEVER;
      this.#roundGapMs = FIRST_ROUND_MS;
    }
    this.#command({ op: "path-active", session: this.#options.session, path: path.index });
    this.#out.push({ kind: "active" });
  }

  #remove(now: Millis, path: Path): void {
    this.#paths.delete(path.index);
    this.#command({ op: "path-remove", session: this.#options.session, path: path.index });
    const { to } = path;
    if (to.kind === "relay") {
      this.#out.push({ kind: "relay-removed", via: to.via, label: to.label });
    }
    if (path !== this.#active) return;
    this.#active = undefined;
    this.#choose(now);
    if (this.#active === undefined) this.#out.push({ kind: "active" });
    if (!this.hasDirect) this.#roundAt = Math.min(this.#roundAt, now + this.#roundGapMs);
  }

  #tryCandidates(now: Millis): void {
    this.#tryAt = NEVER;
    for (const candidate of [...this.#candidates]) {
      const { socket, endpoint } = candidate;
      if (this.#direct(socket, endpoint) !== undefined) continue;
      const path = this.#addDirect(now, socket, endpoint, false);
      if (path === undefined) return;
      // The last one tried goes to the end, so that each gets its turn.
      this.#candidates = [...this.#candidates.filter((other) => other !== candidate), candidate];
      this.#run(now, path);
    }
  }

  #keepCandidate(socket: SocketIndex, endpoint: Endpoint): void {
    const isKnown = this.#candidates.some(
      (known) => known.socket === socket && sameEndpoint(known.endpoint, endpoint),
    );
    if (isKnown) return;
    this.#candidates.unshift({ socket, endpoint });
    this.#candidates.length = Math.min(this.#candidates.length, MAX_CANDIDATES_KEPT);
  }

  #direct(socket: SocketIndex, endpoint: Endpoint): Path | undefined {
    for (const path of this.#paths.values()) {
      const { to } = path;
      if (to.kind !== "direct" || to.socket !== socket) continue;
      if (sameEndpoint(to.endpoint, endpoint)) return path;
    }
    return undefined;
  }

  #addDirect(
    now: Millis,
    socket: SocketIndex,
    endpoint: Endpoint,
    isRoaming: boolean,
  ): Path | undefined {
    const direct = [...this.#paths.values()].filter(({ to }) => to.kind === "direct");
    if (direct.length >= MAX_DIRECT_PATHS) {
      // What was seen on the wire is worth more than a candidate that does not answer.
      const victim = direct.find((path) => !path.isGood && path !== this.#active);
      if (!isRoaming || victim === undefined) return undefined;
      this.#remove(now, victim);
    }
    return this.#add(now, { kind: "direct", socket, endpoint }, undefined, isRoaming);
  }

  #add(
    now: Millis,
    to: PathTarget,
    via: RingAddress | undefined,
    isRoaming: boolean,
  ): Path | undefined {
    const index = this.#freeIndex();
    if (index === undefined) return undefined;
    const { rng } = this.#options;
    const path: Path = {
      index,
      to,
      via,
      isRoaming,
      keepaliveMs: KEEPALIVE_MS + below(rng, KEEPALIVE_SPREAD_MS),
      rtt: new RttEstimate(),
      schedule: new ProbeSchedule(now, TRYING_GAPS_MS, SPARE_PERIOD_MS),
      size: new PathSize(to.kind === "relay" || isIpv6(to.endpoint.ip)),
      isGood: false,
      lastAckAt: Number.NEGATIVE_INFINITY,
    };
    this.#paths.set(index, path);
    this.#writePath(path);
    return path;
  }

  #freeIndex(): PathIndex | undefined {
    for (let index = 0; index < ENGINE_LIMITS.pathsPerSession; index++) {
      if (!this.#paths.has(index)) return index;
    }
    return undefined;
  }

  #writePath(path: Path): void {
    this.#command({
      op: "path",
      session: this.#options.session,
      path: path.index,
      to: path.to,
      maxDatagram: path.size.confirmed,
      keepaliveMs: path.keepaliveMs,
    });
  }

  #sendProbe(now: Millis, path: Path, padTo: number | undefined): void {
    // Not to be foretold: a peer that answers a probe must have received it (RFC 9000, 8.2).
    const id = this.#options.rng.u32();
    this.#probes.set(id, { path, sentAt: now, padTo });
    for (const oldest of this.#probes.keys()) {
      if (this.#probes.size <= MAX_PROBES) break;
      this.#probes.delete(oldest);
    }
    const message: LinkMessage = { type: "probe", id, tag: this.#options.session };
    this.sendOn(path.index, message, padTo);
  }

  /** One unreliable link message over this path. */
  sendOn(path: PathIndex, message: LinkMessage, padTo?: number): void {
    const bytes = emitControl({ form: "datagram", body: emitLinkMessage(message) });
    const command = { op: "control", session: this.#options.session, path, bytes } as const;
    this.#command(padTo === undefined ? command : { ...command, padTo });
  }

  #command(command: Extract<LinksOutput, { kind: "engine" }>["command"]): void {
    this.#out.push({ kind: "engine", command });
  }
}

/** Whether to leave `active` for `path`; both are not equally good, so this never flaps. */
function isBetter(path: Path, active: Path): boolean {
  if (!active.isGood) return true;
  if (active.schedule.misses > 1 && path.schedule.misses === 0) {
    return path.lastAckAt > active.schedule.startedAt;
  }
  if (path.to.kind !== active.to.kind) return path.to.kind === "direct";
  const [ours, theirs] = [path.rtt.meanMs, active.rtt.meanMs];
  if (ours === undefined || theirs === undefined) return false;
  return ours < theirs * FASTER_FRACTION && theirs - ours > FASTER_MS;
}
