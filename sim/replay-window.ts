import { ENGINE_LIMITS } from "../src/base/engine.ts";

/**
 * The newest counter and the holes behind it (RFC 6479's window told the other way round: a healthy
 * stream has no holes, so an idle session costs two words instead of a kilobyte of bits).
 */
export class ReplayWindow {
  #newest = -1;
  /** Counters not seen yet, ascending: insertion order is age. At most one window of them. */
  #holes: Set<number> | undefined;

  get newest(): number {
    return this.#newest;
  }

  /** True when the counter may still be accepted. Asked before opening; changes nothing. */
  isFresh(counter: number): boolean {
    if (counter > this.#newest) return true;
    if (counter + ENGINE_LIMITS.replayWindow <= this.#newest) return false;
    return this.#holes?.has(counter) ?? false;
  }

  /** Marks a counter that `isFresh` let through, after its tag was verified. */
  accept(counter: number): void {
    if (counter <= this.#newest) {
      this.#holes?.delete(counter);
      return;
    }
    this.#openHoles(counter);
    this.#newest = counter;
  }

  #openHoles(counter: number): void {
    const oldest = counter - ENGINE_LIMITS.replayWindow + 1;
    const first = Math.max(this.#newest + 1, oldest);
    if (first < counter) this.#holes ??= new Set();
    for (let hole = first; hole < counter; hole++) this.#holes?.add(hole);
    for (const hole of this.#holes ?? []) {
      if (hole >= oldest) break;
      this.#holes?.delete(hole);
    }
  }
}
