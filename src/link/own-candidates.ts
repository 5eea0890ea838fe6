/** Where this node may be found: its own host addresses, and how peers have seen it. */
import { type Endpoint, sameEndpoint } from "../base/net.ts";
import type { Millis } from "../base/time.ts";
import { MAX_CANDIDATES } from "../wire/handshake-payload.ts";

/** One mapping per family and a change of it; the rest of the eight are host addresses. */
const MAX_REFLEXIVE = 4;
/** A mapping nobody confirmed for so long is gone. */
const REFLEXIVE_LIFE_MS: Millis = 300_000;

interface Seen {
  readonly endpoint: Endpoint;
  at: Millis;
}

export class OwnCandidates {
  #local: readonly Endpoint[] = [];
  /** Newest last. */
  #reflexive: Seen[] = [];

  setLocal(endpoints: readonly Endpoint[]): void {
    this.#local = endpoints;
  }

  /** A peer sees us there. True when that is news. */
  noteReflexive(now: Millis, endpoint: Endpoint): boolean {
    const isLocal = this.#local.some((known) => sameEndpoint(known, endpoint));
    if (isLocal) return false;
    const known = this.#reflexive.find((seen) => sameEndpoint(seen.endpoint, endpoint));
    if (known !== undefined) known.at = now;
    else this.#reflexive.push({ endpoint, at: now });
    this.#reflexive = this.#reflexive
      .filter((seen) => now - seen.at < REFLEXIVE_LIFE_MS)
      .slice(-MAX_REFLEXIVE);
    return known === undefined;
  }

  /** At most eight, reflexive ones first: they are few and reach further. */
  list(): Endpoint[] {
    const reflexive = this.#reflexive.map(({ endpoint }) => endpoint).reverse();
    return [...reflexive, ...this.#local].slice(0, MAX_CANDIDATES);
  }
}
