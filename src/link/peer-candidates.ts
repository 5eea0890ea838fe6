import type { SocketIndex } from "../base/engine.ts";
import { type Endpoint, sameEndpoint } from "../base/net.ts";

/** The peer's candidates and the addresses it was seen at. */
const MAX_CANDIDATES_KEPT = 16;

/** An address of the peer, and the socket of ours that reaches its family. */
export interface PeerCandidate {
  readonly socket: SocketIndex;
  readonly endpoint: Endpoint;
}

/** Where a peer may be found: the next one to try first. */
export class PeerCandidates {
  #items: PeerCandidate[] = [];

  /** A copy: the caller may keep and postpone while it walks. */
  all(): readonly PeerCandidate[] {
    return [...this.#items];
  }

  keep(candidate: PeerCandidate): void {
    const { socket, endpoint } = candidate;
    const isKnown = this.#items.some(
      (known) => known.socket === socket && sameEndpoint(known.endpoint, endpoint),
    );
    if (isKnown) return;
    this.#items.unshift(candidate);
    this.#items.length = Math.min(this.#items.length, MAX_CANDIDATES_KEPT);
  }

  /** It was tried: the others get their turn before it. */
  postpone(candidate: PeerCandidate): void {
    this.#items = [...this.#items.filter((other) => other !== candidate), candidate];
  }
}
