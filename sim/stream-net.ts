/**
 * Simulated streams: what TCP makes of the network. Nothing is lost or overtaken; while the hosts
 * cannot talk everything waits, and past a time both ends are told.
 */
import type { SocketFailure } from "../src/base/engine.ts";
import { type Endpoint, endpointText, type Ip } from "../src/base/net.ts";
import type { Millis } from "../src/base/time.ts";

/** What one direction holds before it is full: as the native engine's buffer. */
const BUFFER_BYTES = 262_144;
/** A way that carries nothing this long ends its streams (TCP_USER_TIMEOUT). */
const DEAD_MS = 15_000;
const RETRY_MS = 200;
const CONNECT_MS = 5_000;
/** TCP and TLS take two round trips before data. */
const SETUP_LEGS = 4;
const FIRST_PORT = 32_768;
const LAST_PORT = 60_999;

export interface StreamNetOptions {
  now(): Millis;
  schedule(at: Millis, act: () => void): void;
  /** Time of one leg from one host to another now. */
  legMs(from: Ip, to: Ip): Millis;
  /** Whether TCP passes from host to host. */
  passes(from: Ip, to: Ip): boolean;
}

/** What happens to one end. After `ended` nothing follows. */
export interface StreamEvents {
  opened(port: number): void;
  receive(bytes: Uint8Array): void;
  ended(reason: SocketFailure): void;
}

export interface StreamEnd {
  /** False when the buffer is full or the stream is no longer. */
  send(bytes: Uint8Array): boolean;
  /** Silent for this end; the other one is told. */
  close(): void;
}

/** Takes a stream from `from`; undefined refuses it. */
export type Accept = (from: Endpoint, end: StreamEnd) => StreamEvents | undefined;

export class StreamNet {
  readonly #options: StreamNetOptions;
  readonly #listeners = new Map<string, Accept>();
  #nextPort = FIRST_PORT;

  constructor(options: StreamNetOptions) {
    this.#options = options;
  }

  /** False when somebody listens there already. */
  listen(at: Endpoint, accept: Accept): boolean {
    const key = endpointText(at);
    if (this.#listeners.has(key)) return false;
    this.#listeners.set(key, accept);
    return true;
  }

  unlisten(at: Endpoint): void {
    this.#listeners.delete(endpointText(at));
  }

  connect(ip: Ip, to: Endpoint, events: StreamEvents): StreamEnd {
    const { now, schedule, legMs } = this.#options;
    const from = { ip, port: this.#nextPort };
    this.#nextPort = this.#nextPort < LAST_PORT ? this.#nextPort + 1 : FIRST_PORT;
    const near = new Way(this.#options, from.ip, to.ip);
    const far = new Way(this.#options, to.ip, from.ip);
    const end = endOf(near, far);
    const begun = now();
    const attempt = (): void => {
      if (near.isOver) return;
      if (this.#options.passes(ip, to.ip) && this.#options.passes(to.ip, ip)) {
        return this.#establish(from, to, { near, far, events });
      }
      if (now() - begun >= CONNECT_MS) {
        near.isOver = true;
        return events.ended("timed-out");
      }
      schedule(now() + RETRY_MS, attempt);
    };
    schedule(begun + SETUP_LEGS * legMs(ip, to.ip), attempt);
    return end;
  }

  #establish(
    from: Endpoint,
    to: Endpoint,
    stream: { near: Way; far: Way; events: StreamEvents },
  ): void {
    const { near, far, events } = stream;
    const other = this.#listeners.get(endpointText(to))?.(from, endOf(far, near));
    if (other === undefined) {
      near.isOver = true;
      return events.ended("refused");
    }
    near.open(other, events);
    far.open(events, other);
    other.opened(to.port);
    events.opened(from.port);
  }
}

/** One direction of a stream. */
class Way {
  /** Ended or closed: nothing happens any more. */
  isOver = false;
  readonly #options: StreamNetOptions;
  readonly #from: Ip;
  readonly #to: Ip;
  readonly #queue: { readonly at: Millis; readonly bytes: Uint8Array | "end" }[] = [];
  #queuedBytes = 0;
  #receiver: StreamEvents | undefined;
  #sender: StreamEvents | undefined;

  constructor(options: StreamNetOptions, from: Ip, to: Ip) {
    this.#options = options;
    this.#from = from;
    this.#to = to;
  }

  open(receiver: StreamEvents, sender: StreamEvents): void {
    this.#receiver = receiver;
    this.#sender = sender;
  }

  push(bytes: Uint8Array | "end"): boolean {
    const length = bytes === "end" ? 0 : bytes.length;
    if (this.isOver || this.#receiver === undefined) return false;
    if (this.#queuedBytes + length > BUFFER_BYTES) return false;
    const leg = this.#options.now() + this.#options.legMs(this.#from, this.#to);
    const at = Math.max(leg, this.#queue.at(-1)?.at ?? 0);
    this.#queue.push({ at, bytes });
    this.#queuedBytes += length;
    this.#options.schedule(at, () => this.#deliver());
    return true;
  }

  #deliver(): void {
    const now = this.#options.now();
    for (let head = this.#queue[0]; head !== undefined && head.at <= now; head = this.#queue[0]) {
      if (this.isOver) return;
      if (!this.#options.passes(this.#from, this.#to)) return this.#stall(now, head.at);
      this.#queue.shift();
      if (head.bytes === "end") return this.#end();
      this.#queuedBytes -= head.bytes.length;
      this.#receiver?.receive(head.bytes);
    }
  }

  #stall(now: Millis, since: Millis): void {
    if (now - since < DEAD_MS) {
      return this.#options.schedule(now + RETRY_MS, () => this.#deliver());
    }
    this.isOver = true;
    this.#sender?.ended("timed-out");
    this.#receiver?.ended("timed-out");
  }

  #end(): void {
    this.isOver = true;
    this.#receiver?.ended("system");
  }
}

function endOf(out: Way, into: Way): StreamEnd {
  return {
    send: (bytes) => out.push(bytes),
    close: () => {
      into.isOver = true;
      if (!out.push("end")) out.isOver = true;
    },
  };
}
