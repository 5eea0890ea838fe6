import { addressText, type RingAddress } from "../base/ring-address.ts";
import { jitter } from "../base/rng.ts";
import type { Millis } from "../base/time.ts";
import type { DhtResult } from "../dht/result.ts";
import type { DhtRecord } from "../wire/record.ts";
import type { Claim, Hold, Question, QuestionKind } from "./claim.ts";
import type { Desk } from "./desk.ts";
import { parseLeaseRecord } from "./lease-record.ts";
import type { LeaseState } from "./lease-state.ts";
import type { Found } from "./searcher.ts";

/** As DHCP clients do at T1 would be a half; a third leaves two more tries at full length. */
const RENEW_FRACTION = 1 / 3;
/** Members never renew in step. */
const RENEW_JITTER = 0.05;
/** A renewal that found no quorum is tried again within these bounds, sooner near the end. */
const RETRY_MIN_MS = 1_000;
const RETRY_MAX_MS = 60_000;
const RETRY_FRACTION = 1 / 8;
/** How soon a clash that a healed partition brought is noticed without traffic. */
const CHECK_MS = 30_000;
/** Above this many leases a site checks each of them less often, not more of them a second. */
const CHECKED_AT_ONCE = 16;
const CHECK_MAX_MS = 300_000;
/** A lone lease waits for its quorum at this pace while the new ring settles. */
const RECLAIM_RETRY_MS = 1_000;

export interface KeeperOptions {
  readonly desk: Desk;
  readonly isAlone: () => boolean;
  readonly isJoined: () => boolean;
  /** Most linked members have another range. */
  readonly isDisputed: () => boolean;
  readonly leaseCount: () => number;
  readonly onLost: (claim: Claim, hold: Hold, why: Loss) => void;
}

export interface Loss {
  readonly reason: string;
  readonly winner: RingAddress | undefined;
}

/** Keeps bound addresses: renews, checks, claims lone leases again, and lets go in time. */
export class Keeper {
  readonly #options: KeeperOptions;

  constructor(options: KeeperOptions) {
    this.#options = options;
  }

  /**
   * A search ended well. The first renewal follows at once, for an offer when it was taken: it
   * carries the quorum's signatures.
   */
  bind(now: Millis, claim: Claim, found: Found): void {
    const { search, result } = found;
    const { ip, epoch, version, sentAt } = search;
    const { leaseSeconds } = this.#options.desk;
    const renewals = 0;
    const alone = search.alone || result.alone;
    const { client, mac } = claim;
    const expiresAt = sentAt + leaseSeconds * 1000;
    const hold: Hold = {
      lease: { client, mac, ip, epoch, version, renewals, alone, expiresAt, leaseSeconds },
      attestations: result.attestations,
      version,
      question: undefined,
      failures: 0,
      renewAt: this.#renewalAfter(sentAt),
      checkAt: this.#checkAfter(now),
    };
    claim.state = { kind: "bound", hold };
    this.#options.desk.output({ kind: "bound", lease: hold.lease });
    if (alone) this.reclaim(now, claim, hold);
    else this.#prove(now, claim, hold);
  }

  /** The client took what it was offered. */
  confirm(now: Millis, claim: Claim, hold: Hold): void {
    if (hold.question === undefined) this.#prove(now, claim, hold);
    else if (hold.lease.renewals === 0) hold.renewAt = now;
  }

