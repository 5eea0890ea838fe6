import type { DropReason } from "../base/drop-reason.ts";

/** Counts what the ring dropped, by reason; the set of reasons is closed, so the table is bounded. */
export class Drops {
  readonly #counts = new Map<DropReason, number>();

  count(reason: DropReason): void {
    this.#counts.set(reason, (this.#counts.get(reason) ?? 0) + 1);
  }

  all(): ReadonlyMap<DropReason, number> {
    return this.#counts;
  }
}
