/**
 * One link: an authenticated association with one peer, kept alive over whatever path works.
 *
 *      opening --path--> usable --no path--> pathless --path--> usable
 *         \                 \                   \--30 s--> ended
 *          \--30 s--> ended  \--goodbye, keys expired, close--> ended
 *
 * It owns the transport, the paths and the key pairs of its session. What concerns other links
 * (relays, new handshakes, its end) goes out as a LinkOutput for `Links` to act on.
 */
import type {
  EngineCommand,
  Label,
  PathIndex,
  PathTarget,
  ReceiverIndex,
  SessionId,
  SessionTraffic,
  SocketIndex,
  Upcall,
} from "../base/engine.ts";
import { Outbox } from "../base/machine.ts";
import type { NatReport } from "../base/nat.ts";
import type { Endpoint } from "../base/net.ts";
import type { RingAddress } from "../base/ring-address.ts";
import { type Millis, NEVER } from "../base/time.ts";
import {
  emitLinkMessage,
  type LinkMessage,
  parseLinkMessage,
  type Rekey1,
  type Rekey2,
} from "../wire/link-messages.ts";
import { FIRST_UPPER_MESSAGE } from "../wire/message-type.ts";
import {
  ControlTransport,
  type OutgoingMessage,
  type TransportOutput,
} from "./control-transport.ts";
import type { DropCounters } from "./drop-counters.ts";
import { emitGoodbye } from "./goodbye.ts";
import type { HandshakeResult } from "./handshake-self.ts";
import { LinkNats } from "./link-nats.ts";
import type { LinkOptions } from "./link-options.ts";
import type { LinkOutput } from "./link-output.ts";
import type { LinkRole, LinkView, PeerInfo } from "./link-types.ts";
import { MAX_RELAY_PATHS } from "./path-table.ts";
import { Paths } from "./paths.ts";
import type { LoneProbe } from "./paths-options.ts";
import { CAPABILITY_POST_QUANTUM } from "./rekey-exchange.ts";
import { type KeyPairFacts, Rekeying } from "./rekeying.ts";
import { RelayWish } from "./relay-wish.ts";
import { RttEstimate } from "./rtt.ts";
import { isRttNews } from "./rtt-news.ts";

/** A link without any path is of no use to anybody; half a NAT's patience. */
export const PATHLESS_MS: Millis = 30_000;
const NEAR_PERIOD_MS = 3_000;
const FAR_PERIOD_MS = 10_000;
/** `silent` is said at most this often. */
const SILENT_AGAIN_MS = 3_000;
/** Frames between two traffic reports that make the path's size worth watching. */
const BUSY_FRAMES = 16;

interface ControlUpcall extends Extract<Upcall, { kind: "control" }> {
  /** It came to a socket that was opened for another peer: this one was only asked where it sees it. */
  readonly isAside: boolean;
}

export class Link {
  peer: PeerInfo;
  readonly paths: Paths;
  relayHints: readonly RingAddress[];
  traffic: SessionTraffic | undefined;
  readonly nats = new LinkNats();
  /** When the last handshake ended. */
  keyedAt: Millis;
  readonly #out = new Outbox<LinkOutput>();
  readonly #drops: DropCounters;
  readonly #rtt = new RttEstimate();
  readonly #transport: ControlTransport;
  readonly #rekeying: Rekeying;
  readonly #openedAt: Millis;
  #role: LinkRole;
  #peerTag: number | undefined;
  /** The engine has keys it may seal with. */
  #canSeal = false;
  /** The peer sealed something for us: it has the last message of the handshake. */
  #isConfirmed = false;
  #lastHeardAt: Millis;
  #saidSilentAt: Millis = Number.NEGATIVE_INFINITY;
  readonly #relayWish: RelayWish;
  #pathlessAt: Millis;
  #saidRttMs: number | undefined;

  constructor(now: Millis, options: LinkOptions) {
    const { suite, rng, peer, role } = options;
    const session = peer.link;
    this.peer = peer;
    this.relayHints = options.relayHints;
    this.#drops = options.drops;
    this.#role = role;
    this.#openedAt = now;
    this.keyedAt = now;
    this.#lastHeardAt = now;
    this.#transport = new ControlTransport(rng, this.#rtt);
    const peerMixes = (peer.capabilities & CAPABILITY_POST_QUANTUM) !== 0;
    this.#rekeying = new Rekeying({ suite, rng, session, peerMixes });
    const periodMs = periodOf(role);
    const isCaller = peer.initiatedHere;
    const { sockets, place } = options;
    this.paths = new Paths({ session, rng, sockets, periodMs, isCaller, place });
    this.#relayWish = new RelayWish(now, peer.initiatedHere);
    this.#pathlessAt = now + PATHLESS_MS;
    this.#engine({ op: "session-open", session });
  }

