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
import { type Endpoint, isIpv6, sameEndpoint } from "../base/net.ts";
import type { RingAddress } from "../base/ring-address.ts";
import { type Millis, NEVER } from "../base/time.ts";
import { emitControl } from "../wire/control.ts";
import { emitLinkMessage, type LinkMessage } from "../wire/link-messages.ts";
import { type CandidateReport, reportCandidates } from "./candidate-report.ts";
import { socketFor } from "./handshake-initiator.ts";
import type { LinksOutput, PathView } from "./link-types.ts";
import {
  isUdp,
  keepaliveOf,
  type NewPath,
  type Path,
  type PathOrigin,
  RELAY_PERIOD_MS,
  type RelayHop,
  SPARE_PERIOD_MS,
  worksWell,
} from "./path.ts";
import { PathChoice } from "./path-choice.ts";
import { MAX_DIRECT_PATHS, MAX_RELAY_PATHS, PathTable } from "./path-table.ts";
import type { AnsweredProbe, LoneProbe, PathsOptions } from "./paths-options.ts";
import type { PathsOutput } from "./paths-output.ts";
import { PeerCandidates } from "./peer-candidates.ts";
import { DOUBTED_GAPS_MS, LIVE_GAPS_MS, TRYING_GAPS_MS } from "./probe-schedule.ts";
import { Probes } from "./probes.ts";
import { PunchRounds } from "./punch-rounds.ts";
import { isStream, udpEndpointOf } from "./stream-sockets.ts";

/**
 * Outer TTL of the first probe to an address that a peer told: past our own NATs (a home router, then a
 * carrier's, seldom the fourth hop), but short of the peer's, which would take it for an attack.
 */
const OPENER_TTL = 5;
/** An answer on the active path this young stands against any doubt. */
const DOUBT_AFTER_MS = 1_000;
/** Weight of one probe in the loss estimate. */
const LOSS_GAIN = 1 / 16;

export class Paths {
  readonly #options: PathsOptions;
  readonly #out = new Outbox<PathsOutput>();
  readonly #table: PathTable;
  readonly #probes: Probes;
  readonly #candidates = new PeerCandidates();
  readonly #rounds: PunchRounds;
  readonly #choice = new PathChoice();
  /** When the candidates of a handshake are tried. */
  #tryAt: Millis = NEVER;
  #active: Path | undefined;
  #periodMs: Millis;
  lossFraction = 0;
  /** Relays left for their losses since the last direct path. */
  #convictions = 0;

  constructor(options: PathsOptions) {
    this.#options = options;
    this.#periodMs = options.periodMs;
    this.#rounds = new PunchRounds(options.isCaller);
    this.#table = new PathTable(options.rng);
    this.#probes = new Probes(options.rng);
  }

  poll(): PathsOutput | undefined {
    return this.#out.poll();
  }

