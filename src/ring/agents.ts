/**
 * Which member a node hangs on that is not in the ring yet: remembered from its messages, so that
 * answers find it. The entries come from unauthenticated envelopes; a wrong one costs its own
 * answers a detour, nothing else.
 */
import type { RingAddress } from "../base/ring-address.ts";
import type { Millis } from "../base/time.ts";
import { Expiring } from "./expiring.ts";

/** A join is over in seconds; the longest handshake with all retries fits several times. */
const AGENT_LIFE_MS = 60_000;
/** More nodes than that do not join through one owner within a minute. */
const AGENTS_MAX = 256;

export class Agents {
  readonly #agents = new Expiring<RingAddress>(AGENTS_MAX);

  /** @param agent undefined: the node is in the ring now */
  note(now: Millis, node: RingAddress, agent: RingAddress | undefined): void {
    if (agent === undefined) this.#agents.delete(node);
    else this.#agents.set(node, agent, now + AGENT_LIFE_MS);
  }

  of(now: Millis, node: RingAddress): RingAddress | undefined {
    return this.#agents.get(now, node);
  }
}
