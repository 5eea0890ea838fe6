import { equalBytes } from "../base/bytes.ts";
import type { RingAddress } from "../base/ring-address.ts";
import type { Rng } from "../base/rng.ts";
import { type Millis, NEVER } from "../base/time.ts";
import type { RouteMode } from "../ring/ring.ts";
import {
  type Carried,
  COPY,
  type DhtRequest,
  type ReplicaAnswer,
  type WriteOp,
} from "../wire/dht-messages.ts";
import {
  bestOpponent,
  countStatus,
  type Group,
  type Heard,
  largestGroup,
  newestOwn,
  quorumAttestations,
  readGroup,
  type Shown,
} from "./answers.ts";
import type { CheckedRecord, RecordRules } from "./record-rule.ts";
import type { ServedRequest } from "./replica.ts";
import { MAX_REPLICAS, quorumOf } from "./replica-set.ts";
import type { Attestation, DhtOwner, DhtResult } from "./result.ts";
import { isSameSigner } from "./store.ts";
import type { Sync } from "./sync.ts";

/** Leases of a big site and its resolver at once; past this the answer is `unavailable` at once. */
const MAX_PENDING = 1_024;
/**
 * The first repeat comes fast: mostly it was one lost message or a replica that just synced. Later ones
 * leave a slow or shaken overlay the time to answer: each costs a message to and from five replicas.
 */
const RETRY_MS: readonly Millis[] = [250, 500, 750, 1_000];
/** After this nothing was learned, and the owner must hear so. */
const OVERALL_MS = 3_000;
/** How long a quorum that disagrees waits for the rest of the set. */
const SETTLE_MS = 250;

export interface CoordinatorOptions {
  readonly rng: Rng;
  readonly self: RingAddress;
  readonly rules: RecordRules;
  readonly sync: Sync;
  readonly send: (to: RingAddress, mode: RouteMode, request: DhtRequest) => void;
  /** This node's own answer to a question; undefined for `merge`. */
  readonly serveHere: (now: Millis, request: ServedRequest) => Heard | undefined;
  readonly finish: (asker: Asker, key: RingAddress, result: DhtResult) => void;
  /** Whether a replica's attestation of this node's record is right. */
  readonly isGenuine: (own: CheckedRecord, given: Attestation) => boolean;
  /** A signed tombstone above a record of this node. */
  readonly tombstone: (record: CheckedRecord) => CheckedRecord;
}

/** Who waits for the result; undefined for the coordinator's own clean-up. */
export type Asker = { readonly owner: DhtOwner; readonly request: number } | undefined;

interface Pending {
  readonly asker: Asker;
  /** Random u32 on the wire. */
  readonly id: number;
  readonly key: RingAddress;
  readonly op: "get" | WriteOp;
  /** The record to write; undefined for get. */
  readonly own: CheckedRecord | undefined;
  readonly startedAt: Millis;
  readonly answers: Map<RingAddress, Heard>;
  tries: number;
  retryAt: Millis;
  /** When the first quorum of one view was there. */
  quorumAt: Millis;
}

/** A write that ended in `exists` while some replicas had not answered yet. */
interface Mop {
  readonly own: CheckedRecord;
  readonly silent: Set<RingAddress>;
  readonly until: Millis;
}

/**
 * The requester's side: asks, repeats, counts answers of one view, repairs what it saw to be old.
 * A write that lost takes its partial copies back, so that the winner meets no ghosts.
 */
export class Coordinator {
  readonly #options: CoordinatorOptions;
  readonly #pending = new Map<number, Pending>();
  /** Counted with #pending against MAX_PENDING. */
  readonly #mops = new Map<number, Mop>();

  constructor(options: CoordinatorOptions) {
    this.#options = options;
  }

  get(now: Millis, asker: Asker, key: RingAddress): void {
    this.#start(now, { asker, key, op: "get", own: undefined });
  }

  write(now: Millis, asker: Asker, op: "create" | "put", own: CheckedRecord): void {
    this.#start(now, { asker, key: own.record.key, op, own });
  }

