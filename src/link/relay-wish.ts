import { type Millis, NEVER } from "../base/time.ts";

/** Candidates get this long before a relay is asked for: a LAN or a public address answers within. */
const DIRECT_HEAD_START_MS = 200;
/** The responder leaves the search for a relay to the initiator, unless that finds none. */
const RESPONDER_HEAD_START_MS = 1_500;
/** Searches for a relay that found none are repeated after 1, 2, 4 .. 60 s. */
const FIRST_RELAY_RETRY_MS = 1_000;
const LAST_RELAY_RETRY_MS = 60_000;
/** A second relay is kept warm beside the one that works; the first packets come before it. */
const SPARE_AFTER_MS = 1_000;
/** A relay that a direct path replaced is kept this long, in case the path does not last. */
const SPARE_RELAY_MS = 10_000;

/** When one link wants a relay, and when it wants to give back those it has. */
export class RelayWish {
  #askAt: Millis;
  #retryMs: Millis = FIRST_RELAY_RETRY_MS;
  #releaseAt: Millis = NEVER;

  constructor(now: Millis, initiatedHere: boolean) {
    this.#askAt = now + (initiatedHere ? DIRECT_HEAD_START_MS : RESPONDER_HEAD_START_MS);
  }

  /** Nobody is asked and nothing is planned. */
  get isIdle(): boolean {
    return this.#askAt === NEVER;
  }

  deadline(): Millis {
    return Math.min(this.#askAt, this.#releaseAt);
  }

  /** The link has no path any more. */
  pathLost(now: Millis): void {
    this.#askAt = Math.min(this.#askAt, now + DIRECT_HEAD_START_MS);
    this.#releaseAt = NEVER;
  }

  pathFound(now: Millis, isDirect: boolean): void {
    this.#askAt = isDirect ? NEVER : now + SPARE_AFTER_MS;
    this.#releaseAt = isDirect ? now + SPARE_RELAY_MS : NEVER;
  }

  /** One of the relays is gone, or serves badly. */
  relayLost(now: Millis): void {
    this.#askAt = Math.min(this.#askAt, now + DIRECT_HEAD_START_MS);
  }

  /** Answered by found or failed; should neither come, asked again. */
  asked(now: Millis): void {
    this.#askAt = now + LAST_RELAY_RETRY_MS;
  }

  notNeeded(): void {
    this.#askAt = NEVER;
  }

  found(): void {
    this.#retryMs = FIRST_RELAY_RETRY_MS;
  }

  failed(now: Millis): void {
    this.#askAt = now + this.#retryMs;
    this.#retryMs = Math.min(2 * this.#retryMs, LAST_RELAY_RETRY_MS);
  }

  takeAsk(now: Millis): boolean {
    if (now < this.#askAt) return false;
    this.#askAt = NEVER;
    return true;
  }

  takeRelease(now: Millis): boolean {
    if (now < this.#releaseAt) return false;
    this.#releaseAt = NEVER;
    return true;
  }
}
