import { compareBytes, equalBytes, toHex } from "../base/bytes.ts";
import type { RingAddress } from "../base/ring-address.ts";
import type { Millis } from "../base/time.ts";
import { RECORD_OVERHEAD_BYTES } from "../wire/record.ts";
import { renewalsToAttest } from "./attestation.ts";
import { GRAVE_LIMITS, Quota, RECORD_LIMITS } from "./quota.ts";
import {
  type Age,
  BY_CLASS,
  BY_HASH,
  BY_MERIT,
  type CheckedRecord,
  compareAge,
  type RecordRules,
  type Signer,
} from "./record-rule.ts";
import { VersionMemory } from "./version-memory.ts";

/** A record in the store. */
export interface Held extends CheckedRecord {
  readonly expiresAt: Millis;
  /** The renewal count this replica vouches for; fixed when it came, so that a repeat gets the same. */
  readonly vouchedRenewals: number;
}

export type OfferMode = "create" | "put" | "merge";

/** What the store did with an offer. `held` is what stands under the key now, or what was in the way. */
export type Verdict =
  | { readonly status: "stored"; readonly held: Held; readonly before: Held | undefined }
  | { readonly status: "exists"; readonly held: Held }
  | { readonly status: "stale"; readonly held: Held | undefined }
  | { readonly status: "refused" };

/**
 * How long a tombstone is shown to others: many repair rounds, so that a replica that missed it
 * learns of it and does not bring the record back.
 */
const GRAVE_MS = 3_600_000;
/** Tombstones kept per key; the answer to a get shows as many. */
const GRAVES_PER_KEY = 3;
/** Map entries, objects and digests around a record's own bytes. */
const BOOKKEEPING_BYTES = 128;

interface Slot {
  live: Held | undefined;
  graves: Held[];
}

/**
 * The records one replica keeps: at most one live record per key, beside the tombstones of what was
 * removed. Lives are counted on the caller's monotonic clock. Bounded by Quota and VersionMemory.
 */
export class Store {
  readonly #rules: RecordRules;
  readonly #slots = new Map<RingAddress, Slot>();
  readonly #quota: Quota;
  readonly #graveQuota = new Quota(GRAVE_LIMITS);
  readonly #memory = new VersionMemory();

  /** @param own this node's Ed25519 public key; without one every signer has the same quota */
  constructor(rules: RecordRules, own?: Uint8Array) {
    this.#rules = rules;
    this.#quota = new Quota(RECORD_LIMITS, own && toHex(own));
  }

  /** Tombstones included. */
  size(): { records: number; bytes: number } {
    return {
      records: this.#quota.records + this.#graveQuota.records,
      bytes: this.#quota.bytes + this.#graveQuota.bytes,
    };
  }

  /** The live record of a key; undefined when absent, removed or expired. */
  live(now: Millis, key: RingAddress): Held | undefined {
    return this.#slot(now, key)?.live;
  }

  /** Live record and tombstones of a key, live first. */
  all(now: Millis, key: RingAddress): Held[] {
    const slot = this.#slot(now, key);
    if (slot === undefined) return [];
    return slot.live === undefined ? [...slot.graves] : [slot.live, ...slot.graves];
  }

  /** Keys in no particular order; expired ones may still be among them. */
  keys(): IterableIterator<RingAddress> {
    return this.#slots.keys();
  }

  /** True when offering this very record again would change nothing. */
  knows(now: Millis, record: CheckedRecord["record"]): boolean {
    const held = this.all(now, record.key);
    if (held.some((one) => equalBytes(one.record.signature, record.signature))) return true;
    const newest = this.#memoryOf(now, record);
    return newest !== undefined && compareAge(record, newest) < 0;
  }

  /**
   * @param remainingMs rest of its life; create and put pass the whole ttl
   */
  offer(now: Millis, checked: CheckedRecord, mode: OfferMode, remainingMs: Millis): Verdict {
    const slot = this.#slot(now, checked.record.key);
    if (checked.record.ttlSeconds === 0) return this.#bury(now, checked);
    const live = slot?.live;
    if (live !== undefined && !isSameSigner(live, checked)) {
      const clash = this.#settle(now, live, checked, mode);
      if (clash !== undefined) return clash;
    } else {
      const stale = this.#olderThanKnown(now, checked, live, mode);
      if (stale !== undefined) return stale;
    }
    return this.#keep(now, checked, live, now + Math.max(0, remainingMs));
  }

