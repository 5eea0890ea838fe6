/**
 * What the dates of certificates do to links. They are compared with the wall clock once, when a link is
 * made; from then on the monotonic clock counts, so that no jump of the wall clock ends a link.
 */
import { type Millis, NEVER } from "../base/time.ts";
import { WallClock } from "../base/wall-clock.ts";
import type { DateFault } from "../crypto/authority-rules.ts";
import type { LinkId } from "./link-types.ts";

/** Peers refused for their dates that are told of by name. */
const MAX_FAULTS = 16;
/** As long as a refused peer is worth a line: it tries again within a minute. */
const FAULT_MS: Millis = 300_000;

/** A refused certificate, and this node's clock at that moment. */
export interface RefusedDate extends DateFault {
  /** Unix seconds */
  readonly clock: number;
}

export class CertificateWatch {
  readonly #clock = new WallClock();
  readonly #ends = new Map<LinkId, Millis>();
  /** Oldest first. */
  readonly #faults = new Map<string, { readonly at: Millis; readonly refused: RefusedDate }>();

  tellWall(now: Millis, wallSeconds: number): void {
    this.#clock.tell(now, wallSeconds);
  }

  wallSeconds(now: Millis): number {
    return this.#clock.at(now);
  }

  /** @param end unix seconds, 0 = never */
  linked(now: Millis, link: LinkId, name: string, end: number): void {
    this.#faults.delete(name);
    if (end === 0) this.#ends.delete(link);
    else this.#ends.set(link, now + 1_000 * (end - this.#clock.at(now)));
  }

  forget(link: LinkId): void {
    this.#ends.delete(link);
  }

  refused(now: Millis, fault: DateFault): void {
    this.#faults.delete(fault.name);
    const oldest = this.#faults.keys().next();
    if (this.#faults.size >= MAX_FAULTS && !oldest.done) this.#faults.delete(oldest.value);
    this.#faults.set(fault.name, { at: now, refused: { ...fault, clock: this.#clock.at(now) } });
  }

  /** Of the last minutes. */
  refusals(now: Millis): readonly RefusedDate[] {
    const recent = [...this.#faults.values()].filter(({ at }) => now - at < FAULT_MS);
    return recent.map(({ refused }) => refused);
  }

  /** Links whose certificate ended; each is named once. */
  takeEnded(now: Millis): readonly LinkId[] {
    const ended = [...this.#ends].filter(([, at]) => at <= now).map(([link]) => link);
    for (const link of ended) this.#ends.delete(link);
    return ended;
  }

  deadline(): Millis {
    let earliest = NEVER;
    for (const at of this.#ends.values()) if (at < earliest) earliest = at;
    return earliest;
  }
}
