/** A source of randomness, handed to every machine; seeded in the simulator, the OS in production. */
export interface Rng {
  /** Uniform in [0, 2^32). */
  u32(): number;
  bytes(length: number): Uint8Array;
  /** An independent stream for one module, so that adding a draw in one does not shift another. */
  fork(label: string): Rng;
}

/** Uniform integer in [0, limit); limit in 1..2^32. Rejection sampling: no modulo bias. */
export function below(rng: Rng, limit: number): number {
  const ceiling = 2 ** 32 - (2 ** 32 % limit);
  for (;;) {
    const draw = rng.u32();
    if (draw < ceiling) return draw % limit;
  }
}

/** Uniform in [0, 1). */
export function unit(rng: Rng): number {
  return rng.u32() / 2 ** 32;
}

/** `value` spread by +-`fraction`, so that members never act in step. */
export function jitter(rng: Rng, value: number, fraction: number): number {
  return value * (1 + fraction * (2 * unit(rng) - 1));
}

/** Fisher-Yates on a copy. */
export function shuffled<T>(rng: Rng, items: readonly T[]): T[] {
  const out = [...items];
  for (let i = out.length - 1; i > 0; i--) {
    const j = below(rng, i + 1);
    const held = out[i] as T;
    out[i] = out[j] as T;
    out[j] = held;
  }
  return out;
}

/** FNV-1a over UTF-16 units: turns labels into seeds; not for security. */
export function labelHash(label: string, start = 0x811c9dc5): number {
  let hash = start >>> 0;
  for (let i = 0; i < label.length; i++) {
    hash = Math.imul(hash ^ label.charCodeAt(i), 0x01000193) >>> 0;
  }
  return hash;
}

/** sfc32 (C. Doty-Humphrey, PractRand): small, fast, passes BigCrush; not for keys in production. */
export class SeededRng implements Rng {
  readonly #seed: number;
  #a: number;
  #b: number;
  #c = 1;
  #d: number;

  constructor(seed: number, stream = 0) {
    this.#seed = (seed ^ Math.imul(stream, 0x9e3779b9)) >>> 0;
    this.#a = this.#seed;
    this.#b = stream >>> 0;
    this.#d = 0x5eed5eed;
    for (let i = 0; i < 12; i++) this.u32();
  }

  u32(): number {
    const sum = (this.#a + this.#b + this.#d) | 0;
    this.#d = (this.#d + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + sum;
    this.#c |= 0;
    return sum >>> 0;
  }

  bytes(length: number): Uint8Array {
    const out = new Uint8Array(length);
    for (let i = 0; i < length; i++) out[i] = this.u32();
    return out;
  }

  fork(label: string): Rng {
    return new SeededRng(this.#seed, labelHash(label, this.#seed));
  }
}
