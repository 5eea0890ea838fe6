/** Probes that decide: of 50 at 2 % loss, five or more are lost in one case of three hundred. */
const ENOUGH_SAMPLES = 50;
/** Older samples count half from here on. */
const MAX_SAMPLES = 100;
const LOSSY_FRACTION = 0.1;

/** What one path loses, from probes: single losses between answers, not the silence of a dead peer. */
export class LossMeter {
  #samples = 0;
  #lost = 0;

  /** An answer came after `missed` probes without one. */
  answered(missed: number): void {
    this.#samples += 1 + missed;
    this.#lost += missed;
    if (this.#samples < MAX_SAMPLES) return;
    this.#samples /= 2;
    this.#lost /= 2;
  }

  get fraction(): number {
    return this.#samples === 0 ? 0 : this.#lost / this.#samples;
  }

  /** Enough is known to say that this path loses too much. */
  get isLossy(): boolean {
    return this.#samples >= ENOUGH_SAMPLES && this.fraction >= LOSSY_FRACTION;
  }
}
