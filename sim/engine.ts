/**
 * The software engine: a single-threaded twin of native/engine for the simulator. It reads no clock,
 * draws no random number and does no I/O of its own; the host hands it time, datagrams and frames.
 *
 *      receiveFrame ----> forward table --> seal --> host.send
 *      receiveDatagram -> open -> filter ----------> host.tapWrite
 *                          \-> upcalls -> drain()
 *
 * Byte arrays handed in belong to the engine from then on and must not change; it changes none of
 * them either, so a simulated network may deliver one array twice.
 */
import type { DropReason } from "../src/base/drop-reason.ts";
import {
  type AclPolicy,
  ENGINE_LIMITS,
  type Engine,
  type EngineCommand,
  type EngineCounters,
  type FilterEntry,
  type ReceiverIndex,
  type SessionId,
  type SocketFailure,
  type SocketIndex,
  type Upcall,
} from "../src/base/engine.ts";
import { type Endpoint, isGroupMac, type Mac } from "../src/base/net.ts";
import { type Millis, NEVER } from "../src/base/time.ts";
import { AclGate, isWithinLimits } from "../src/frame/acl-gate.ts";
import { AclWatch } from "./acl-watch.ts";
import { type Aead, CHEAP_AEAD } from "./cheap-aead.ts";
import {
  fillNonce,
  HEADER_BYTES,
  MAC_BYTES,
  readCounter,
  readU32,
  SEAL_OVERHEAD,
  SHIM_BYTES,
  TYPE_DATA,
  TYPE_HANDSHAKE_FIRST,
  TYPE_HANDSHAKE_LAST,
  TYPE_RELAY,
  TYPE_STUN_LAST,
} from "./datagram.ts";
import { KeyPair, type PathCommand, Session } from "./engine-session.ts";
import { EngineSockets, type SocketHost } from "./engine-sockets.ts";
import { ForwardTable, type ForwardTarget } from "./forward-table.ts";
import { buildFilter, destinationOf, isDhcpRequest, isGroupFrame } from "./frame-filter.ts";
import { FrameReceiver } from "./frame-receiver.ts";
import { ETHERNET_BYTES } from "./frame-view.ts";
import { LabelTable } from "./label-table.ts";
import { keepaliveAt, LAST_COUNTER, Sender } from "./sender.ts";
import { UpcallQueue } from "./upcall-queue.ts";
import { WaitingFrames } from "./waiting-frames.ts";

const ENDPOINT_UPCALL_MS = 250;
const DENY_ALL: AclPolicy = { allowsRest: false, rules: [] };

/** What the engine needs from the machine around it. */
export interface EngineHost {
  now(): Millis;
  /** `ttl`: outer IP TTL of this datagram; undefined = the usual one. */
  send(socket: SocketIndex, to: Endpoint, bytes: Uint8Array, ttl: number | undefined): void;
  tapWrite(frame: Uint8Array): void;
  setCarrier?(on: boolean): void;
  /** Without it there are only the sockets given at open. */
  readonly sockets?: SocketHost;
  /** Largest UDP payload that leaves by the link towards `to`; default: any. */
  largestDatagram?(socket: SocketIndex, to: Endpoint): number;
}

export interface SoftwareEngineOptions {
  readonly host: EngineHost;
  /** How many UDP sockets there are from the start. */
  readonly sockets: number;
  readonly mac1Key: Uint8Array;
  /** Compares the keyed hash over `covered` with `mac1`; without it every handshake passes. */
  readonly checkMac1?: (key: Uint8Array, covered: Uint8Array, mac1: Uint8Array) => boolean;
  /** Default: a keyed checksum without secrecy (cheap-aead.ts). */
  readonly aead?: Aead;
}

/** Why something was dropped; undefined when nothing was. */
export type Outcome = DropReason | undefined;

interface Opened {
  readonly session: Session;
  /** Its counter is above every one before it under the keys in use. */
  readonly isNewest: boolean;
  readonly plain: Uint8Array;
}