  /** Forgets what expired; called now and then so that unasked keys go too. */
  sweep(now: Millis): void {
    for (const key of [...this.#slots.keys()]) this.#slot(now, key);
    this.#memory.sweep(now);
  }

  /** Hands a key to others: it is no longer this node's to keep. */
  drop(key: RingAddress): void {
    const slot = this.#slots.get(key);
    if (slot === undefined) return;
    if (slot.live !== undefined) this.#release(slot.live);
    for (const grave of slot.graves) this.#open(grave);
    this.#slots.delete(key);
  }

  /** What these signers wrote is gone, as if it had never been here. */
  dropWhere(isGone: (signer: Signer) => boolean): void {
    for (const [key, slot] of [...this.#slots]) {
      if (slot.live !== undefined && isGone(slot.live.signer)) {
        this.#release(slot.live);
        slot.live = undefined;
      }
      for (const grave of slot.graves) if (isGone(grave.signer)) this.#open(grave);
      slot.graves = slot.graves.filter((grave) => !isGone(grave.signer));
      if (slot.live === undefined && slot.graves.length === 0) this.#slots.delete(key);
    }
  }

  /** The slot without what expired; removed when nothing is left in it. */
  #slot(now: Millis, key: RingAddress): Slot | undefined {
    const slot = this.#slots.get(key);
    if (slot === undefined) return undefined;
    if (slot.live !== undefined && slot.live.expiresAt <= now) {
      this.#release(slot.live);
      slot.live = undefined;
    }
    if (slot.graves.some((grave) => grave.expiresAt <= now)) {
      for (const grave of slot.graves) if (grave.expiresAt <= now) this.#open(grave);
      slot.graves = slot.graves.filter((grave) => grave.expiresAt > now);
    }
    if (slot.live !== undefined || slot.graves.length > 0) return slot;
    this.#slots.delete(key);
    return undefined;
  }

  /** Another signer holds the key: undefined when the newcomer may displace it. */
  #settle(now: Millis, live: Held, checked: CheckedRecord, mode: OfferMode): Verdict | undefined {
    const newest = this.#memoryOf(now, checked.record);
    // It was here and is not any more (expired, removed, beaten): a late copy is no news.
    if (newest !== undefined && compareAge(checked.record, newest) <= 0) {
      return { status: "exists", held: live };
    }
    const order = this.#rules[checked.record.kind].compare(checked, live);
    const needed = { create: BY_CLASS, put: BY_MERIT, merge: BY_HASH }[mode];
    return order <= -needed ? undefined : { status: "exists", held: live };
  }

  #olderThanKnown(
    now: Millis,
    checked: CheckedRecord,
    live: Held | undefined,
    mode: OfferMode,
  ): Verdict | undefined {
    // A signer that writes much is remembered in part; what it holds is still here.
    const newest = this.#memoryOf(now, checked.record) ?? live?.record;
    if (newest === undefined) return undefined;
    const order = compareAge(checked.record, newest);
    if (order > 0) return undefined;
    const known = live ?? this.#graveOf(checked);
    if (order < 0 || live === undefined) return { status: "stale", held: known };
    if (equalBytes(live.digest, checked.digest)) {
      return { status: "stored", held: live, before: live };
    }
    // One signer, two records of one version: every replica settles on the same one.
    const wins = mode === "merge" && compareBytes(checked.digest, live.digest) < 0;
    return wins ? undefined : { status: "stale", held: live };
  }

