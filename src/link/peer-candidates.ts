import { type Endpoint, sameEndpoint } from "../base/net.ts";
import { isSensibleCandidate } from "./candidate-filter.ts";

/** The peer's candidates and the addresses it was seen at. */
const MAX_CANDIDATES_KEPT = 16;

/** Where a peer may be found: the next one to try first. */
export class PeerCandidates {
  #items: readonly Endpoint[] = [];

  /** A copy: the caller may keep and postpone while it walks. */
  all(): readonly Endpoint[] {
    return this.#items;
  }

  /** The peer's own word, best first: those come before what was known. True when there is news. */
  learn(told: readonly Endpoint[]): boolean {
    const sensible = told.filter(isSensibleCandidate);
    const isNews = sensible.some((endpoint) => !isAmong(this.#items, endpoint));
    const rest = this.#items.filter((endpoint) => !isAmong(sensible, endpoint));
    this.#items = [...sensible, ...rest].slice(0, MAX_CANDIDATES_KEPT);
    return isNews;
  }

  /** The peer was seen there. */
  keep(endpoint: Endpoint): void {
    if (!isAmong(this.#items, endpoint)) this.learn([endpoint]);
  }

  /** It was tried: the others get their turn before it. */
  postpone(endpoint: Endpoint): void {
    this.#items = [...this.#items.filter((other) => !sameEndpoint(other, endpoint)), endpoint];
  }
}

function isAmong(endpoints: readonly Endpoint[], endpoint: Endpoint): boolean {
  return endpoints.some((known) => sameEndpoint(known, endpoint));
}
