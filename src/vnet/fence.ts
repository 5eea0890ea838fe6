/**
 * The fence: what each linked peer may speak for, as the engine's filter.
 *
 *      link-up ──> send our claims                     (again whenever they change)
 *      own-records ──> confirm each by the DHT ──> filter      at the latest after HOLD_MS
 *      held ──> the frame's own claim is confirmed likewise
 *      half its life, at most RECHECK_LAST_MS ──> confirmed again
 */
import { ENGINE_LIMITS, type FilterEntry } from "../base/engine.ts";
import type { Ip, Mac } from "../base/net.ts";
import type { RingAddress } from "../base/ring-address.ts";
import { type Millis, NEVER } from "../base/time.ts";
import type { LinkId, PeerInfo } from "../link/link-types.ts";
import { emitOwnRecords, parseOwnRecords } from "../wire/own-records.ts";
import { type Claim, type Confirmer, concerns, type Verdict } from "./confirmer.ts";
import type { VnetContext } from "./context.ts";
import type { Host } from "./host.ts";
import type { Peers } from "./peers.ts";
import type { Question } from "./resolver.ts";

/** The engine holds frames for ENGINE_LIMITS.heldMs; the filter must be there a little earlier. */
const HOLD_MS = ENGINE_LIMITS.heldMs - 200;
/** Confirmed again at half of the record's life, within these bounds. */
const RECHECK_FIRST_MS = 1_000;
const RECHECK_LAST_MS = 300_000;
/** After "not his" and "cannot say": records may still be on their way. */
const RETRY_FIRST_MS = 500;
const RETRY_LAST_MS = 60_000;
/** After "cannot say": the DHT comes back at any moment, and frames are dropped until then. */
const RETRY_UNKNOWN_MS = 4_000;
/** Own-records of one peer that were not acknowledged; the link is about to go then. */
const SEND_TRIES = 3;
/** Claims of one peer looked up at once: a site of hundreds is confirmed at the DHT's pace. */
const LOOKUPS_MAX = 8;
/** Claims of one peer's frames looked into at once; the engine reports two frames a second. */
const EVIDENCE_MAX = 16;

interface Checked {
  readonly claim: Claim;
  /** Seen in a frame, not in own-records: forgotten as soon as it proves false. */
  readonly isEvidence: boolean;
  /** The peer may use it until then; 0 = may not. */
  ownUntil: Millis;
  /** An answer was given at least once, or the DHT could not say. */
  isSettled: boolean;
  /** The peer says that something changed: an old "not his" is not believed. */
  isNews: boolean;
  /** A frame of this claim waits. */
  isHeld: boolean;
  nextAt: Millis;
  retryMs: Millis;
}

interface Guarded {
  readonly peer: PeerInfo;
  readonly holdUntil: Millis;
  readonly claims: Map<string, Checked>;
  /** Those of them that wait for an answer of the DHT. */
  readonly lookups: Set<Checked>;
  /** Of the newest own-records that came; 0 = none yet. */
  sequence: number;
  /** Of the last filter, for comparison; undefined before the first. */
  filter: readonly FilterEntry[] | undefined;
  sendTries: number;
  /** Own-records to this peer are not acknowledged yet. */
  isSending: boolean;
  /** Our claims changed since those were sent: a site of hundreds is told at the peer's pace. */
  isOutdated: boolean;
}

export class Fence {
  readonly #context: VnetContext;
  readonly #host: Host;
  readonly #peers: Peers;
  readonly #confirmer: Confirmer;
  readonly #guarded = new Map<LinkId, Guarded>();
  /** Own-records under way, by token. */
  readonly #sends = new Map<number, LinkId>();
  #deadline: Millis = NEVER;
  #sequence = 0;

  constructor(context: VnetContext, host: Host, peers: Peers, confirmer: Confirmer) {
    this.#context = context;
    this.#host = host;
    this.#peers = peers;
    this.#confirmer = confirmer;
  }

