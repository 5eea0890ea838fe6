/**
 * Carries messages of up to 64 KiB inside one session, reliably or not.
 *
 *      send --> queue --> in flight (<= 32) --fragments--> peer
 *                            ^  \-- time-out: all fragments again, 4 tries, then `sent` not ok
 *                            \----- ack: `sent` ok
 *
 * Reliable means: delivered to the peer's upper layer at most once, and `sent` says truthfully
 * whether it arrived (not ok = unknown). Order is not kept. Message ids start at random and count
 * up; the sender never runs more than SENDER_WINDOW ids ahead of its oldest one in flight, so a receiver
 * that remembers twice as many recognises every repetition.
 */
import type { DropReason } from "../base/drop-reason.ts";
import { Outbox } from "../base/machine.ts";
import type { Rng } from "../base/rng.ts";
import { type Millis, NEVER } from "../base/time.ts";
import {
  type ControlEnvelope,
  emitControl,
  FRAGMENT_PART_BYTES,
  MAX_MESSAGE_BYTES,
  parseControl,
} from "../wire/control.ts";
import { Reassembly } from "./reassembly.ts";
import type { RttEstimate } from "./rtt.ts";

/**
 * A far or busy member takes half a second there and back: eight would be 16 messages a second, fewer
 * than the questions of a few members about its part of the table. Half of what the peer can hold.
 */
export const MAX_IN_FLIGHT = 32;
/** Half of what the peer reassembles, so that repetitions never push it over. */
export const MAX_IN_FLIGHT_BYTES = 131_072;
/** The first time, then after 1, 3 and 7 time-outs; with the last wait 3 s at least. */
export const MAX_TRIES = 4;
/** What waits for a path or for room in flight: a burst of neighbour lists and records. */
export const MAX_QUEUED = 256;
export const MAX_QUEUED_BYTES = 1_048_576;
const SENDER_WINDOW = 512;

/** Who wants to know the outcome of a reliable message. */
export type TransportOwner = "ring" | "vnet" | "node" | "link";

export interface OutgoingMessage {
  readonly bytes: Uint8Array;
  readonly reliable: boolean;
  readonly owner: TransportOwner;
  /** 0 = nobody waits for the outcome. */
  readonly token: number;
}

export type TransportOutput =
  | {
      readonly kind: "emit";
      readonly bytes: Uint8Array;
      /** An acknowledgement: best sent back the way the message came, which surely works. */
      readonly isAck: boolean;
    }
  | { readonly kind: "message"; readonly bytes: Uint8Array; readonly reliable: boolean }
  | {
      readonly kind: "sent";
      readonly owner: TransportOwner;
      readonly token: number;
      readonly ok: boolean;
    }
  | { readonly kind: "dropped"; readonly reason: DropReason };

interface InFlight {
  readonly id: number;
  readonly message: OutgoingMessage;
  readonly firstSentAt: Millis;
  tries: number;
  retryAt: Millis;
}

export class ControlTransport {
  readonly #rtt: RttEstimate;
  readonly #out = new Outbox<TransportOutput>();
  readonly #queue: OutgoingMessage[] = [];
  #queuedBytes = 0;
  readonly #inFlight = new Map<number, InFlight>();
  #inFlightBytes = 0;
  #nextId: number;
  #isOpen = false;
  #reassembly = new Reassembly();

  constructor(rng: Rng, rtt: RttEstimate) {
    this.#rtt = rtt;
    this.#nextId = rng.u32();
  }

