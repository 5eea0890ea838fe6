/**
 * The sealed datagrams of docs/WIRE.md as the software engine writes and reads them.
 *
 *   data   | 200 | lane | flow u16 | receiver u32 | counter u64 | AEAD( desc 4 | body | pad ) tag 16 |
 *   relay  | 201 | ttl  | tag u16  | label u32 | a whole data datagram |
 */
import type { Label, ReceiverIndex } from "../src/base/engine.ts";

export const TYPE_DATA = 200;
export const TYPE_RELAY = 201;
/** Datagrams of no session that end in mac1 and mac2. */
export const TYPE_HANDSHAKE_FIRST = 192;
export const TYPE_HANDSHAKE_LAST = 198;
/** RFC 8489: the two top bits of a STUN message are zero; RFC 7983 gives it 0..3. */
export const TYPE_STUN_LAST = 3;

export const HEADER_BYTES = 16;
export const DESC_BYTES = 4;
export const TAG_BYTES = 16;
export const SHIM_BYTES = 8;
export const MAC_BYTES = 16;
/** What sealing adds to a body on a direct path. */
export const SEAL_OVERHEAD = HEADER_BYTES + DESC_BYTES + TAG_BYTES;
/** `frame id u32` in front of a fragment's part. */
export const FRAGMENT_HEADER_BYTES = 4;
/** Hops a relayed datagram may take: a constant of the format. */
export const RELAY_TTL = 4;

export const KIND_FRAME = 0;
export const KIND_CONTROL = 1;
export const KIND_AGGREGATE = 2;
export const KIND_FRAGMENT = 3;

/** The descriptor of a body; `padLength` counts the zeros behind it. */
export interface Descriptor {
  readonly kind: number;
  readonly partialChecksum: boolean;
  /** In a control message: the body is `length u16 | message | zeros`. */
  readonly superframe: boolean;
  readonly layer4: number;
  readonly checksumStart: number;
  readonly index: number;
  readonly padLength: number;
  readonly last: boolean;
}

/** What a descriptor says besides the body; `padded` = length-prefixed body (path probes). */
export interface SealForm {
  readonly kind: number;
  readonly index?: number;
  readonly last?: boolean;
  readonly padLength?: number;
  readonly padded?: boolean;
  readonly ttl?: number | undefined;
}

/** A datagram ready to be sealed: shim when there is a label, header, descriptor, body, room for the tag. */
export function layOut(
  header: { readonly to: ReceiverIndex; readonly counter: number },
  body: Uint8Array,
  form: SealForm,
  label: Label | undefined,
): Uint8Array {
  const at = label === undefined ? 0 : SHIM_BYTES;
  const pad = form.padLength ?? 0;
  const out = new Uint8Array(at + SEAL_OVERHEAD + body.length + pad);
  if (label !== undefined) writeShim(out, RELAY_TTL, label);
  writeHeader(out, at, header.to, header.counter);
  out[at + HEADER_BYTES] = form.kind | (form.padded === true ? 8 : 0);
  out[at + HEADER_BYTES + 2] = form.index ?? 0;
  out[at + HEADER_BYTES + 3] = pad | (form.last === true ? 16 : 0);
  out.set(body, at + HEADER_BYTES + DESC_BYTES);
  return out;
}

/** `length u16 | message | zeros`: `extra` bytes longer than the message, its prefix included. */
export function lengthened(message: Uint8Array, extra: number): Uint8Array {
  const body = new Uint8Array(message.length + extra);
  writeU16(body, 0, message.length);
  body.set(message, 2);
  return body;
}

export function readU16(bytes: Uint8Array, at: number): number {
  return (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8);
}

export function readU32(bytes: Uint8Array, at: number): number {
  return (readU16(bytes, at) | (readU16(bytes, at + 2) << 16)) >>> 0;
}

export function writeU16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
}

export function writeU32(bytes: Uint8Array, at: number, value: number): void {
  writeU16(bytes, at, value);
  writeU16(bytes, at + 2, value >>> 16);
}

/** Writes a data header at `at`. The counter stays below 2^53 here, far above any simulation. */
export function writeHeader(
  bytes: Uint8Array,
  at: number,
  to: ReceiverIndex,
  counter: number,
): void {
  bytes[at] = TYPE_DATA;
  writeU32(bytes, at + 4, to);
  writeU32(bytes, at + 8, counter >>> 0);
  writeU32(bytes, at + 12, Math.floor(counter / 2 ** 32));
}

/** The counter of a data header; values past 2^53 lose digits, so the caller refuses them. */
export function readCounter(bytes: Uint8Array, at: number): number {
  return readU32(bytes, at + 8) + readU32(bytes, at + 12) * 2 ** 32;
}

export function writeShim(bytes: Uint8Array, ttl: number, label: Label): void {
  bytes[0] = TYPE_RELAY;
  bytes[1] = ttl;
  writeU16(bytes, 2, 0);
  writeU32(bytes, 4, label);
}

/** Fills `nonce` (12 bytes): salt[0..2] | lane | counter u64, the last nine copied off the header. */
export function fillNonce(
  nonce: Uint8Array,
  salt: Uint8Array,
  bytes: Uint8Array,
  at: number,
): void {
  nonce[0] = salt[0] ?? 0;
  nonce[1] = salt[1] ?? 0;
  nonce[2] = salt[2] ?? 0;
  nonce[3] = bytes[at + 1] ?? 0;
  for (let i = 0; i < 8; i++) nonce[4 + i] = bytes[at + 8 + i] ?? 0;
}

/** The descriptor at the front of an opened plaintext (or of an aggregate's record). */
export function readDescriptor(bytes: Uint8Array, at: number): Descriptor {
  const flags = bytes[at] ?? 0;
  const tail = bytes[at + 3] ?? 0;
  return {
    kind: flags & 3,
    partialChecksum: (flags & 4) !== 0,
    superframe: (flags & 8) !== 0,
    layer4: (flags >> 4) & 3,
    checksumStart: 2 * (bytes[at + 1] ?? 0),
    index: bytes[at + 2] ?? 0,
    padLength: tail & 15,
    last: (tail & 16) !== 0,
  };
}
