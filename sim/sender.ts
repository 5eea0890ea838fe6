/** The sending half of the software engine: sealing, fragments, path probes, relaying. */
import type { DropReason } from "../src/base/drop-reason.ts";
import {
  ENGINE_LIMITS,
  type EngineCommand,
  type Label,
  type SessionId,
  type SocketIndex,
  type Upcall,
} from "../src/base/engine.ts";
import type { Endpoint } from "../src/base/net.ts";
import { type Millis, NEVER } from "../src/base/time.ts";
import { AclFlows } from "./acl-flows.ts";
import type { Aead } from "./cheap-aead.ts";
import {
  FRAGMENT_HEADER_BYTES,
  fillNonce,
  HEADER_BYTES,
  KIND_CONTROL,
  KIND_FRAGMENT,
  KIND_FRAME,
  layOut,
  lengthened,
  SEAL_OVERHEAD,
  type SealForm,
  SHIM_BYTES,
  writeShim,
  writeU32,
} from "./datagram.ts";
import {
  frameRoom,
  type KeyPair,
  type LabelRoute,
  type PathCommand,
  type Session,
} from "./engine-session.ts";
import type { EngineSockets } from "./engine-sockets.ts";
import { ETHERNET_BYTES } from "./frame-view.ts";
import { RelayLimits } from "./relay-limits.ts";
import { clampToPath, tooBigAnswer } from "./too-big.ts";

/** The largest UDP payload over IPv4; probes beyond it cannot exist. */
const MAX_DATAGRAM = 65_507;
/** Sealing stops here: doubles count exactly up to it, and no simulation comes near. */
export const LAST_COUNTER = 2 ** 53 - 1;

type ControlCommand = Extract<EngineCommand, { op: "control" }>;

export interface SenderOptions {
  readonly aead: Aead;
  readonly sockets: EngineSockets;
  readonly sessions: ReadonlyMap<SessionId, Session>;
  now(): Millis;
  send(socket: SocketIndex, to: Endpoint, bytes: Uint8Array, ttl: number | undefined): void;
  tapWrite(frame: Uint8Array): void;
  /** Largest UDP payload that leaves by the link towards `to`. */
  largestDatagram(socket: SocketIndex, to: Endpoint): number;
  /** Why the core cannot be told; undefined when it is. */
  upcall(upcall: Upcall): DropReason | undefined;
}

export class Sender {
  readonly totals = { datagramsOut: 0, bytesOut: 0, relayedDatagrams: 0 };
  readonly relayLimits = new RelayLimits();
  /** Begun by our side, of all sessions. */
  readonly flows = new AclFlows();
  readonly #options: SenderOptions;
  readonly #nonce = new Uint8Array(12);

  constructor(options: SenderOptions) {
    this.#options = options;
  }

