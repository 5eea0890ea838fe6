/**
 * Who is shut out: public keys and serial numbers of certificates, in one list that the authority signs
 * (wire/notice.ts). Never by a hash of a certificate's bytes: one that says the same in other bytes, or
 * another name, or that somebody issued anew for the same key, would get in again (CVE-2026-25793).
 *
 *      keys     count u16 (0..1,024) | public keys 32 B, strictly ascending as bytes
 *      serials  count u16 (0..3,072) | u64 each, strictly ascending, never 0
 *
 * A list is whole: what a later one leaves out is let in again.
 */
import { assert } from "../base/assert.ts";
import { ByteReader, ByteWriter, compareBytes, toHex } from "../base/bytes.ts";
import { dropped, type Parsed, parsed } from "../base/drop-reason.ts";
import type { Certificate } from "./certificate.ts";

/** Together 57 KiB: a whole list fits one control message. */
export const MAX_REVOKED_KEYS = 1_024;
export const MAX_REVOKED_SERIALS = 3_072;
const KEY_BYTES = 32;

export interface RevokedLists {
  /** 32 bytes each, Ed25519 */
  readonly keys: readonly Uint8Array[];
  /** Never 0: that is the serial number of every certificate in `secret:` mode. */
  readonly serials: readonly bigint[];
}

export class Revocations implements RevokedLists {
  /** 0: there was never a list. */
  readonly number: number;
  readonly keys: readonly Uint8Array[];
  readonly serials: readonly bigint[];
  readonly #keys: ReadonlySet<string>;
  readonly #serials: ReadonlySet<bigint>;

  constructor(number: number, { keys, serials }: RevokedLists) {
    this.number = number;
    this.keys = keys;
    this.serials = serials;
    this.#keys = new Set(keys.map(toHex));
    this.#serials = new Set(serials);
  }

  isRevoked(publicKey: Uint8Array, serial: bigint): boolean {
    return this.#serials.has(serial) || (this.#keys.size > 0 && this.#keys.has(toHex(publicKey)));
  }

  /** Whether the holder of a certificate is out, or anybody above it. */
  covers(certificates: readonly Pick<Certificate, "publicKey" | "serial">[]): boolean {
    return certificates.some(({ publicKey, serial }) => this.isRevoked(publicKey, serial));
  }
}

export const NO_REVOCATIONS = new Revocations(0, { keys: [], serials: [] });

/** The body of a notice. Reasons: truncated, trailing-bytes, bad-field. */
export function parseRevocations(bytes: Uint8Array): Parsed<RevokedLists> {
  const reader = new ByteReader(bytes);
  const keys: Uint8Array[] = [];
  const keyCount = reader.u16();
  if (keyCount > MAX_REVOKED_KEYS) return dropped("bad-field");
  for (let i = 0; i < keyCount && reader.ok; i++) keys.push(reader.bytes(KEY_BYTES));
  const serials: bigint[] = [];
  const serialCount = reader.u16();
  if (serialCount > MAX_REVOKED_SERIALS) return dropped("bad-field");
  for (let i = 0; i < serialCount && reader.ok; i++) serials.push(reader.u64());
  if (!reader.ok) return dropped("truncated");
  if (!reader.finished()) return dropped("trailing-bytes");
  return isCanonical(keys, serials) ? parsed({ keys, serials }) : dropped("bad-field");
}

/** @param lists in any order, each entry once */
export function emitRevocations(lists: RevokedLists): Uint8Array {
  const keys = [...lists.keys].sort(compareBytes);
  const serials = [...lists.serials].sort((a, b) => (a < b ? -1 : 1));
  const isBounded = keys.length <= MAX_REVOKED_KEYS && serials.length <= MAX_REVOKED_SERIALS;
  assert(isBounded && isCanonical(keys, serials), "revocations in canonical form");
  const writer = new ByteWriter().u16(keys.length);
  for (const key of keys) writer.bytes(key);
  writer.u16(serials.length);
  for (const serial of serials) writer.u64(serial);
  return writer.finish();
}

function isCanonical(keys: readonly Uint8Array[], serials: readonly bigint[]): boolean {
  const isAscending =
    keys.every((key, i) => compareBytes(keys[i - 1] ?? new Uint8Array(0), key) < 0) &&
    serials.every((serial, i) => serial > (serials[i - 1] ?? 0n));
  return isAscending && keys.every((key) => key.length === KEY_BYTES);
}
