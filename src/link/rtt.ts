import type { Millis } from "../base/time.ts";

/** Nothing on a loaded machine answers reliably faster; shorter time-outs only send twice. */
const MIN_TIMEOUT_MS = 200;
/** Before the first sample: most underlay paths of one continent answer well within it. */
const FIRST_TIMEOUT_MS = 500;
/** Beyond this a path is not slow but broken. */
const MAX_TIMEOUT_MS = 3_000;

/** Smoothed round-trip time and its deviation (RFC 6298, section 2, with its gains). */
export class RttEstimate {
  #meanMs: number | undefined;
  #deviationMs = 0;

  get meanMs(): number | undefined {
    return this.#meanMs;
  }

  /** A sample of a message that was sent exactly once. */
  observe(sampleMs: Millis): void {
    if (this.#meanMs === undefined) {
      this.#meanMs = sampleMs;
      this.#deviationMs = sampleMs / 2;
      return;
    }
    const error = sampleMs - this.#meanMs;
    this.#deviationMs += (Math.abs(error) - this.#deviationMs) / 4;
    this.#meanMs += error / 8;
  }

  /** How long to wait for an answer: mean + 4 deviations, within bounds. */
  timeoutMs(): Millis {
    if (this.#meanMs === undefined) return FIRST_TIMEOUT_MS;
    const timeout = this.#meanMs + 4 * this.#deviationMs;
    return Math.min(MAX_TIMEOUT_MS, Math.max(MIN_TIMEOUT_MS, timeout));
  }
}
