import type { DropReason } from "../base/drop-reason.ts";

type Drops = Readonly<Partial<Record<DropReason, number>>>;

/** Adds up the counters of several machines; a reason is absent while nobody met it. */
export function sumDrops(parts: readonly Drops[]): Partial<Record<DropReason, number>> {
  const sum: Partial<Record<DropReason, number>> = {};
  for (const part of parts) {
    for (const [reason, count] of Object.entries(part) as [DropReason, number][]) {
      sum[reason] = (sum[reason] ?? 0) + count;
    }
  }
  return sum;
}