  /** Without a path messages wait; time-outs stand still. */
  setOpen(now: Millis, isOpen: boolean): void {
    if (isOpen === this.#isOpen) return;
    this.#isOpen = isOpen;
    if (!isOpen) return;
    for (const flight of this.#inFlight.values()) flight.retryAt = now;
    this.#pump(now);
  }

  send(now: Millis, message: OutgoingMessage): void {
    const length = message.bytes.length;
    if (length === 0 || length > MAX_MESSAGE_BYTES) return this.#refuse(message, "too-long");
    if (this.#isOpen && !message.reliable && length <= FRAGMENT_PART_BYTES) {
      return this.#emit({ form: "datagram", body: message.bytes });
    }
    const isFull =
      this.#queue.length >= MAX_QUEUED || this.#queuedBytes + length > MAX_QUEUED_BYTES;
    if (isFull) return this.#refuse(message, "send-queue-full");
    this.#queue.push(message);
    this.#queuedBytes += length;
    this.#pump(now);
  }

  /** One control body that the engine opened. */
  receive(now: Millis, bytes: Uint8Array): void {
    const envelope = parseControl(bytes);
    if (!envelope.ok) return this.#drop(envelope.reason);
    switch (envelope.value.form) {
      case "datagram":
        this.#out.push({ kind: "message", bytes: envelope.value.body, reliable: false });
        return;
      case "fragment":
        return this.#receiveFragment(now, envelope.value);
      case "ack":
        return this.#receiveAck(now, envelope.value.messageId);
    }
  }

  timeout(now: Millis): void {
    if (!this.#isOpen) return;
    for (const flight of [...this.#inFlight.values()]) {
      if (flight.retryAt > now) continue;
      if (flight.tries >= MAX_TRIES) this.#finish(flight, false);
      else this.#transmit(now, flight);
    }
    this.#pump(now);
  }

  deadline(): Millis {
    if (!this.#isOpen) return NEVER;
    let earliest = NEVER;
    for (const { retryAt } of this.#inFlight.values()) earliest = Math.min(earliest, retryAt);
    return earliest;
  }

  poll(): TransportOutput | undefined {
    return this.#out.poll();
  }

  /** The link ends, or the peer forgot it: nothing unfinished will be finished. */
  abandon(): void {
    for (const flight of [...this.#inFlight.values()]) this.#finish(flight, false);
    for (const message of this.#queue.splice(0)) this.#report(message, false);
    this.#queuedBytes = 0;
    this.#reassembly = new Reassembly();
  }

  #pump(now: Millis): void {
    while (this.#isOpen) {
      const message = this.#queue[0];
      if (message === undefined || !this.#hasRoom(message)) return;
      this.#queue.shift();
      this.#queuedBytes -= message.bytes.length;
      this.#launch(now, message);
    }
  }

  #hasRoom(message: OutgoingMessage): boolean {
    if (this.#inFlight.size === 0 || !message.reliable) return true;
    const oldest = this.#inFlight.keys().next().value ?? this.#nextId;
    return (
      this.#inFlight.size < MAX_IN_FLIGHT &&
      this.#inFlightBytes + message.bytes.length <= MAX_IN_FLIGHT_BYTES &&
      serialDistance(oldest, this.#nextId) < SENDER_WINDOW
    );
  }

  #launch(now: Millis, message: OutgoingMessage): void {
    if (!message.reliable && message.bytes.length <= FRAGMENT_PART_BYTES) {
      return this.#emit({ form: "datagram", body: message.bytes });
    }
    const id = this.#nextId;
    this.#nextId = (id + 1) >>> 0;
    const flight = { id, message, firstSentAt: now, tries: 0, retryAt: NEVER };
    if (!message.reliable) return this.#emitFragments(flight);
    this.#inFlight.set(id, flight);
    this.#inFlightBytes += message.bytes.length;
    this.#transmit(now, flight);
  }

  #transmit(now: Millis, flight: InFlight): void {
    flight.retryAt = now + this.#rtt.timeoutMs() * 2 ** flight.tries;
    flight.tries++;
    this.#emitFragments(flight);
  }

  #emitFragments({ id, message }: InFlight): void {
    const count = Math.ceil(message.bytes.length / FRAGMENT_PART_BYTES);
    for (let index = 0; index < count; index++) {
      const at = index * FRAGMENT_PART_BYTES;
      const part = message.bytes.subarray(at, at + FRAGMENT_PART_BYTES);
      this.#emit({ form: "fragment", messageId: id, index, count, part });
    }
  }

  #receiveFragment(now: Millis, fragment: Extract<ControlEnvelope, { form: "fragment" }>): void {
    const outcome = this.#reassembly.add(now, fragment);
    if (outcome.kind === "refused") this.#drop(outcome.reason);
    if (outcome.kind === "whole" || (outcome.kind === "refused" && outcome.isDelivered)) {
      this.#emit({ form: "ack", messageId: fragment.messageId });
    }
    if (outcome.kind === "whole") {
      this.#out.push({ kind: "message", bytes: outcome.bytes, reliable: true });
    }
  }

  #receiveAck(now: Millis, id: number): void {
    const flight = this.#inFlight.get(id);
    if (flight === undefined) return;
    if (flight.tries === 1) this.#rtt.observe(now - flight.firstSentAt);
    this.#finish(flight, true);
    this.#pump(now);
  }

  #finish(flight: InFlight, ok: boolean): void {
    this.#inFlight.delete(flight.id);
    this.#inFlightBytes -= flight.message.bytes.length;
    this.#report(flight.message, ok);
  }

  #refuse(message: OutgoingMessage, reason: DropReason): void {
    this.#drop(reason);
    this.#report(message, false);
  }

  #report({ reliable, owner, token }: OutgoingMessage, ok: boolean): void {
    if (reliable && token !== 0) this.#out.push({ kind: "sent", owner, token, ok });
  }

  #emit(envelope: ControlEnvelope): void {
    const isAck = envelope.form === "ack";
    this.#out.push({ kind: "emit", bytes: emitControl(envelope), isAck });
  }

  #drop(reason: DropReason): void {
    this.#out.push({ kind: "dropped", reason });
  }
}

/** Steps from `from` up to `to` modulo 2^32. */
function serialDistance(from: number, to: number): number {
  return (to - from) >>> 0;
}
