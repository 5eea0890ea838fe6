import type { Millis } from "../base/time.ts";

/** Waits after each probe of a series on a path that worked: two repetitions, then the verdict. */
export const LIVE_GAPS_MS: readonly Millis[] = [500, 500, 500];
/** Waits on a path that worked until an end of it moved, most likely: one answer is enough. */
export const DOUBTED_GAPS_MS: readonly Millis[] = [250, 250, 500];
/** Waits on a path that never worked: both sides probe, so both NATs open within these. */
export const TRYING_GAPS_MS: readonly Millis[] = [250, 250, 500, 1_000];
/**
 * The same where NATs are to be punched: the first probe opens our own NAT only, the next one follows
 * once the other side had time for the same.
 */
export const PUNCHING_GAPS_MS: readonly Millis[] = [100, 250, 250, 500, 1_000];
/** A verdict is not repeated within 3 s: this pause and one series. */
const PAUSE_AFTER_VERDICT_MS = 1_500;

/** The peer's probes draw ours at once, but not more often than this. */
const DRAWN_GAP_MS = 50;

/**
 * When to probe one path.
 *
 *      idle --period--> probe --gap--> probe --gap--> probe --gap--> exhausted --pause--> probe ..
 *        ^---------------- answered ----------------------/
 */
export class ProbeSchedule {
  #gapsMs: readonly Millis[];
  #periodMs: Millis;
  /** Probes of this series that went out. */
  #sent = 0;
  #nextAt: Millis;
  #startedAt: Millis = Number.NEGATIVE_INFINITY;
  #probedAt: Millis = Number.NEGATIVE_INFINITY;

  constructor(now: Millis, gapsMs: readonly Millis[], periodMs: Millis) {
    this.#gapsMs = gapsMs;
    this.#periodMs = periodMs;
    this.#nextAt = now;
  }

  /** Unanswered probes so far whose wait is over. */
  get misses(): number {
    return Math.max(0, this.#sent - 1);
  }

  /** When the last series began. */
  get startedAt(): Millis {
    return this.#startedAt;
  }

  deadline(): Millis {
    return this.#nextAt;
  }

  setGaps(gapsMs: readonly Millis[]): void {
    this.#gapsMs = gapsMs;
  }

  setPeriod(now: Millis, periodMs: Millis): void {
    this.#periodMs = periodMs;
    if (this.#sent === 0) this.#nextAt = Math.min(this.#nextAt, now + periodMs);
  }

  /** Begin a series at once unless one is running. */
  hurry(now: Millis): void {
    if (this.#sent === 0) this.#nextAt = Math.min(this.#nextAt, now);
  }

  /**
   * The peer's probe came by this path (RFC 8445, 7.3.1.4): ours is due now, also within a series and
   * once more at its end. Else the peer might use the path for as long as our next probe is away, and
   * lose it when we give it up.
   */
  draw(now: Millis): void {
    this.#sent = Math.min(this.#sent, this.#gapsMs.length - 1);
    this.#nextAt = Math.min(this.#nextAt, Math.max(now, this.#probedAt + DRAWN_GAP_MS));
  }

  /** Something of the peer came by this path: the next series starts one period from now. */
  answered(now: Millis): void {
    this.#sent = 0;
    this.#nextAt = now + this.#periodMs;
  }

  /** To be called when due: what to do now. */
  take(now: Millis, minGapMs: Millis): "probe" | "exhausted" | undefined {
    if (now < this.#nextAt) return undefined;
    const gapMs = this.#gapsMs[this.#sent];
    if (gapMs === undefined) {
      this.#sent = 0;
      this.#nextAt = now + PAUSE_AFTER_VERDICT_MS;
      return "exhausted";
    }
    if (this.#sent === 0) this.#startedAt = now;
    this.#sent++;
    this.#probedAt = now;
    this.#nextAt = now + Math.max(gapMs, minGapMs);
    return "probe";
  }
}
