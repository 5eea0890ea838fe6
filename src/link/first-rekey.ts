/**
 * When the first rekey after a handshake is begun: the one that mixes the post-quantum secret in.
 *
 *      idle --handshake begun here--> waiting --the peer answers--> due --begin--> unanswered
 *       ^                                                            ^--10 s, 3 times--/
 *       \-- new keys, or 3 tries without an answer
 */
import { type Millis, NEVER } from "../base/time.ts";

/** A rekey unanswered for this long is begun again. */
export const RETRY_MS: Millis = 10_000;
/** Then the link goes on as it is, and the regular rekeys try (rekeying.ts). */
const MAX_TRIES = 3;

export class FirstRekey {
  #isWaiting = false;
  #tries = 0;
  #at: Millis = NEVER;

  /** When it is due; NEVER while it is not wanted or the peer was not heard. */
  get at(): Millis {
    return this.#at;
  }

  /** This side began a handshake, and has its keys. The other leaves it to us: two would cross. */
  expect(): void {
    this.#isWaiting = true;
    this.#tries = 0;
    this.#at = NEVER;
  }

  /** The peer has the keys of the handshake, and a path works both ways. */
  heard(now: Millis): void {
    if (!this.#isWaiting) return;
    this.#isWaiting = false;
    this.#at = now;
  }

  /** It is begun now, if it is due. */
  begin(now: Millis): boolean {
    if (this.#at > now) return false;
    this.#tries++;
    this.#at = this.#tries < MAX_TRIES ? now + RETRY_MS : NEVER;
    return true;
  }

  /** A rekey ended well. */
  done(): void {
    this.#isWaiting = false;
    this.#at = NEVER;
  }
}