  linkUp(now: Millis, peer: PeerInfo): void {
    const holdUntil = now + HOLD_MS;
    const unsent = { sendTries: 0, isSending: false, isOutdated: false };
    const tables = { claims: new Map(), lookups: new Set<Checked>() };
    const fresh = { ...tables, sequence: 0, filter: undefined, ...unsent };
    const guarded: Guarded = { peer, holdUntil, ...fresh };
    this.#guarded.set(peer.link, guarded);
    this.#deadline = Math.min(this.#deadline, holdUntil);
    this.#tell(guarded);
  }

  /** @param isReopened the session goes on: what the engine lets pass must end with what we know */
  linkDown(link: LinkId, isReopened: boolean): void {
    const hadFilter = this.#guarded.get(link)?.filter !== undefined;
    this.#guarded.delete(link);
    if (isReopened && hadFilter) this.#context.engine({ op: "filter", session: link, entries: [] });
    for (const [token, to] of this.#sends) if (to === link) this.#sends.delete(token);
  }

  /** Our claims changed: everybody who guards us must know. */
  claimsChanged(): void {
    for (const guarded of this.#guarded.values()) {
      guarded.sendTries = 0;
      if (guarded.isSending) guarded.isOutdated = true;
      else this.#tell(guarded);
    }
  }

  /** Message own-records from a peer. */
  received(now: Millis, link: LinkId, bytes: Uint8Array): void {
    const guarded = this.#guarded.get(link);
    if (guarded === undefined) return;
    const records = parseOwnRecords(bytes);
    if (!records.ok) return this.#context.drop(records.reason);
    if (records.value.sequence <= guarded.sequence) return;
    guarded.sequence = records.value.sequence;
    this.#replaceClaims(now, guarded, records.value.entries);
    this.#update(now, guarded);
  }

  /** A frame waits for a filter or was dropped by the present one. */
  held(now: Millis, link: LinkId, claim: Claim): void {
    const guarded = this.#guarded.get(link);
    if (guarded === undefined) return;
    const known = guarded.claims.get(claimName(claim));
    if (known !== undefined) {
      if (known.ownUntil <= now) known.nextAt = Math.min(known.nextAt, now + RETRY_FIRST_MS);
      known.isHeld = known.ownUntil <= now;
    } else if (hasRoomForEvidence(guarded)) this.#addClaim(now, guarded, claim, true);
    this.#update(now, guarded);
  }

  /** The DHT answered something: claims that wait may be settled now. */
  answered(now: Millis, question: Question): void {
    for (const guarded of this.#guarded.values()) {
      let isAbout = false;
      for (const checked of guarded.claims.values()) {
        if (checked.nextAt !== NEVER || !concerns(question, checked.claim)) continue;
        isAbout = true;
        this.#check(now, guarded, checked);
      }
      if (isAbout) this.#conclude(now, guarded);
    }
    this.#updateDue(now);
  }

  /** @returns true when the token was one of ours */
  sent(token: number, ok: boolean): boolean {
    const link = this.#sends.get(token);
    if (link === undefined) return false;
    this.#sends.delete(token);
    const guarded = this.#guarded.get(link);
    if (guarded === undefined) return true;
    guarded.isSending = false;
    if (!ok || guarded.isOutdated) this.#tell(guarded);
    return true;
  }

  timeout(now: Millis): void {
    if (now < this.#deadline) return;
    this.#deadline = NEVER;
    for (const guarded of this.#guarded.values()) this.#update(now, guarded);
  }

  deadline(): Millis {
    return this.#deadline;
  }

  /** The first address a linked peer was confirmed for. */
  ipOf(address: RingAddress): Ip | undefined {
    return this.claimsOf(address).flatMap((entry) => entry.ips)[0];
  }

  /** Everything that a linked peer was confirmed for. */
  claimsOf(address: RingAddress): readonly FilterEntry[] {
    const peer = this.#peers.byAddress(address);
    return (peer === undefined ? undefined : this.#guarded.get(peer.link)?.filter) ?? [];
  }

  #tell(guarded: Guarded): void {
    if (guarded.sendTries >= SEND_TRIES) return;
    guarded.sendTries += 1;
    guarded.isSending = true;
    guarded.isOutdated = false;
    const token = this.#context.nextToken();
    this.#sends.set(token, guarded.peer.link);
    const records = { sequence: ++this.#sequence, entries: this.#host.entries() };
    this.#context.send(guarded.peer.link, emitOwnRecords(records), token);
  }

  #replaceClaims(now: Millis, guarded: Guarded, entries: readonly FilterEntry[]): void {
    const claims = entries.flatMap(claimsOfEntry).slice(0, ENGINE_LIMITS.macsPerSession);
    const names = new Set(claims.map(claimName));
    for (const name of guarded.claims.keys()) if (!names.has(name)) this.#drop(guarded, name);
    for (const claim of claims) this.#addClaim(now, guarded, claim, false);
  }

  /** Asks anew even when an old answer is remembered: the peer says that something changed. */
  #addClaim(now: Millis, guarded: Guarded, claim: Claim, isEvidence: boolean): void {
    const name = claimName(claim);
    const known = guarded.claims.get(name);
    if (known !== undefined && known.ownUntil > now) return;
    this.#drop(guarded, name);
    const unknown = { ownUntil: 0, isSettled: false, isNews: true, isHeld: isEvidence };
    const fresh = { ...unknown, nextAt: now, retryMs: RETRY_FIRST_MS };
    guarded.claims.set(name, { claim, isEvidence, ...fresh });
  }

  #drop(guarded: Guarded, name: string): void {
    const checked = guarded.claims.get(name);
    if (checked === undefined) return;
    guarded.lookups.delete(checked);
    guarded.claims.delete(name);
  }

  /** There may be room for claims that wait. */
  #updateDue(now: Millis): void {
    for (const guarded of this.#guarded.values()) {
      if (guarded.lookups.size >= LOOKUPS_MAX) continue;
      const isDue = [...guarded.claims.values()].some((checked) => checked.nextAt <= now);
      if (isDue) this.#update(now, guarded);
    }
  }

