/**
 * Finding one's own place: a connect-to-me routed to the own address. Whoever is nearest links to us
 * and answers with its neighbours. Asked through each first link until answered (join), through a
 * link to a stranger (two rings may meet there), and now and then through a far link, which finds
 * what lists of neighbours cannot: the other side of a gap.
 */
import type { RingAddress } from "../base/ring-address.ts";
import { below, jitter, type Rng } from "../base/rng.ts";
import { type Millis, NEVER } from "../base/time.ts";
import { PAYLOAD_TYPES } from "../wire/message-type.ts";
import { emitConnectToMe } from "../wire/ring-messages.ts";
import { type Forwarder, HOP_LIMIT } from "./forward.ts";
import { isInRing, type LinkTable, type RingLink } from "./link-table.ts";
import type { Lists } from "./lists.ts";

/** A lost question is repeated: several round trips through the agent fit. */
const RETRY_MS = 1_000;
/** A ring of thousands asks some hundred such questions a second in all. */
const PERIOD_MS = 30_000;
const SPREAD = 0.25;

export interface JoinOptions {
  readonly self: RingAddress;
  readonly name: string;
  readonly rng: Rng;
  readonly links: LinkTable;
  readonly lists: Lists;
  readonly forwarder: Forwarder;
}

export class Join {
  readonly #options: JoinOptions;
  #nonce = 0;
  #answered = false;
  #nextAt: Millis = NEVER;
  #turn = 0;

  constructor(options: JoinOptions) {
    this.#options = options;
  }

  /** Somebody told us our place since the last time we had no link. */
  get isAnswered(): boolean {
    return this.#answered;
  }

  /** Without links the search starts anew. */
  reset(): void {
    this.#answered = false;
    this.#nextAt = NEVER;
  }

  /** Ask at once, beginning at this link. */
  askThrough(now: Millis, link: RingLink): void {
    const { self, name, rng, lists, forwarder } = this.#options;
    this.#nonce = rng.u32();
    const endpoints = lists.endpoints;
    const envelope = {
      source: self,
      destination: self,
      nearest: true,
      excludeSource: true,
      hopLimit: HOP_LIMIT,
      payloadType: PAYLOAD_TYPES["connect-to-me"],
      sourceAgent: undefined,
      destinationAgent: undefined,
      visited: [],
      payload: emitConnectToMe({ nonce: this.#nonce, name, endpoints }),
    };
    forwarder.startThrough(now, envelope, link);
    this.#nextAt = now + jitter(rng, this.#answered ? PERIOD_MS : RETRY_MS, SPREAD);
  }

  /** Neighbours went away: ask soon from afar. */
  hurry(now: Millis): void {
    this.#nextAt = Math.min(this.#nextAt, now + RETRY_MS);
  }

  /** @param nonce of an answer; answers to older questions are as good, but finish nothing */
  answered(now: Millis, nonce: number): void {
    if (nonce !== this.#nonce) return;
    this.#answered = true;
    this.#nextAt = Math.max(this.#nextAt, now + jitter(this.#options.rng, PERIOD_MS, SPREAD));
  }

  timeout(now: Millis, near: ReadonlySet<RingAddress>): void {
    if (this.#nextAt > now) return;
    const link = this.#answered ? this.#farLink(near) : this.#nextLink();
    if (link !== undefined) this.askThrough(now, link);
    else this.#nextAt = this.#answered ? now + PERIOD_MS : NEVER;
  }

  deadline(): Millis {
    return this.#nextAt;
  }

  #nextLink(): RingLink | undefined {
    const usable = this.#options.links.usable();
    return usable[this.#turn++ % Math.max(1, usable.length)];
  }

  #farLink(near: ReadonlySet<RingAddress>): RingLink | undefined {
    const usable = this.#options.links.usable().filter((link) => !link.suspect && isInRing(link));
    const far = usable.filter((link) => !near.has(link.address));
    return far.length === 0 ? undefined : far[below(this.#options.rng, far.length)];
  }
}
