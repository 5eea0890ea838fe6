import type { CoreEvent } from "../base/event.ts";
import { type Subnet, subnetText } from "../base/net.ts";
import type { Millis } from "../base/time.ts";
import type { Claim } from "./claim.ts";
import type { RefusedReason } from "./leases.ts";

/** A client that gets nothing repeats itself every few seconds: one line a minute says it all. */
const QUIET_MS = 60_000;

type Note = (event: Omit<CoreEvent, "area" | "coolDownMs">) => void;

/** Tells people why clients got no address: an event now and then, a line of health meanwhile. */
export class Refusals {
  readonly #note: Note;
  readonly #range: string;
  /** When an event of this kind was told last. */
  readonly #toldAt = new Map<RefusedReason, Millis>();
  /** When a client went without an address last. */
  readonly #lackedAt = new Map<RefusedReason, Millis>();

  constructor(note: Note, range: Subnet) {
    this.#note = note;
    this.#range = subnetText(range);
  }

  note(now: Millis, claim: Claim, reason: RefusedReason): void {
    // A client that insists on an address gets a NAK and asks for any: nobody has to know.
    if (reason === "taken" && claim.fixed === undefined) return;
    this.#lackedAt.set(reason, now);
    const toldAt = this.#toldAt.get(reason);
    if (toldAt !== undefined && now - toldAt < QUIET_MS) return;
    this.#toldAt.set(reason, now);
    const { client, mac } = claim;
    const facts = {
      condition: this.#why(claim, reason),
      effect: "it has no address until it asks again",
      fields: { client, mac, reason },
    };
    if (reason === "pool-full" || reason === "site-full") {
      this.#note({ what: "pool-full", action: "offered the client nothing", ...facts });
    } else {
      this.#note({ what: "lease-refused", action: "told the client that there is none", ...facts });
    }
  }

  /** One line for each kind of want within the last minute. */
  health(now: Millis): string[] {
    const isFresh = (reason: RefusedReason) => {
      const at = this.#lackedAt.get(reason);
      return at !== undefined && now - at < QUIET_MS;
    };
    const lines: string[] = [];
    if (isFresh("pool-full")) {
      lines.push(
        `the pool is full: every address of ${this.#range} is leased or reserved, and a client got none; widen range in every member's file, or see weft lease list`,
      );
    }
    if (isFresh("site-full")) {
      lines.push("a client got no address: this site holds as many leases as one node may");
    }
    return lines;
  }

  #why(claim: Claim, reason: RefusedReason): string {
    switch (reason) {
      case "pool-full":
        return `every address of ${this.#range} is leased or reserved`;
      case "site-full":
        return "this site holds as many leases as one node may";
      default:
        return `${reason} while looking for ${claim.fixed ?? "any address"}`;
    }
  }
}