  get id(): SessionId {
    return this.peer.link;
  }

  get address(): RingAddress {
    return this.peer.address;
  }

  get isDirect(): boolean {
    return this.paths.view().kind === "direct";
  }

  view(): LinkView {
    return {
      peer: this.peer,
      role: this.#role,
      path: this.paths.view(),
      rttMs: this.paths.rttMs,
      lossFraction: this.paths.lossFraction,
      maxDatagram: this.paths.maxDatagram,
      isSizeSettled: this.paths.isSizeSettled,
      openedAt: this.#openedAt,
      lastHeardAt: this.#lastHeardAt,
      traffic: this.traffic,
      cipher: this.#rekeying.cipher,
      isPostQuantum: this.#rekeying.isPostQuantum,
      nat: this.nats.peer,
      candidates: () => this.paths.candidateReports(),
    };
  }

  poll(): LinkOutput | undefined {
    return this.#out.poll();
  }

  deadline(): Millis {
    return Math.min(
      this.#transport.deadline(),
      this.paths.deadline(),
      this.#relayWish.deadline(),
      this.#pathlessAt,
      this.#rekeying.rekeyAt,
      this.#rekeying.expiresAt,
    );
  }

  /** Keys of a finished handshake: the first ones, or a renewal in the same session. */
  install(now: Millis, result: HandshakeResult): void {
    this.#rekeying.cipher = result.facts.cipher;
    this.keyedAt = now;
    this.#installPair(now, result);
    const { channel, facts } = result;
    if (channel.kind === "socket") {
      const { socket, endpoint } = channel;
      if (result.isProven) this.paths.addProven(now, socket, endpoint);
      else this.paths.challenge(now, socket, endpoint);
    }
    // The peer starts when message 3 reaches it; over the ring that is half a round trip from now.
    const delayMs = channel.kind === "ring" ? result.roundTripMs / 2 : 0;
    this.paths.addCandidates(now, facts.candidates, delayMs);
    this.paths.hurry(now);
    this.#drainPaths(now);
  }

  keysConfirmed(now: Millis, receive: ReceiverIndex): void {
    this.#rekeying.confirm(receive);
    this.#hear(now);
    this.paths.hurry(now);
    this.#drainPaths(now);
  }

  receiveControl(now: Millis, upcall: ControlUpcall): void {
    this.#hear(now);
    this.#transport.receive(now, upcall.bytes);
    for (let out = this.#transport.poll(); out !== undefined; out = this.#transport.poll()) {
      if (out.kind === "message") this.#receiveMessage(now, upcall, out.bytes);
      else this.#takeTransport(out, upcall.path);
    }
    if (upcall.path !== undefined && !upcall.isAside) this.paths.noteArrival(now, upcall.path);
    this.#drainPaths(now);
  }

  /** An authenticated datagram came from an address that is no path of ours. */
  seenAt(now: Millis, upcall: Extract<Upcall, { kind: "endpoint" }>): void {
    this.#hear(now);
    this.paths.challenge(now, upcall.socket, upcall.from);
    this.#drainPaths(now);
  }

  /** The engine's own account of the session. */
  noteTraffic(now: Millis, traffic: SessionTraffic): void {
    const before = this.traffic?.framesOut ?? 0;
    this.traffic = traffic;
    if (traffic.silentMs !== undefined) {
      this.#lastHeardAt = Math.max(this.#lastHeardAt, now - traffic.silentMs);
    }
    if (traffic.framesOut - before >= BUSY_FRAMES) this.paths.noteBusy(now);
  }

  /** The kernel refused a datagram of this size on the paths that leave there. */
  refuseSize(now: Millis, size: number, leavesThere: (to: PathTarget) => boolean): void {
    this.paths.refuseSize(now, size, leavesThere);
    this.#drainPaths(now);
  }

  send(now: Millis, message: OutgoingMessage): void {
    this.#transport.send(now, message);
    this.#drainTransport();
  }

