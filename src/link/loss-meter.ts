/** Probes that decide: of 50 at 2 % loss, five or more are lost in one case of three hundred. */
const ENOUGH_SAMPLES = 50;
/** Older samples count half from so many times as many on. */
const MEMORY = 2;
/** After four convictions in a row 800 are asked for, a quarter of an hour of a relay's probes. */
const MAX_DOUBLINGS = 4;
const LOSSY_FRACTION = 0.1;

/** What one path loses, from probes: single losses between answers, not the silence of a dead peer. */
export class LossMeter {
  #samples = 0;
  #lost = 0;
  #enough = ENOUGH_SAMPLES;

  /** Where others were left for their losses before, it may be our line or the peer's that loses. */
  demand(convictions: number): void {
    this.#enough = ENOUGH_SAMPLES * 2 ** Math.min(convictions, MAX_DOUBLINGS);
  }

  /** An answer came after `missed` probes without one. */
  answered(missed: number): void {
    this.#samples += 1 + missed;
    this.#lost += missed;
    if (this.#samples < MEMORY * this.#enough) return;
    this.#samples /= 2;
    this.#lost /= 2;
  }

  get fraction(): number {
    return this.#samples === 0 ? 0 : this.#lost / this.#samples;
  }

  /** Enough is known to say that this path loses too much. */
  get isLossy(): boolean {
    return this.#samples >= this.#enough && this.fraction >= LOSSY_FRACTION;
  }
}
