import type { DropReason } from "../src/base/drop-reason.ts";
import type { EngineCommand } from "../src/base/engine.ts";
import { type Millis, NEVER } from "../src/base/time.ts";

/** A rate below this still lets the first window of a TCP sender pass. */
const LEAST_BURST_BYTES = 65_536;

export type RelayLimitCommand = Extract<EngineCommand, { op: "relay-limit" }>;

/** Bytes that may pass: one second of the rate. Full at the start. */
class ByteBucket {
  #level = 0;
  #filledAt: Millis = -NEVER;

  holds(now: Millis, bytesPerSecond: number, bytes: number): boolean {
    const burst = Math.max(bytesPerSecond, LEAST_BURST_BYTES);
    const gained = ((now - this.#filledAt) * bytesPerSecond) / 1_000;
    this.#level = Math.min(burst, this.#level + gained);
    this.#filledAt = now;
    return this.#level >= bytes;
  }

  /** Only after `holds` said yes to them. */
  take(bytes: number): void {
    this.#level -= bytes;
  }
}

/** What one session has left. */
export class RelayBuckets {
  readonly from = new ByteBucket();
  readonly to = new ByteBucket();
}

/** What is relayed for others: so much from one member, so much to one member, so much in all. */
export class RelayLimits {
  readonly #all = new ByteBucket();
  #perSession = 0;
  #inAll = 0;

  set({ perSession, inAll }: RelayLimitCommand): void {
    this.#perSession = perSession;
    this.#inAll = inAll;
  }

  /** Takes the bytes from all buckets, or from none and says which has not as many. */
  admit(
    now: Millis,
    ingress: RelayBuckets,
    egress: RelayBuckets,
    bytes: number,
  ): DropReason | undefined {
    const members = this.#perSession === 0 ? [] : [ingress.from, egress.to];
    const all = this.#inAll === 0 ? [] : [this.#all];
    if (!members.every((bucket) => bucket.holds(now, this.#perSession, bytes))) {
      return "relay-member-rate";
    }
    if (!all.every((bucket) => bucket.holds(now, this.#inAll, bytes))) return "relay-total-rate";
    for (const bucket of [...members, ...all]) bucket.take(bytes);
    return undefined;
  }
}
