/**
 * The shared part of the sender's cluster file, message type 0x50, key by key: sent once over a link
 * whose ends have different digests of the whole, so that both can name what differs.
 *
 *      0        1        2          3
 *      +--------+--------+----------+
 *      | 0x50   | form 1 | count u8 |  count (0..32) x
 *      +--------+--------+----------+
 *      { name u8 length 1..32 + [a-z0-9_]
 *      | digest 8 B of the value's canonical text
 *      | text u8 length 0..120 + printable ASCII; empty: too long or too odd to be told }
 *
 * Names are strictly ascending. A key that a member does not know is one that its own file lacks.
 */
import { assert } from "../base/assert.ts";
import { asciiText, ByteReader, ByteWriter, utf8 } from "../base/bytes.ts";
import { dropped, type Parsed, parsed } from "../base/drop-reason.ts";
import { MESSAGE_TYPES } from "./message-type.ts";

/** The sender understands this message: it answers another digest with its own values. */
export const CAPABILITY_SHARED_PART = 0x100;
const FORM = 1;
/** The shared part has eight keys; four times that is room for many versions. */
export const MAX_SHARED_KEYS = 32;
export const VALUE_DIGEST_BYTES = 8;
/** A value that fits one line of `weft status`; longer ones are lists, compared in the files. */
export const MAX_SHARED_TEXT = 120;
const NAME = /^[a-z0-9_]{1,32}$/;

export interface SharedValue {
  readonly key: string;
  /** 8 bytes over the canonical text */
  readonly digest: Uint8Array;
  /** Empty when it is not told. */
  readonly text: string;
}

/** Reasons: truncated, trailing-bytes, unknown-type, unknown-version, too-long, bad-field. */
export function parseSharedPart(bytes: Uint8Array): Parsed<readonly SharedValue[]> {
  const reader = new ByteReader(bytes);
  if (reader.u8() !== MESSAGE_TYPES["shared-part"]) return dropped("unknown-type");
  if (reader.u8() !== FORM) return dropped("unknown-version");
  const count = reader.u8();
  if (count > MAX_SHARED_KEYS) return dropped("too-long");
  const values: SharedValue[] = [];
  for (let i = 0; i < count; i++) {
    const key = asciiText(reader.bytes(reader.u8())) ?? "";
    const digest = reader.bytes(VALUE_DIGEST_BYTES);
    const length = reader.u8();
    const text = asciiText(reader.bytes(length));
    if (!reader.ok) return dropped("truncated");
    const isNext = NAME.test(key) && key > (values.at(-1)?.key ?? "");
    if (!isNext || text === undefined || length > MAX_SHARED_TEXT) return dropped("bad-field");
    values.push({ key, digest, text });
  }
  if (!reader.ok) return dropped("truncated");
  return reader.finished() ? parsed(values) : dropped("trailing-bytes");
}

/** @param values ascending by key, at most MAX_SHARED_KEYS */
export function emitSharedPart(values: readonly SharedValue[]): Uint8Array {
  assert(values.length <= MAX_SHARED_KEYS, "number of shared keys");
  const writer = new ByteWriter().u8(MESSAGE_TYPES["shared-part"]).u8(FORM).u8(values.length);
  for (const { key, digest, text } of values) {
    assert(digest.length === VALUE_DIGEST_BYTES, "length of a value's digest");
    writer.u8(key.length).bytes(utf8(key)).bytes(digest);
    const told = utf8(text.length <= MAX_SHARED_TEXT ? text : "");
    writer.u8(told.length).bytes(told);
  }
  return writer.finish();
}
