/** One session slot of the software engine: keys, paths, filter, held frames, totals. */
import {
  ENGINE_LIMITS,
  type EngineCommand,
  type Label,
  type PathIndex,
  type PathTarget,
  type ReceiverIndex,
  type SessionId,
  type SocketIndex,
} from "../src/base/engine.ts";
import { type Endpoint, sameEndpoint } from "../src/base/net.ts";
import { type Millis, NEVER } from "../src/base/time.ts";
import type { AclGate } from "../src/frame/acl-gate.ts";
import type { AclWatch } from "./acl-watch.ts";
import type { Aead } from "./cheap-aead.ts";
import { SEAL_OVERHEAD, SHIM_BYTES } from "./datagram.ts";
import type { FilterTable } from "./frame-filter.ts";
import { RelayBuckets } from "./relay-limits.ts";
import { ReplayWindow } from "./replay-window.ts";

/** Lanes a peer may seal with; one replay window each. The engine has no more data threads. */
const MAX_LANES = 16;
/** First halves of fragmented frames that wait for the other one: reordering, not storage. */
const MAX_FRAGMENTS = 8;

export type KeysCommand = Extract<EngineCommand, { op: "keys" }>;
export type PathCommand = Extract<EngineCommand, { op: "path" }>;

/** Both directions of one handshake's keys. */
export class KeyPair {
  readonly session: Session;
  readonly receive: ReceiverIndex;
  readonly send: ReceiverIndex;
  readonly sealKey: unknown;
  readonly openKey: unknown;
  readonly sealSalt: Uint8Array;
  readonly openSalt: Uint8Array;
  readonly expiresAt: Millis;
  /** The next counter to seal with. */
  counter = 0;
  readonly #windows: ReplayWindow[] = [];

  constructor(session: Session, command: KeysCommand, aead: Aead, now: Millis) {
    this.session = session;
    this.receive = command.receive;
    this.send = command.send;
    this.sealKey = aead.prepare(command.cipher, command.sealing);
    this.openKey = aead.prepare(command.cipher, command.opening);
    this.sealSalt = command.sealing.salt.slice();
    this.openSalt = command.opening.salt.slice();
    this.expiresAt = now + command.rejectAfterMs;
  }

  /** The replay window of one lane; undefined for a lane nobody uses. */
  window(lane: number): ReplayWindow | undefined {
    if (lane >= MAX_LANES) return undefined;
    let window = this.#windows[lane];
    if (window === undefined) {
      window = new ReplayWindow();
      this.#windows[lane] = window;
    }
    return window;
  }
}

/** Where a relayed datagram goes on to. */
export interface LabelRoute {
  readonly ingress: Session;
  readonly to: { readonly session: SessionId; readonly label: Label } | "ends-here";
}

export interface HeldFrame {
  readonly bytes: Uint8Array;
  readonly expiresAt: Millis;
}

export interface Totals {
  framesIn: number;
  framesOut: number;
  bytesIn: number;
  bytesOut: number;
  controlBytesIn: number;
  controlBytesOut: number;
  relayedBytes: number;
}

/** The largest frame that leaves whole on this path. */
export function frameRoom(path: PathCommand): number {
  return path.maxDatagram - SEAL_OVERHEAD - (path.to.kind === "relay" ? SHIM_BYTES : 0);
}

export class Session {
  readonly id: SessionId;
  current: KeyPair | undefined;
  previous: KeyPair | undefined;
  /** What the peer may still seal with when a rekey follows two handshakes that crossed. */
  older: KeyPair | undefined;
  next: KeyPair | undefined;
  readonly paths = new Map<PathIndex, PathCommand>();
  active: PathIndex | undefined;
  readonly labels = new Map<Label, LabelRoute>();
  filter: FilterTable | undefined;
  /** Undefined = no rules. */
  acl: AclGate | undefined;
  /** There where `acl` is. */
  aclWatch: AclWatch | undefined;
  hadRules = false;
  held: HeldFrame[] = [];
  lastHeldUpcall = -NEVER;
  lastEndpointUpcall = -NEVER;
  lastSentAt: Millis = 0;
  lastHeardAt: Millis | undefined;
  nextFragmentId = 0;
  readonly relayed = new RelayBuckets();
  readonly totals: Totals = {
    framesIn: 0,
    framesOut: 0,
    bytesIn: 0,
    bytesOut: 0,
    controlBytesIn: 0,
    controlBytesOut: 0,
    relayedBytes: 0,
  };
  #tooBigSecond = -NEVER;
  #tooBigAnswers = 0;
  readonly #fragments = new Map<number, { readonly index: number; readonly part: Uint8Array }>();

  constructor(id: SessionId) {
    this.id = id;
  }

  /** One more "packet too big" for a frame of this session is allowed in this second. */
  takeTooBigAnswer(now: Millis): boolean {
    const second = Math.floor(now / 1_000);
    if (second !== this.#tooBigSecond) {
      this.#tooBigSecond = second;
      this.#tooBigAnswers = 0;
    }
    return this.#tooBigAnswers++ < ENGINE_LIMITS.tooBigAnswersPerSecond;
  }

  activePath(): PathCommand | undefined {
    return this.active === undefined ? undefined : this.paths.get(this.active);
  }

  isOld(pair: KeyPair): boolean {
    return pair === this.previous || pair === this.older;
  }

  keyPairs(): readonly KeyPair[] {
    return [this.older, this.previous, this.current, this.next].filter(
      (pair) => pair !== undefined,
    );
  }

  directPath(socket: SocketIndex, from: Endpoint): PathIndex | undefined {
    return this.#findPath(
      (to) => to.kind === "direct" && to.socket === socket && sameEndpoint(to.endpoint, from),
    );
  }

  relayPath(via: SessionId, label: Label): PathIndex | undefined {
    return this.#findPath((to) => to.kind === "relay" && to.via === via && to.label === label);
  }

  #findPath(matches: (to: PathTarget) => boolean): PathIndex | undefined {
    for (const [index, path] of this.paths) if (matches(path.to)) return index;
    return undefined;
  }

  /** Joins the two parts of a frame; undefined while one is missing. */
  joinFragment(id: number, index: number, part: Uint8Array): Uint8Array | undefined {
    const other = this.#fragments.get(id);
    if (other === undefined || other.index === index) {
      this.#fragments.set(id, { index, part });
      this.#forgetOldestFragment();
      return undefined;
    }
    this.#fragments.delete(id);
    const [head, tail] = index === 0 ? [part, other.part] : [other.part, part];
    const frame = new Uint8Array(head.length + tail.length);
    frame.set(head);
    frame.set(tail, head.length);
    return frame;
  }

  #forgetOldestFragment(): void {
    if (this.#fragments.size <= MAX_FRAGMENTS) return;
    for (const id of this.#fragments.keys()) {
      this.#fragments.delete(id);
      return;
    }
  }
}
