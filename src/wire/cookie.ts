/**
 * The two short answers to a handshake message: "prove your address" and "we cannot talk".
 *
 *   cookie           195 | 0 u8 | 0 u16 | receiver u32 | nonce 16 B | sealed 32 B | mac1 | mac2
 *   version refused  196 | major u8 | 0 u16 | receiver u32 | mac1 | mac2
 *
 * `receiver` is the sender index of the message answered. Both are no longer than any handshake
 * message, so they amplify nothing. The emitters write everything before mac1.
 */
import { assert } from "../base/assert.ts";
import { ByteReader, ByteWriter } from "../base/bytes.ts";
import { dropped, type Parsed, parsed } from "../base/drop-reason.ts";
import type { ReceiverIndex } from "../base/engine.ts";
import { MACS_BYTES } from "./handshake.ts";
import { DATAGRAM_TYPES } from "./message-type.ts";

export const COOKIE_NONCE_BYTES = 16;
/** A cookie of 16 bytes and its AEAD tag. */
export const SEALED_COOKIE_BYTES = 32;
export const COOKIE_REPLY_BYTES = 8 + COOKIE_NONCE_BYTES + SEALED_COOKIE_BYTES + MACS_BYTES;
export const VERSION_REFUSED_BYTES = 8 + MACS_BYTES;

export interface CookieReply {
  readonly receiver: ReceiverIndex;
  /** 16 bytes */
  readonly nonce: Uint8Array;
  /** 32 bytes */
  readonly sealed: Uint8Array;
}

export interface VersionRefused {
  readonly receiver: ReceiverIndex;
  /** The major version of the one who refuses. */
  readonly major: number;
}

/** Reasons: truncated, trailing-bytes, unknown-type, bad-field. */
export function parseCookieReply(bytes: Uint8Array): Parsed<CookieReply> {
  const wrong = wrongLength(bytes, COOKIE_REPLY_BYTES);
  if (wrong !== undefined) return wrong;
  const reader = new ByteReader(bytes);
  if (reader.u8() !== DATAGRAM_TYPES.cookie) return dropped("unknown-type");
  if (reader.u8() !== 0 || reader.u16() !== 0) return dropped("bad-field");
  return parsed({
    receiver: reader.u32(),
    nonce: reader.bytes(COOKIE_NONCE_BYTES),
    sealed: reader.bytes(SEALED_COOKIE_BYTES),
  });
}

export function emitCookieReply(reply: CookieReply): Uint8Array {
  assert(reply.nonce.length === COOKIE_NONCE_BYTES, "length of a cookie nonce");
  assert(reply.sealed.length === SEALED_COOKIE_BYTES, "length of a sealed cookie");
  const writer = new ByteWriter().u8(DATAGRAM_TYPES.cookie).u8(0).u16(0);
  return writer.u32(reply.receiver).bytes(reply.nonce).bytes(reply.sealed).finish();
}

/** Reasons: truncated, trailing-bytes, unknown-type, bad-field. */
export function parseVersionRefused(bytes: Uint8Array): Parsed<VersionRefused> {
  const wrong = wrongLength(bytes, VERSION_REFUSED_BYTES);
  if (wrong !== undefined) return wrong;
  const reader = new ByteReader(bytes);
  if (reader.u8() !== DATAGRAM_TYPES["version-refused"]) return dropped("unknown-type");
  const major = reader.u8();
  if (reader.u16() !== 0) return dropped("bad-field");
  return parsed({ receiver: reader.u32(), major });
}

export function emitVersionRefused(refused: VersionRefused): Uint8Array {
  const writer = new ByteWriter().u8(DATAGRAM_TYPES["version-refused"]).u8(refused.major).u16(0);
  return writer.u32(refused.receiver).finish();
}

function wrongLength(bytes: Uint8Array, expected: number): Parsed<never> | undefined {
  if (bytes.length < expected) return dropped("truncated");
  return bytes.length > expected ? dropped("trailing-bytes") : undefined;
}
