/** Finds out how large a datagram one path carries: probes downwards from the largest likely size. */
import { type Millis, NEVER } from "../base/time.ts";

/** Every path is taken to carry this: IPv6's minimum less headers, and some clouds' limit. */
export const BASE_DATAGRAM = 1_200;
/** UDP payload of a 1500-byte IPv4 packet, then of an IPv6 one, then of usual tunnels. */
const SIZES_V4: readonly number[] = [1_472, 1_400, 1_280];
const SIZES_V6: readonly number[] = [1_452, 1_400, 1_280];
/** One lost probe shall not cost the size. */
const TRIES = 3;
const MIN_WAIT_MS = 500;
/** Paths change rarely; a larger size is worth a few probes this often. */
const SEARCH_AGAIN_MS = 600_000;

export class PathSize {
  readonly #all: readonly number[];
  #sizes: readonly number[];
  #tries = 0;
  #nextAt: Millis = NEVER;
  #isVerifying = false;
  /** Largest datagram known to pass. */
  confirmed = BASE_DATAGRAM;

  constructor(isIpv6: boolean) {
    this.#all = isIpv6 ? SIZES_V6 : SIZES_V4;
    this.#sizes = this.#all;
  }

  deadline(): Millis {
    return this.#nextAt;
  }

  /** The path carries traffic from now on: its size is worth knowing. */
  start(now: Millis): void {
    if (this.#nextAt === NEVER) this.#nextAt = now;
  }

  /** Much was sent: see that the confirmed size still passes. */
  verify(now: Millis): void {
    const isSearching = this.#sizes.length > 0;
    if (this.confirmed === BASE_DATAGRAM || this.#isVerifying || isSearching) return;
    this.#isVerifying = true;
    this.#tries = 0;
    this.#nextAt = now;
  }

  /** A probe of this size came back. True when the confirmed size changed. */
  answered(now: Millis, size: number): boolean {
    this.#isVerifying = false;
    this.#sizes = [];
    this.#tries = 0;
    this.#nextAt = now + SEARCH_AGAIN_MS;
    if (size <= this.confirmed) return false;
    this.confirmed = size;
    return true;
  }

  /** To be called when due: the size to probe with, or `shrunk` when the confirmed one was lost. */
  take(now: Millis, timeoutMs: Millis): number | "shrunk" | undefined {
    if (now < this.#nextAt) return undefined;
    if (this.#tries >= TRIES) return this.#giveUpSize(now);
    const size = this.#isVerifying ? this.confirmed : this.#sizeToTry();
    this.#nextAt = now + (size === undefined ? SEARCH_AGAIN_MS : Math.max(MIN_WAIT_MS, timeoutMs));
    if (size !== undefined) this.#tries++;
    return size;
  }

  #sizeToTry(): number | undefined {
    if (this.#sizes.length === 0) this.#sizes = this.#all.filter((size) => size > this.confirmed);
    return this.#sizes[0];
  }

  #giveUpSize(now: Millis): "shrunk" | undefined {
    const lost = this.#isVerifying ? this.confirmed : undefined;
    this.#sizes =
      lost === undefined ? this.#sizes.slice(1) : this.#all.filter((size) => size < lost);
    this.#tries = 0;
    this.#isVerifying = false;
    this.#nextAt = this.#sizes.length === 0 ? now + SEARCH_AGAIN_MS : now;
    if (lost === undefined) return undefined;
    this.confirmed = BASE_DATAGRAM;
    return "shrunk";
  }
}
