/** How late this process's timers fire: the first sign of a machine that cannot keep up. */
const SAMPLE_MS = 1_000;
const WINDOW = 10;

export class LoopLag {
  readonly #now: () => number;
  readonly #samples: number[] = [];
  #timer: NodeJS.Timeout | undefined;
  #expected = 0;

  /** @param now monotonic milliseconds of this process, not counting suspension */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  start(): void {
    this.#expected = this.#now() + SAMPLE_MS;
    this.#timer = setInterval(() => this.#sample(), SAMPLE_MS);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** The largest lateness of the last ten seconds. */
  get worstMs(): number {
    return Math.max(0, ...this.#samples);
  }

  #sample(): void {
    const now = this.#now();
    this.#samples.push(Math.max(0, now - this.#expected));
    if (this.#samples.length > WINDOW) this.#samples.shift();
    this.#expected = now + SAMPLE_MS;
  }
}
