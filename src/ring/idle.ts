/**
 * Links that nobody needs as a neighbour. They lose the role `near` at once and stay open for a
 * while, since neighbours come back; then the ring closes those it opened for itself. Links that
 * traffic or the other side opened are not the ring's to close.
 */
import type { Outbox } from "../base/machine.ts";
import type { RingAddress } from "../base/ring-address.ts";
import { type Millis, NEVER } from "../base/time.ts";
import { type LinkTable, lists, type RingLink } from "./link-table.ts";
import type { RingOutput } from "./ring-types.ts";

/** Longer than any repair or restart takes. */
const IDLE_MS = 60_000;
/** With so few links each is worth keeping: it costs a probe in ten seconds. */
const FEW_LINKS = 16;

export class IdleLinks {
  readonly #self: RingAddress;
  readonly #links: LinkTable;
  readonly #outbox: Outbox<RingOutput>;
  #nextAt: Millis = NEVER;

  constructor(self: RingAddress, links: LinkTable, outbox: Outbox<RingOutput>) {
    this.#self = self;
    this.#links = links;
    this.#outbox = outbox;
  }

  /** After a change of the near set. */
  update(now: Millis, near: ReadonlySet<RingAddress>, stable: boolean): void {
    this.#nextAt = NEVER;
    for (const link of this.#links.all()) {
      if (link.role === "near" && !near.has(link.address)) this.#demote(link);
      const idle = stable && link.owned && link.role === "leaf" && !lists(link, this.#self);
      if (!idle || this.#links.size <= FEW_LINKS) link.idleSince = undefined;
      else {
        link.idleSince ??= now;
        this.#nextAt = Math.min(this.#nextAt, link.idleSince + IDLE_MS);
      }
    }
  }

  timeout(now: Millis): void {
    if (this.#nextAt > now) return;
    this.#nextAt = NEVER;
    for (const { link, idleSince } of this.#links.all()) {
      if (idleSince === undefined || this.#links.size <= FEW_LINKS) continue;
      if (idleSince + IDLE_MS > now) this.#nextAt = Math.min(this.#nextAt, idleSince + IDLE_MS);
      else {
        this.#links.remove(link);
        this.#outbox.push({ kind: "close", link, reason: "idle" });
      }
    }
  }

  deadline(): Millis {
    return this.#nextAt;
  }

  #demote(link: RingLink): void {
    link.role = link.owned ? "leaf" : "onDemand";
    this.#outbox.push({ kind: "set-role", link: link.link, role: link.role });
  }
}
