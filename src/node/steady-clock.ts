import type { Millis } from "../base/time.ts";
import { WallClock } from "../base/wall-clock.ts";

/** Nobody sets a clock by less for a reason that matters to a certificate. */
const JUMP_SECONDS = 300;

/**
 * The wall clock by which records, floods and this node's own certificate are judged. A clock that jumps
 * while links are up is wrong more often than right: it counts only once a handshake succeeded under it,
 * for then the clocks of two machines agree with the dates of their certificates. Handshakes themselves
 * always go by the clock as it is.
 */
export class SteadyClock {
  readonly #told = new WallClock();
  readonly #judged = new WallClock();
  #hasLinked = false;

  /** @returns unix seconds to judge by from now on */
  tell(now: Millis, wallSeconds: number): number {
    this.#told.tell(now, wallSeconds);
    const isJump = Math.abs(wallSeconds - this.#judged.at(now)) > JUMP_SECONDS;
    if (!this.#hasLinked || !isJump) this.#judged.tell(now, wallSeconds);
    return this.#judged.at(now);
  }

  /** A handshake succeeded. @returns unix seconds when it is another time now; else undefined */
  linked(now: Millis): number | undefined {
    this.#hasLinked = true;
    const told = this.#told.at(now);
    if (Math.abs(told - this.#judged.at(now)) <= JUMP_SECONDS) return undefined;
    this.#judged.tell(now, told);
    return told;
  }

  at(now: Millis): number {
    return this.#judged.at(now);
  }
}
