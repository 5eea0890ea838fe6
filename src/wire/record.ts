/**
 * A DHT record: the one thing replicas keep. Signed by its author, typed, versioned, at most 4 KiB.
 *
 *   0        1        2                 4
 *  +--------+--------+-----------------+-----------------------------------+
 *  | form 1 | kind   | body length u16 | ttl seconds u32                   |
 *  +--------+--------+-----------------+-----------------------------------+
 *  | epoch u32                         | version u32                       |  8
 *  +-----------------------------------+-----------------------------------+
 *  | key 20 B                                                              | 16
 *  | signer 32 B, Ed25519 public key                                       | 36
 *  | body, 0..3,952 B, its form depends on the kind                        | 68
 *  | signature 64 B                                                        |
 *  +-----------------------------------------------------------------------+
 *
 * The signature covers a label, the network id and every byte before it: a record of another network
 * does not verify. ttl 0 is a tombstone: "what I signed under this key is gone".
 */
import { ByteReader, ByteWriter, concat, utf8 } from "../base/bytes.ts";
import { dropped, type Parsed, parsed } from "../base/drop-reason.ts";
import {
  ADDRESS_BYTES,
  addressFromBytes,
  addressToBytes,
  type RingAddress,
} from "../base/ring-address.ts";

export type RecordKind = "lease" | "mac";

export interface DhtRecord {
  readonly key: RingAddress;
  readonly kind: RecordKind;
  /** Ed25519 public key, 32 bytes */
  readonly signer: Uint8Array;
  /** u32; grows when the record's subject moves to another author or site */
  readonly epoch: number;
  /** u32; grows with every change by the same signer */
  readonly version: number;
  /** 0 (removed) .. MAX_TTL_SECONDS, counted from receipt on each replica's own clock */
  readonly ttlSeconds: number;
  readonly body: Uint8Array;
  /** 64 bytes */
  readonly signature: Uint8Array;
}

/** A day: what nobody renews must be gone after the longest usual lease. */
export const MAX_TTL_SECONDS = 86_400;
/** A whole record: two of them with their certificates still fit a routed message many times. */
export const MAX_RECORD_BYTES = 4_096;
const HEADER_BYTES = 68;
const SIGNER_BYTES = 32;
const SIGNATURE_BYTES = 64;
/** Bytes of a record that are not its body. */
export const RECORD_OVERHEAD_BYTES = HEADER_BYTES + SIGNATURE_BYTES;
export const MAX_BODY_BYTES = MAX_RECORD_BYTES - RECORD_OVERHEAD_BYTES;

const FORM = 1;
const KINDS: readonly (RecordKind | undefined)[] = [undefined, "lease", "mac"];
const LABEL = utf8("weft record 1");
const U32_MAX = 0xffff_ffff;

export type UnsignedRecord = Omit<DhtRecord, "signature">;

/** Clamps a ttl of any origin (a configuration, a division) into what a record may carry. */
export function clampTtlSeconds(seconds: number): number {
  if (!(seconds > 0)) return 0;
  return Math.min(MAX_TTL_SECONDS, Math.ceil(seconds));
}

/** Clamps a counter into the u32 of the wire. */
export function clampCounter(value: number): number {
  if (!(value > 0)) return 0;
  return Math.min(U32_MAX, Math.floor(value));
}

/** The bytes a signer signs; numeric fields are clamped as `emitRecord` clamps them. */
export function signedBytes(networkId: Uint8Array, record: UnsignedRecord): Uint8Array {
  return concat(LABEL, networkId, emitUnsigned(record));
}

export function emitRecord(record: DhtRecord): Uint8Array {
  return concat(emitUnsigned(record), record.signature);
}

/** Structure only; the signature is checked by whoever knows the network. */
export function parseRecord(bytes: Uint8Array): Parsed<DhtRecord> {
  if (bytes.length < RECORD_OVERHEAD_BYTES) return dropped("truncated");
  if (bytes.length > MAX_RECORD_BYTES) return dropped("too-long");
  const reader = new ByteReader(bytes);
  if (reader.u8() !== FORM) return dropped("unknown-version");
  const kind = KINDS[reader.u8()];
  if (kind === undefined) return dropped("unknown-type");
  const bodyLength = reader.u16();
  const ttlSeconds = reader.u32();
  if (ttlSeconds > MAX_TTL_SECONDS) return dropped("bad-field");
  const epoch = reader.u32();
  const version = reader.u32();
  const key = addressFromBytes(reader.bytes(ADDRESS_BYTES));
  const signer = reader.bytes(SIGNER_BYTES);
  const body = reader.bytes(bodyLength);
  const signature = reader.bytes(SIGNATURE_BYTES);
  if (!reader.ok) return dropped("truncated");
  if (!reader.finished()) return dropped("trailing-bytes");
  return parsed({ key, kind, signer, epoch, version, ttlSeconds, body, signature });
}

function emitUnsigned(record: UnsignedRecord): Uint8Array {
  return new ByteWriter()
    .u8(FORM)
    .u8(KINDS.indexOf(record.kind))
    .u16(record.body.length)
    .u32(clampTtlSeconds(record.ttlSeconds))
    .u32(clampCounter(record.epoch))
    .u32(clampCounter(record.version))
    .bytes(addressToBytes(record.key))
    .bytes(record.signer)
    .bytes(record.body)
    .finish();
}
