/**
 * Judging the answers of one operation. A decision needs a quorum of ready replicas that name one
 * and the same replica set; answers with different views are never added up.
 */
import { equalBytes, toHex } from "../base/bytes.ts";
import type { RingAddress } from "../base/ring-address.ts";
import type { AnswerStatus } from "../wire/dht-messages.ts";
import { type CheckedRecord, compareAge, type RecordRules } from "./record-rule.ts";
import { quorumOf } from "./replica-set.ts";
import type { Attestation } from "./result.ts";

export interface Shown {
  readonly checked: CheckedRecord;
  readonly remainingSeconds: number;
}

/** One replica's latest answer, all of it checked. */
export interface Heard {
  readonly replica: RingAddress;
  readonly view: readonly RingAddress[];
  readonly status: AnswerStatus;
  readonly shown: readonly Shown[];
  readonly attestation: Attestation | undefined;
}

/** The answers of one view. */
export interface Group {
  readonly view: readonly RingAddress[];
  readonly answers: readonly Heard[];
}

/** The view with the most answers; undefined before the first answer. */
export function largestGroup(answers: Iterable<Heard>): Group | undefined {
  const groups = groupBy([...answers], (heard) => heard.view.join());
  let best: Heard[] = [];
  for (const group of groups.values()) if (group.length > best.length) best = group;
  return best[0] === undefined ? undefined : { view: best[0].view, answers: best };
}

export type Reading =
  | { readonly kind: "undecided" }
  | { readonly kind: "absent" }
  | { readonly kind: "found"; readonly winner: Shown; readonly remainingSeconds: number };

/**
 * What a group says about a key.
 * @param final no further answers are waited for: decide as well as the answers allow
 */
export function readGroup(group: Group, rules: RecordRules, final: boolean): Reading {
  const quorum = quorumOf(group.view.length);
  if (group.answers.length < quorum) return { kind: "undecided" };
  const lives = livesOf(group);
  const present = lives.filter((live) => live !== undefined);
  if (present.length === 0) return { kind: "absent" };
  const complete = final || group.answers.length === group.view.length;
  const bySigner = groupBy(present, (live) => signerOf(live));
  if (!complete && (bySigner.size > 1 || present.length < lives.length)) {
    return { kind: "undecided" };
  }
  // What a majority holds was acknowledged; a minority's record was never, or is on its way out.
  const held = [...bySigner.values()].find((copies) => copies.length >= quorum) ?? present;
  const winner = held.reduce((a, b) => (beats(rules, b, a) ? b : a));
  return { kind: "found", winner, remainingSeconds: middleRemainder(held, winner) };
}

/** The best record of another signer that stands in the way of a write. */
export function bestOpponent(
  group: Group,
  own: CheckedRecord,
  rules: RecordRules,
): Shown | undefined {
  let best: Shown | undefined;
  for (const { status, shown } of group.answers) {
    const first = shown[0];
    if (status !== "exists" || first === undefined) continue;
    if (equalBytes(first.checked.record.signer, own.record.signer)) continue;
    if (best === undefined || beats(rules, first, best)) best = first;
  }
  return best;
}

/** The newest record of the same signer that a replica answered `stale` with. */
export function newestOwn(group: Group, own: CheckedRecord): CheckedRecord {
  let newest = own;
  for (const { status, shown } of group.answers) {
    const first = shown[0]?.checked;
    if (status !== "stale" || first === undefined) continue;
    if (!equalBytes(first.record.signer, own.record.signer)) continue;
    if (compareAge(first.record, newest.record) > 0) newest = first;
  }
  return newest;
}

export function countStatus(group: Group, status: AnswerStatus): number {
  return group.answers.filter((heard) => heard.status === status).length;
}

/** A quorum of attestations of the highest renewal count that has one; else none. */
export function quorumAttestations(group: Group): readonly Attestation[] {
  const quorum = quorumOf(group.view.length);
  const given = group.answers.flatMap((heard) => heard.attestation ?? []);
  const byCount = [...groupBy(given, (one) => one.renewals)].sort((a, b) => b[0] - a[0]);
  return byCount.find(([, some]) => some.length >= quorum)?.[1].slice(0, quorum) ?? [];
}

/** Each answer's live record, without what a tombstone of the same signer in any answer kills. */
function livesOf(group: Group): (Shown | undefined)[] {
  const graves = group.answers.flatMap((heard) => heard.shown.filter(isGrave));
  return group.answers.map((heard) => {
    const live = heard.shown.find((one) => !isGrave(one));
    if (live === undefined) return undefined;
    const killed = graves.some(
      (grave) => signerOf(grave) === signerOf(live) && age(grave, live) >= 0,
    );
    return killed ? undefined : live;
  });
}

function isGrave(shown: Shown): boolean {
  return shown.checked.record.ttlSeconds === 0;
}

function age(a: Shown, b: Shown): number {
  return compareAge(a.checked.record, b.checked.record);
}

function signerOf(shown: Shown): string {
  return toHex(shown.checked.record.signer);
}

function beats(rules: RecordRules, a: Shown, b: Shown): boolean {
  if (signerOf(a) === signerOf(b)) return age(a, b) > 0;
  return rules[a.checked.record.kind].compare(a.checked, b.checked) < 0;
}

/** One replica alone can neither stretch nor end a record's life. */
function middleRemainder(copies: readonly Shown[], winner: Shown): number {
  const same = copies.filter((copy) => age(copy, winner) === 0);
  const sorted = same.map((copy) => copy.remainingSeconds).sort((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) / 2)] ?? 0;
}

function groupBy<T, Key>(items: readonly T[], keyOf: (item: T) => Key): Map<Key, T[]> {
  const out = new Map<Key, T[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = out.get(key);
    if (group === undefined) out.set(key, [item]);
    else group.push(item);
  }
  return out;
}
