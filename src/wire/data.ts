/**
 * The clear header of a sealed datagram.
 *
 *   0 type u8 = 200 | 1 lane u8 | 2 flow u16 = 0 | 4 receiver index u32 | 8 counter u64
 *  16 AEAD( descriptor 4 B | body | pad 0..15 B ) | tag 16 B
 *
 * There is no associated data: receiver and counter choose the key and the nonce, so a changed one
 * does not open. Nothing binds the flow field, therefore it must be zero.
 */
import { assert } from "../base/assert.ts";
import { ByteReader, ByteWriter } from "../base/bytes.ts";
import { dropped, type Parsed, parsed } from "../base/drop-reason.ts";
import type { ReceiverIndex } from "../base/engine.ts";
import { DATAGRAM_TYPES } from "./message-type.ts";

export const DATA_HEADER_BYTES = 16;
export const DESCRIPTOR_BYTES = 4;
export const TAG_BYTES = 16;
/** What sealing adds to a body, padding aside; also the shortest data datagram, a keepalive. */
export const SEAL_OVERHEAD_BYTES = DATA_HEADER_BYTES + DESCRIPTOR_BYTES + TAG_BYTES;

export interface DataHeader {
  /** 0..255; an engine refuses the lanes it does not have. */
  readonly lane: number;
  readonly receiver: ReceiverIndex;
  readonly counter: bigint;
}

/** Header and sealed part of a datagram; the reasons are truncated, unknown-type, bad-field. */
export function parseData(
  datagram: Uint8Array,
): Parsed<{ readonly header: DataHeader; readonly sealed: Uint8Array }> {
  if (datagram.length < SEAL_OVERHEAD_BYTES) return dropped("truncated");
  const reader = new ByteReader(datagram);
  if (reader.u8() !== DATAGRAM_TYPES.data) return dropped("unknown-type");
  const lane = reader.u8();
  if (reader.u16() !== 0) return dropped("bad-field");
  const header = { lane, receiver: reader.u32(), counter: reader.u64() };
  return parsed({ header, sealed: reader.rest() });
}

/** @param sealed ciphertext and tag */
export function emitData(header: DataHeader, sealed: Uint8Array): Uint8Array {
  assert(sealed.length >= DESCRIPTOR_BYTES + TAG_BYTES, "sealed part of a datagram");
  const writer = new ByteWriter().u8(DATAGRAM_TYPES.data).u8(header.lane).u16(0);
  return writer.u32(header.receiver).u64(header.counter).bytes(sealed).finish();
}

/**
 * 12 bytes: salt[0..2] | lane | counter u64. The lane stands in the salt's last place, so that two
 * lanes under one key never share a nonce.
 *
 * @param salt 4 bytes
 */
export function dataNonce(salt: Uint8Array, lane: number, counter: bigint): Uint8Array {
  assert(salt.length === 4, "a salt has four bytes");
  return new ByteWriter().bytes(salt.subarray(0, 3)).u8(lane).u64(counter).finish();
}
