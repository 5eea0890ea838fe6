/**
 * Keeps the near links right: compares who is linked with who should be, asks for what is missing,
 * and judges when the ring is stable. Works after every change (`settle`) and periodically (`round`,
 * as Bamboo does: event-driven repair alone feeds on its own losses).
 *
 *      evidence = usable links + those they list + rumours - quarantined
 *      wanted   = four a side of the evidence, without nodes that could not be reached
 *      guesses  = contacts of old that would be nearer than what is there
 */
import type { Outbox } from "../base/machine.ts";
import type { Endpoint } from "../base/net.ts";
import type { RingAddress } from "../base/ring-address.ts";
import type { Millis } from "../base/time.ts";
import type { Attempts } from "./attempts.ts";
import type { Connects } from "./connects.ts";
import type { ContactBook } from "./contact-book.ts";
import type { Expiring } from "./expiring.ts";
import { isUsable, type LinkTable } from "./link-table.ts";
import type { Evidence, Lists } from "./lists.ts";
import { nearOf, type Sides, sameSides, sidesOf } from "./near-set.ts";
import type { RingOutput } from "./ring-types.ts";

/** Of two nodes that both learn of each other, the lower begins; the higher waits this long. */
const YIELD_MS = 500;
/** Failures in a row, about ten minutes, after which a contact is no longer guessed at. */
const GUESS_FAILURES_MAX = 12;

export interface RepairOptions {
  readonly self: RingAddress;
  readonly links: LinkTable;
  readonly lists: Lists;
  readonly contacts: ContactBook;
  readonly attempts: Attempts;
  readonly connects: Connects;
  /** Convicted nodes: what others still say of them is not believed for a while. */
  readonly quarantine: Expiring<true>;
  readonly outbox: Outbox<RingOutput>;
}

export class Repair {
  readonly #options: RepairOptions;
  #sides: Sides = { successors: [], predecessors: [] };
  #changedAt: Millis = 0;
  #missing = 0;

  constructor(options: RepairOptions) {
    this.#options = options;
  }

  /** Near neighbours that are linked and usable. */
  get sides(): Sides {
    return this.#sides;
  }

  /** @returns true when the near links changed */
  settle(now: Millis): boolean {
    const changed = this.#updateSides(now);
    this.#pursueMissing(now);
    return changed;
  }

  /** Nobody is missing, and every neighbour has told its list since the last change. */
  isSettled(): boolean {
    return this.#missing === 0 && this.#unheard() === 0;
  }

  #updateSides(now: Millis): boolean {
    const { self, links } = this.#options;
    const usable = links.usable().map((link) => link.address);
    const sides = sidesOf(self, usable);
    if (sameSides(sides, this.#sides)) return false;
    this.#sides = sides;
    this.#changedAt = now;
    for (const address of nearOf(sides)) this.#makeNear(address);
    return true;
  }

  #makeNear(address: RingAddress): void {
    const { links, outbox } = this.#options;
    const link = links.byAddress(address);
    if (link === undefined || link.role === "near") return;
    link.role = "near";
    outbox.push({ kind: "set-role", link: link.link, role: "near" });
  }

  #pursueMissing(now: Millis): void {
    const { self, links, lists, attempts, quarantine } = this.#options;
    const evidence = new Map<RingAddress, Evidence>();
    for (const [address, what] of lists.evidence(now)) {
      if (!quarantine.has(now, address)) evidence.set(address, what);
    }
    for (const link of links.all()) {
      evidence.set(link.address, { endpoints: link.candidates, asked: false });
    }
    attempts.beginPass();
    for (const address of nearOf(sidesOf(self, evidence.keys()))) {
      this.#pursue(now, address, evidence.get(address));
    }
    const reachable = [...evidence.keys()].filter((one) => attempts.failuresOf(one) === 0);
    const wanted = nearOf(sidesOf(self, reachable));
    this.#missing = 0;
    for (const address of wanted)
      if (this.#pursue(now, address, evidence.get(address))) this.#missing++;
    this.#guess(now, evidence);
    attempts.endPass(now);
  }

  /** @returns true while there is no usable link and hope for one */
  #pursue(now: Millis, address: RingAddress, evidence: Evidence | undefined): boolean {
    const { self, links, attempts, connects } = this.#options;
    const link = links.byAddress(address);
    if (link !== undefined && isUsable(link)) {
      attempts.succeeded(address);
      return false;
    }
    const first = self < address || evidence?.asked === true;
    const due = attempts.pursue(now, address, first ? now : now + YIELD_MS);
    if (due && link === undefined) {
      connects.ask(now, address, this.#endpointsOf(address, evidence), "near");
    }
    return attempts.failuresOf(address) === 0;
  }

  #endpointsOf(address: RingAddress, evidence: Evidence | undefined): readonly Endpoint[] {
    const told = evidence?.endpoints ?? [];
    return told.length > 0 ? told : this.#options.contacts.endpointsOf(address);
  }

  /** After a crash of all neighbours on one side, or a partition, only old contacts know the way. */
  #guess(now: Millis, evidence: ReadonlyMap<RingAddress, Evidence>): void {
    const { self, contacts, attempts, quarantine } = this.#options;
    const old = contacts.addresses().filter((one) => !quarantine.has(now, one));
    for (const address of nearOf(sidesOf(self, [...evidence.keys(), ...old]))) {
      if (evidence.has(address)) continue;
      this.#pursue(now, address, undefined);
      if (attempts.failuresOf(address) > GUESS_FAILURES_MAX) contacts.forget(address);
    }
  }

  #unheard(): number {
    const { links } = this.#options;
    let unheard = 0;
    for (const address of nearOf(this.#sides)) {
      const link = links.byAddress(address);
      if (link?.list === undefined || link.listAt < this.#changedAt) unheard++;
    }
    return unheard;
  }
}
