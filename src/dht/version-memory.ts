import type { Millis } from "../base/time.ts";

/** The longest life of a record: after it nothing older can be brought back as live. */
const REMEMBER_MS = 86_400_000;
/** Keys times signers a node meets in a day; about 300 B each. Past it the oldest go first. */
const MAX_REMEMBERED = 16_384;

interface Age {
  readonly epoch: number;
  readonly version: number;
  readonly until: Millis;
}

/**
 * The newest (epoch, version) of each (key, signer), kept past the record's end: a stale copy of
 * what expired or was removed is not taken for news.
 */
export class VersionMemory {
  readonly #ages = new Map<string, Age>();

  newest(now: Millis, name: string): Age | undefined {
    const age = this.#ages.get(name);
    return age === undefined || age.until <= now ? undefined : age;
  }

  remember(
    name: string,
    age: { readonly epoch: number; readonly version: number },
    expiresAt: Millis,
  ): void {
    // Deleted first, so that the map's order is the order of the last news.
    this.#ages.delete(name);
    if (this.#ages.size >= MAX_REMEMBERED) {
      const oldest = this.#ages.keys().next();
      if (!oldest.done) this.#ages.delete(oldest.value);
    }
    const { epoch, version } = age;
    this.#ages.set(name, { epoch, version, until: expiresAt + REMEMBER_MS });
  }

  sweep(now: Millis): void {
    for (const [name, age] of this.#ages) if (age.until <= now) this.#ages.delete(name);
  }
}
