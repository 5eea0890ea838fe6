/**
 * The first four bytes inside the AEAD, and the bodies they announce.
 *
 *   byte 0   bits 0-1 kind   bit 2 checksum partial   bit 3 superframe member
 *            bits 4-5 layer 4: 0 other, 1 TCP, 2 UDP   bit 6 IPv6   bit 7 ECN CE
 *   byte 1   csum_start / 2
 *   byte 2   index in the superframe or of the fragment
 *   byte 3   bits 0-3 pad length   bit 4 last   bits 5-7 zero
 *
 *   frame      body = one Ethernet frame
 *   control    body = control message; with the superframe bit: length u16 | message | zeros
 *   aggregate  body = repeated ( length u16 | descriptor 4 B | frame ), length counts the last two
 *   fragment   body = frame id u32 | part
 */
import { assert } from "../base/assert.ts";
import { ByteReader, ByteWriter } from "../base/bytes.ts";
import { dropped, type Parsed, parsed } from "../base/drop-reason.ts";
import { DESCRIPTOR_BYTES } from "./data.ts";

/** By the number on the wire. */
const KINDS = ["frame", "control", "aggregate", "fragment"] as const;
const LAYER_4 = ["other", "tcp", "udp"] as const;

export type BodyKind = (typeof KINDS)[number];
export type Layer4 = (typeof LAYER_4)[number];

/** 65,535 bytes of plaintext in records of six bytes at least. */
const MAX_AGGREGATE = 10_922;

export interface Descriptor {
  readonly kind: BodyKind;
  /** The inner checksum holds the pseudo-header's sum only; the receiver's kernel completes it. */
  readonly partialChecksum: boolean;
  /** Member of a superframe; of a control message: padded, see the drawing. */
  readonly superframe: boolean;
  readonly layer4: Layer4;
  readonly ipv6: boolean;
  readonly congestion: boolean;
  /** Bytes from the start of the frame, even, at most 510; means something with partialChecksum. */
  readonly checksumStart: number;
  readonly index: number;
  /** Zeros behind the body, 0..15. */
  readonly padLength: number;
  readonly last: boolean;
}

/** A descriptor with every optional part off. */
export const PLAIN_DESCRIPTOR: Descriptor = {
  kind: "frame",
  partialChecksum: false,
  superframe: false,
  layer4: "other",
  ipv6: false,
  congestion: false,
  checksumStart: 0,
  index: 0,
  padLength: 0,
  last: false,
};

/** An opened plaintext as descriptor and body without the padding: truncated or bad-field else. */
export function parsePlaintext(
  plain: Uint8Array,
): Parsed<{ readonly descriptor: Descriptor; readonly body: Uint8Array }> {
  const outcome = parseDescriptor(plain);
  if (!outcome.ok) return outcome;
  const descriptor = outcome.value;
  const end = plain.length - descriptor.padLength;
  if (end < DESCRIPTOR_BYTES) return dropped("bad-field");
  return parsed({ descriptor, body: plain.slice(DESCRIPTOR_BYTES, end) });
}

/** Descriptor, body and as many zeros as the descriptor says. */
export function emitPlaintext(descriptor: Descriptor, body: Uint8Array): Uint8Array {
  const writer = new ByteWriter().bytes(emitDescriptor(descriptor)).bytes(body);
  return writer.zeros(descriptor.padLength).finish();
}

/** The first four bytes of `bytes`; what follows is not looked at. */
export function parseDescriptor(bytes: Uint8Array): Parsed<Descriptor> {
  const [flags = 0, start = 0, index = 0, tail = 0] = bytes;
  if (bytes.length < DESCRIPTOR_BYTES) return dropped("truncated");
  const kind = KINDS[flags & 3];
  const layer4 = LAYER_4[(flags >> 4) & 3];
  if (kind === undefined || layer4 === undefined || tail >= 32) return dropped("bad-field");
  return parsed({
    kind,
    partialChecksum: (flags & 4) !== 0,
    superframe: (flags & 8) !== 0,
    layer4,
    ipv6: (flags & 64) !== 0,
    congestion: (flags & 128) !== 0,
    checksumStart: 2 * start,
    index,
    padLength: tail & 15,
    last: (tail & 16) !== 0,
  });
}

/** Four bytes. */
export function emitDescriptor(descriptor: Descriptor): Uint8Array {
  const { checksumStart, padLength } = descriptor;
  assert(checksumStart % 2 === 0 && checksumStart <= 510, "even checksum start up to 510");
  assert(padLength <= 15, "pad length of four bits");
  const flags =
    KINDS.indexOf(descriptor.kind) |
    (descriptor.partialChecksum ? 4 : 0) |
    (descriptor.superframe ? 8 : 0) |
    (LAYER_4.indexOf(descriptor.layer4) << 4) |
    (descriptor.ipv6 ? 64 : 0) |
    (descriptor.congestion ? 128 : 0);
  const tail = padLength | (descriptor.last ? 16 : 0);
  return Uint8Array.of(flags, checksumStart / 2, descriptor.index, tail);
}

/** One frame of an aggregate. */
export interface AggregateItem {
  readonly descriptor: Descriptor;
  readonly frame: Uint8Array;
}

/** All or nothing: one bad record drops the whole body (bad-field). */
export function parseAggregate(body: Uint8Array): Parsed<readonly AggregateItem[]> {
  const reader = new ByteReader(body);
  const items: AggregateItem[] = [];
  while (reader.remaining > 0 && items.length < MAX_AGGREGATE) {
    const record = reader.bytes(reader.u16());
    const outcome = parsePlaintext(record);
    if (!reader.ok || !outcome.ok) return dropped("bad-field");
    const { descriptor, body: frame } = outcome.value;
    if (descriptor.kind !== "frame") return dropped("bad-field");
    items.push({ descriptor, frame });
  }
  return reader.finished() ? parsed(items) : dropped("bad-field");
}

export function emitAggregate(items: readonly AggregateItem[]): Uint8Array {
  assert(items.length <= MAX_AGGREGATE, "frames in an aggregate");
  const writer = new ByteWriter();
  for (const item of items) writer.block(emitPlaintext(item.descriptor, item.frame));
  return writer.finish();
}

/** The message inside a control body, padded or not. */
export function parseControlBody(descriptor: Descriptor, body: Uint8Array): Parsed<Uint8Array> {
  if (!descriptor.superframe) return parsed(body);
  const reader = new ByteReader(body);
  const message = reader.bytes(reader.u16());
  return reader.ok ? parsed(message) : dropped("truncated");
}

/** @param bodyBytes length of the whole body, at least the message's and two */
export function emitPaddedControl(message: Uint8Array, bodyBytes: number): Uint8Array {
  const writer = new ByteWriter().block(message);
  assert(bodyBytes >= writer.length && bodyBytes <= 0xffff, "length of a padded control body");
  return writer.zeros(bodyBytes - writer.length).finish();
}

/** One of the two halves of a frame that is too large for its path. */
export interface FragmentBody {
  readonly frameId: number;
  readonly part: Uint8Array;
}

export function parseFragmentBody(body: Uint8Array): Parsed<FragmentBody> {
  const reader = new ByteReader(body);
  const frameId = reader.u32();
  const part = reader.rest();
  return reader.ok && part.length > 0 ? parsed({ frameId, part }) : dropped("truncated");
}

export function emitFragmentBody(fragment: FragmentBody): Uint8Array {
  assert(fragment.part.length > 0, "part of a frame");
  return new ByteWriter().u32(fragment.frameId).bytes(fragment.part).finish();
}
