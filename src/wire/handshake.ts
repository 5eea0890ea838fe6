/**
 * Handshake messages and the payload inside them.
 *
 *   handshake 1  192 | major u8 | 0 u16 | sender u32 | noise 48 B | zeros | mac1 16 B | mac2 16 B
 *                the whole is 88 bytes when routed over the ring, 1,200 when sent from a socket
 *   handshake 2  193 | 0 u8 | 0 u16 | sender u32 | receiver u32 | noise | mac1 16 B | mac2 16 B
 *   handshake 3  194 | 0 u8 | 0 u16 | sender u32 | receiver u32 | noise | mac1 16 B | mac2 16 B
 *
 * `sender` is the index the receiver must address, `receiver` the one it named itself. The emitters
 * write everything before mac1; crypto/mac.ts appends the two MACs. The parsers take the whole.
 */
import { assert } from "../base/assert.ts";
import { ByteReader, ByteWriter } from "../base/bytes.ts";
import { dropped, type Parsed, parsed } from "../base/drop-reason.ts";
import type { ReceiverIndex } from "../base/engine.ts";
import { DATAGRAM_TYPES, MAJOR_VERSION } from "./message-type.ts";

/** mac1 and mac2 at the end of every datagram of types 192-196. */
export const MAC_BYTES = 16;
export const MACS_BYTES = 32;
/** Message 1 from a socket is this long, so that no answer is longer than what asked for it. */
export const PADDED_HANDSHAKE_BYTES = 1_200;
/** Ephemeral key and the tag of an empty payload. */
export const HANDSHAKE_1_NOISE_BYTES = 48;
export const HANDSHAKE_1_BYTES = 8 + HANDSHAKE_1_NOISE_BYTES + MACS_BYTES;

const REPLY_HEADER_BYTES = 12;
/** Message 2: ephemeral 32, static 32 + 16, tag 16. Message 3: static 32 + 16, tag 16. */
const NOISE_2_OVERHEAD = 96;
const NOISE_3_OVERHEAD = 64;
/** What message 2 can carry inside 1,200 bytes; message 3 obeys the same bound. */
export const MAX_HANDSHAKE_PAYLOAD_BYTES =
  PADDED_HANDSHAKE_BYTES - REPLY_HEADER_BYTES - NOISE_2_OVERHEAD - MACS_BYTES;

export interface Handshake1 {
  readonly sender: ReceiverIndex;
  /** 48 bytes */
  readonly noise: Uint8Array;
}

/** Messages 2 and 3 have one form. */
export interface HandshakeReply {
  readonly sender: ReceiverIndex;
  readonly receiver: ReceiverIndex;
  readonly noise: Uint8Array;
}

export type Handshake2 = HandshakeReply;
export type Handshake3 = HandshakeReply;

/**
 * Reasons: truncated, unknown-type, unknown-version (to be answered with version-refused, which
 * needs `readSenderIndex`), bad-field, trailing-bytes.
 */
export function parseHandshake1(bytes: Uint8Array): Parsed<Handshake1> {
  if (bytes.length < HANDSHAKE_1_BYTES) return dropped("truncated");
  const reader = new ByteReader(bytes.subarray(0, bytes.length - MACS_BYTES));
  if (reader.u8() !== DATAGRAM_TYPES["handshake-1"]) return dropped("unknown-type");
  if (reader.u8() !== MAJOR_VERSION) return dropped("unknown-version");
  if (reader.u16() !== 0) return dropped("bad-field");
  if (bytes.length !== HANDSHAKE_1_BYTES && bytes.length !== PADDED_HANDSHAKE_BYTES) {
    return dropped("trailing-bytes");
  }
  const sender = reader.u32();
  const noise = reader.bytes(HANDSHAKE_1_NOISE_BYTES);
  if (reader.rest().some((byte) => byte !== 0)) return dropped("bad-field");
  return parsed({ sender, noise });
}

/** Everything before mac1. `padded` is for sockets; the ring carries the short form. */
export function emitHandshake1(message: Handshake1, padded: boolean): Uint8Array {
  assert(message.noise.length === HANDSHAKE_1_NOISE_BYTES, "Noise message 1 with empty payload");
  const writer = new ByteWriter().u8(DATAGRAM_TYPES["handshake-1"]).u8(MAJOR_VERSION).u16(0);
  writer.u32(message.sender).bytes(message.noise);
  return writer.zeros(padded ? PADDED_HANDSHAKE_BYTES - HANDSHAKE_1_BYTES : 0).finish();
}

/** The sender index of a handshake message of any major version; undefined when there is none. */
export function readSenderIndex(bytes: Uint8Array): ReceiverIndex | undefined {
  const reader = new ByteReader(bytes);
  reader.skip(4);
  const sender = reader.u32();
  return reader.ok ? sender : undefined;
}

export function parseHandshake2(bytes: Uint8Array): Parsed<Handshake2> {
  return parseReply(bytes, DATAGRAM_TYPES["handshake-2"], NOISE_2_OVERHEAD);
}

export function parseHandshake3(bytes: Uint8Array): Parsed<Handshake3> {
  return parseReply(bytes, DATAGRAM_TYPES["handshake-3"], NOISE_3_OVERHEAD);
}

/** Everything before mac1. */
export function emitHandshake2(message: Handshake2): Uint8Array {
  return emitReply(message, DATAGRAM_TYPES["handshake-2"]);
}

/** Everything before mac1. */
export function emitHandshake3(message: Handshake3): Uint8Array {
  return emitReply(message, DATAGRAM_TYPES["handshake-3"]);
}

/** Reasons: truncated, too-long, unknown-type, bad-field. */
function parseReply(bytes: Uint8Array, type: number, overhead: number): Parsed<HandshakeReply> {
  if (bytes.length < REPLY_HEADER_BYTES + overhead + MACS_BYTES) return dropped("truncated");
  if (bytes.length > PADDED_HANDSHAKE_BYTES) return dropped("too-long");
  const reader = new ByteReader(bytes.subarray(0, bytes.length - MACS_BYTES));
  if (reader.u8() !== type) return dropped("unknown-type");
  if (reader.u8() !== 0 || reader.u16() !== 0) return dropped("bad-field");
  return parsed({ sender: reader.u32(), receiver: reader.u32(), noise: reader.rest() });
}

function emitReply(message: HandshakeReply, type: number): Uint8Array {
  const writer = new ByteWriter().u8(type).u8(0).u16(0);
  writer.u32(message.sender).u32(message.receiver).bytes(message.noise);
  assert(writer.length + MACS_BYTES <= PADDED_HANDSHAKE_BYTES, "handshake in one datagram");
  return writer.finish();
}