  #update(now: Millis, guarded: Guarded): void {
    for (const checked of guarded.claims.values()) {
      if (checked.nextAt <= now) this.#check(now, guarded, checked);
    }
    this.#conclude(now, guarded);
  }

  #conclude(now: Millis, guarded: Guarded): void {
    this.#publish(now, guarded);
    this.#arm(now, guarded);
  }

  #check(now: Millis, guarded: Guarded, checked: Checked): void {
    const isFull = guarded.lookups.size >= LOOKUPS_MAX && !guarded.lookups.has(checked);
    // Traffic that is under way comes before what may come.
    if (isFull && !checked.isHeld) return;
    const verdict = this.#verdict(now, guarded, checked);
    // NEVER marks a claim that waits for an answer of the DHT.
    if (verdict.is === "asking") {
      checked.nextAt = NEVER;
      guarded.lookups.add(checked);
      return;
    }
    guarded.lookups.delete(checked);
    checked.isHeld = false;
    const wasOwn = checked.ownUntil > now;
    settle(now, checked, verdict);
    if (verdict.is === "own" && !wasOwn) this.#doubtOthers(now, guarded, checked.claim);
    if (checked.isEvidence && checked.ownUntil <= now) {
      this.#drop(guarded, claimName(checked.claim));
      return;
    }
    if (verdict.is === "foreign") this.#reportForeign(guarded, checked);
  }

  #verdict(now: Millis, guarded: Guarded, checked: Checked): Verdict {
    const { claim, isNews } = checked;
    const verdict = this.#confirmer.confirm(now, guarded.peer.publicKey, claim);
    checked.isNews = false;
    if (verdict.is !== "foreign" || !isNews) return verdict;
    this.#confirmer.forget(claim);
    return this.#confirmer.confirm(now, guarded.peer.publicKey, claim);
  }

  /** The record moved: who held it before must not speak for it until its own next look. */
  #doubtOthers(now: Millis, newHolder: Guarded, { mac, ip }: Claim): void {
    for (const guarded of this.#guarded.values()) {
      if (guarded === newHolder) continue;
      for (const checked of guarded.claims.values()) {
        const { claim, ownUntil } = checked;
        const isSame = claim.mac === mac || (ip !== undefined && claim.ip === ip);
        if (!isSame || ownUntil <= now) continue;
        checked.nextAt = now;
        this.#deadline = now;
      }
    }
  }

  #publish(now: Millis, guarded: Guarded): void {
    if (guarded.filter === undefined && now < guarded.holdUntil) {
      const claims = [...guarded.claims.values()];
      const isComplete = guarded.sequence > 0 && claims.every((checked) => checked.isSettled);
      if (!isComplete) return;
    }
    const filter = filterOf(now, guarded.claims.values());
    // A peer that has no address yet is not fenced off: its first frames wait in the engine until
    // its first claim is confirmed, else the first ping of a fresh lease would be lost.
    if (guarded.filter === undefined && filter.length === 0) return;
    if (guarded.filter !== undefined && sameFilter(guarded.filter, filter)) return;
    guarded.filter = filter;
    this.#context.engine({ op: "filter", session: guarded.peer.link, entries: filter });
  }

  #arm(now: Millis, guarded: Guarded): void {
    const isHolding = guarded.filter === undefined && now < guarded.holdUntil;
    let next = isHolding ? guarded.holdUntil : NEVER;
    for (const { nextAt, ownUntil } of guarded.claims.values()) {
      // One that is due waits for room, which comes with an answer.
      next = Math.min(next, nextAt > now ? nextAt : NEVER, ownUntil > now ? ownUntil : NEVER);
    }
    this.#deadline = Math.min(this.#deadline, next);
  }

  #reportForeign(guarded: Guarded, checked: Checked): void {
    if (checked.retryMs < RETRY_LAST_MS) return;
    const { mac, ip } = checked.claim;
    this.#context.event({
      what: "claim-refused",
      condition: "a peer claims an address that is not its own in the DHT",
      action: "its frames under that address are dropped",
      effect: "the machine behind it is not reachable from here",
      coolDownMs: RETRY_LAST_MS,
      fields: { peer: guarded.peer.name, mac, ip: ip ?? "" },
    });
  }
}

