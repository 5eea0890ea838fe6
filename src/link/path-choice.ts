/**
 * Which of a session's paths carries traffic. The best one that works (path.ts), with one exception: a
 * class of paths that fails again and again is not taken back at once.
 *
 *      entered --left within STEADY_MS--> one failure more --from the second on--> held 10, 20 .. 120 s
 *         \------left later--> one less for each STEADY_MS
 *
 * UDP that loses every other datagram answers often enough to be taken back and fails often enough to be
 * left: without this traffic would swing between it and a stream or a relay, some ten times a minute.
 */
import type { Millis } from "../base/time.ts";
import { isBetter, type Path, rankOf } from "./path.ts";

/** Carried for so long, a class was worth it: one failure is forgiven. */
const STEADY_MS: Millis = 60_000;
/** After the second failure; doubled with each more. Two changes a minute hurt nobody. */
const FIRST_HOLD_MS: Millis = 10_000;
const LAST_HOLD_MS: Millis = 120_000;

interface ClassRecord {
  /** How often it was left soon after it was entered. */
  readonly failures: number;
  readonly heldUntil: Millis;
}

const UNBLEMISHED: ClassRecord = { failures: 0, heldUntil: Number.NEGATIVE_INFINITY };

export class PathChoice {
  /** By rank of the class. */
  readonly #records = new Map<number, ClassRecord>();
  #enteredAt: Millis = Number.NEGATIVE_INFINITY;

  /** @returns `active` itself while nothing is better; a silent one stays until another works */
  best(now: Millis, paths: readonly Path[], active: Path | undefined): Path | undefined {
    let best = active;
    for (const path of paths) {
      if (!path.isGood) continue;
      if (best === undefined || (isBetter(path, best) && !this.#isHeld(now, path, best))) {
        best = path;
      }
    }
    return best;
  }

  /** `next` carries from now on. */
  changed(now: Millis, before: Path | undefined, next: Path): void {
    if (before === undefined) {
      this.#enteredAt = now;
      return;
    }
    const rank = rankOf(before);
    if (rank === rankOf(next)) return;
    if (rank < rankOf(next)) this.#records.set(rank, this.#afterFailure(now, rank));
    this.#enteredAt = now;
  }

  /** The peer moved: what failed there says nothing of where it is now. */
  forgive(): void {
    this.#records.clear();
  }

  /** Nothing is held back when what carries now is silent. */
  #isHeld(now: Millis, path: Path, carrying: Path): boolean {
    const rank = rankOf(path);
    if (rank >= rankOf(carrying) || !carrying.isGood || carrying.schedule.misses > 1) return false;
    return now < (this.#records.get(rank) ?? UNBLEMISHED).heldUntil;
  }

  #afterFailure(now: Millis, rank: number): ClassRecord {
    const { failures } = this.#records.get(rank) ?? UNBLEMISHED;
    const forgiven = Math.floor((now - this.#enteredAt) / STEADY_MS);
    const left = forgiven > 0 ? Math.max(0, failures - forgiven) : failures + 1;
    if (left <= 1) return { failures: left, heldUntil: now };
    const holdMs = Math.min(FIRST_HOLD_MS * 2 ** (left - 2), LAST_HOLD_MS);
    return { failures: left, heldUntil: now + holdMs };
  }
}
