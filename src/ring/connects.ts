/** Asks for links and remembers for what end, so that the ring knows its own links when they come up. */
import type { Outbox } from "../base/machine.ts";
import type { Endpoint } from "../base/net.ts";
import type { RingAddress } from "../base/ring-address.ts";
import type { Millis } from "../base/time.ts";
import type { LinkRole } from "../link/link-types.ts";
import { Expiring } from "./expiring.ts";
import type { RingOutput } from "./ring-types.ts";

/** Twice what the link machine tries for. */
const ASKED_LIFE_MS = 10_000;
const ASKED_MAX = 256;

export class Connects {
  readonly #outbox: Outbox<RingOutput>;
  readonly #asked = new Expiring<LinkRole>(ASKED_MAX);

  constructor(outbox: Outbox<RingOutput>) {
    this.#outbox = outbox;
  }

  ask(now: Millis, address: RingAddress, endpoints: readonly Endpoint[], role: LinkRole): void {
    this.#asked.set(address, role, now + ASKED_LIFE_MS);
    this.#outbox.push({ kind: "connect", address, endpoints, role });
  }

  /** The role the ring asked for, if this link answers a wish of the ring. */
  roleOf(now: Millis, address: RingAddress): LinkRole | undefined {
    return this.#asked.get(now, address);
  }
}
