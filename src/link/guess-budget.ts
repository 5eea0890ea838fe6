/**
 * How much guessing of ports a pair has had. Whoever guards a network takes guesses for a scan, so that a pair
 * gets as many as one search takes, or as many rounds with ports foretold as come to the same.
 */
import type { RingAddress } from "../base/ring-address.ts";
import type { Millis } from "../base/time.ts";

/** Rounds with ports foretold, each of up to 60 probes of both ends; a search takes all of them. */
export const GUESSED_ROUNDS = 16;
/** What was not found is not looked for again before. */
const AGAIN_MS: Millis = 86_400_000;
/** A path that was found once may be found again when its NAT has forgotten it, but not all the time. */
const FOUND_AGAIN_MS: Millis = 600_000;
/** Pairs that are remembered; a node that has more of them forgets the longest past. */
const MAX_REMEMBERED = 256;

interface Spent {
  readonly since: Millis;
  rounds: number;
  hasFound: boolean;
}

export class GuessBudget {
  /** By peer, the longest past first. */
  readonly #spent = new Map<RingAddress, Spent>();

  /** @param rounds that are all to be had */
  hasLeft(now: Millis, peer: RingAddress, rounds: number): boolean {
    return (this.#at(now, peer)?.rounds ?? 0) + rounds <= GUESSED_ROUNDS;
  }

  spend(now: Millis, peer: RingAddress, rounds: number): void {
    const { since, rounds: before } = this.#at(now, peer) ?? { since: now, rounds: 0 };
    this.#spent.delete(peer);
    this.#spent.set(peer, { since, rounds: before + rounds, hasFound: false });
    if (this.#spent.size <= MAX_REMEMBERED) return;
    const [longestPast] = this.#spent.keys();
    if (longestPast !== undefined) this.#spent.delete(longestPast);
  }

  /** A direct path works. */
  found(peer: RingAddress): void {
    const spent = this.#spent.get(peer);
    if (spent !== undefined) spent.hasFound = true;
  }

  #at(now: Millis, peer: RingAddress): Spent | undefined {
    const spent = this.#spent.get(peer);
    if (spent === undefined) return undefined;
    const lifeMs = spent.hasFound ? FOUND_AGAIN_MS : AGAIN_MS;
    return now - spent.since < lifeMs ? spent : undefined;
  }
}