  /** One message of the link itself. */
  sendLink(now: Millis, message: LinkMessage, reliable = true): void {
    this.send(now, { bytes: emitLinkMessage(message), reliable, owner: "link", token: 0 });
  }

  setRole(now: Millis, role: LinkRole): void {
    this.#role = role;
    this.paths.setPeriod(now, periodOf(role));
  }

  beginRekey(now: Millis): void {
    const message = this.#rekeying.begin(now);
    if (message === undefined) return;
    if (this.#rekeying.isOverdue) this.#out.push({ kind: "renew" });
    this.sendLink(now, message);
  }

  /**
   * The peer lives and does not answer us: the path broke, or the peer closed this session and its
   * goodbye was lost. Other paths heal the one, a new handshake the other.
   */
  reachedByOthers(now: Millis): void {
    this.#breakPath(now);
    this.#out.push({ kind: "renew" });
  }

  /** How long our NAT keeps a mapping is known. */
  renewKeepalives(now: Millis): void {
    this.paths.renewKeepalives();
    this.#drainPaths(now);
  }

  /** Our own addresses changed. */
  doubtPaths(now: Millis): void {
    this.paths.doubtAll(now);
    this.#drainPaths(now);
  }

  addRelay(now: Millis, via: SessionId, address: RingAddress, label: Label): void {
    this.#relayWish.found();
    this.paths.addRelay(now, via, address, label);
    this.#drainPaths(now);
  }

  removeRelay(now: Millis, via: SessionId, label: Label): void {
    this.paths.removeRelay(now, via, label);
    if (this.paths.view().kind === "none") this.#wantRelay(now);
    else if (!this.paths.hasDirect) this.#relayWish.relayLost(now);
    this.#drainPaths(now);
  }

  relayFailed(now: Millis): void {
    if (!this.paths.hasDirect) this.#relayWish.failed(now);
  }

  /** Try the peer's candidates, from `socket` if given. */
  startRound(now: Millis, socket: SocketIndex | undefined): void {
    this.paths.startRound(now, socket);
    this.#drainPaths(now);
  }

  /** One probe that the peer may hear there, or nobody. */
  probeOnce(now: Millis, probe: LoneProbe): void {
    this.paths.probeOnce(now, probe);
    this.#drainPaths(now);
  }

  /** Asks the peer where it sees `socket`. @returns whether it can be asked */
  askAbout(now: Millis, socket: SocketIndex): boolean {
    const isAsked = this.paths.askAbout(now, socket);
    this.#drainPaths(now);
    return isAsked;
  }

  announce(
    now: Millis,
    own: { readonly endpoints: readonly Endpoint[]; readonly relays: readonly RingAddress[] },
    answer: boolean,
  ): void {
    this.sendLink(now, { type: "candidates", answer, ...own });
  }

  /** Once for each change of it; a peer that knows what both NATs do need not try what cannot work. */
  tellNat(now: Millis, nat: NatReport): void {
    const { mapping, filtering, allocation, step = 0 } = nat;
    if (!this.nats.tell(now, nat)) return;
    this.sendLink(now, { type: "nat", mapping, filtering, allocation, step });
  }

  timeout(now: Millis): void {
    if (this.#rekeying.expiresAt <= now) {
      this.#out.push({ kind: "ended", reason: "keys expired" });
      return;
    }
    if (this.#pathlessAt <= now) {
      this.#out.push({ kind: "ended", reason: "no path" });
      return;
    }
    if (this.#rekeying.rekeyAt <= now) this.beginRekey(now);
    if (this.#relayWish.takeAsk(now)) this.#wantRelay(now);
    if (this.#relayWish.takeRelease(now)) this.#releaseSpareRelays(now);
    this.#transport.timeout(now);
    this.paths.timeout(now);
    this.#drainPaths(now);
  }

  /**
   * Nothing follows but the session's close, which is the caller's to time.
   * @returns whether the peer was told
   */
  end(reason: string, tellPeer: boolean): boolean {
    this.#transport.abandon();
    this.#drainTransport();
    if (!tellPeer || !this.#canSeal || this.paths.view().kind === "none") return false;
    const bytes = emitGoodbye(this.id, reason);
    // Unacknowledged: a second copy is cheaper than a peer that waits for its probes.
    for (let i = 0; i < 2; i++) this.#engine({ op: "control", session: this.id, bytes });
    return true;
  }

  #receiveMessage(now: Millis, upcall: ControlUpcall, bytes: Uint8Array): void {
    if ((bytes[0] ?? 0) >= FIRST_UPPER_MESSAGE) {
      this.#out.push({ kind: "message", link: this.id, address: this.address, bytes });
      return;
    }
    const message = parseLinkMessage(bytes);
    if (message.ok) this.#act(now, upcall, message.value);
    else this.#drops.count(message.reason);
  }

  #act(now: Millis, upcall: ControlUpcall, message: LinkMessage): void {
    switch (message.type) {
      case "probe":
        this.#noteTag(message.tag);
        // An answer would make the peer believe that we can be found there.
        if (upcall.isAside) return;
        return this.#answerProbe(now, upcall, message.id);
      case "probe-ack":
        this.#noteTag(message.tag);
        return this.#receiveAck(now, message);
      case "rekey-1":
      case "rekey-1-kem":
        return this.#answerRekey(now, message);
      case "rekey-2":
      case "rekey-2-kem":
        return this.#finishRekey(now, message);
      case "candidates":
        this.relayHints = message.relays;
        this.paths.learnCandidates(now, message.endpoints);
        this.#out.push({ kind: "told", answer: message.answer });
        return;
      case "nat":
        return this.nats.learn(now, message);
      case "goodbye":
        if (this.#peerTag !== undefined && this.#peerTag !== message.tag) return;
        this.#out.push({ kind: "ended", reason: `peer: ${message.reason}` });
        return;
      default:
        this.#out.push({ kind: "relay-message", message });
    }
  }

  #answerProbe(now: Millis, upcall: ControlUpcall, id: number): void {
    const { from, socket } = upcall;
    const known = upcall.path;
    const challenged =
      known === undefined && from !== undefined
        ? this.paths.challenge(now, socket, from)
        : undefined;
    const path = known ?? challenged ?? this.paths.activeIndex;
    if (path === undefined) return this.#drops.count("no-path");
    this.paths.sendOn(path, { type: "probe-ack", id, tag: this.id, observed: from });
    this.paths.trigger(now, path);
  }

  #receiveAck(now: Millis, ack: Extract<LinkMessage, { type: "probe-ack" }>): void {
    const answered = this.paths.receiveAck(now, ack.id);
    if (answered === undefined) return;
    const { tookMs } = answered;
    this.#rtt.observe(tookMs);
    // An answer to an older probe says nothing about the keys of the last handshake.
    if (now - tookMs >= this.keyedAt) {
      this.#out.push({ kind: "heard" });
      this.#rekeying.heard(now);
    }
    if (isRttNews(this.#saidRttMs, this.paths.rttMs)) this.sayPath();
    if (ack.observed !== undefined && answered.from !== undefined) {
      const { socket, endpoint: by } = answered.from;
      this.#out.push({ kind: "observed", socket, by, endpoint: ack.observed });
    }
  }

  #noteTag(tag: number): void {
    const before = this.#peerTag;
    this.#peerTag = tag;
    if (before === undefined || before === tag) return;
    this.nats.forgetTold();
    this.#transport.abandon();
    this.#drainTransport();
    this.#out.push({ kind: "reopened" });
  }

  #answerRekey(now: Millis, message: Rekey1): void {
    if (this.#rekeying.outranks(message)) return;
    const answer = this.#rekeying.answer(now, message);
    if (answer === undefined) return this.#drops.count("unknown-receiver");
    this.#installPair(now, answer.pair);
    this.sendLink(now, answer.reply);
  }

  #finishRekey(now: Millis, message: Rekey2): void {
    const pair = this.#rekeying.finish(message);
    if (pair === undefined) return this.#drops.count("unknown-receiver");
    this.#installPair(now, pair);
    // The first thing under the new keys tells the peer that it may use them.
    this.paths.hurry(now);
  }

  #installPair(now: Millis, pair: KeyPairFacts): void {
    this.#engine(this.#rekeying.install(now, pair));
    if (pair.initiator) this.#canSeal = true;
    this.#openTransport(now);
  }

  #hear(now: Millis): void {
    this.#lastHeardAt = now;
    if (!this.#canSeal) {
      this.#canSeal = true;
      this.#openTransport(now);
    }
    if (this.#isConfirmed) return;
    this.#isConfirmed = true;
    if (this.paths.view().kind !== "none") this.sayPath();
  }

  #openTransport(now: Millis): void {
    this.#transport.setOpen(now, this.#canSeal && this.paths.view().kind !== "none");
    this.#drainTransport();
  }

