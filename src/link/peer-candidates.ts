import { type Endpoint, isIpv6, sameEndpoint } from "../base/net.ts";
import { isSensibleCandidate } from "./candidate-filter.ts";

/** Addresses a peer was seen at, besides those it tells: the last ones and one of each network it has. */
const MAX_SEEN = 4;

/** What a peer's word tells anew: a port opens with each round of punching, an address by a move. */
export type CandidateNews = "none" | "ports" | "addresses";

/** Where a peer may be found: the next one to try first. */
export class PeerCandidates {
  #told: readonly Endpoint[] = [];
  #seen: readonly Endpoint[] = [];
  #order: readonly Endpoint[] = [];

  /** Of IPv4. */
  get firstTold(): Endpoint | undefined {
    return this.#told.find(({ ip }) => !isIpv6(ip));
  }

  /** A copy: the caller may keep and postpone while it walks. */
  all(): readonly Endpoint[] {
    return this.#order;
  }

  /** The peer's own word, best first; it replaces what was told before. */
  learn(told: readonly Endpoint[]): CandidateNews {
    const before = this.#order;
    this.#told = told.filter(isSensibleCandidate);
    this.#arrange();
    const unknown = this.#told.filter((endpoint) => !isAmong(before, endpoint));
    if (unknown.length === 0) return "none";
    const hasMoved = unknown.some(({ ip }) => !before.some((known) => known.ip === ip));
    return hasMoved ? "addresses" : "ports";
  }

  /** The peer was seen there. */
  keep(endpoint: Endpoint): void {
    this.#seen = [endpoint, ...without(this.#seen, endpoint)].slice(0, MAX_SEEN);
    this.#arrange();
  }

  /** It was tried: the others get their turn before it. */
  postpone(endpoint: Endpoint): void {
    this.#order = [...without(this.#order, endpoint), endpoint];
  }

  #arrange(): void {
    const seen = this.#seen.filter((endpoint) => !isAmong(this.#told, endpoint));
    this.#order = [...this.#told, ...seen];
  }
}

function isAmong(endpoints: readonly Endpoint[], endpoint: Endpoint): boolean {
  return endpoints.some((known) => sameEndpoint(known, endpoint));
}

function without(endpoints: readonly Endpoint[], endpoint: Endpoint): Endpoint[] {
  return endpoints.filter((other) => !sameEndpoint(other, endpoint));
}
