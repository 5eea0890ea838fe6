import { equalBytes } from "../base/bytes.ts";
import type { RingAddress } from "../base/ring-address.ts";
import { jitter, type Rng } from "../base/rng.ts";
import { type Millis, TimerTable } from "../base/time.ts";
import type { RingView } from "../ring/ring.ts";
import {
  type Carried,
  type DhtRequest,
  DIGEST_BYTES,
  MAX_PAGE_RECORDS,
  type SyncPage,
} from "../wire/dht-messages.ts";
import { RECORD_OVERHEAD_BYTES } from "../wire/record.ts";
import { HERALD_MS, Heralds } from "./heralds.ts";
import type { RecordCheck } from "./record-check.ts";
import { membersOf, quorumOf, replicasOf, sameSet, windowAround } from "./replica-set.ts";
import { type Held, isSameSigner, remainingSeconds, type Store } from "./store.ts";

/** Ring neighbours a side, as in RingView. */
const SIDES = 4;
/**
 * A page that got lost is asked for again, doubled each time up to the last one: a slow peer is still
 * sending the one before. A dead peer leaves the view and is not asked.
 */
const ASK_AGAIN_MS = 500;
const ASK_AGAIN_LAST_MS = 2_000;
/** Comparing digests costs a few hundred bytes a peer: often enough to outlive two lost messages. */
const REPAIR_MS = 30_000;
/** Neighbours of a moment ago, who still hold the view that this node asked them by. */
const MAX_TOLD = 32;
/** Nothing lies behind it: a question from there on says who asks and by which view, no more. */
const LAST_KEY: RingAddress = 2n ** 160n - 1n;
/** One silent neighbour does not keep a newcomer waiting once this many others have answered. */
const ENOUGH_HEARD = 4;
/** After the ring has been quiet this long, others hold what is no longer this node's. */
const DROP_AFTER_MS = 300_000;
/**
 * A page is full from here on; the key that fills it adds at most four records of 4.6 KB, and the
 * payload of a routed envelope carries 32,768 bytes.
 */
const PAGE_BYTES = 12_288;

type SyncRequest = Extract<DhtRequest, { op: "sync" }>;

/** What one replica set is, seen from here, and whether this node may speak as a member of it. */
export interface ReplicaState {
  /** ascending, at most five */
  readonly view: readonly RingAddress[];
  readonly isMember: boolean;
  /** False: this node does not know enough to answer ("syncing"). */
  readonly ready: boolean;
}

export interface SyncOptions {
  readonly rng: Rng;
  readonly self: RingAddress;
  readonly store: Store;
  readonly check: RecordCheck;
  readonly send: (to: RingAddress, request: SyncRequest) => void;
  /** A record came that beat another signer's. */
  readonly onClash: (winner: Held, loser: Held) => void;
}

/** One peer in the current round: the page we wait for, or done. */
interface Pull {
  cursor: RingAddress;
  /** When this page is asked for again, and how long it was waited for so far. */
  againAt: Millis;
  waitMs: Millis;
  done: boolean;
}

/** The view by which a peer was asked, and until when it may count there. */
interface Told {
  members: readonly RingAddress[];
  until: Millis;
}

/**
 * Keeps a replica's range complete. With every change of the view the node asks all its neighbours
 * for what it should hold by its new view; the same question every 30 s is the repair.
 *
 * Whether the node may answer for a key follows from three sets (old = when it last had heard from
 * all its neighbours, new = now, others = new without itself):
 *
 *   in old, and any new quorum still meets any old one     ready
 *   in old, but the set shrank too fast for that           ready after all others answered
 *   not in old                                             ready after all neighbours answered, or
 *                                                          all but one of five or more
 *
 * Who answered such a question (a herald's) speaks from then on only for the replica set that the
 * herald sees, or not at all: nothing is accepted behind the back of those who just read.
 * Who was asked and is no neighbour any more is told of each later view, or it would stay silent for
 * keys that nobody contests. So an acknowledged write is known to some ready member of each later quorum.
 */
export class Sync {
  readonly #options: SyncOptions;
  readonly #timers = new TimerTable<"ask" | "repair">();
  /** What the ring says, self included, ascending. */
  #members: RingAddress[];
  #stable = false;
  #lone = false;
  /** Members when the last round was complete; undefined: never yet. */
  #settled: RingAddress[] | undefined;
  readonly #heralds = new Heralds();
  readonly #told = new Map<RingAddress, Told>();
  readonly #pulls = new Map<RingAddress, Pull>();
  /** Who answered a whole round since the view changed; true: it was complete itself. */
  readonly #heard = new Map<RingAddress, boolean>();
  #round = 0;
  #changedAt: Millis = 0;

  constructor(options: SyncOptions) {
    this.#options = options;
    this.#members = [options.self];
  }

  get members(): readonly RingAddress[] {
    return this.#members;
  }

  get isLone(): boolean {
    return this.#lone && this.#members.length === 1;
  }

