import type { Millis } from "./time.ts";

/** The wall clock between two tellings, counted on by the monotonic one. 0 until told. */
export class WallClock {
  #toldAt: Millis = 0;
  #seconds = 0;

  /** @param seconds unix time */
  tell(now: Millis, seconds: number): void {
    this.#toldAt = now;
    this.#seconds = seconds;
  }

  /** Unix seconds, whole ones. */
  at(now: Millis): number {
    if (this.#seconds === 0) return 0;
    return Math.floor(this.#seconds + (now - this.#toldAt) / 1_000);
  }
}