  #wantRelay(now: Millis): void {
    // One side alone looks for the second relay, or there would be four.
    const wanted = this.peer.initiatedHere ? MAX_RELAY_PATHS : 1;
    const isNeeded = !this.paths.hasDirect && this.paths.goodRelays < wanted;
    if (!isNeeded) return this.#relayWish.notNeeded();
    this.#relayWish.asked(now);
    this.#out.push({ kind: "want-relay" });
  }

  #releaseSpareRelays(now: Millis): void {
    if (!this.paths.hasDirect) return;
    for (const { via, label } of this.paths.relays) this.paths.removeRelay(now, via, label);
  }

  #drainTransport(): void {
    for (let out = this.#transport.poll(); out !== undefined; out = this.#transport.poll()) {
      this.#takeTransport(out);
    }
  }

  /** @param cameBy the path of the datagram that caused this, if one did */
  #takeTransport(out: TransportOutput, cameBy?: PathIndex): void {
    switch (out.kind) {
      case "emit": {
        const command = { op: "control", session: this.id, bytes: out.bytes } as const;
        const isBack = out.isAck && cameBy !== undefined;
        return this.#engine(isBack ? { ...command, path: cameBy } : command);
      }
      case "sent":
        if (out.owner !== "link") this.#out.push({ ...out, owner: out.owner });
        return;
      case "dropped":
        return this.#drops.count(out.reason);
    }
  }

  #drainPaths(now: Millis): void {
    for (let out = this.paths.poll(); out !== undefined; out = this.paths.poll()) {
      switch (out.kind) {
        case "engine":
          this.#out.push(out);
          break;
        case "active":
          this.#moved(now);
          break;
        case "overdue":
          this.#out.push({ kind: "want-traffic" });
          break;
        case "broken":
          this.#breakPath(now);
          break;
        case "unanswered":
          this.#unanswered(now, out.since);
          break;
        case "round":
          this.#joinRound(now);
          break;
        case "socket-unused":
          this.#out.push(out);
          break;
        case "relay-removed":
          this.#out.push({ kind: "release-relay", via: out.via, label: out.label });
          break;
        case "relay-lossy":
          this.#out.push(out);
          this.#relayWish.relayLost(now);
          break;
      }
    }
    this.#drainTransport();
  }

  /** Both sides must probe at once to open their NATs. */
  #joinRound(now: Millis): void {
    if (this.paths.view().kind !== "none") this.#out.push({ kind: "want-round" });
    else if (this.#relayWish.isIdle) this.#wantRelay(now);
  }

  #moved(now: Millis): void {
    const path = this.paths.view();
    this.#openTransport(now);
    this.#pathlessAt = path.kind === "none" ? now + PATHLESS_MS : NEVER;
    if (path.kind === "none") this.#relayWish.pathLost(now);
    else this.#relayWish.pathFound(now, path.kind === "direct");
    this.sayPath();
    this.#out.push({ kind: "moved" });
  }

  /** Announces the path upwards. */
  sayPath(): void {
    const { address, id: link } = this;
    const path = this.paths.view();
    const rttMs = this.paths.rttMs;
    this.#saidRttMs = rttMs;
    const isConfirmed = this.#isConfirmed;
    this.#out.push({ kind: "path", link, address, path, isConfirmed, rttMs });
  }

  #breakPath(now: Millis): void {
    this.paths.breakActive(now);
    this.#wantRelay(now);
    this.#drainPaths(now);
  }

  #unanswered(now: Millis, since: Millis): void {
    if (this.paths.deadRelays.length > 0) this.#relayWish.relayLost(now);
    // The peer is heard but does not hear us on this path.
    if (this.#lastHeardAt > since) return this.#breakPath(now);
    if (now - this.#saidSilentAt < SILENT_AGAIN_MS) return;
    this.#saidSilentAt = now;
    this.#out.push({ kind: "silent", link: this.id, address: this.address });
  }

  #engine(command: EngineCommand): void {
    this.#out.push({ kind: "engine", command });
  }
}

function periodOf(role: LinkRole): Millis {
  return role === "near" ? NEAR_PERIOD_MS : FAR_PERIOD_MS;
}
