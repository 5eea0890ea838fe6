import type { DropReason } from "../base/drop-reason.ts";

/** What was dropped, by reason. Shared by the parts of one machine. */
export class DropCounters {
  readonly #counts: Partial<Record<DropReason, number>> = {};

  count(reason: DropReason): void {
    this.#counts[reason] = (this.#counts[reason] ?? 0) + 1;
  }

  snapshot(): Partial<Record<DropReason, number>> {
    return { ...this.#counts };
  }
}