  /** @returns true when the set of members is another one */
  setView(now: Millis, view: RingView): boolean {
    const members = membersOf(view);
    const changed = !sameSet(members, this.#members);
    this.#members = members;
    this.#stable = view.stable;
    if (changed) {
      this.#changedAt = now;
      this.#heard.clear();
      this.#pulls.clear();
    }
    // A joiner that sees one distant member yet must not make it doubt its own replica sets.
    const mayAsk = view.stable || this.#settled !== undefined;
    if (mayAsk && this.#pulls.size < members.length - 1) this.#startRound(now);
    if (view.stable) this.#tellFormer(now);
    this.#settle();
    return changed;
  }

  /** Alone, the node holds all there is: it is complete by definition. */
  setLone(lone: boolean): void {
    this.#lone = lone;
    this.#settle();
  }

  deadline(): Millis {
    return this.#timers.deadline();
  }

  timeout(now: Millis): void {
    for (const name of this.#timers.takeExpired(now)) {
      if (name === "repair") this.#repair(now);
      else this.#askAgain(now);
    }
  }

  replicaState(now: Millis, key: RingAddress): ReplicaState {
    const view = replicasOf(this.#effectiveMembers(now), key);
    const isMember = view.includes(this.#options.self);
    const ready = isMember && !this.#heralds.contest(key, view) && this.#isReady(key, view);
    return { view, isMember, ready };
  }

  /** A peer asks for what it should hold by its own view, given in the request. */
  serve(now: Millis, request: SyncRequest): SyncPage {
    this.#heralds.note(now, request, this.#members);
    const { requester, members } = request;
    const shared = this.#sharedWith(now, members, requester);
    const all = this.#heldFor(now, members, requester);
    const head = { form: "page", request: request.request, key: request.key } as const;
    const informed = this.#isInformed();
    const isSame = all.length === shared.length && equalBytes(digestOf(shared), request.digest);
    if (request.key === 0n && isSame) {
      return { ...head, informed, same: true, next: undefined, carried: [] };
    }
    return { ...head, informed, same: false, ...cutPage(now, all, request.key) };
  }

  /** A page this node asked for. @returns true when it may have made a key ready */
  accept(now: Millis, from: RingAddress, page: SyncPage): boolean {
    const pull = this.#pulls.get(from);
    if (pull === undefined || page.request !== this.#round || page.key !== pull.cursor)
      return false;
    for (const carried of page.carried) this.#merge(now, carried);
    if (page.next !== undefined) {
      this.#ask(now, from, pull, page.next);
      return false;
    }
    pull.done = true;
    this.#heard.set(from, page.informed);
    this.#settle();
    return true;
  }

  #isReady(key: RingAddress, view: readonly RingAddress[]): boolean {
    if (this.#members.length === 1 && view.length === 1) return this.#lone;
    const others = view.filter((member) => member !== this.#options.self);
    const answered = others.filter((member) => this.#heard.has(member));
    if (this.#settled !== undefined) {
      const old = replicasOf(this.#settled, key);
      if (old.includes(this.#options.self)) {
        const unaware = old.length - quorumOf(old.length);
        return unaware < quorumOf(view.length) || answered.length === others.length;
      }
    } else if (!this.#stable) {
      return false;
    }
    const silent = this.#members.length - 1 - this.#heard.size;
    const someoneKnows = [...this.#heard.values()].includes(true);
    return silent === 0 || (silent === 1 && this.#heard.size >= ENOUGH_HEARD && someoneKnows);
  }

  /** Complete: all neighbours were heard since the last change of view. */
  #isInformed(): boolean {
    return this.#settled !== undefined && sameSet(this.#settled, this.#members);
  }

  #settle(): void {
    const self = this.#options.self;
    if (this.isLone) this.#settled = [self];
    if (!this.#stable || this.#members.length === 1) return;
    if (this.#members.every((member) => member === self || this.#heard.has(member))) {
      this.#settled = this.#members;
    }
  }

  /** The ring's members and those who, by their own word, are about to be. */
  #effectiveMembers(now: Millis): RingAddress[] {
    const heralds = this.#heralds.peers(now);
    if (heralds.length === 0) return this.#members;
    return windowAround(this.#options.self, [...this.#members, ...heralds], SIDES);
  }

  #startRound(now: Millis): void {
    this.#round = this.#laterRound(now);
    this.#pulls.clear();
    for (const peer of this.#members) {
      if (peer === this.#options.self) continue;
      const pull: Pull = { cursor: 0n, againAt: now, waitMs: 0, done: false };
      this.#pulls.set(peer, pull);
      this.#ask(now, peer, pull, 0n);
    }
    this.#timers.set("repair", now + jitter(this.#options.rng, REPAIR_MS, 0.2));
  }

  #ask(now: Millis, peer: RingAddress, pull: Pull, cursor: RingAddress): void {
    const isRepeated = pull.waitMs > 0 && pull.cursor === cursor;
    pull.waitMs = isRepeated ? Math.min(ASK_AGAIN_LAST_MS, 2 * pull.waitMs) : ASK_AGAIN_MS;
    pull.againAt = now + pull.waitMs;
    pull.cursor = cursor;
    const shared = cursor === 0n ? this.#sharedWith(now, this.#members, peer) : [];
    this.#send(now, peer, cursor, digestOf(shared));
    this.#timers.setEarlier("ask", pull.againAt);
  }

  #send(now: Millis, peer: RingAddress, key: RingAddress, digest: Uint8Array): void {
    const members = this.#members;
    this.#told.delete(peer);
    if (this.#told.size < MAX_TOLD) this.#told.set(peer, { members, until: now + HERALD_MS });
    const { self: requester, send } = this.#options;
    send(peer, { op: "sync", passes: 0, request: this.#round, requester, key, members, digest });
  }

  /** Who keeps the view of a moment ago for ours would not speak for our keys: take it back. */
  #tellFormer(now: Millis): void {
    for (const [peer, { members, until }] of [...this.#told]) {
      if (until <= now) this.#told.delete(peer);
      else if (!sameSet(members, this.#members)) this.#send(now, peer, LAST_KEY, digestOf([]));
    }
  }

  /** Later than all before, also of an earlier start of this process: the clock counts from boot. */
  #laterRound(now: Millis): number {
    return Math.max(this.#round + 1, Math.floor(now) % 2 ** 32) >>> 0;
  }

  #askAgain(now: Millis): void {
    for (const [peer, pull] of this.#pulls) {
      if (pull.done) continue;
      if (now >= pull.againAt) this.#ask(now, peer, pull, pull.cursor);
      this.#timers.setEarlier("ask", pull.againAt);
    }
  }

  #repair(now: Millis): void {
    this.#options.store.sweep(now);
    if (now - this.#changedAt > DROP_AFTER_MS) this.#dropForeign();
    this.#startRound(now);
  }

  #dropForeign(): void {
    const { store, self } = this.#options;
    for (const key of [...store.keys()]) {
      if (!replicasOf(this.#members, key).includes(self)) store.drop(key);
    }
  }

  /** What both this node and a peer should hold, by the given members. */
  #sharedWith(now: Millis, members: readonly RingAddress[], peer: RingAddress): Held[] {
    const held = this.#heldFor(now, members, peer);
    return held.filter(({ record }) =>
      replicasOf(members, record.key).includes(this.#options.self),
    );
  }

  /** What this node has and a peer should hold, ascending by key. */
  #heldFor(now: Millis, members: readonly RingAddress[], peer: RingAddress): Held[] {
    const { store } = this.#options;
    const keys = [...store.keys()].filter((key) => replicasOf(members, key).includes(peer));
    keys.sort((a, b) => (a < b ? -1 : 1));
    return keys.flatMap((key) => store.all(now, key));
  }

  #merge(now: Millis, carried: Carried): void {
    const { store, check, onClash, self } = this.#options;
    const { record } = carried;
    if (!replicasOf(this.#members, record.key).includes(self)) return;
    if (store.knows(now, record)) return;
    const checked = check.check(record, carried.certificate);
    if (!checked.ok) return;
    const seconds = Math.min(carried.remainingSeconds, record.ttlSeconds);
    const verdict = store.offer(now, checked.value, "merge", seconds * 1000);
    if (verdict.status !== "stored" || verdict.before === undefined) return;
    if (!isSameSigner(verdict.before, verdict.held)) onClash(verdict.held, verdict.before);
  }
}

/** XOR over the records' digests: independent of their order. */
function digestOf(held: readonly Held[]): Uint8Array {
  const out = new Uint8Array(DIGEST_BYTES);
  for (const one of held) {
    for (let i = 0; i < DIGEST_BYTES; i++) out[i] = (out[i] ?? 0) ^ (one.digest[i] ?? 0);
  }
  return out;
}

/** Whole keys from `first` on, up to a page; the next key when more are left. */
function cutPage(
  now: Millis,
  shared: readonly Held[],
  first: RingAddress,
): { next: RingAddress | undefined; carried: Carried[] } {
  const carried: Carried[] = [];
  let bytes = 0;
  let lastKey: RingAddress | undefined;
  for (const held of shared) {
    if (held.record.key < first) continue;
    const isNewKey = held.record.key !== lastKey;
    const full = bytes >= PAGE_BYTES || carried.length > MAX_PAGE_RECORDS - PAGE_MARGIN;
    if (isNewKey && full) return { next: held.record.key, carried };
    lastKey = held.record.key;
    bytes += RECORD_OVERHEAD_BYTES + held.record.body.length + held.signer.bytes.length;
    carried.push(carryHeld(now, held));
  }
  return { next: undefined, carried };
}

/** A key has at most this many records, and a page holds keys whole. */
const PAGE_MARGIN = 4;

export function carryHeld(now: Millis, held: Held): Carried {
  return {
    remainingSeconds: remainingSeconds(now, held),
    certificate: held.signer.bytes,
    record: held.record,
  };
}
