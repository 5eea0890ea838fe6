/**
 * Finds out how large a datagram one path carries, to the byte, and watches that it stays true.
 *
 *      start --> searching --nothing left between--> settled --1, 2, 4 .. 10 min--> searching upwards
 *                    ^                                  | busy: verify each 1.5 s
 *                    \------- back at 1,200 <--lost-----/
 *
 * A round asks for several sizes at once, the largest answer counts, and a size has failed only when
 * a smaller one of the same round came back: a path that carries nothing says nothing about sizes.
 * What the kernel refuses as larger than its link fails at once.
 */
import { type Millis, NEVER } from "../base/time.ts";

/** Every path is taken to carry this: IPv6's minimum less headers, and some clouds' limit. */
export const BASE_DATAGRAM = 1_200;
/** UDP payload of packets of 1,280, 1,400, 1,500 and 9,000 bytes: most paths are one of these. */
const LIKELY_V4: readonly number[] = [1_252, 1_372, 1_472, 8_972];
const LIKELY_V6: readonly number[] = [1_232, 1_352, 1_452, 8_952];
/** A relay's own path is of either family. */
const LIKELY_RELAYED: readonly number[] = [1_252, 1_372, 1_452, 1_472, 8_952];
/** Sizes of one round between two bounds: five times closer with each. */
const SIZES_PER_ROUND = 4;
/** At 5 % loss a size is lost by chance once in 160,000 rounds. */
const TRIES = 4;
const MIN_WAIT_MS = 300;
/** Twice what the longest search between two neighbours of 7,500 bytes needs. */
const PROBES_PER_SEARCH = 128;
/** A busy path is asked this often, so that bulk TCP outlives a hole by its second retransmission. */
const VERIFY_MS = 1_500;
/** A path counts as busy this long after it was said to be: two reports of the engine. */
const BUSY_MS = 8_000;
/** After a round in which not even the smallest size came back. */
const PAUSE_MS = 3_000;
/** Larger sizes are looked for again after 1, 2, 4 .. 10 min: a route may have changed for the better. */
const FIRST_AGAIN_MS = 60_000;
const LAST_AGAIN_MS = 600_000;

export type PathKind = "v4" | "v6" | "relayed";

interface Round {
  readonly kind: "search" | "verify";
  /** Not answered yet, each above `control`. */
  sizes: readonly number[];
  /** Known to pass: whether it does decides whether silence about the others means anything. */
  readonly control: number;
  isAlive: boolean;
  tries: number;
}

export class PathSize {
  readonly #likely: readonly number[];
  /** The smallest size that failed in this search; nothing is tried from there on. */
  #ceiling: number;
  #round: Round | undefined;
  #probes = 0;
  #nextAt: Millis = NEVER;
  #searchAt: Millis = NEVER;
  #againMs: Millis = FIRST_AGAIN_MS;
  #busyUntil: Millis = Number.NEGATIVE_INFINITY;
  /** Largest datagram known to pass. */
  confirmed = BASE_DATAGRAM;
  /** Nothing larger is expected to pass soon: who sends larger frames may be told so. */
  isSettled = false;

  constructor(kind: PathKind) {
    this.#likely = { v4: LIKELY_V4, v6: LIKELY_V6, relayed: LIKELY_RELAYED }[kind];
    this.#ceiling = this.#most + 1;
  }

  deadline(): Millis {
    return this.#nextAt;
  }

  /** The path carries traffic from now on: its size is worth knowing. */
  start(now: Millis): void {
    if (!this.isSettled) this.#beginSearch(now);
    else this.#beginVerify(now);
  }

