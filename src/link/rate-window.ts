import type { Millis } from "../base/time.ts";

const WINDOW_MS = 1_000;

/** Counts events of the current second. */
export class RateWindow {
  #startedAt: Millis = Number.NEGATIVE_INFINITY;
  #count = 0;

  /** Adds one event; the number of events in its second, itself included. */
  add(now: Millis): number {
    if (now - this.#startedAt >= WINDOW_MS) {
      this.#startedAt = now;
      this.#count = 0;
    }
    this.#count++;
    return this.#count;
  }
}
