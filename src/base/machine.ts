import type { Millis } from "./time.ts";

/**
 * The contract of every machine in the core (see docs/ARCHITECTURE.md, "The core contract").
 *
 * The caller feeds one input, drains the outputs until `undefined`, and calls `handle` with the
 * machine's timeout input no later than `deadline()`. A machine does no I/O and never throws on
 * input from outside; it throws only on a bug (`assert`).
 */
export interface Machine<Input, Output> {
  handle(now: Millis, input: Input): void;
  poll(): Output | undefined;
  /** When to call `handle` with a timeout next; NEVER when nothing is awaited. */
  deadline(): Millis;
}

/**
 * The output queue of a machine. It is drained after every `handle`, so it is bounded by what one
 * input can cause; exceeding the bound is a bug, not a condition.
 */
export class Outbox<T> {
  /** One input may fan out to every link and every waiting request, never to more than this. */
  static readonly MAX = 65_536;
  #items: T[] = [];
  #head = 0;

  push(item: T): void {
    if (this.#items.length - this.#head >= Outbox.MAX) throw new Error("outbox overrun");
    this.#items.push(item);
  }

  poll(): T | undefined {
    if (this.#head === this.#items.length) {
      if (this.#head > 0) {
        this.#items = [];
        this.#head = 0;
      }
      return undefined;
    }
    return this.#items[this.#head++];
  }
}
