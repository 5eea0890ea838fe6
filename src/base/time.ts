/** Monotonic milliseconds that keep counting while the machine is suspended. Never wall-clock. */
export type Millis = number;

/** The deadline of a machine that waits for nothing. */
export const NEVER: Millis = Number.POSITIVE_INFINITY;

/**
 * Named deadlines of one machine. The owner sets and clears them by name; nothing in the core calls
 * a system timer. The table stays as small as the set of names.
 */
export class TimerTable<Name extends string> {
  readonly #at = new Map<Name, Millis>();

  /** Arm or move a deadline. */
  set(name: Name, at: Millis): void {
    this.#at.set(name, at);
  }

  /** Arm a deadline only when it is not armed yet or armed later. */
  setEarlier(name: Name, at: Millis): void {
    if (at < this.at(name)) this.#at.set(name, at);
  }

  clear(name: Name): void {
    this.#at.delete(name);
  }

  isSet(name: Name): boolean {
    return this.#at.has(name);
  }

  /** When this deadline falls due; NEVER when it is not armed. */
  at(name: Name): Millis {
    return this.#at.get(name) ?? NEVER;
  }

  /** The earliest deadline; NEVER when none is armed. */
  deadline(): Millis {
    let earliest = NEVER;
    for (const at of this.#at.values()) if (at < earliest) earliest = at;
    return earliest;
  }

  /** Disarm and return every name that is due, earliest first (ties: order of arming). */
  takeExpired(now: Millis): Name[] {
    const due = [...this.#at].filter(([, at]) => at <= now).sort((a, b) => a[1] - b[1]);
    for (const [name] of due) this.#at.delete(name);
    return due.map(([name]) => name);
  }
}
