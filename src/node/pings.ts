/** Echo requests under way, and the answer to those of others. */
import { type Millis, NEVER } from "../base/time.ts";
import { ECHO_FILL_MAX, emitEcho } from "../wire/echo.ts";

/** A person runs a handful of pings at once; a script hardly more. */
const PINGS_MAX = 64;
/** One echo crosses the ring in far less; past this it is lost. */
const PING_TIMEOUT_MS = 5_000;

export interface PendingPing {
  readonly id: number;
  readonly peer: bigint;
  readonly sentAt: Millis;
}

export class Pings {
  readonly #pending = new Map<bigint, PendingPing>();

  /** @returns the echo's bytes, or undefined when too many are under way */
  begin(ping: PendingPing, nonce: bigint, size: number): Uint8Array | undefined {
    if (this.#pending.size >= PINGS_MAX) return undefined;
    this.#pending.set(nonce, ping);
    return emitEcho({ nonce, fill: Math.min(Math.max(0, size), ECHO_FILL_MAX) });
  }

  /** The ping this nonce answers, once; only from the peer that was asked. */
  finish(nonce: bigint, source: bigint): PendingPing | undefined {
    const ping = this.#pending.get(nonce);
    if (ping?.peer !== source) return undefined;
    this.#pending.delete(nonce);
    return ping;
  }

  takeExpired(now: Millis): PendingPing[] {
    const due = [...this.#pending].filter(([, ping]) => ping.sentAt + PING_TIMEOUT_MS <= now);
    for (const [nonce] of due) this.#pending.delete(nonce);
    return due.map(([, ping]) => ping);
  }

  deadline(): Millis {
    const oldest = this.#pending.values().next().value;
    return oldest === undefined ? NEVER : oldest.sentAt + PING_TIMEOUT_MS;
  }
}