  /** Much is sent here: see that the confirmed size still passes. */
  noteBusy(now: Millis): void {
    const wasBusy = now < this.#busyUntil;
    this.#busyUntil = now + BUSY_MS;
    if (!wasBusy && this.#round === undefined && this.isSettled) this.#beginVerify(now);
  }

  /** A probe of this size came back. True when what the path carries changed. */
  answered(now: Millis, size: number): boolean {
    const isLarger = size > this.confirmed;
    if (isLarger) this.confirmed = size;
    if (size >= this.#ceiling) this.#ceiling = this.#most + 1;
    const round = this.#round;
    if (round === undefined) return isLarger;
    if (size >= round.control) round.isAlive = true;
    round.sizes = round.sizes.filter((each) => each > size);
    return round.sizes.length === 0 ? this.#endRound(now) || isLarger : isLarger;
  }

  /** The kernel refused this size. True when what the path carries changed. */
  refused(now: Millis, size: number): boolean {
    if (size <= BASE_DATAGRAM) return false;
    if (size <= this.confirmed) return this.#lose(now, size);
    this.#ceiling = Math.min(this.#ceiling, size);
    const round = this.#round;
    if (round === undefined) return false;
    round.sizes = round.sizes.filter((each) => each < size);
    return round.sizes.length === 0 && this.#endRound(now);
  }

  /** To be called when due. @returns sizes to probe with, and whether what the path carries changed */
  take(
    now: Millis,
    timeoutMs: Millis,
  ): { readonly sizes: readonly number[]; readonly hasChanged: boolean } {
    if (now < this.#nextAt) return { sizes: [], hasChanged: false };
    let hasChanged = false;
    if (this.#round === undefined) this.#beginDue(now);
    else if (this.#round.tries >= TRIES) hasChanged = this.#giveUp(now, this.#round);
    const round = this.#round;
    if (round === undefined || now < this.#nextAt) return { sizes: [], hasChanged };
    round.tries++;
    this.#nextAt = now + Math.max(MIN_WAIT_MS, timeoutMs);
    // The control is asked for only when silence begins to look like a limit.
    const asksControl = round.tries > 1 && !round.isAlive;
    const sizes = asksControl ? [...round.sizes, round.control] : round.sizes;
    this.#probes += sizes.length;
    return { sizes, hasChanged };
  }

  get #most(): number {
    return this.#likely.at(-1) ?? BASE_DATAGRAM;
  }

  #beginDue(now: Millis): void {
    if (this.#searchAt <= now) this.#beginSearch(now);
    else this.#beginVerify(now);
  }

  #beginSearch(now: Millis, ceiling = this.#most + 1): void {
    this.#ceiling = ceiling;
    this.#probes = 0;
    const next = [this.confirmed + 1, ...this.#likely];
    this.#ask(now, this.isSettled ? next : this.#likely);
  }

  #beginVerify(now: Millis): void {
    if (this.confirmed === BASE_DATAGRAM) return this.#rest(now);
    const sizes = [this.confirmed];
    this.#round = { kind: "verify", sizes, control: BASE_DATAGRAM, isAlive: false, tries: 0 };
    this.#nextAt = now;
  }

  /** A round of those sizes that are possible. @returns true when none was left: settled */
  #ask(now: Millis, wanted: readonly number[]): boolean {
    const control = this.confirmed;
    const sizes = wanted.filter((size) => size > control && size < this.#ceiling);
    if (sizes.length === 0 || this.#probes >= PROBES_PER_SEARCH) return this.#settle(now);
    this.#round = { kind: "search", sizes, control, isAlive: false, tries: 0 };
    this.#nextAt = now;
    return false;
  }

  /** Every size of the round passed, was refused, or failed. */
  #endRound(now: Millis): boolean {
    if (this.#round?.kind === "search") return this.#ask(now, this.#between());
    this.#rest(now);
    return false;
  }

  /** A likely size is mostly the limit itself; else the sizes that divide what is left. */
  #between(): number[] {
    const next = this.confirmed + 1;
    if (this.#likely.includes(this.confirmed)) return [next];
    const gap = this.#ceiling - next;
    if (gap <= SIZES_PER_ROUND) return Array.from({ length: gap }, (_, i) => next + i);
    const parts = SIZES_PER_ROUND + 1;
    return Array.from({ length: SIZES_PER_ROUND }, (_, i) =>
      Math.floor(this.confirmed + ((i + 1) * gap) / parts),
    );
  }

  #giveUp(now: Millis, round: Round): boolean {
    if (!round.isAlive) {
      round.tries = 0;
      this.#nextAt = now + PAUSE_MS;
      return false;
    }
    const [smallest = this.#ceiling] = [...round.sizes].sort((a, b) => a - b);
    if (round.kind === "verify") return this.#lose(now, smallest);
    this.#ceiling = smallest;
    return this.#endRound(now);
  }

  /** `size` passed once and does so no longer. */
  #lose(now: Millis, size: number): boolean {
    this.confirmed = BASE_DATAGRAM;
    this.isSettled = false;
    this.#againMs = FIRST_AGAIN_MS;
    this.#beginSearch(now, size);
    return true;
  }

  #settle(now: Millis): boolean {
    const wasSettled = this.isSettled;
    this.isSettled = true;
    this.#searchAt = now + this.#againMs;
    this.#againMs = Math.min(2 * this.#againMs, LAST_AGAIN_MS);
    this.#rest(now);
    return !wasSettled;
  }

  #rest(now: Millis): void {
    this.#round = undefined;
    const isBusy = now < this.#busyUntil && this.confirmed > BASE_DATAGRAM;
    this.#nextAt = isBusy ? Math.min(this.#searchAt, now + VERIFY_MS) : this.#searchAt;
  }
}