  #graveOf(checked: CheckedRecord): Held | undefined {
    const graves = this.#slots.get(checked.record.key)?.graves ?? [];
    return graves.find((grave) => isSameSigner(grave, checked));
  }

  #keep(now: Millis, checked: CheckedRecord, live: Held | undefined, expiresAt: Millis): Verdict {
    const cost = costOf(checked);
    const freed = live === undefined ? 0 : costOf(live);
    if (live !== undefined) this.#release(live);
    if (!this.#quota.take(signerName(checked), cost, isAttested(checked))) {
      if (live !== undefined) this.#quota.take(signerName(live), freed, isAttested(live));
      return { status: "refused" };
    }
    const held: Held = { ...checked, expiresAt, vouchedRenewals: vouchFor(now, checked, live) };
    const slot = this.#slots.get(checked.record.key) ?? { live: undefined, graves: [] };
    slot.live = held;
    this.#slots.set(checked.record.key, slot);
    this.#memory.remember(signerName(checked), checked.record, expiresAt);
    return { status: "stored", held, before: live };
  }

  /** A tombstone removes its signer's record, never another's. */
  #bury(now: Millis, checked: CheckedRecord): Verdict {
    const { record } = checked;
    const slot = this.#slots.get(record.key) ?? { live: undefined, graves: [] };
    const known = slot.graves.find((grave) => isSameSigner(grave, checked));
    const live = slot.live !== undefined && isSameSigner(slot.live, checked) ? slot.live : known;
    const newest = this.#memoryOf(now, record) ?? live?.record;
    const order = newest === undefined ? 1 : compareAge(record, newest);
    if (order === 0 && known !== undefined && equalBytes(known.digest, checked.digest)) {
      return { status: "stored", held: known, before: known };
    }
    if (order <= 0) return { status: "stale", held: live };
    const held: Held = { ...checked, expiresAt: now + GRAVE_MS, vouchedRenewals: 0 };
    this.#memory.remember(signerName(checked), record, held.expiresAt);
    if (slot.live !== undefined && isSameSigner(slot.live, checked)) {
      this.#release(slot.live);
      slot.live = undefined;
    }
    this.#addGrave(slot, held);
    if (slot.live !== undefined || slot.graves.length > 0) this.#slots.set(record.key, slot);
    else this.#slots.delete(record.key);
    return { status: "stored", held, before: live };
  }

  #addGrave(slot: Slot, held: Held): void {
    for (const grave of slot.graves) if (isSameSigner(grave, held)) this.#open(grave);
    slot.graves = slot.graves.filter((grave) => !isSameSigner(grave, held));
    if (!this.#graveQuota.take(signerName(held), costOf(held), false)) return;
    slot.graves.unshift(held);
    for (const grave of slot.graves.splice(GRAVES_PER_KEY)) this.#open(grave);
  }

  #memoryOf(now: Millis, record: CheckedRecord["record"]): Age | undefined {
    return this.#memory.newest(now, toHex(record.signer), record.key);
  }

  #release(held: Held): void {
    this.#quota.give(signerName(held), costOf(held), isAttested(held));
  }

  #open(grave: Held): void {
    this.#graveQuota.give(signerName(grave), costOf(grave), false);
  }
}

export function isSameSigner(a: CheckedRecord, b: CheckedRecord): boolean {
  return equalBytes(a.record.signer, b.record.signer);
}

/** Whole seconds left, at least 1 while it lives; a tombstone has none. */
export function remainingSeconds(now: Millis, held: Held): number {
  if (held.record.ttlSeconds === 0) return 0;
  const seconds = Math.ceil((held.expiresAt - now) / 1000);
  return Math.max(1, Math.min(held.record.ttlSeconds, seconds));
}

/** The age of the version before counts on the record's own life, not on when it came here. */
function vouchFor(now: Millis, checked: CheckedRecord, before: Held | undefined): number {
  const same = before !== undefined && isSameSigner(before, checked) ? before : undefined;
  const age = same && same.record.ttlSeconds - (same.expiresAt - now) / 1000;
  return renewalsToAttest(checked.standing.renewals, checked.record.ttlSeconds, age);
}

function costOf(checked: CheckedRecord): number {
  const own = RECORD_OVERHEAD_BYTES + checked.record.body.length;
  return own + checked.signer.bytes.length + BOOKKEEPING_BYTES;
}

function isAttested(checked: CheckedRecord): boolean {
  return checked.standing.renewals > 0;
}

function signerName(checked: CheckedRecord): string {
  return toHex(checked.record.signer);
}