  sendFrame(session: Session, frame: Uint8Array): DropReason | undefined {
    if (frame.length < ETHERNET_BYTES) return "short-frame";
    if (frame.length > ENGINE_LIMITS.frameBytes) return "too-big";
    // What leaves may be answered.
    session.aclWatch?.sent(this.#options.now(), frame);
    const path = session.activePath();
    if (path === undefined) return "no-path";
    const room = frameRoom(path);
    if (path.settled === true && frame.length > room) {
      const answer = tooBigAnswer(frame, room);
      if (answer !== undefined) return this.#answer(session, answer);
    }
    const whole = clampToPath(frame, path);
    const reason =
      frame.length <= room
        ? this.#seal(session, path, whole, { kind: KIND_FRAME })
        : this.#sendFragments(session, path, whole, room - FRAGMENT_HEADER_BYTES);
    if (reason !== undefined) return reason;
    session.totals.framesOut++;
    session.totals.bytesOut += frame.length;
    return undefined;
  }

  #answer(session: Session, answer: Uint8Array): DropReason {
    if (session.takeTooBigAnswer(this.#options.now())) this.#options.tapWrite(answer);
    return "too-big";
  }

  #sendFragments(
    session: Session,
    path: PathCommand,
    frame: Uint8Array,
    room: number,
  ): DropReason | undefined {
    const half = Math.ceil(frame.length / 2);
    if (half > room) return "too-big";
    const id = session.nextFragmentId;
    session.nextFragmentId = (id + 1) >>> 0;
    for (const [index, part] of [frame.subarray(0, half), frame.subarray(half)].entries()) {
      const body = new Uint8Array(FRAGMENT_HEADER_BYTES + part.length);
      writeU32(body, 0, id);
      body.set(part, FRAGMENT_HEADER_BYTES);
      const form = { kind: KIND_FRAGMENT, index, last: index === 1 };
      const reason = this.#seal(session, path, body, form);
      if (reason !== undefined) return reason;
    }
    return undefined;
  }

  sendControl(session: Session, command: ControlCommand): DropReason | undefined {
    const path =
      command.path === undefined ? session.activePath() : session.paths.get(command.path);
    if (path === undefined) return "no-path";
    if (command.bytes.length > ENGINE_LIMITS.controlBytes) return "too-long";
    const shim = path.to.kind === "relay" ? SHIM_BYTES : 0;
    const missing = (command.padTo ?? 0) - (command.bytes.length + SEAL_OVERHEAD + shim);
    if (missing > 0 && (command.padTo ?? 0) > MAX_DATAGRAM) return "too-long";
    const form: SealForm = { kind: KIND_CONTROL, ttl: command.ttl };
    const reason =
      missing < 2
        ? this.#seal(session, path, command.bytes, { ...form, padLength: Math.max(missing, 0) })
        : this.#seal(session, path, lengthened(command.bytes, missing), { ...form, padded: true });
    if (reason === undefined) session.totals.controlBytesOut += command.bytes.length;
    return reason;
  }

  /** Seals one body under the current keys and sends it along `path`. */
  #seal(
    session: Session,
    path: PathCommand,
    body: Uint8Array,
    form: SealForm,
  ): DropReason | undefined {
    const keys = session.current;
    const direct = this.#directTarget(path);
    if (keys === undefined || direct === undefined) return "no-path";
    const reason = this.#whyNotSealing(keys);
    if (reason !== undefined) return reason;
    const label = path.to.kind === "relay" ? path.to.label : undefined;
    const datagram = layOut({ to: keys.send, counter: keys.counter }, body, form, label);
    const data = label === undefined ? datagram : datagram.subarray(SHIM_BYTES);
    fillNonce(this.#nonce, keys.sealSalt, data, 0);
    this.#options.aead.seal(keys.sealKey, this.#nonce, data, HEADER_BYTES);
    keys.counter++;
    session.lastSentAt = this.#options.now();
    const lost = this.sendDatagram(direct.socket, direct.endpoint, datagram, form.ttl);
    if (keys.counter !== ENGINE_LIMITS.rekeyAfterMessages) return lost;
    return this.#options.upcall({ kind: "rekey-due", session: session.id });
  }

  #whyNotSealing(keys: KeyPair): DropReason | undefined {
    if (keys.expiresAt <= this.#options.now()) return "expired-keys";
    return keys.counter >= LAST_COUNTER ? "counter-limit" : undefined;
  }

  /** The socket and address a path leaves by: its own, or those of the session that relays it. */
  #directTarget(path: PathCommand): { socket: SocketIndex; endpoint: Endpoint } | undefined {
    if (path.to.kind === "direct") return path.to;
    const via = this.#options.sessions.get(path.to.via)?.activePath();
    return via?.to.kind === "direct" ? via.to : undefined;
  }

  sendDatagram(
    socket: SocketIndex,
    to: Endpoint,
    bytes: Uint8Array,
    ttl?: number,
  ): DropReason | undefined {
    const outcome = this.#options.sockets.send(socket, to, bytes);
    if (outcome !== "udp") {
      if (outcome !== undefined) return outcome;
    } else if (bytes.length > this.#options.largestDatagram(socket, to)) {
      this.#options.upcall({ kind: "size-refused", socket, to, datagramBytes: bytes.length });
      return "too-big";
    } else this.#options.send(socket, to, bytes, ttl);
    this.totals.datagramsOut++;
    this.totals.bytesOut += bytes.length;
    return undefined;
  }

  keepAlive(now: Millis, session: Session): DropReason | undefined {
    const path = session.activePath();
    if (path === undefined || keepaliveAt(session) > now) return undefined;
    session.lastSentAt = now;
    return this.#seal(session, path, new Uint8Array(0), { kind: KIND_CONTROL });
  }

  relay(
    route: LabelRoute,
    to: { session: SessionId; label: Label },
    bytes: Uint8Array,
  ): DropReason | undefined {
    const ttl = (bytes[1] ?? 0) - 1;
    if (ttl <= 0) return "relay-ttl";
    const egress = this.#options.sessions.get(to.session);
    const next = egress?.activePath();
    if (egress === undefined || next?.to.kind !== "direct") return "no-path";
    const [now, { relayed }] = [this.#options.now(), route.ingress];
    const refused = this.relayLimits.admit(now, relayed, egress.relayed, bytes.length);
    if (refused !== undefined) return refused;
    const copy = bytes.slice();
    writeShim(copy, ttl, to.label);
    this.totals.relayedDatagrams++;
    route.ingress.totals.relayedBytes += bytes.length;
    return this.sendDatagram(next.to.socket, next.to.endpoint, copy);
  }
}

/** When the active path has been silent for its keepalive; NEVER without live keys or keepalive. */
export function keepaliveAt(session: Session): Millis {
  const keepaliveMs = session.activePath()?.keepaliveMs ?? 0;
  if (keepaliveMs === 0 || session.current === undefined) return NEVER;
  const at = session.lastSentAt + keepaliveMs;
  return at < session.current.expiresAt ? at : NEVER;
}
