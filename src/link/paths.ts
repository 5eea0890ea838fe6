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
import type { Label, PathIndex, PathTarget, SessionId, SocketIndex } from "../base/engine.ts";
import { Outbox } from "../base/machine.ts";
import { type Endpoint, type IpFamily, sameEndpoint } from "../base/net.ts";
import type { RingAddress } from "../base/ring-address.ts";
import type { Rng } from "../base/rng.ts";
import type { Millis } from "../base/time.ts";
import { emitControl } from "../wire/control.ts";
import { emitLinkMessage, type LinkMessage } from "../wire/link-messages.ts";
import { socketFor } from "./handshake-initiator.ts";
import type { LinksOutput, PathView } from "./link-types.ts";
import { isBetter, type Path, type PathOrigin, type RelayHop, SPARE_PERIOD_MS } from "./path.ts";
import { MAX_DIRECT_PATHS, MAX_RELAY_PATHS, PathTable } from "./path-table.ts";
import { PeerCandidates } from "./peer-candidates.ts";
import { LIVE_GAPS_MS, TRYING_GAPS_MS } from "./probe-schedule.ts";
import { Probes } from "./probes.ts";
import { PunchRounds } from "./punch-rounds.ts";

/** An answer on the active path this young stands against any doubt. */
const DOUBT_AFTER_MS = 1_000;
/** Weight of one probe in the loss estimate. */
const LOSS_GAIN = 1 / 16;

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
  readonly #table: PathTable;
  readonly #probes: Probes;
  readonly #candidates = new PeerCandidates();
  readonly #rounds = new PunchRounds();
  #active: Path | undefined;
  #periodMs: Millis;
  lossFraction = 0;

  constructor(options: PathsOptions) {
    this.#options = options;
    this.#periodMs = options.periodMs;
    this.#table = new PathTable(options.rng);
    this.#probes = new Probes(options.rng);
  }

  poll(): PathsOutput | undefined {
    return this.#out.poll();
  }

  deadline(): Millis {
    let earliest = this.#rounds.deadline();
    for (const path of this.#table.all()) {
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

  get activeIndex(): PathIndex | undefined {
    return this.#active?.index;
  }

  get rttMs(): number | undefined {
    return this.#active?.rtt.meanMs;
  }

  get maxDatagram(): number {
    return this.#active?.size.confirmed ?? 0;
  }

  /** Nothing larger than maxDatagram is expected to pass soon. */
  get isSizeSettled(): boolean {
    return this.#active?.size.isSettled ?? false;
  }

  /** A direct path carries traffic and answers. */
  get hasDirect(): boolean {
    return this.#active?.to.kind === "direct" && this.#active.isGood;
  }

  /** Endpoints that answered lately, best first: where to find the peer again. */
  get knownEndpoints(): Endpoint[] {
    const good = this.#table.all().filter((path) => path.isGood);
    good.sort((a, b) => Number(b === this.#active) - Number(a === this.#active));
    const known = good.flatMap(({ to }) => (to.kind === "direct" ? [to.endpoint] : []));
    return [...known, ...this.#candidates.all().map(({ endpoint }) => endpoint)];
  }

  get relays(): (RelayHop & { readonly isActive: boolean })[] {
    return this.#table.all().flatMap((path) => {
      const { to } = path;
      if (to.kind !== "relay") return [];
      return [{ via: to.via, label: to.label, isActive: path === this.#active }];
    });
  }

  setPeriod(now: Millis, periodMs: Millis): void {
    this.#periodMs = periodMs;
    this.#active?.schedule.setPeriod(now, periodMs);
  }

  /** The handshake came this way in both directions: it works. */
  addProven(now: Millis, socket: SocketIndex, endpoint: Endpoint): void {
    this.#candidates.keep({ socket, endpoint });
    const known = this.#table.findDirect(socket, endpoint);
    const path = known ?? this.#addDirect(now, socket, endpoint, true);
    if (path !== undefined) this.#succeed(now, path);
    // A renewal: if the peer moved here, the active path stays silent and this one takes over.
    if (path !== this.#active) this.#active?.schedule.hurry(now);
  }

  /** Whether some path to this endpoint answers. */
  worksAt(endpoint: Endpoint): boolean {
    return this.#table
      .all()
      .some(
        ({ to, isGood }) => isGood && to.kind === "direct" && sameEndpoint(to.endpoint, endpoint),
      );
  }

  /** The peer's probe came this way: if ours does not work yet, now is the time (RFC 8445, 7.3.1.4). */
  trigger(now: Millis, index: PathIndex): void {
    const path = this.#table.get(index);
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

  /**
   * Where the peer says it may be found. A probe that reaches an unguarded NAT before its owner sent
   * anything spoils the port for this pair, so `delayMs` lets the peer hear of us first.
   */
  addCandidates(now: Millis, endpoints: readonly Endpoint[], delayMs: Millis): void {
    for (const endpoint of endpoints) {
      const socket = socketFor(endpoint, this.#options.sockets);
      if (socket !== undefined) this.#candidates.keep({ socket, endpoint });
    }
    this.#rounds.tryAt(now + delayMs);
    if (this.#rounds.takeTry(now)) this.#tryCandidates(now);
    if (!this.hasDirect) this.#rounds.want(now);
  }

  /** Authenticated data came from an address that is no path: ask there before believing it. */
  challenge(now: Millis, socket: SocketIndex, endpoint: Endpoint): PathIndex | undefined {
    const known = this.#table.findDirect(socket, endpoint);
    const path = known ?? this.#addDirect(now, socket, endpoint, true);
    if (path !== undefined) this.#run(now, path);
    return path?.index;
  }

  addRelay(now: Millis, via: SessionId, address: RingAddress, label: Label): void {
    const relays = this.#table.relayed();
    if (relays.length >= MAX_RELAY_PATHS) {
      const spare = relays.find((path) => path !== this.#active);
      if (spare !== undefined) this.#remove(now, spare);
    }
    const to = { kind: "relay", via, label } as const;
    const path = this.#add(now, { to, via: address, isRoaming: false });
    if (path !== undefined) this.#run(now, path);
  }

  removeRelay(now: Millis, via: SessionId, label: Label): void {
    const path = this.#table.findRelay({ via, label });
    if (path !== undefined) this.#remove(now, path);
  }

  /** The peer lives but this path does not: everything else is tried, this one again too. */
  breakActive(now: Millis): void {
    const broken = this.#active;
    if (broken === undefined) return;
    broken.isGood = false;
    broken.schedule.setGaps(TRYING_GAPS_MS);
    this.#choose(now);
    this.#rounds.reset();
    this.startRound(now);
  }

  /** Try every candidate that does not work at present. */
  startRound(now: Millis): void {
    this.#tryCandidates(now);
    for (const path of this.#table.all()) path.schedule.hurry(now);
    if (this.hasDirect) this.#rounds.stop();
    else this.#rounds.restart(now);
    this.#runAll(now);
  }

  /** Keys arrived that let us seal: ask every path now. */
  hurry(now: Millis): void {
    for (const path of this.#table.all()) path.schedule.hurry(now);
    this.#runAll(now);
  }

  /** The core saw traffic on the active path: a hole for large datagrams must be found. */
  noteBusy(now: Millis): void {
    this.#active?.size.noteBusy(now);
  }

  someLeaves(leavesThere: (to: PathTarget) => boolean): boolean {
    return this.#table.all().some(({ to }) => leavesThere(to));
  }

  /** The kernel refused a datagram of this size: it is larger than the link that these paths leave by. */
  refuseSize(now: Millis, size: number, leavesThere: (to: PathTarget) => boolean): void {
    for (const path of this.#table.all()) {
      if (!leavesThere(path.to) || !path.size.refused(now, size)) continue;
      this.#writePath(path);
    }
  }

  /** A probe-ack; undefined when it answers nothing, else the time it took. */
  receiveAck(now: Millis, id: number): Millis | undefined {
    const probe = this.#probes.take(id);
    if (probe === undefined || !this.#table.has(probe.path)) return undefined;
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
    if (this.#rounds.takeRound(now)) this.#beginRound(now);
    if (this.#rounds.takeTry(now)) this.#tryCandidates(now);
    this.#runAll(now);
  }

  /** One unreliable link message over this path. */
  sendOn(path: PathIndex, message: LinkMessage, padTo?: number): void {
    const bytes = emitControl({ form: "datagram", body: emitLinkMessage(message) });
    const command = { op: "control", session: this.#options.session, path, bytes } as const;
    this.#command(padTo === undefined ? command : { ...command, padTo });
  }

  #beginRound(now: Millis): void {
    if (this.hasDirect) return this.#rounds.stop();
    this.#out.push({ kind: "round" });
    // The peer hears of this round over the relay, half a round trip from now.
    this.#rounds.tryAt(now + (this.rttMs ?? 0) / 2);
  }

  #runAll(now: Millis): void {
    for (const path of this.#table.all()) this.#run(now, path);
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
    for (const other of this.#table.all()) if (other.isGood) other.schedule.hurry(now);
  }

  #runSize(now: Millis, path: Path): void {
    const { sizes, hasChanged } = path.size.take(now, path.rtt.timeoutMs());
    if (hasChanged) this.#writePath(path);
    for (const size of sizes) this.#sendProbe(now, path, size);
  }

  #exhaust(now: Millis, path: Path): void {
    if (path !== this.#active) return this.#remove(now, path);
    path.isGood = false;
    this.#choose(now);
    if (this.#active !== path) return;
    this.#out.push({ kind: "unanswered", since: path.schedule.startedAt });
    this.#rounds.reset();
    this.#rounds.want(now);
    this.#tryCandidates(now);
  }

  #succeed(now: Millis, path: Path): void {
    path.isGood = true;
    path.lastAckAt = now;
    if (path === this.#active && path.to.kind === "direct") this.#rounds.stop();
    path.schedule.setGaps(LIVE_GAPS_MS);
    path.schedule.setPeriod(now, path === this.#active ? this.#periodMs : SPARE_PERIOD_MS);
    path.schedule.answered(now);
    if (path !== this.#active) this.#choose(now);
  }

  /** Active = the best good path; a silent active one stays until another works. */
  #choose(now: Millis): void {
    let best = this.#active;
    for (const path of this.#table.all()) {
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
      this.#rounds.stop();
      this.#rounds.reset();
    }
    this.#command({ op: "path-active", session: this.#options.session, path: path.index });
    this.#out.push({ kind: "active" });
  }

  #tryCandidates(now: Millis): void {
    for (const candidate of this.#candidates.all()) {
      const { socket, endpoint } = candidate;
      if (this.#table.findDirect(socket, endpoint) !== undefined) continue;
      const path = this.#addDirect(now, socket, endpoint, false);
      if (path === undefined) return;
      this.#candidates.postpone(candidate);
      this.#run(now, path);
    }
  }

  #addDirect(
    now: Millis,
    socket: SocketIndex,
    endpoint: Endpoint,
    isRoaming: boolean,
  ): Path | undefined {
    const direct = this.#table.direct();
    if (direct.length >= MAX_DIRECT_PATHS) {
      // What was seen on the wire is worth more than a candidate that does not answer.
      const victim = direct.find((path) => !path.isGood && path !== this.#active);
      if (!isRoaming || victim === undefined) return undefined;
      this.#remove(now, victim);
    }
    return this.#add(now, { to: { kind: "direct", socket, endpoint }, via: undefined, isRoaming });
  }

  #add(now: Millis, origin: PathOrigin): Path | undefined {
    const path = this.#table.add(now, origin);
    if (path !== undefined) this.#writePath(path);
    return path;
  }

  #remove(now: Millis, path: Path): void {
    this.#table.remove(path);
    this.#command({ op: "path-remove", session: this.#options.session, path: path.index });
    const { to } = path;
    if (to.kind === "relay") {
      this.#out.push({ kind: "relay-removed", via: to.via, label: to.label });
    }
    if (path !== this.#active) return;
    this.#active = undefined;
    this.#choose(now);
    if (this.#active === undefined) this.#out.push({ kind: "active" });
    if (!this.hasDirect) this.#rounds.want(now);
  }

  #writePath(path: Path): void {
    this.#command({
      op: "path",
      session: this.#options.session,
      path: path.index,
      to: path.to,
      maxDatagram: path.size.confirmed,
      settled: path.size.isSettled,
      keepaliveMs: path.keepaliveMs,
    });
  }

  #sendProbe(now: Millis, path: Path, padTo: number | undefined): void {
    const id = this.#probes.issue({ path, sentAt: now, padTo });
    this.sendOn(path.index, { type: "probe", id, tag: this.#options.session }, padTo);
  }

  #command(command: Extract<LinksOutput, { kind: "engine" }>["command"]): void {
    this.#out.push({ kind: "engine", command });
  }
}
