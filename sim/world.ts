/** Virtual time: a heap of things to happen. Ties go by order of scheduling, so runs repeat exactly. */
import type { Millis } from "../src/base/time.ts";

interface Happening {
  readonly at: Millis;
  readonly order: number;
  readonly act: () => void;
}

/** A machine whose timeout does not move its deadline wakes at one instant for ever. */
const HAPPENINGS_PER_INSTANT_MAX = 100_000;

export class World {
  readonly #heap: Happening[] = [];
  #now: Millis = 0;
  #order = 0;
  #atThisInstant = 0;

  get now(): Millis {
    return this.#now;
  }

  /** `at` in the past happens next, never earlier than now. */
  schedule(at: Millis, act: () => void): void {
    const happening = { at: Math.max(at, this.#now), order: this.#order++, act };
    this.#heap.push(happening);
    this.#up(this.#heap.length - 1);
  }

  /** Lets everything happen that falls before or at `until`; then it is `until`. */
  runUntil(until: Millis): void {
    for (let next = this.#heap[0]; next !== undefined && next.at <= until; next = this.#heap[0]) {
      this.#removeFirst();
      this.#atThisInstant = next.at === this.#now ? this.#atThisInstant + 1 : 0;
      if (this.#atThisInstant > HAPPENINGS_PER_INSTANT_MAX) {
        throw new Error(`time stands still at ${this.#now} ms: a deadline does not move`);
      }
      this.#now = next.at;
      next.act();
    }
    this.#now = until;
  }

  /**
   * Runs in steps of `stepMs` until `holds` or until `limitMs` have passed.
   * @returns whether it came to hold
   */
  runUntilHolds(holds: () => boolean, limitMs: Millis, stepMs: Millis = 50): boolean {
    const end = this.#now + limitMs;
    while (!holds()) {
      if (this.#now >= end) return false;
      this.runUntil(Math.min(end, this.#now + stepMs));
    }
    return true;
  }

  #removeFirst(): void {
    const last = this.#heap.pop();
    if (last === undefined || this.#heap.length === 0) return;
    this.#heap[0] = last;
    this.#down(0);
  }

  #up(start: number): void {
    let i = start;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (!this.#swapIfEarlier(i, parent)) return;
      i = parent;
    }
  }

  #down(start: number): void {
    let i = start;
    for (;;) {
      const left = 2 * i + 1;
      const right = left + 1;
      const child = right < this.#heap.length && this.#isEarlier(right, left) ? right : left;
      if (child >= this.#heap.length || !this.#swapIfEarlier(child, i)) return;
      i = child;
    }
  }

  #isEarlier(i: number, j: number): boolean {
    const a = this.#heap[i];
    const b = this.#heap[j];
    if (a === undefined || b === undefined) return false;
    return a.at !== b.at ? a.at < b.at : a.order < b.order;
  }

  #swapIfEarlier(i: number, j: number): boolean {
    if (!this.#isEarlier(i, j)) return false;
    const held = this.#heap[i] as Happening;
    this.#heap[i] = this.#heap[j] as Happening;
    this.#heap[j] = held;
    return true;
  }
}
