import { type Millis, NEVER } from "../base/time.ts";

/** The first round: the candidates of the handshake had their chance by then, and a relay is there. */
const FIRST_ROUND_MS = 1_500;
/** Rounds in quick succession, each with a fresh port: most NATs that can be opened are open by then. */
const EAGER_ROUNDS = 8;
const EAGER_ROUND_MS = 2_000;
/** After them 4, 8 .. 60 s. */
const LAST_ROUND_MS = 60_000;
/** A peer that tells new addresses all the time must not keep us trying them. */
const RENEW_MS = 60_000;
/** The responder leaves the rounds to the initiator, unless that calls none. */
const FOLLOWER_EXTRA_MS = 5_000;

/**
 * When to try again to find a direct path.
 *
 *      idle --want--> waiting --gap--> round --> waiting, the gap grows
 *        ^----- a direct path works -------------/
 */
export class PunchRounds {
  readonly #extraMs: Millis;
  #roundAt: Millis = NEVER;
  #rounds = 0;
  #renewedAt: Millis = Number.NEGATIVE_INFINITY;

  /** @param isCaller this side calls the rounds; the other one only when nobody does */
  constructor(isCaller: boolean) {
    this.#extraMs = isCaller ? 0 : FOLLOWER_EXTRA_MS;
  }

  deadline(): Millis {
    return this.#roundAt;
  }

  /** A round begins no later than one gap from now. */
  want(now: Millis): void {
    this.#roundAt = Math.min(this.#roundAt, now + this.#gapMs());
  }

  /** Something changed: the gaps begin with the shortest one again. */
  reset(): void {
    this.#rounds = 0;
  }

  /** The peer says that it moved: like `reset`, but only once a minute. */
  renew(now: Millis): void {
    if (now - this.#renewedAt < RENEW_MS) return;
    this.#renewedAt = now;
    this.reset();
  }

  /** A direct path works. */
  stop(): void {
    this.#roundAt = NEVER;
  }

  /** A round is under way: the next one comes a gap later. */
  restart(now: Millis): void {
    this.#roundAt = now + this.#gapMs();
  }

  /** Whether a round is due; then the next one comes after a longer gap. */
  takeRound(now: Millis): boolean {
    if (now < this.#roundAt) return false;
    this.#rounds++;
    this.restart(now);
    return true;
  }

  #gapMs(): Millis {
    if (this.#rounds === 0) return FIRST_ROUND_MS + this.#extraMs;
    const doublings = this.#rounds - EAGER_ROUNDS;
    if (doublings <= 0) return EAGER_ROUND_MS + this.#extraMs;
    // The exponent is bounded: nobody waits for the doublings of a year.
    const gapMs = EAGER_ROUND_MS * 2 ** Math.min(doublings, 8);
    return Math.min(gapMs, LAST_ROUND_MS) + this.#extraMs;
  }
}
