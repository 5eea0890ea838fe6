/** The last acts of the node, kept in memory for `weft journal`. */
import type { CoreEvent } from "../base/event.ts";

export interface JournalEntry extends CoreEvent {
  /** Counts from 1 and never repeats within one run: a gap says that older entries are gone. */
  readonly number: number;
  /** ISO 8601, UTC */
  readonly at: string;
}

/** Days of a quiet node, minutes of a very troubled one; about 0.5 MB. */
export const JOURNAL_ENTRIES = 1_000;

export class Journal {
  readonly #entries: JournalEntry[] = [];
  readonly #counts = new Map<string, { area: string; what: string; count: number }>();
  #number = 0;

  add(wallMs: number, event: CoreEvent): JournalEntry {
    const entry = { number: ++this.#number, at: new Date(wallMs).toISOString(), ...event };
    this.#entries.push(entry);
    if (this.#entries.length > JOURNAL_ENTRIES) this.#entries.shift();
    const key = `${event.area} ${event.what}`;
    const count = this.#counts.get(key)?.count ?? 0;
    this.#counts.set(key, { area: event.area, what: event.what, count: count + 1 });
    return entry;
  }

  /** The newest `limit` entries, oldest first. */
  last(limit: number): readonly JournalEntry[] {
    return limit <= 0 ? [] : this.#entries.slice(-limit);
  }

  /** How often each kind of act happened since the start; bounded by the code's own event names. */
  counts(): Iterable<{ readonly area: string; readonly what: string; readonly count: number }> {
    return this.#counts.values();
  }
}