export class SoftwareEngine implements Engine {
  readonly #host: EngineHost;
  readonly #options: SoftwareEngineOptions;
  readonly #aead: Aead;
  readonly #sessions = new Map<SessionId, Session>();
  readonly #receivers = new Map<ReceiverIndex, KeyPair>();
  readonly #forward = new ForwardTable();
  readonly #labels = new LabelTable();
  readonly #sockets: EngineSockets;
  readonly #sender: Sender;
  readonly #receiver: FrameReceiver;
  readonly #waiting = new WaitingFrames();
  readonly #upcalls = new UpcallQueue();
  readonly #dropped: Partial<Record<DropReason, number>> = {};
  readonly #nonce = new Uint8Array(12);
  readonly #totals = {
    datagramsIn: 0,
    bytesIn: 0,
    tapFramesIn: 0,
    tapFramesOut: 0,
  };
  /** Never later than the true one: deadlines that move away are noticed by `tick`. */
  #deadline: Millis = NEVER;
  #isClosed = false;

  constructor(options: SoftwareEngineOptions) {
    this.#host = options.host;
    this.#options = options;
    this.#aead = options.aead ?? CHEAP_AEAD;
    this.#sockets = new EngineSockets(options.sockets, options.host.sockets, (upcall) =>
      this.#upcall(upcall),
    );
    this.#receiver = new FrameReceiver({
      now: () => this.#host.now(),
      upcall: (upcall) => this.#upcall(upcall),
      drop: (reason, count) => this.#drop(reason, count),
      isLocal: (mac) => this.#forward.lookUp(this.#host.now(), mac) === "local",
      writeTap: (frame) => this.#writeTap(frame),
      wakeBy: (at) => this.#wakeBy(at),
    });
    this.#sender = new Sender({
      aead: this.#aead,
      sockets: this.#sockets,
      sessions: this.#sessions,
      now: () => this.#host.now(),
      send: (socket, to, bytes, ttl) => this.#host.send(socket, to, bytes, ttl),
      tapWrite: (frame) => this.#writeTap(frame),
      largestDatagram: (socket, to) => this.#host.largestDatagram?.(socket, to) ?? 65_507,
      upcall: (upcall) => this.#upcall(upcall),
    });
  }

  apply(commands: readonly EngineCommand[]): void {
    if (this.#isClosed) return;
    for (const command of commands) this.#drop(this.#applyOne(command));
  }

  drain(): Upcall[] {
    return this.#upcalls.takeAll();
  }

  /** Anything to drain? The host asks after every hand-over. */
  hasUpcalls(): boolean {
    return this.#upcalls.length > 0;
  }

  counters(): EngineCounters {
    return { dropped: { ...this.#dropped }, ...this.#totals, ...this.#sender.totals };
  }

  close(): void {
    if (!this.#isClosed) this.#sockets.closeAll();
    this.#isClosed = true;
    this.#deadline = NEVER;
    this.#upcalls.takeAll();
  }

  /** When to call `tick` next; it may come early, never late. */
  deadline(): Millis {
    return this.#deadline;
  }

  /** Keepalives and the ends of waiting, held and forwarding entries that are due. */
  tick(): void {
    const now = this.#host.now();
    if (this.#isClosed || now < this.#deadline) return;
    this.#drop("waiting-expired", this.#waiting.expire(now));
    let deadline = this.#waiting.deadline();
    for (const session of this.#sessions.values()) {
      this.#receiver.expireHeld(now, session);
      this.#drop(this.#sender.keepAlive(now, session));
      deadline = Math.min(deadline, session.held[0]?.expiresAt ?? NEVER, keepaliveAt(session));
    }
    this.#deadline = deadline;
  }

  /** One frame that the local machine wrote into its TAP. */
  receiveFrame(frame: Uint8Array): void {
    if (this.#isClosed) return;
    this.#totals.tapFramesIn++;
    this.#drop(this.#classifyFrame(frame));
  }

  /** One datagram from the network. */
  receiveDatagram(socket: SocketIndex, from: Endpoint, bytes: Uint8Array): void {
    if (this.#isClosed) return;
    this.#totals.datagramsIn++;
    this.#totals.bytesIn += bytes.length;
    this.#drop(this.#classifyDatagram(socket, from, bytes));
  }

  /** The host's word that a stream of `stream-open` is ready. */
  streamOpened(socket: SocketIndex, port: number): void {
    if (!this.#isClosed) this.#drop(this.#sockets.streamOpened(socket, port));
  }

  /** The host's word that a stream could not be made or is no more. */
  streamEnded(socket: SocketIndex, reason: SocketFailure): void {
    if (!this.#isClosed) this.#drop(this.#sockets.streamEnded(socket, reason));
  }

  /** Somebody's stream to the port we listen on; undefined = refused. */
  acceptStream(from: Endpoint, port: number): SocketIndex | undefined {
    return this.#isClosed ? undefined : this.#sockets.accept(from, port);
  }

  // commands

  #applyOne(command: EngineCommand): Outcome {
    switch (command.op) {
      case "session-open":
        return this.#openSession(command.session);
      case "session-close":
        return this.#withSession(command.session, (session) => this.#closeSession(session));
      case "keys":
        return this.#withSession(command.session, (session) => this.#addKeys(session, command));
      case "path":
        return this.#withSession(command.session, (session) => this.#setPath(session, command));
      case "path-remove":
        return this.#withSession(command.session, (session) => {
          if (!session.paths.delete(command.path)) return "no-path";
          if (session.active === command.path) session.active = undefined;
          return undefined;
        });
      case "path-active":
        return this.#withSession(command.session, (session) => {
          if (!session.paths.has(command.path)) return "no-path";
          session.active = command.path;
          session.lastSentAt = this.#host.now();
          return this.#wakeBy(keepaliveAt(session));
        });
      case "control":
        return this.#withSession(command.session, (session) =>
          this.#sender.sendControl(session, command),
        );
      case "datagram":
        return this.#sender.sendDatagram(
          command.socket,
          command.to,
          command.bytes.slice(),
          command.ttl,
        );
      case "forward":
        return this.#publishForward(command.mac, command.to, command.ttlMs);
      case "forward-remove":
        this.#forward.remove(command.mac);
        this.#drop("no-route", this.#waiting.take(command.mac).length);
        return undefined;
      case "frame-to-tap":
        if (command.bytes.length < ETHERNET_BYTES) return "short-frame";
        if (command.bytes.length > ENGINE_LIMITS.frameBytes) return "too-big";
        return this.#writeTap(command.bytes.slice());
      case "frame-to-peer":
        return this.#withSession(command.session, (session) =>
          this.#sender.sendFrame(session, command.bytes),
        );
      case "filter":
        return this.#withSession(command.session, (session) =>
          this.#setFilter(session, command.entries),
        );
      case "acl":
        return this.#withSession(command.session, (session) =>
          this.#setAcl(session, command.policy),
        );
      case "label":
        return this.#withSession(command.ingress, (session) => this.#labels.set(session, command));
      case "label-remove":
        return this.#withSession(command.ingress, (session) =>
          this.#labels.remove(session, command.label) ? undefined : "unknown-label",
        );
      case "relay-limit":
        this.#sender.relayLimits.set(command);
        return undefined;
      case "report-traffic":
        return this.#reportTraffic();
      case "socket-open":
      case "stream-open":
      case "stream-listen":
      case "socket-close":
        return this.#sockets.apply(command);
      case "carrier":
        this.#host.setCarrier?.(command.on);
        return undefined;
    }
  }

  /** A command that names an unknown session is ignored and counted. */
  #withSession(id: SessionId, act: (session: Session) => Outcome): Outcome {
    const session = this.#sessions.get(id);
    return session === undefined ? "no-path" : act(session);
  }

  #openSession(id: SessionId): Outcome {
    if (id === 0 || this.#sessions.has(id)) return "bad-field";
    if (this.#sessions.size >= ENGINE_LIMITS.sessions) return "table-full";
    this.#sessions.set(id, new Session(id));
    return undefined;
  }

  #closeSession(session: Session): Outcome {
    for (const pair of session.keyPairs()) this.#forgetKeys(pair);
    this.#labels.removeAll(session);
    this.#forward.removeSession(session.id);
    this.#drop("no-route", session.held.length);
    this.#sessions.delete(session.id);
    return undefined;
  }

  #addKeys(session: Session, command: Extract<EngineCommand, { op: "keys" }>): Outcome {
    const lengths = [command.sealing, command.opening].every(
      (keys) => keys.key.length === 32 && keys.salt.length === 4,
    );
    if (!lengths) return "bad-field";
    const pair = new KeyPair(session, command, this.#aead, this.#host.now());
    this.#receivers.set(pair.receive, pair);
    if (command.use === "now") return this.#makeCurrent(session, pair);
    this.#forgetKeys(session.next);
    session.next = pair;
    return undefined;
  }

  #makeCurrent(session: Session, pair: KeyPair): Outcome {
    this.#forgetKeys(session.older);
    session.older = session.previous;
    session.previous = session.current;
    session.current = pair;
    session.lastSentAt = this.#host.now();
    return this.#wakeBy(keepaliveAt(session));
  }

  #forgetKeys(pair: KeyPair | undefined): void {
    if (pair === undefined || this.#receivers.get(pair.receive) !== pair) return;
    this.#receivers.delete(pair.receive);
  }

  #setPath(session: Session, command: PathCommand): Outcome {
    if (command.path < 0 || command.path >= ENGINE_LIMITS.pathsPerSession) {
      return "table-full";
    }
    session.paths.set(command.path, command);
    return this.#wakeBy(keepaliveAt(session));
  }

  #publishForward(mac: Mac, to: ForwardTarget, ttlMs: Millis): Outcome {
    if (typeof to === "number" && !this.#sessions.has(to)) return "no-path";
    if (isGroupMac(mac)) return "bad-field";
    const isTaken = this.#forward.publish(this.#host.now(), mac, to, ttlMs);
    if (!isTaken) return "table-full";
    for (const frame of this.#waiting.take(mac)) this.#drop(this.#forwardFrame(to, frame));
    return undefined;
  }

  #setFilter(session: Session, entries: readonly FilterEntry[]): Outcome {
    const filter = buildFilter(entries);
    if (filter === undefined) return "table-full";
    if (entries.length === 0) session.filter = undefined;
    else this.#receiver.setFilter(session, filter);
    return undefined;
  }

  #setAcl(session: Session, policy: AclPolicy | undefined): Outcome {
    if (policy === undefined) {
      session.acl = undefined;
      session.aclWatch = undefined;
      return undefined;
    }
    const isFine = isWithinLimits(policy);
    // Rules that cannot be kept are no leave: a peer without any may begin nothing.
    if (isFine || session.acl === undefined) this.#takeAcl(session, isFine ? policy : DENY_ALL);
    return isFine ? undefined : "table-full";
  }

  #takeAcl(session: Session, policy: AclPolicy): void {
    if (session.acl !== undefined) {
      session.acl.policy = policy;
      session.aclWatch?.setPolicy(policy);
      return;
    }
    const { flows } = this.#sender;
    // Rules after a time without any are stricter ones.
    const takeUpMs = session.hadRules ? 0 : ENGINE_LIMITS.aclTakeUpMs;
    session.acl = new AclGate(policy, flows);
    session.aclWatch = new AclWatch(policy, flows, this.#host.now() + takeUpMs);
    session.hadRules = true;
  }

  #reportTraffic(): Outcome {
    const now = this.#host.now();
    const sessions = [...this.#sessions.values()].map((session) => ({
      session: session.id,
      ...session.totals,
      silentMs: session.lastHeardAt === undefined ? undefined : now - session.lastHeardAt,
    }));
    return this.#upcall({ kind: "traffic", sessions });
  }

  // from the TAP to peers

  #classifyFrame(frame: Uint8Array): Outcome {
    if (frame.length < ETHERNET_BYTES) return "short-frame";
    if (frame.length > ENGINE_LIMITS.frameBytes) return "too-big";
    if (isGroupFrame(frame) || isDhcpRequest(frame)) {
      return this.#upcall({ kind: "frame", bytes: frame });
    }
    const mac = destinationOf(frame);
    const to = this.#forward.lookUp(this.#host.now(), mac);
    return to === undefined ? this.#wait(mac, frame) : this.#forwardFrame(to, frame);
  }

  #wait(mac: Mac, frame: Uint8Array): Outcome {
    const now = this.#host.now();
    const outcome = this.#waiting.add(now, mac, frame);
    if (outcome === "full") return "waiting-full";
    this.#wakeBy(now + ENGINE_LIMITS.waitingMs);
    if (outcome === "queued") return undefined;
    return this.#upcall({ kind: "miss", mac, head: frame.slice(0, ENGINE_LIMITS.missHeadBytes) });
  }

  #forwardFrame(to: ForwardTarget, frame: Uint8Array): Outcome {
    const session = typeof to === "number" ? this.#sessions.get(to) : undefined;
    if (session !== undefined) return this.#sender.sendFrame(session, frame);
    return to === "local" ? "not-for-us" : "no-route";
  }

  // from peers to the TAP

  #classifyDatagram(socket: SocketIndex, from: Endpoint, bytes: Uint8Array): Outcome {
    const type = bytes[0];
    if (type === undefined) return "truncated";
    if (type === TYPE_DATA) return this.#receiveData(socket, from, bytes);
    if (type === TYPE_RELAY) return this.#receiveRelayed(socket, from, bytes);
    if (type >= TYPE_HANDSHAKE_FIRST && type <= TYPE_HANDSHAKE_LAST) {
      if (bytes.length < 1 + 2 * MAC_BYTES) return "truncated";
      if (!this.#isMac1Right(bytes)) return "bad-mac1";
    } else if (type > TYPE_STUN_LAST) return "unknown-type";
    return this.#upcall({ kind: "datagram", socket, from, bytes });
  }

  #isMac1Right(bytes: Uint8Array): boolean {
    const { checkMac1, mac1Key } = this.#options;
    if (checkMac1 === undefined) return true;
    const at = bytes.length - 2 * MAC_BYTES;
    return checkMac1(mac1Key, bytes.subarray(0, at), bytes.subarray(at, at + MAC_BYTES));
  }

  #receiveData(socket: SocketIndex, from: Endpoint, bytes: Uint8Array): Outcome {
    const opened = this.#open(bytes);
    if (typeof opened === "string") return opened;
    const { session, isNewest, plain } = opened;
    const path = session.directPath(socket, from);
    if (path === undefined && isNewest) this.#drop(this.#reportEndpoint(session, socket, from));
    return this.#receiver.receive(session, plain, {
      socket,
      from,
      path,
      datagramBytes: bytes.length,
    });
  }

  #reportEndpoint(session: Session, socket: SocketIndex, from: Endpoint): Outcome {
    const now = this.#host.now();
    if (now - session.lastEndpointUpcall < ENDPOINT_UPCALL_MS) return undefined;
    session.lastEndpointUpcall = now;
    return this.#upcall({ kind: "endpoint", session: session.id, socket, from });
  }

  #receiveRelayed(socket: SocketIndex, from: Endpoint, bytes: Uint8Array): Outcome {
    if (bytes.length < SHIM_BYTES + SEAL_OVERHEAD) return "truncated";
    if (bytes[SHIM_BYTES] !== TYPE_DATA) return "unknown-type";
    const label = readU32(bytes, 4);
    const route = this.#labels.find(label, socket, from);
    if (typeof route === "string") return route;
    if (route.to !== "ends-here") return this.#sender.relay(route, route.to, bytes);
    const opened = this.#open(bytes.subarray(SHIM_BYTES));
    if (typeof opened === "string") return opened;
    const path = opened.session.relayPath(route.ingress.id, label);
    const datagramBytes = bytes.length;
    return this.#receiver.receive(opened.session, opened.plain, {
      socket,
      from: undefined,
      path,
      datagramBytes,
    });
  }

  /** Checks index, expiry, replay window and tag, in that order; then the keys count as confirmed. */
  #open(data: Uint8Array): Opened | DropReason {
    if (data.length < SEAL_OVERHEAD) return "truncated";
    const keys = this.#receivers.get(readU32(data, 4));
    if (keys === undefined) return "unknown-receiver";
    const now = this.#host.now();
    if (keys.expiresAt <= now) return "expired-keys";
    const counter = readCounter(data, 0);
    const window = keys.window(data[1] ?? 0);
    if (window === undefined) return "bad-field";
    if (counter > LAST_COUNTER) return "counter-limit";
    if (!window.isFresh(counter)) return "replayed";
    fillNonce(this.#nonce, keys.openSalt, data, 0);
    const plain = this.#aead.open(keys.openKey, this.#nonce, data, HEADER_BYTES);
    if (plain === undefined) return "bad-tag";
    const isNewest = counter > window.newest && !keys.session.isOld(keys);
    window.accept(counter);
    keys.session.lastHeardAt = now;
    if (keys === keys.session.next) this.#drop(this.#confirm(keys));
    return { session: keys.session, isNewest, plain };
  }

  #confirm(keys: KeyPair): Outcome {
    const session = keys.session;
    session.next = undefined;
    this.#makeCurrent(session, keys);
    return this.#upcall({ kind: "keys-confirmed", session: session.id, receive: keys.receive });
  }

  // time and totals

  #writeTap(frame: Uint8Array): Outcome {
    this.#totals.tapFramesOut++;
    this.#host.tapWrite(frame);
    return undefined;
  }

  #wakeBy(at: Millis): Outcome {
    if (at < this.#deadline) this.#deadline = at;
    return undefined;
  }

  #upcall(upcall: Upcall): Outcome {
    return this.#upcalls.push(upcall) ? undefined : "upcall-full";
  }

  #drop(reason: Outcome, count = 1): void {
    if (reason !== undefined && count > 0)
      this.#dropped[reason] = (this.#dropped[reason] ?? 0) + count;
  }
}