  deadline(): Millis {
    let earliest = Math.min(this.#rounds.deadline(), this.#tryAt);
    for (const path of this.#table.all()) {
      earliest = Math.min(earliest, path.schedule.deadline());
      if (path === this.#active) earliest = Math.min(earliest, path.size.deadline());
    }
    return earliest;
  }

  view(): PathView {
    const active = this.#active;
    if (active === undefined) return { kind: "none" };
    if (active.to.kind === "direct") return active.to;
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

  /** No search for a better way is needed. */
  get #hasUdp(): boolean {
    return this.hasDirect && udpEndpointOf(this.view()) !== undefined;
  }

  /** Endpoints that answered lately, best first: where to find the peer again. */
  get knownEndpoints(): Endpoint[] {
    const good = this.#table.all().filter((path) => path.isGood);
    good.sort((a, b) => Number(b === this.#active) - Number(a === this.#active));
    const known = good.flatMap(({ to }) => (isUdp(to) ? [to.endpoint] : []));
    return [...known, ...this.#candidates.all()];
  }

  /** What the peer put first of IPv4 when it told its candidates last. */
  get firstTold(): Endpoint | undefined {
    return this.#candidates.firstTold;
  }

  /** The relay by which nothing comes through any more: a fresh circuit by it may. */
  get deadRelays(): readonly RingAddress[] {
    const via = this.#deadRelay?.via;
    return via === undefined ? [] : [via];
  }

  /** Paths through relays that do not lose too much. */
  get goodRelays(): number {
    const dead = this.#deadRelay;
    return this.#table.relayed().filter((path) => !path.loss.isLossy && path !== dead).length;
  }

  candidateReports(): CandidateReport[] {
    return reportCandidates(this.#candidates.all(), this.#table.direct(), this.#active);
  }

  get relays(): (RelayHop & { readonly isActive: boolean })[] {
    return this.#table.all().flatMap((path) => {
      const { to } = path;
      if (to.kind !== "relay") return [];
      return [{ via: to.via, label: to.label, isActive: path === this.#active }];
    });
  }

  usesSocket(socket: SocketIndex): boolean {
    return this.#table.direct().some(({ to }) => to.kind === "direct" && to.socket === socket);
  }

  setPeriod(now: Millis, periodMs: Millis): void {
    this.#periodMs = periodMs;
    this.#active?.schedule.setPeriod(now, this.#periodOf(this.#active));
  }

  /** The handshake came this way in both directions: it works. */
  addProven(now: Millis, socket: SocketIndex, endpoint: Endpoint): void {
    if (!isStream(socket)) this.#candidates.keep(endpoint);
    const known = this.#table.findDirect(socket, endpoint);
    const path = known ?? this.#addDirect(now, socket, endpoint, "seen");
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
    path.schedule.draw(now);
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
    this.#candidates.learn(endpoints);
    this.#tryAt = now + delayMs;
    this.#tryDue(now);
    if (!this.#hasUdp) this.#rounds.want(now);
  }

  /** The peer moved, it seems, or we did: see at once whether the active path still works. */
  doubtActive(now: Millis): void {
    const active = this.#active;
    if (active === undefined || active.isDoubted) return;
    active.isDoubted = true;
    active.schedule.setGaps(DOUBTED_GAPS_MS);
    active.schedule.hurry(now);
    this.#run(now, active);
  }

  /** We moved: a spare path that worked before is none until it answers again. */
  doubtAll(now: Millis): void {
    this.doubtActive(now);
    for (const spare of this.#table.all()) {
      if (spare === this.#active || !spare.isGood || !isUdp(spare.to)) continue;
      spare.isGood = false;
      spare.schedule.hurry(now);
      this.#run(now, spare);
    }
  }

  /** The peer may be found elsewhere now. While a relay works, a round is agreed on before trying. */
  learnCandidates(now: Millis, endpoints: readonly Endpoint[]): void {
    const news = this.#candidates.learn(endpoints);
    // Without a direct path each round of punching tells a fresh port: nobody moved.
    if (news === "addresses" || (news === "ports" && this.hasDirect)) this.doubtActive(now);
    if (news === "addresses") this.#choice.forgive();
    if (this.#hasUdp) return;
    if (news === "addresses") this.#rounds.renew(now);
    this.#rounds.want(now);
    if (this.#active === undefined) this.#tryCandidates(now);
  }

  /**
   * Asks the peer where it sees `socket`, by a probe from there to where it answers now.
   * @returns whether it can be asked
   */
  askAbout(now: Millis, socket: SocketIndex): boolean {
    const active = this.#active;
    if (active?.to.kind !== "direct" || !active.isGood) return false;
    const path = this.#addDirect(now, socket, active.to.endpoint, "question");
    if (path !== undefined) this.#run(now, path);
    return path !== undefined;
  }

  /** One probe from `socket` to where the peer may hear it; whatever comes back makes the path. */
  probeOnce(now: Millis, { socket, to: endpoint, isOpener: isPunched }: LoneProbe): void {
    if (this.#table.findDirect(socket, endpoint) !== undefined) return;
    this.#giveUpTrials(now);
    const to = { kind: "direct", socket, endpoint } as const;
    const path = this.#add(now, { to, via: undefined, origin: "told", isPunched });
    if (path === undefined) return;
    this.#sendProbe(now, path, undefined);
    this.#table.remove(path);
    this.#command({ op: "path-remove", session: this.#options.session, path: path.index });
  }

  /** Authenticated data came from an address that is no path: ask there before believing it. */
  challenge(now: Millis, socket: SocketIndex, endpoint: Endpoint): PathIndex | undefined {
    const known = this.#table.findDirect(socket, endpoint);
    const path = known ?? this.#addDirect(now, socket, endpoint, "seen");
    if (path !== undefined) this.#run(now, path);
    return path?.index;
  }

  addRelay(now: Millis, via: SessionId, address: RingAddress, label: Label): void {
    const relays = this.#table.relayed();
    if (relays.length >= MAX_RELAY_PATHS) {
      // A relay that works is never pushed out by a newer one of the peer's.
      const victim = relays.find((path) => path !== this.#active && !worksWell(path));
      if (victim === undefined) return this.#out.push({ kind: "relay-removed", via, label });
      this.#remove(now, victim);
    }
    const to = { kind: "relay", via, label } as const;
    const path = this.#add(now, { to, via: address, origin: "relay", isPunched: false });
    if (path !== undefined) this.#run(now, path);
  }

  removeRelay(now: Millis, via: SessionId, label: Label): void {
    const path = this.#table.findRelay({ via, label });
    if (path !== undefined) this.#remove(now, path);
  }

  /** The socket is gone: what went over it finds another way at once. */
  forgetSocket(now: Millis, socket: SocketIndex): void {
    for (const path of this.#table.direct()) {
      if (path.to.kind === "direct" && path.to.socket === socket) this.#remove(now, path);
    }
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

  /**
   * Try every candidate that does not work at present.
   * @param socket the fresh one to try them from; undefined = the usual one
   */
  startRound(now: Millis, socket?: SocketIndex): void {
    this.#giveUpTrials(now);
    this.#tryCandidates(now, socket);
    for (const path of this.#table.all()) path.schedule.hurry(now);
    if (this.#hasUdp) this.#rounds.stop();
    else this.#rounds.restart(now);
    this.#runAll(now);
    // No candidate is tried from it: there is none of its family, or no room for one more path.
    if (socket !== undefined) this.#noteUnused(socket);
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

  /** A probe-ack; undefined when it answers nothing. */
  receiveAck(now: Millis, id: number): AnsweredProbe | undefined {
    const probe = this.#probes.take(id);
    if (probe === undefined || !this.#table.has(probe.path)) return undefined;
    const { path, sentAt, padTo } = probe;
    path.rtt.observe(now - sentAt);
    if (path === this.#active) this.lossFraction -= this.lossFraction * LOSS_GAIN;
    if (padTo === undefined) this.#noteLoss(path);
    else if (path.size.answered(now, padTo)) this.#writePath(path);
    // The peer may have moved here: then the active path stays silent and this one takes over.
    if (path.origin === "seen" && !path.isGood) this.doubtActive(now);
    if (path.origin === "question") this.#remove(now, path);
    else this.#succeed(now, path);
    return { tookMs: now - sentAt, from: path.to.kind === "direct" ? path.to : undefined };
  }

  timeout(now: Millis): void {
    if (this.#rounds.takeRound(now)) this.#beginRound(now);
    this.#tryDue(now);
    this.#runAll(now);
  }

  /** One unreliable link message over this path. */
  sendOn(
    path: PathIndex,
    message: LinkMessage,
    how: { readonly padTo?: number; readonly ttl?: number } = {},
  ): void {
    const bytes = emitControl({ form: "datagram", body: emitLinkMessage(message) });
    this.#command({ op: "control", session: this.#options.session, path, bytes, ...how });
  }

  /** What is known of our place changed. */
  renewKeepalives(): void {
    for (const path of this.#table.all()) this.#writePath(path);
  }

  #beginRound(now: Millis): void {
    if (this.#hasUdp) return this.#rounds.stop();
    this.#out.push({ kind: "round" });
    // Without any path nothing can be agreed on.
    if (this.#active === undefined) this.#tryCandidates(now);
  }

  #tryDue(now: Millis): void {
    if (this.#tryAt <= now) this.#tryCandidates(now);
  }

  /** Paths of an earlier round are tried no longer: their ports may be spoilt, and they take room. */
  #giveUpTrials(now: Millis): void {
    for (const path of this.#table.direct()) {
      if (path.origin === "told" && !path.isGood && path !== this.#active) this.#remove(now, path);
    }
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
    if (path.schedule.misses === 0 || path !== this.#active) return;
    this.lossFraction += (1 - this.lossFraction) * LOSS_GAIN;
    this.#out.push({ kind: "overdue" });
    if (path.isDoubted) {
      path.isDoubted = false;
      this.#out.push({ kind: "broken" });
      return;
    }
    if (path.schedule.misses > 1) return this.#choose(now);
    for (const other of this.#table.all()) if (other.isGood) other.schedule.hurry(now);
  }

  /** Given up, and active only for want of another. */
  get #deadRelay(): Path | undefined {
    const path = this.#active;
    return path?.to.kind === "relay" && !path.isGood ? path : undefined;
  }

  #noteLoss(path: Path): void {
    const wasLossy = path.loss.isLossy;
    path.loss.answered(path.schedule.misses);
    const isNews = path.loss.isLossy && !wasLossy && path === this.#active;
    if (!isNews || path.via === undefined) return;
    this.#convictions++;
    this.#out.push({ kind: "relay-lossy", via: path.via, lossFraction: path.loss.fraction });
  }

  #periodOf(path: Path): Millis {
    return path.to.kind === "relay" ? Math.min(this.#periodMs, RELAY_PERIOD_MS) : this.#periodMs;
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
    path.isDoubted = false;
    path.lastAckAt = now;
    if (path === this.#active && isUdp(path.to)) this.#rounds.stop();
    path.schedule.setGaps(LIVE_GAPS_MS);
    path.schedule.setPeriod(now, path === this.#active ? this.#periodOf(path) : SPARE_PERIOD_MS);
    path.schedule.answered(now);
    if (path !== this.#active || path.loss.isLossy) this.#choose(now);
  }

  #choose(now: Millis): void {
    const best = this.#choice.best(now, this.#table.all(), this.#active);
    if (best !== undefined && best !== this.#active) this.#activate(now, best);
  }

  #activate(now: Millis, path: Path): void {
    const before = this.#active;
    this.#choice.changed(now, before, path);
    before?.schedule.setPeriod(now, SPARE_PERIOD_MS);
    this.#active = path;
    path.schedule.setPeriod(now, this.#periodOf(path));
    path.size.start(now);
    if (isUdp(path.to)) {
      this.#rounds.stop();
      this.#rounds.reset();
      this.#convictions = 0;
    } else this.#rounds.want(now);
    path.loss.demand(this.#convictions);
    // What was found out about our NAT since the path was made.
    this.#writePath(path);
    this.#command({ op: "path-active", session: this.#options.session, path: path.index });
    this.#out.push({ kind: "active" });
    if (before?.to.kind === "relay" && before.loss.isLossy) this.#remove(now, before);
  }

  #tryCandidates(now: Millis, fresh?: SocketIndex): void {
    this.#tryAt = NEVER;
    for (const endpoint of this.#candidates.all()) {
      const usual = socketFor(endpoint, this.#options.sockets);
      const socket = isIpv6(endpoint.ip) ? usual : (fresh ?? usual);
      if (socket === undefined || this.#table.findDirect(socket, endpoint) !== undefined) continue;
      const path = this.#addDirect(now, socket, endpoint, "told");
      if (path === undefined) return;
      this.#candidates.postpone(endpoint);
      this.#run(now, path);
    }
  }

  #addDirect(
    now: Millis,
    socket: SocketIndex,
    endpoint: Endpoint,
    origin: PathOrigin,
  ): Path | undefined {
    const direct = this.#table.direct();
    if (direct.length >= MAX_DIRECT_PATHS) {
      // What was seen on the wire is worth more than a candidate that does not answer.
      const victim = direct.find((path) => !path.isGood && path !== this.#active);
      if (origin !== "seen" || victim === undefined) return undefined;
      this.#remove(now, victim);
    }
    // No NAT of IPv6 gives away a port: what comes early spoils nothing.
    const mayNeedPunching = origin === "told" && !isIpv6(endpoint.ip);
    const isPunched = mayNeedPunching && this.#options.place.needsPunching;
    const to = { kind: "direct", socket, endpoint } as const;
    return this.#add(now, { to, via: undefined, origin, isPunched });
  }

  #add(now: Millis, asked: NewPath): Path | undefined {
    const path = this.#table.add(now, asked);
    if (path !== undefined) this.#writePath(path);
    return path;
  }

  #remove(now: Millis, path: Path): void {
    this.#table.remove(path);
    this.#command({ op: "path-remove", session: this.#options.session, path: path.index });
    const { to } = path;
    if (to.kind === "relay") {
      this.#out.push({ kind: "relay-removed", via: to.via, label: to.label });
    } else this.#noteUnused(to.socket);
    if (path !== this.#active) return;
    this.#active = undefined;
    this.#choose(now);
    if (this.#active === undefined) this.#out.push({ kind: "active" });
    if (!this.#hasUdp) this.#rounds.want(now);
  }

  #noteUnused(socket: SocketIndex): void {
    if (socket < this.#options.sockets.length || this.usesSocket(socket)) return;
    this.#out.push({ kind: "socket-unused", socket });
  }

  #writePath(path: Path): void {
    this.#command({
      op: "path",
      session: this.#options.session,
      path: path.index,
      to: path.to,
      maxDatagram: path.size.confirmed,
      settled: path.size.isSettled,
      keepaliveMs: keepaliveOf(path, this.#options.place),
    });
  }

  #sendProbe(now: Millis, path: Path, padTo: number | undefined): void {
    const id = this.#probes.issue({ path, sentAt: now, padTo });
    const ttl = path.wantsOpener ? { ttl: OPENER_TTL } : {};
    const size = padTo === undefined ? {} : { padTo };
    path.wantsOpener = false;
    this.sendOn(path.index, { type: "probe", id, tag: this.#options.session }, { ...size, ...ttl });
  }

  #command(command: Extract<LinksOutput, { kind: "engine" }>["command"]): void {
    this.#out.push({ kind: "engine", command });
  }
}
