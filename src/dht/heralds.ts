/**
 * Peers that asked this node for their range, and the view they asked by. Such a peer is about to
 * answer by that view, so this node must not speak for another set of the same key.
 *
 *      question of round r --> noted --HERALD_MS--> forgotten
 *                                \--question of a later round--> noted anew
 *      question of an earlier round --> ignored: a repetition that came late, also behind one
 *                                       that was no news
 */
import type { RingAddress } from "../base/ring-address.ts";
import type { Millis } from "../base/time.ts";
import { replicasOf, sameSet } from "./replica-set.ts";

/** How long a peer's question counts as news about the ring before the ring itself tells. */
export const HERALD_MS = 3_000;
/** The eight neighbours, and as many who join at one place of the ring at one time. */
const MAX_HERALDS = 16;
/** Whose last round is remembered: heralds and those who see the same; the oldest makes room. */
const MAX_ASKERS = 32;

interface Herald {
  readonly members: readonly RingAddress[];
  readonly until: Millis;
}

interface Asker {
  /** u32 that counts up, modulo 2^32. */
  readonly round: number;
  readonly until: Millis;
}

export class Heralds {
  readonly #byPeer = new Map<RingAddress, Herald>();
  /** Oldest first. */
  readonly #askers = new Map<RingAddress, Asker>();

  /** @param own this node's members: a peer that sees the same has nothing to herald */
  note(
    now: Millis,
    question: {
      readonly requester: RingAddress;
      readonly request: number;
      readonly members: readonly RingAddress[];
    },
    own: readonly RingAddress[],
  ): void {
    this.#expire(now);
    const { requester, request: round, members } = question;
    const before = this.#askers.get(requester);
    if (before !== undefined && isEarlier(round, before.round)) return;
    this.#remember(requester, { round, until: now + HERALD_MS });
    const wasHerald = this.#byPeer.delete(requester);
    if (!wasHerald && (sameSet(members, own) || this.#byPeer.size >= MAX_HERALDS)) return;
    this.#byPeer.set(requester, { members, until: now + HERALD_MS });
  }

  peers(now: Millis): readonly RingAddress[] {
    this.#expire(now);
    return [...this.#byPeer.keys()];
  }

  /** A peer counts itself among the key's replicas, in another set than this node sees. */
  contest(key: RingAddress, view: readonly RingAddress[]): boolean {
    for (const [peer, { members }] of this.#byPeer) {
      const theirs = replicasOf(members, key);
      if (theirs.includes(peer) && !sameSet(theirs, view)) return true;
    }
    return false;
  }

  #remember(peer: RingAddress, asker: Asker): void {
    this.#askers.delete(peer);
    const [oldest] = this.#askers.keys();
    if (this.#askers.size >= MAX_ASKERS && oldest !== undefined) this.#askers.delete(oldest);
    this.#askers.set(peer, asker);
  }

  #expire(now: Millis): void {
    for (const [peer, { until }] of this.#byPeer) if (until <= now) this.#byPeer.delete(peer);
    for (const [peer, { until }] of this.#askers) if (until <= now) this.#askers.delete(peer);
  }
}

function isEarlier(round: number, other: number): boolean {
  return ((round - other) | 0) < 0;
}
