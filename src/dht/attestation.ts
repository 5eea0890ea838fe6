/**
 * Attestations: a replica's signature that it holds a lease. A quorum of them proves that the holder
 * renewed under the eyes of a majority; a node cut off with few others cannot make them up.
 *
 *   signed bytes = label | network id | key 20 B | holder 32 B | epoch u32 | renewals u8 | members u8
 */
import { ByteWriter, toHex, utf8 } from "../base/bytes.ts";
import { addressToBytes } from "../base/ring-address.ts";
import type { Member } from "../crypto/membership.ts";
import type { CryptoSuite } from "../crypto/suite.ts";
import { clampCounter, type DhtRecord } from "../wire/record.ts";
import { MAX_REPLICAS, quorumOf } from "./replica-set.ts";
import type { Attestation } from "./result.ts";

const LABEL = utf8("weft attestation 1");
/** More says nothing about a lease that sixteen does not say. */
export const MAX_ATTESTED_RENEWALS = 16;
/**
 * A renewal is counted once per quarter of the ttl (renewals come at a third): a member that renews
 * in a loop gains nothing.
 */
const COUNT_AFTER_FRACTION = 0.25;

/** What an attestation vouches for. */
export interface AttestedLease {
  readonly networkId: Uint8Array;
  readonly record: DhtRecord;
  readonly renewals: number;
  readonly members: number;
}

export function attestationText(lease: AttestedLease): Uint8Array {
  return new ByteWriter()
    .bytes(LABEL)
    .bytes(lease.networkId)
    .bytes(addressToBytes(lease.record.key))
    .bytes(lease.record.signer)
    .u32(clampCounter(lease.record.epoch))
    .u8(lease.renewals)
    .u8(lease.members)
    .finish();
}

/**
 * The renewal count a replica vouches for when it stores a record.
 * @param proven what the record itself proves, 0..16
 * @param ageSeconds how long ago the version before it was stored; undefined when there was none
 */
export function renewalsToAttest(
  proven: number,
  ttlSeconds: number,
  ageSeconds: number | undefined,
): number {
  if (proven === 0) return 1;
  const counts = ageSeconds !== undefined && ageSeconds >= ttlSeconds * COUNT_AFTER_FRACTION;
  return Math.min(MAX_ATTESTED_RENEWALS, proven + (counts ? 1 : 0));
}

export interface AttestationTools {
  readonly suite: CryptoSuite;
  readonly networkId: Uint8Array;
  /** The member of a certificate, undefined when it is not valid. */
  readonly memberOf: (certificate: Uint8Array) => Member | undefined;
}

/** True when a quorum of distinct members vouches for one count and one set size. */
export function attestationsProve(
  tools: AttestationTools,
  record: DhtRecord,
  attestations: readonly Attestation[],
): boolean {
  const first = attestations[0];
  if (first === undefined || first.members < 2 || first.members > MAX_REPLICAS) return false;
  const { renewals, members } = first;
  const signers = new Set<string>();
  for (const attestation of attestations) {
    if (attestation.renewals !== renewals || attestation.members !== members) return false;
    if (!isGenuine(tools, record, attestation)) return false;
    const member = tools.memberOf(attestation.replica);
    if (member !== undefined) signers.add(toHex(member.certificate.publicKey));
  }
  return signers.size >= quorumOf(members);
}

/** True when a member signed just this. */
export function isGenuine(
  tools: AttestationTools,
  record: DhtRecord,
  attestation: Attestation,
): boolean {
  const { replica, renewals, members, signature } = attestation;
  const text = attestationText({ networkId: tools.networkId, record, renewals, members });
  const member = tools.memberOf(replica);
  return member !== undefined && tools.suite.verify(member.certificate.publicKey, text, signature);
}
