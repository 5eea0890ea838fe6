/** The receiving half of the software engine behind the AEAD: control messages up, frames to the TAP. */
import type { DropReason } from "../src/base/drop-reason.ts";
import {
  ENGINE_LIMITS,
  type PathIndex,
  type SocketIndex,
  type Upcall,
} from "../src/base/engine.ts";
import type { Endpoint, Mac } from "../src/base/net.ts";
import type { Millis } from "../src/base/time.ts";
import {
  DESC_BYTES,
  type Descriptor,
  FRAGMENT_HEADER_BYTES,
  KIND_AGGREGATE,
  KIND_CONTROL,
  KIND_FRAME,
  readDescriptor,
  readU16,
  readU32,
} from "./datagram.ts";
import type { Session } from "./engine-session.ts";
import { completeChecksum } from "./frame-checksum.ts";
import {
  destinationOf,
  type FilterTable,
  filterFrame,
  isAboutSource,
  isGroupFrame,
  sourceIpOf,
  sourceOf,
} from "./frame-filter.ts";
import { ETHERNET_BYTES } from "./frame-view.ts";
import { clampToPath } from "./too-big.ts";

const HELD_UPCALL_MS = 500;

/** Why something was dropped; undefined when nothing was. */
type Outcome = DropReason | undefined;

/** Where an opened datagram came from. */
export interface Arrival {
  readonly socket: SocketIndex;
  /** The sender of a direct datagram; undefined behind a relay shim. */
  readonly from: Endpoint | undefined;
  readonly path: PathIndex | undefined;
  readonly datagramBytes: number;
}

/** What it needs from the engine. */
export interface FrameReceiverHost {
  now(): Millis;
  upcall(upcall: Upcall): Outcome;
  drop(reason: Outcome, count?: number): void;
  isLocal(mac: Mac): boolean;
  writeTap(frame: Uint8Array): Outcome;
  wakeBy(at: Millis): Outcome;
}

export class FrameReceiver {
  readonly #host: FrameReceiverHost;

  constructor(host: FrameReceiverHost) {
    this.#host = host;
  }

  /** One opened plaintext, descriptor first. */
  receive(session: Session, plain: Uint8Array, arrival: Arrival): Outcome {
    const form = readDescriptor(plain, 0);
    const end = plain.length - form.padLength;
    if (end < DESC_BYTES) return "bad-field";
    const body = plain.subarray(DESC_BYTES, end);
    switch (form.kind) {
      case KIND_FRAME:
        return this.#receiveFrameBody(session, body, form);
      case KIND_CONTROL:
        return this.#receiveControl(session, body, form, arrival);
      case KIND_AGGREGATE:
        return this.#receiveAggregate(session, body);
      default:
        return this.#receiveFragment(session, body, form);
    }
  }

  /** The filter came: frames that waited for it pass or are dropped, in order. */
  setFilter(session: Session, filter: FilterTable): void {
    const held = session.held;
    session.filter = filter;
    session.held = [];
    for (const frame of held) this.#host.drop(this.#deliverFrame(session, frame.bytes));
  }

  expireHeld(now: Millis, session: Session): void {
    const kept = session.held.filter((frame) => frame.expiresAt > now);
    this.#host.drop("waiting-expired", session.held.length - kept.length);
    session.held = kept;
  }

  #receiveControl(session: Session, body: Uint8Array, form: Descriptor, arrival: Arrival): Outcome {
    let bytes = body;
    if (form.superframe) {
      const length = readU16(body, 0);
      if (body.length < 2 + length) return "bad-field";
      bytes = body.subarray(2, 2 + length);
    }
    if (bytes.length === 0 && !form.superframe) return undefined;
    session.totals.controlBytesIn += bytes.length;
    return this.#host.upcall({
      kind: "control",
      session: session.id,
      ...arrival,
      bytes: bytes.slice(),
    });
  }

  #receiveAggregate(session: Session, body: Uint8Array): Outcome {
    for (let at = 0; at < body.length; ) {
      const length = readU16(body, at);
      const end = at + 2 + length;
      if (length < DESC_BYTES || end > body.length) return "bad-field";
      const form = readDescriptor(body, at + 2);
      if (form.kind !== KIND_FRAME) return "bad-field";
      const frame = body.subarray(at + 2 + DESC_BYTES, end);
      this.#host.drop(this.#receiveFrameBody(session, frame, form));
      at = end;
    }
    return undefined;
  }

  #receiveFragment(session: Session, body: Uint8Array, form: Descriptor): Outcome {
    if (body.length < FRAGMENT_HEADER_BYTES || form.index > 1 || form.last !== (form.index === 1)) {
      return "bad-field";
    }
    const part = body.subarray(FRAGMENT_HEADER_BYTES);
    const frame = session.joinFragment(readU32(body, 0), form.index, part);
    if (frame === undefined) return undefined;
    if (frame.length > ENGINE_LIMITS.frameBytes) return "too-big";
    return this.#receiveFrameBody(session, frame, form);
  }

  #receiveFrameBody(session: Session, frame: Uint8Array, form: Descriptor): Outcome {
    const whole = form.partialChecksum ? completeChecksum(frame, form) : frame;
    return whole === undefined ? "bad-field" : this.#deliverFrame(session, whole);
  }

  #deliverFrame(session: Session, frame: Uint8Array): Outcome {
    if (frame.length < ETHERNET_BYTES) return "short-frame";
    if (session.filter === undefined) return this.#hold(session, frame);
    const reason = filterFrame(frame, session.filter);
    if (reason !== undefined) {
      if (isAboutSource(reason)) this.#host.drop(this.#announceHeld(session, frame));
      return reason;
    }
    if (!this.#isForUs(frame)) return "no-route";
    if (session.acl?.passes(this.#host.now(), frame) === false) return "acl";
    session.totals.framesIn++;
    session.totals.bytesIn += frame.length;
    return this.#host.writeTap(clampToPath(frame, session.activePath()));
  }

  /** Floods come as control messages; what is not ours is never flooded into the TAP. */
  #isForUs(frame: Uint8Array): boolean {
    if (isGroupFrame(frame)) return false;
    return this.#host.isLocal(destinationOf(frame));
  }

  #hold(session: Session, frame: Uint8Array): Outcome {
    if (session.held.length >= ENGINE_LIMITS.heldFramesPerSession) return "fence-full";
    const expiresAt = this.#host.now() + ENGINE_LIMITS.heldMs;
    session.held.push({ bytes: frame, expiresAt });
    this.#host.wakeBy(expiresAt);
    return this.#announceHeld(session, frame);
  }

  #announceHeld(session: Session, frame: Uint8Array): Outcome {
    const now = this.#host.now();
    if (now - session.lastHeldUpcall < HELD_UPCALL_MS) return undefined;
    session.lastHeldUpcall = now;
    const [mac, ip] = [sourceOf(frame), sourceIpOf(frame)];
    return this.#host.upcall({ kind: "held", session: session.id, mac, ip });
  }
}
