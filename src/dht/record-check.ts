import { concat, equalBytes, toHex } from "../base/bytes.ts";
import { dropped, type Parsed, parsed } from "../base/drop-reason.ts";
import { addressToBytes } from "../base/ring-address.ts";
import type { CryptoSuite } from "../crypto/suite.ts";
import { type DhtRecord, emitRecord, signedBytes } from "../wire/record.ts";
import type { MemberCache } from "./member-cache.ts";
import { type CheckedRecord, NO_STANDING, type RecordRules } from "./record-rule.ts";

const RANK_BYTES = 16;
const RECORD_DIGEST_BYTES = 8;
/** The same record comes in three to five answers, in repairs and in syncs: check it once. */
const MAX_CHECKED = 512;
const NAME_BYTES = 32;

/** The door of the store: nothing passes that no member of this network signed. */
export class RecordCheck {
  readonly #suite: CryptoSuite;
  readonly #networkId: Uint8Array;
  readonly #members: MemberCache;
  readonly #rules: RecordRules;
  readonly #checked = new Map<string, CheckedRecord>();

  constructor(tools: {
    suite: CryptoSuite;
    networkId: Uint8Array;
    members: MemberCache;
    rules: RecordRules;
  }) {
    this.#suite = tools.suite;
    this.#networkId = tools.networkId;
    this.#members = tools.members;
    this.#rules = tools.rules;
  }

  /**
   * @param certificate the signer's, as it travels
   * Reasons: bad-certificate, foreign-record (signed by another key than the certificate's),
   * bad-signature, or what the kind's rule says about the body.
   */
  check(record: DhtRecord, certificate: Uint8Array): Parsed<CheckedRecord> {
    const text = concat(certificate, emitRecord(record));
    const name = toHex(this.#suite.blake2b(NAME_BYTES, text));
    const known = this.#checked.get(name);
    if (known !== undefined) return parsed(known);
    const outcome = this.#checkAnew(record, certificate);
    if (outcome.ok) this.#remember(name, outcome.value);
    return outcome;
  }

  /** Dates are judged anew. */
  forget(): void {
    this.#checked.clear();
  }

  #remember(name: string, checked: CheckedRecord): void {
    if (this.#checked.size >= MAX_CHECKED) {
      const oldest = this.#checked.keys().next();
      if (!oldest.done) this.#checked.delete(oldest.value);
    }
    this.#checked.set(name, checked);
  }

  #checkAnew(record: DhtRecord, certificate: Uint8Array): Parsed<CheckedRecord> {
    const member = this.#members.memberOf(certificate);
    if (member === undefined) return dropped("bad-certificate");
    const publicKey = member.certificate.publicKey;
    if (!equalBytes(publicKey, record.signer)) return dropped("foreign-record");
    const text = signedBytes(this.#networkId, record);
    if (!this.#suite.verify(publicKey, text, record.signature)) return dropped("bad-signature");
    const signer = { ...member, bytes: certificate };
    const standing =
      record.ttlSeconds === 0
        ? parsed(NO_STANDING)
        : this.#rules[record.kind].inspect(record, signer, this.#members.wallSeconds);
    if (!standing.ok) return standing;
    return parsed({
      record,
      signer,
      standing: standing.value,
      rank: this.#suite.blake2b(RANK_BYTES, concat(addressToBytes(record.key), record.signer)),
      digest: recordDigest(this.#suite, record),
    });
  }
}

/** 8 B over the whole record: equal digests are equal records. */
export function recordDigest(suite: CryptoSuite, record: DhtRecord): Uint8Array {
  return suite.blake2b(RANK_BYTES, emitRecord(record)).slice(0, RECORD_DIGEST_BYTES);
}