  deadline(): Millis {
    let earliest = NEVER;
    for (const pending of this.#pending.values()) {
      earliest = Math.min(earliest, pending.retryAt, pending.quorumAt + SETTLE_MS);
    }
    for (const mop of this.#mops.values()) earliest = Math.min(earliest, mop.until);
    return earliest;
  }

  timeout(now: Millis): void {
    for (const [id, mop] of [...this.#mops]) if (now >= mop.until) this.#withdraw(now, id, mop.own);
    for (const pending of [...this.#pending.values()]) {
      if (now >= pending.quorumAt + SETTLE_MS) this.#decide(now, pending);
      if (now < pending.retryAt || !this.#pending.has(pending.id)) continue;
      if (now >= pending.startedAt + OVERALL_MS) this.#giveUp(now, pending);
      else this.#ask(now, pending);
    }
  }

  /** This node became ready, or sees another set: what waits need not wait for its timer. */
  refresh(now: Millis, viewChanged: boolean): void {
    for (const pending of [...this.#pending.values()]) {
      if (viewChanged) this.#ask(now, pending);
      else this.#askHere(now, pending);
    }
  }

  /** True when somebody still waits for this answer: checking its signature is worth the time. */
  expects(answer: ReplicaAnswer): boolean {
    const { request, key, ready } = answer;
    const own = this.#mops.get(request)?.own.record;
    return ready && (this.#pending.get(request)?.key === key || own?.key === key);
  }

  accept(now: Millis, id: number, heard: Heard): void {
    const pending = this.#pending.get(id);
    const mop = this.#mops.get(id);
    if (mop !== undefined) this.#sweepUp(now, id, mop, heard);
    if (pending === undefined || !heard.view.includes(heard.replica)) return;
    // A set smaller than the members this node knows has not heard of them all: its word is old.
    const known = Math.min(MAX_REPLICAS, this.#options.sync.members.length);
    if (heard.view.length < known) return;
    pending.answers.set(heard.replica, this.#withProof(pending, heard));
    this.#decide(now, pending);
  }

  /** One forged attestation would spoil the proof that the next renewal carries. */
  #withProof(pending: Pending, heard: Heard): Heard {
    const { own } = pending;
    if (heard.attestation === undefined) return heard;
    const genuine = own !== undefined && this.#options.isGenuine(own, heard.attestation);
    return genuine ? heard : { ...heard, attestation: undefined };
  }

  #start(now: Millis, what: Pick<Pending, "asker" | "key" | "op" | "own">): void {
    if (this.#pending.size + this.#mops.size >= MAX_PENDING) {
      this.#options.finish(what.asker, what.key, { status: "unavailable" });
      return;
    }
    let id = this.#options.rng.u32();
    while (this.#pending.has(id) || this.#mops.has(id)) id = this.#options.rng.u32();
    const pending: Pending = {
      ...what,
      id,
      startedAt: now,
      answers: new Map(),
      tries: 0,
      retryAt: now,
      quorumAt: NEVER,
    };
    this.#pending.set(id, pending);
    this.#ask(now, pending);
  }

  #ask(now: Millis, pending: Pending): void {
    const wait = RETRY_MS[Math.min(pending.tries, RETRY_MS.length - 1)] ?? OVERALL_MS;
    pending.retryAt = Math.min(now + wait, pending.startedAt + OVERALL_MS);
    pending.tries++;
    const { self, sync, send } = this.#options;
    const { view, isMember } = sync.replicaState(now, pending.key);
    const request = this.#requestOf(pending);
    if (!isMember) send(pending.key, "nearest", request);
    else for (const to of view) if (to !== self) send(to, "exact", { ...request, passes: COPY });
    this.#askHere(now, pending);
  }

  #askHere(now: Millis, pending: Pending): void {
    const { sync, serveHere } = this.#options;
    if (!this.#pending.has(pending.id)) return;
    if (!sync.replicaState(now, pending.key).ready) return;
    const heard = serveHere(now, this.#requestOf(pending));
    if (heard !== undefined) this.accept(now, pending.id, heard);
  }

  #requestOf(pending: Pending): ServedRequest {
    const { id, key, op, own } = pending;
    const head = { request: id, requester: this.#options.self, key, passes: 0 };
    if (op === "get" || own === undefined) return { ...head, op: "get" };
    return { ...head, op, carried: carryOwn(own) };
  }

  #decide(now: Millis, pending: Pending): void {
    const group = largestGroup(pending.answers.values());
    if (group === undefined) return;
    if (group.answers.length >= quorumOf(group.view.length)) {
      pending.quorumAt = Math.min(pending.quorumAt, now);
    }
    const result =
      pending.own === undefined
        ? this.#judgeGet(now, pending, group)
        : this.#judgeWrite(now, pending, pending.own, group);
    if (result !== undefined) this.#finish(pending, result);
    else if (now >= pending.quorumAt + SETTLE_MS) pending.quorumAt = NEVER;
  }

  #judgeGet(now: Millis, pending: Pending, group: Group): DhtResult | undefined {
    const final = now >= pending.quorumAt + SETTLE_MS;
    const reading = readGroup(group, this.#options.rules, final);
    if (reading.kind === "undecided") return undefined;
    if (reading.kind === "absent") return { status: "absent" };
    const { winner, remainingSeconds } = reading;
    this.#repair(now, group, { ...winner, remainingSeconds });
    return { status: "found", record: winner.checked.record, remainingSeconds };
  }

  #judgeWrite(
    now: Millis,
    pending: Pending,
    own: CheckedRecord,
    group: Group,
  ): DhtResult | undefined {
    const members = group.view.length;
    const quorum = quorumOf(members);
    if (countStatus(group, "stored") >= quorum) {
      const alone = members === 1 && this.#options.sync.isLone;
      return { status: "stored", attestations: quorumAttestations(group), alone };
    }
    const blocking = group.answers.length - countStatus(group, "stored");
    if (blocking <= members - quorum) return undefined;
    if (countStatus(group, "stale") > 0) {
      return { status: "stale", record: newestOwn(group, own).record };
    }
    const opponent = bestOpponent(group, own, this.#options.rules);
    if (opponent === undefined) return undefined;
    return this.#yieldTo(now, pending, own, { opponent, group });
  }

  /**
   * Two creates met and neither has a quorum: the one the rule favours stays, the other goes.
   * Undefined: this one stays and asks again, the other is about to take its copies back.
   */
  #yieldTo(
    now: Millis,
    pending: Pending,
    own: CheckedRecord,
    clash: { readonly opponent: Shown; readonly group: Group },
  ): DhtResult | undefined {
    const { opponent, group } = clash;
    const copies = group.answers.filter(
      (heard) => heard.shown[0] && isSameSigner(heard.shown[0].checked, opponent.checked),
    );
    const rule = this.#options.rules[own.record.kind];
    const isSettled = copies.length >= quorumOf(group.view.length);
    if (pending.op === "create" && !isSettled && rule.compare(own, opponent.checked) < 0) {
      return undefined;
    }
    this.#mopUp(now, pending, own, group);
    const { record } = opponent.checked;
    return { status: "exists", record, remainingSeconds: opponent.remainingSeconds };
  }

  #giveUp(now: Millis, pending: Pending): void {
    const group = largestGroup(pending.answers.values());
    const own = pending.own;
    const clashed = group && own && bestOpponent(group, own, this.#options.rules) !== undefined;
    if (clashed && pending.op === "create") this.#withdraw(now, pending.id, own);
    this.#finish(pending, { status: "unavailable" });
  }

  /**
   * The asker was told that another holds the key. A copy that some replica took all the same goes;
   * replicas that stay silent for a moment are taken to hold one.
   */
  #mopUp(now: Millis, pending: Pending, own: CheckedRecord, group: Group): void {
    const { id } = pending;
    const silent = new Set(group.view);
    for (const heard of group.answers) silent.delete(heard.replica);
    if (countStatus(group, "stored") > 0) this.#withdraw(now, id, own);
    else if (silent.size > 0) this.#mops.set(id, { own, silent, until: now + SETTLE_MS });
  }

  #sweepUp(now: Millis, id: number, mop: Mop, heard: Heard): void {
    mop.silent.delete(heard.replica);
    if (heard.status === "stored") this.#withdraw(now, id, mop.own);
    else if (mop.silent.size === 0) this.#mops.delete(id);
  }

  #withdraw(now: Millis, id: number, own: CheckedRecord): void {
    this.#mops.delete(id);
    this.write(now, undefined, "put", this.#options.tombstone(own));
  }

  /** Replicas that showed less than the winner get it, with the rest of its life. */
  #repair(now: Millis, group: Group, winner: Shown): void {
    const { self, send, serveHere, rng } = this.#options;
    const { record, signer } = winner.checked;
    const { remainingSeconds } = winner;
    const carried: Carried = { remainingSeconds, certificate: signer.bytes, record };
    const head = { request: rng.u32(), requester: self, key: record.key, passes: COPY };
    const merge: ServedRequest = { ...head, op: "merge", carried };
    for (const heard of group.answers) {
      const has = heard.shown.some((one) => equalBytes(one.checked.digest, winner.checked.digest));
      if (has) continue;
      if (heard.replica === self) serveHere(now, merge);
      else send(heard.replica, "exact", merge);
    }
  }

  #finish(pending: Pending, result: DhtResult): void {
    this.#pending.delete(pending.id);
    this.#options.finish(pending.asker, pending.key, result);
  }
}

function carryOwn(own: CheckedRecord): Carried {
  const { record, signer } = own;
  return { remainingSeconds: record.ttlSeconds, certificate: signer.bytes, record };
}
