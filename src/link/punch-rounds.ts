import { type Millis, NEVER } from "../base/time.ts";

/** Rounds of probing while no direct path works: 1, 2, 4 .. 60 s. */
const FIRST_ROUND_MS = 1_000;
const LAST_ROUND_MS = 60_000;

/**
 * When to try the candidates of a peer again.
 *
 *      idle --want--> waiting --gap--> round: both sides agree, then try --> waiting, twice the gap
 *        ^-------------- a direct path works --------------------------------/
 */
export class PunchRounds {
  /** When the candidates are tried next. */
  #tryAt: Millis = NEVER;
  #roundAt: Millis = NEVER;
  #gapMs: Millis = FIRST_ROUND_MS;

  deadline(): Millis {
    return Math.min(this.#roundAt, this.#tryAt);
  }

  /** A round begins no later than one gap from now. */
  want(now: Millis): void {
    this.#roundAt = Math.min(this.#roundAt, now + this.#gapMs);
  }

  /** Something changed: the gaps begin with the shortest one again. */
  reset(): void {
    this.#gapMs = FIRST_ROUND_MS;
  }

  /** A direct path works. */
  stop(): void {
    this.#roundAt = NEVER;
  }

  /** The candidates are tried at `at`. */
  tryAt(at: Millis): void {
    this.#tryAt = at;
  }

  /** The round of now is under way: the next one comes a gap later. */
  restart(now: Millis): void {
    this.#roundAt = now + this.#gapMs;
  }

  /** Whether a round is due; then the next one comes after twice the gap. */
  takeRound(now: Millis): boolean {
    if (now < this.#roundAt) return false;
    this.#gapMs = Math.min(2 * this.#gapMs, LAST_ROUND_MS);
    this.#roundAt = now + this.#gapMs;
    return true;
  }

  /** Whether the candidates are to be tried now. */
  takeTry(now: Millis): boolean {
    if (now < this.#tryAt) return false;
    this.#tryAt = NEVER;
    return true;
  }
}