  timeout(now: Millis, claim: Claim, hold: Hold): void {
    if (now >= hold.lease.expiresAt) {
      const reason = "no quorum confirmed it before its time ran out";
      return this.#options.onLost(claim, hold, { reason, winner: undefined });
    }
    if (hold.question !== undefined) return;
    if (hold.lease.alone && this.#options.isDisputed()) return this.#waitForPeace(now, hold);
    if (now >= hold.renewAt) this.renew(now, claim, hold);
    else if (now >= hold.checkAt) this.#ask(now, claim, hold, "check");
  }

  /** A lone lease is renewed by claiming it again as soon as others are there. */
  renew(now: Millis, claim: Claim, hold: Hold): void {
    const again = hold.lease.alone && this.#options.isJoined();
    this.#ask(now, claim, hold, again ? "reclaim" : "renew");
  }

  /** Others are there: what was leased alone has to stand the question of a quorum. */
  reclaim(now: Millis, claim: Claim, hold: Hold): void {
    const { isJoined, isDisputed } = this.#options;
    if (!hold.lease.alone || !isJoined() || isDisputed()) return;
    if (hold.question === undefined) this.#ask(now, claim, hold, "reclaim");
    else hold.renewAt = now;
  }

  accept(now: Millis, claim: Claim, hold: Hold, result: DhtResult): void {
    const { question } = hold;
    if (question === undefined) return;
    hold.question = undefined;
    switch (result.status) {
      case "stored":
        return this.#extend(now, claim, hold, { question, result });
      case "exists":
        return this.#options.onLost(claim, hold, lossTo(result.record));
      case "stale":
        return this.#rise(now, claim, hold, { question, record: result.record });
      case "found":
        return this.#compare(now, claim, hold, result.record);
      case "absent":
        // The replicas lost it: write it again rather than wait for somebody to take the address.
        return this.renew(now, claim, hold);
      case "unavailable":
        return this.#retry(now, hold, question);
    }
  }

  #ask(now: Millis, claim: Claim, hold: Hold, kind: QuestionKind): void {
    const { desk } = this.#options;
    const { ip, epoch } = hold.lease;
    const alone = kind !== "reclaim" && (hold.lease.alone || this.#options.isAlone());
    hold.checkAt = this.#checkAfter(now);
    if (kind === "check") {
      hold.question = { kind, request: desk.read(claim, ip), sentAt: now, alone };
      return;
    }
    hold.version++;
    const draft = { ip, epoch, version: hold.version, alone, attestations: hold.attestations };
    const request = desk.write(claim, kind === "reclaim" ? "create" : "put", draft);
    hold.question = { kind, request, sentAt: now, alone };
  }

  /** Life counts from when the renewal was sent: replicas count from later, never from earlier. */
  #extend(
    now: Millis,
    claim: Claim,
    hold: Hold,
    answer: { question: Question; result: Extract<DhtResult, { status: "stored" }> },
  ): void {
    const { question, result } = answer;
    const { leaseSeconds } = this.#options.desk;
    const renewals = hold.attestations[0]?.renewals ?? 0;
    if (result.attestations.length > 0) hold.attestations = result.attestations;
    hold.failures = 0;
    hold.renewAt = this.#renewalAfter(question.sentAt);
    const lease: LeaseState = {
      ...hold.lease,
      mac: claim.mac,
      version: hold.version,
      renewals,
      alone: question.alone || result.alone,
      expiresAt: question.sentAt + leaseSeconds * 1000,
      leaseSeconds,
    };
    hold.lease = lease;
    this.#options.desk.output({ kind: "bound", lease });
    if (lease.alone) this.reclaim(now, claim, hold);
    else this.#prove(now, claim, hold);
  }

  /** Writes the signatures of the quorum into the record, once there are some. */
  #prove(now: Millis, claim: Claim, hold: Hold): void {
    const isUnproven = hold.lease.renewals === 0 && hold.attestations.length > 0;
    if (isUnproven && !claim.isOffer) this.#ask(now, claim, hold, "renew");
  }

  #rise(
    now: Millis,
    claim: Claim,
    hold: Hold,
    answer: { question: Question; record: DhtRecord },
  ): void {
    const { question, record } = answer;
    const facts = record.ttlSeconds === 0 ? undefined : parseLeaseRecord(record);
    if (facts?.ok === true && facts.value.client !== claim.client) {
      return this.#options.onLost(claim, hold, lossTo(record));
    }
    hold.version = Math.max(hold.version, record.version);
    hold.lease = { ...hold.lease, epoch: Math.max(hold.lease.epoch, record.epoch) };
    hold.failures++;
    if (hold.failures > 1) return this.#retry(now, hold, question);
    this.#ask(now, claim, hold, question.kind);
  }

  #compare(now: Millis, claim: Claim, hold: Hold, record: DhtRecord): void {
    const facts = parseLeaseRecord(record);
    if (!facts.ok) return;
    const { holder, client } = facts.value;
    if (holder !== this.#options.desk.self || client !== claim.client) {
      return this.#options.onLost(claim, hold, lossTo(record));
    }
    // A twin with this identity writes above us: the next renewal has to be above it.
    hold.version = Math.max(hold.version, record.version);
    if (hold.renewAt <= now) this.renew(now, claim, hold);
  }

  #retry(now: Millis, hold: Hold, question: Question): void {
    if (question.kind === "check") return;
    hold.failures++;
    const { rng } = this.#options.desk;
    if (question.kind === "reclaim") {
      hold.renewAt = now + jitter(rng, RECLAIM_RETRY_MS, 0.2);
      return;
    }
    const rest = (hold.lease.expiresAt - now) * RETRY_FRACTION;
    const wait = Math.min(RETRY_MAX_MS, Math.max(RETRY_MIN_MS, rest));
    hold.renewAt = now + jitter(rng, wait, 0.2);
  }

  /** No quorum gave it, and none of this one may: it ends with its life, or with the dispute. */
  #waitForPeace(now: Millis, hold: Hold): void {
    hold.renewAt = now + RECLAIM_RETRY_MS;
    hold.checkAt = hold.renewAt;
  }

  #renewalAfter(sentAt: Millis): Millis {
    const { desk } = this.#options;
    return sentAt + jitter(desk.rng, desk.leaseSeconds * 1000 * RENEW_FRACTION, RENEW_JITTER);
  }

  #checkAfter(now: Millis): Millis {
    const load = Math.max(1, this.#options.leaseCount() / CHECKED_AT_ONCE);
    return now + jitter(this.#options.desk.rng, Math.min(CHECK_MAX_MS, CHECK_MS * load), 0.2);
  }
}

function lossTo(record: DhtRecord): Loss {
  const facts = parseLeaseRecord(record);
  const winner = facts.ok ? facts.value.holder : undefined;
  const name = winner === undefined ? "another member" : addressText(winner);
  return { reason: `${name} holds it`, winner };
}
