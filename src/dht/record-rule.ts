/**
 * What a kind of record means to the DHT: how it is checked at the door and which of two signers
 * wins a clash. The kinds' owners (lease, vnet) supply rules; the DHT itself knows none of them.
 */
import { compareBytes } from "../base/bytes.ts";
import { type Parsed, parsed } from "../base/drop-reason.ts";
import type { RingAddress } from "../base/ring-address.ts";
import type { Certificate } from "../crypto/certificate.ts";
import type { DhtRecord, RecordKind } from "../wire/record.ts";

/** The member who signed a record, by a certificate that was checked. */
export interface Signer {
  readonly address: RingAddress;
  readonly certificate: Certificate;
  /** as it travels */
  readonly bytes: Uint8Array;
}

/** What a rule found out about a record once, when it came in. */
export interface Standing {
  /** Coarse class, higher wins: a clash across classes is settled even against a `create`. */
  readonly seniority: number;
  /** Renewals that a quorum vouched for. */
  readonly renewals: number;
}

/** A record whose signature, certificate and body were checked. */
export interface CheckedRecord {
  readonly record: DhtRecord;
  readonly signer: Signer;
  readonly standing: Standing;
  /** 16 B over key and signer: breaks ties the same way at every node and in every version. */
  readonly rank: Uint8Array;
  /** 8 B over the whole record. */
  readonly digest: Uint8Array;
}

/** How clearly one record beats another: only by hash, by merit, or by class. */
export const BY_HASH = 1;
export const BY_MERIT = 2;
export const BY_CLASS = 3;

export interface RecordRule {
  /** Checks the body of a record (never of a tombstone); the signature is known to be right. */
  inspect(record: DhtRecord, signer: Signer, wallSeconds: number): Parsed<Standing>;
  /**
   * Order of records of different signers under one key: negative when `a` wins, by magnitude
   * BY_HASH, BY_MERIT or BY_CLASS. Total and antisymmetric, the same at every node.
   */
  compare(a: CheckedRecord, b: CheckedRecord): number;
}

export type RecordRules = Readonly<Record<RecordKind, RecordRule>>;

export const NO_STANDING: Standing = { seniority: 0, renewals: 0 };

/** For kinds without a winner rule: the higher (epoch, version), then the smaller hash. */
export const VERSION_RULE: RecordRule = {
  inspect: () => parsed(NO_STANDING),
  compare(a, b) {
    const byAge = compareAge(b.record, a.record);
    return Math.sign(byAge === 0 ? compareBytes(a.rank, b.rank) : byAge) * BY_HASH;
  },
};

export type Age = Pick<DhtRecord, "epoch" | "version">;

/** Order of (epoch, version): negative when `a` is older. */
export function compareAge(a: Age, b: Age): number {
  return a.epoch - b.epoch || a.version - b.version;
}
