import { randomBytes } from "node:crypto";
import type { Rng } from "../base/rng.ts";

/** Single draws are taken from a block: one call into the kernel per 1,024. */
const BLOCK_BYTES = 4_096;

/** Randomness of the operating system. Forks are the same source: it has no seed to keep apart. */
export class OsRng implements Rng {
  #block = Buffer.alloc(0);
  #at = 0;

  u32(): number {
    if (this.#at === this.#block.length) {
      this.#block = randomBytes(BLOCK_BYTES);
      this.#at = 0;
    }
    const value = this.#block.readUInt32LE(this.#at);
    // used randomness is wiped: a later leak of memory tells nothing about it
    this.#block.fill(0, this.#at, this.#at + 4);
    this.#at += 4;
    return value;
  }

  bytes(length: number): Uint8Array {
    return new Uint8Array(randomBytes(length));
  }

  fork(_label: string): Rng {
    return this;
  }
}
