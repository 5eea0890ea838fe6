/**
 * Who wins when two members hold one address. The rule needs no clock and gives the same answer at
 * every node that sees the same two records:
 *
 *   1  a valid certificate          checked at the door: others never get this far
 *   2  the address is claimed       in the certificate, or under its name in the file's `nodes:`;
 *                                   or reserved in the file for the client's MAC or identifier
 *   3  not alone                    a lease made without any other member loses every clash
 *   4  more attested renewals
 *   5  the smaller hash of key and holder
 */
import { compareBytes } from "../base/bytes.ts";
import { dropped, type Parsed, parsed } from "../base/drop-reason.ts";
import type { Ip, Subnet } from "../base/net.ts";
import type { Membership } from "../crypto/membership.ts";
import type { CryptoSuite } from "../crypto/suite.ts";
import { attestationsProve } from "../dht/attestation.ts";
import { MemberCache } from "../dht/member-cache.ts";
import {
  BY_CLASS,
  BY_HASH,
  BY_MERIT,
  type CheckedRecord,
  type RecordRule,
  type Signer,
  type Standing,
} from "../dht/record-rule.ts";
import type { DhtRecord } from "../wire/record.ts";
import { isLeasable } from "./leasable.ts";
import { type LeaseBody, leaseKey, parseLeaseBody } from "./lease-record.ts";
import { type Reservation, reservedFor } from "./reservation.ts";

/** A fixed address of one node, from the shared part of the cluster file. */
export interface Claim {
  readonly name: string;
  readonly ip: Ip;
}

export interface LeaseRuleOptions {
  readonly suite: CryptoSuite;
  readonly networkId: Uint8Array;
  readonly membership: Membership;
  readonly range: Subnet;
  readonly claims: readonly Claim[];
  readonly reservations?: readonly Reservation[];
}

const CLAIMED = 2;
const NOT_ALONE = 1;

/** What the DHT asks about records of kind `lease`. */
export function leaseRule(options: LeaseRuleOptions): RecordRule {
  // A replica that was shut out since has vouched all the same, and no quorum of them was alone.
  const members = new MemberCache(options.suite, (bytes, wallSeconds) =>
    options.membership.verifyPast(bytes, wallSeconds),
  );
  return {
    compare: compareLeases,
    inspect(record, signer, wallSeconds) {
      if (members.wallSeconds !== wallSeconds) members.setWall(wallSeconds);
      return inspectLease(options, members, { record, signer });
    },
  };
}

/** Negative when `a` wins; by magnitude BY_CLASS (2, 3), BY_MERIT (4) or BY_HASH (5). */
export function compareLeases(a: CheckedRecord, b: CheckedRecord): number {
  const byClass = b.standing.seniority - a.standing.seniority;
  if (byClass !== 0) return Math.sign(byClass) * BY_CLASS;
  const byMerit = b.standing.renewals - a.standing.renewals;
  if (byMerit !== 0) return Math.sign(byMerit) * BY_MERIT;
  return Math.sign(compareBytes(a.rank, b.rank)) * BY_HASH;
}

/** True when the signer may hold the address for good. */
export function isClaimedBy(claims: readonly Claim[], signer: Signer, ip: Ip): boolean {
  const { certificate } = signer;
  if (certificate.claims.includes(ip)) return true;
  return claims.some((claim) => claim.ip === ip && claim.name === certificate.name);
}

/** Reasons: bad-field (another key, holder or range than the record's own), bad-signature (proof). */
function inspectLease(
  options: LeaseRuleOptions,
  members: MemberCache,
  signed: { record: DhtRecord; signer: Signer },
): Parsed<Standing> {
  const { suite, networkId, range, claims } = options;
  const { record, signer } = signed;
  const outcome = parseLeaseBody(record.body);
  if (!outcome.ok) return outcome;
  const body: LeaseBody = outcome.value;
  const fits =
    record.key === leaseKey(suite, networkId, body.ip) &&
    body.holder === signer.address &&
    isLeasable(range, body.ip);
  if (!fits) return dropped("bad-field");
  if (body.renewals > 0) {
    const tools = { suite, networkId, memberOf: (bytes: Uint8Array) => members.memberOf(bytes) };
    if (!attestationsProve(tools, record, body.attestations)) return dropped("bad-signature");
  }
  const isReserved = reservedFor(options.reservations ?? [], body) === body.ip;
  const claimed = isReserved || isClaimedBy(claims, signer, body.ip) ? CLAIMED : 0;
  return parsed({
    seniority: claimed + (body.alone ? 0 : NOT_ALONE),
    renewals: body.renewals,
  });
}
