import type { RingAddress } from "../base/ring-address.ts";
import type { Millis } from "../base/time.ts";

/**
 * Facts about ring addresses that are believed for a while: what others said of a node, that it was
 * convicted, that we asked for a link to it. Bounded; the oldest makes room.
 */
export class Expiring<T> {
  readonly #max: number;
  readonly #facts = new Map<RingAddress, { readonly value: T; readonly until: Millis }>();

  constructor(max: number) {
    this.#max = max;
  }

  set(address: RingAddress, value: T, until: Millis): void {
    this.#facts.delete(address);
    if (this.#facts.size >= this.#max) this.#dropOldest();
    this.#facts.set(address, { value, until });
  }

  get(now: Millis, address: RingAddress): T | undefined {
    const fact = this.#facts.get(address);
    return fact !== undefined && fact.until > now ? fact.value : undefined;
  }

  has(now: Millis, address: RingAddress): boolean {
    return (this.#facts.get(address)?.until ?? now) > now;
  }

  delete(address: RingAddress): void {
    this.#facts.delete(address);
  }

  /** What is believed now; forgets the rest. */
  current(now: Millis): [RingAddress, T][] {
    for (const [address, fact] of this.#facts) if (fact.until <= now) this.#facts.delete(address);
    return [...this.#facts].map(([address, fact]) => [address, fact.value]);
  }

  #dropOldest(): void {
    for (const address of this.#facts.keys()) {
      this.#facts.delete(address);
      return;
    }
  }
}
