import type { Millis } from "../base/time.ts";

const WINDOW_MS = 1_000;

/** Counts events of the current second, or of another span. */
export class RateWindow {
  readonly #windowMs: Millis;
  #startedAt: Millis = Number.NEGATIVE_INFINITY;
  #count = 0;

  constructor(windowMs: Millis = WINDOW_MS) {
    this.#windowMs = windowMs;
  }

  /** Adds one event; the number of events in its window, itself included. */
  add(now: Millis): number {
    if (now - this.#startedAt >= this.#windowMs) {
      this.#startedAt = now;
      this.#count = 0;
    }
    this.#count++;
    return this.#count;
  }
}
