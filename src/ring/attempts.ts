/**
 * Attempts to link to nodes that should be neighbours.
 *
 *      waiting --nextAt--> trying --link usable--> forgotten
 *         ^                  | PATIENCE_MS
 *         +---- failed ------+   a node that failed once no longer holds up the ring's stability
 */
import type { RingAddress } from "../base/ring-address.ts";
import { type Millis, NEVER } from "../base/time.ts";

/** The link machine tries for five seconds and then may still open a relay path. */
const PATIENCE_MS = 6_000;
/** First wait after a failure; doubles up to the cap. */
const BACKOFF_MS = 2_000;
const BACKOFF_CAP_MS = 60_000;
/** A failure is remembered so long after it stopped to matter. */
const MEMORY_MS = 60_000;
/** Everyone near plus guesses from the contact book; strangers cannot make it larger. */
const ATTEMPTS_MAX = 256;

interface Attempt {
  failures: number;
  tryingSince: Millis | undefined;
  nextAt: Millis;
  /** Pursued in the current pass; only such attempts have deadlines. */
  active: boolean;
}

export class Attempts {
  readonly #attempts = new Map<RingAddress, Attempt>();

  /** Starts a pass: whatever is not pursued in it is let go. */
  beginPass(): void {
    for (const attempt of this.#attempts.values()) attempt.active = false;
  }

  endPass(now: Millis): void {
    for (const [address, attempt] of this.#attempts) {
      const stale = attempt.failures === 0 || attempt.nextAt + MEMORY_MS < now;
      if (!attempt.active && stale) this.#attempts.delete(address);
    }
  }

  /**
   * @param startAt when the first attempt may begin
   * @returns true when a connect is due now
   */
  pursue(now: Millis, address: RingAddress, startAt: Millis): boolean {
    const attempt = this.#attempts.get(address) ?? this.#create(address, startAt);
    if (attempt === undefined) return false;
    attempt.active = true;
    if (attempt.failures === 0 && startAt < attempt.nextAt) attempt.nextAt = startAt;
    if (attempt.tryingSince !== undefined) {
      // The very sum of `deadline`: the difference may round below, and time would stand still.
      if (now >= attempt.tryingSince + PATIENCE_MS) fail(now, attempt);
      return false;
    }
    if (attempt.nextAt > now) return false;
    attempt.tryingSince = now;
    return true;
  }

  succeeded(address: RingAddress): void {
    this.#attempts.delete(address);
  }

  failuresOf(address: RingAddress): number {
    return this.#attempts.get(address)?.failures ?? 0;
  }

  deadline(): Millis {
    let earliest = NEVER;
    for (const { active, tryingSince, nextAt } of this.#attempts.values()) {
      const at = tryingSince === undefined ? nextAt : tryingSince + PATIENCE_MS;
      if (active && at < earliest) earliest = at;
    }
    return earliest;
  }

  #create(address: RingAddress, startAt: Millis): Attempt | undefined {
    if (this.#attempts.size >= ATTEMPTS_MAX) return undefined;
    const attempt = { failures: 0, tryingSince: undefined, nextAt: startAt, active: true };
    this.#attempts.set(address, attempt);
    return attempt;
  }
}

function fail(now: Millis, attempt: Attempt): void {
  attempt.tryingSince = undefined;
  attempt.failures++;
  let wait = BACKOFF_MS;
  for (let i = 1; i < attempt.failures && wait < BACKOFF_CAP_MS; i++) wait *= 2;
  attempt.nextAt = now + Math.min(wait, BACKOFF_CAP_MS);
}
