/** Where this node may be found: its own host addresses, and how peers have seen it. */
import { type Endpoint, sameEndpoint } from "../base/net.ts";
import type { RingAddress } from "../base/ring-address.ts";
import type { Millis } from "../base/time.ts";
import { MAX_CANDIDATES } from "../wire/handshake-payload.ts";

/** One mapping per family and a change of it; the rest of the eight are host addresses. */
const MAX_REFLEXIVE = 4;
/** Peers whose word is kept: as many as a small ring has, enough to outvote a liar. */
const MAX_WITNESSES = 16;
/** A mapping nobody confirmed for so long is gone. */
const REFLEXIVE_LIFE_MS: Millis = 300_000;

/** Who saw us: a peer, or STUN servers asked from one socket (`stun` and its index). */
export type Witness = RingAddress | `stun ${number}`;

interface Sighting {
  readonly endpoint: Endpoint;
  readonly at: Millis;
}

export class OwnCandidates {
  /** See OwnPlace. */
  mappingLifeMs: Millis | undefined;
  readonly #mayPunch: boolean;
  #local: readonly Endpoint[] = [];
  /** The last word of each peer, longest silent first: whoever lies takes one place at most. */
  readonly #sightings = new Map<Witness, Sighting>();

  constructor(mayPunch = true) {
    this.#mayPunch = mayPunch;
  }

  /** True when the addresses changed; the first ones are no change. */
  setLocal(endpoints: readonly Endpoint[]): boolean {
    const before = this.#local;
    this.#local = endpoints;
    const has = (list: readonly Endpoint[], one: Endpoint) =>
      list.some((other) => sameEndpoint(other, one));
    const isSame = before.length === endpoints.length && before.every((one) => has(endpoints, one));
    return !isSame && before.length > 0;
  }

  /** Whether some peer sees us at an address that is not ours. */
  get isBehindNat(): boolean {
    return this.#sightings.size > 0;
  }

  get needsPunching(): boolean {
    return this.#mayPunch && this.isBehindNat;
  }

  /** The peer `witness` sees us there. True when that is news. */
  noteReflexive(now: Millis, witness: Witness, endpoint: Endpoint): boolean {
    if (this.#local.some((known) => sameEndpoint(known, endpoint))) return false;
    const before = [...this.#sightings.values()];
    this.#sightings.delete(witness);
    this.#sightings.set(witness, { endpoint, at: now });
    for (const [peer, { at }] of this.#sightings) {
      const isSurplus = this.#sightings.size > MAX_WITNESSES;
      if (isSurplus || now - at >= REFLEXIVE_LIFE_MS) this.#sightings.delete(peer);
    }
    return !before.some((seen) => sameEndpoint(seen.endpoint, endpoint));
  }

  /** At most eight, reflexive ones first (those that most peers agree on): they reach further. */
  list(): Endpoint[] {
    return [...this.#reflexive(), ...this.#local].slice(0, MAX_CANDIDATES);
  }

  #reflexive(): Endpoint[] {
    const votes: { readonly endpoint: Endpoint; count: number }[] = [];
    for (const { endpoint } of [...this.#sightings.values()].reverse()) {
      const known = votes.find((vote) => sameEndpoint(vote.endpoint, endpoint));
      if (known === undefined) votes.push({ endpoint, count: 1 });
      else known.count++;
    }
    votes.sort((a, b) => b.count - a.count);
    return votes.slice(0, MAX_REFLEXIVE).map(({ endpoint }) => endpoint);
  }
}