function hasRoomForEvidence(guarded: Guarded): boolean {
  const evidence = [...guarded.claims.values()].filter((checked) => checked.isEvidence);
  const isFull = guarded.claims.size >= ENGINE_LIMITS.macsPerSession;
  return !isFull && evidence.length < EVIDENCE_MAX;
}

function settle(now: Millis, checked: Checked, verdict: Verdict): void {
  checked.isSettled ||= verdict.is === "own" || verdict.is === "foreign";
  if (verdict.is === "own") {
    const half = (verdict.until - now) / 2;
    checked.ownUntil = verdict.until;
    checked.nextAt = now + Math.min(RECHECK_LAST_MS, Math.max(RECHECK_FIRST_MS, half));
    checked.retryMs = RETRY_FIRST_MS;
    return;
  }
  if (verdict.is === "foreign") checked.ownUntil = 0;
  checked.nextAt = now + checked.retryMs;
  const last = verdict.is === "unknown" ? RETRY_UNKNOWN_MS : RETRY_LAST_MS;
  checked.retryMs = Math.min(last, checked.retryMs * 2);
}

function filterOf(now: Millis, claims: Iterable<Checked>): FilterEntry[] {
  const ips = new Map<Mac, Ip[]>();
  for (const { claim, ownUntil } of claims) {
    if (ownUntil <= now) continue;
    const own = ips.get(claim.mac) ?? [];
    ips.set(claim.mac, claim.ip === undefined ? own : [...own, claim.ip]);
  }
  return [...ips].map(([mac, own]) => ({ mac, ips: own }));
}

function sameFilter(a: readonly FilterEntry[], b: readonly FilterEntry[]): boolean {
  const text = (entries: readonly FilterEntry[]): string =>
    entries.map(({ mac, ips }) => `${mac}=${ips.join()}`).join(";");
  return text(a) === text(b);
}

function claimsOfEntry(entry: FilterEntry): Claim[] {
  if (entry.ips.length === 0) return [{ mac: entry.mac, ip: undefined }];
  return entry.ips.map((ip) => ({ mac: entry.mac, ip }));
}

function claimName(claim: Claim): string {
  return `${claim.mac} ${claim.ip ?? ""}`;
}
