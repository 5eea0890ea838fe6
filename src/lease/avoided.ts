import type { Ip } from "../base/net.ts";
import type { Millis } from "../base/time.ts";

/** Addresses that are not worth a try for a while; past the maximum the oldest is forgotten. */
export class Avoided {
  readonly #forMs: Millis;
  readonly #max: number;
  /** In the order they were added, so the first one ends first. */
  readonly #until = new Map<Ip, Millis>();

  constructor(forMs: Millis, max: number) {
    this.#forMs = forMs;
    this.#max = max;
  }

  add(now: Millis, ip: Ip): void {
    this.#until.delete(ip);
    const oldest = this.#until.keys().next();
    if (this.#until.size >= this.#max && !oldest.done) this.#until.delete(oldest.value);
    this.#until.set(ip, now + this.#forMs);
  }

  has(now: Millis, ip: Ip): boolean {
    return (this.#until.get(ip) ?? 0) > now;
  }
}
