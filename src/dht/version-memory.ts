import type { Millis } from "../base/time.ts";

/** The longest life of a record: after it nothing older can be brought back as live. */
const REMEMBER_MS = 86_400_000;
/** Keys times signers a node meets in a day; about 300 B each. */
const MAX_REMEMBERED = 16_384;
/**
 * A site of 1,024 clients has a lease and a MAC record for each. Past it a signer's own oldest goes:
 * who writes and removes in a loop makes nobody else's removed records come back.
 */
const MAX_PER_SIGNER = 2_048;

interface Age {
  readonly epoch: number;
  readonly version: number;
  readonly until: Millis;
}

/**
 * The newest (epoch, version) of each (signer, key), kept past the record's end: a stale copy of
 * what expired or was removed is not taken for news.
 */
export class VersionMemory {
  /** By signer, then by key; both in the order of the last news. */
  readonly #ages = new Map<string, Map<bigint, Age>>();
  #size = 0;

  newest(now: Millis, signer: string, key: bigint): Age | undefined {
    const age = this.#ages.get(signer)?.get(key);
    return age === undefined || age.until <= now ? undefined : age;
  }

  remember(
    signer: string,
    record: { readonly key: bigint; readonly epoch: number; readonly version: number },
    expiresAt: Millis,
  ): void {
    const { key, epoch, version } = record;
    this.#forget(signer, key);
    const own = this.#ages.get(signer);
    if (own !== undefined && own.size >= MAX_PER_SIGNER) this.#forgetOldest(signer, own);
    else if (this.#size >= MAX_REMEMBERED) this.#makeRoom();
    const ages = this.#ages.get(signer) ?? new Map<bigint, Age>();
    ages.set(key, { epoch, version, until: expiresAt + REMEMBER_MS });
    // Deleted first, so that the map's order is the order of the last news.
    this.#ages.delete(signer);
    this.#ages.set(signer, ages);
    this.#size++;
  }

  sweep(now: Millis): void {
    for (const [signer, ages] of this.#ages) {
      for (const [key, age] of ages) if (age.until <= now) this.#forget(signer, key);
    }
  }

  /** The signer heard least lately loses its oldest. */
  #makeRoom(): void {
    const quietest = this.#ages.entries().next();
    if (!quietest.done) this.#forgetOldest(...quietest.value);
  }

  #forgetOldest(signer: string, ages: ReadonlyMap<bigint, Age>): void {
    const oldest = ages.keys().next();
    if (!oldest.done) this.#forget(signer, oldest.value);
  }

  #forget(signer: string, key: bigint): void {
    const ages = this.#ages.get(signer);
    if (ages?.delete(key) !== true) return;
    this.#size--;
    if (ages.size === 0) this.#ages.delete(signer);
  }
}
