/**
 * A notice: what the authority tells every member, numbered and signed. Message 0x51 carries one over a
 * link; the state file and the words of `weft revoke` hold the same bytes without the type in front.
 *
 *      0        1        2                 6                    22
 *      +--------+--------+-----------------+--------------------+--------------------------+
 *      | form 1 | kind   | number u32 >= 1 | network id 16 B    | body: length u16 + bytes |
 *      +--------+--------+-----------------+--------------------+--------------------------+
 *      | signature 64 B by the authority over "weft notice 1" | every byte before          |
 *      +-----------------------------------------------------------------------------------+
 *
 * kind 1: the revocations (crypto/revocations.ts), kind 2: the shared part of the cluster file, as text.
 * Each kind is numbered for itself; of one kind only the newest counts.
 */
import { assert } from "../base/assert.ts";
import { ByteReader, ByteWriter, concat, utf8 } from "../base/bytes.ts";
import { dropped, type Parsed, parsed } from "../base/drop-reason.ts";
import { MESSAGE_TYPES } from "./message-type.ts";

export const NOTICE_KINDS = ["revocations", "shared"] as const;
export type NoticeKind = (typeof NOTICE_KINDS)[number];

/** One control message of 64 KiB takes the notice with all that is around it. */
export const MAX_NOTICE_BODY = 60_000;
export const MAX_NOTICE_NUMBER = 0xffff_ffff;
const FORM = 1;
const NETWORK_ID_BYTES = 16;
const SIGNATURE_BYTES = 64;
const HEAD_BYTES = 24;
export const MAX_NOTICE_BYTES = HEAD_BYTES + MAX_NOTICE_BODY + SIGNATURE_BYTES;
const LABEL = utf8("weft notice 1");

export interface NoticeFacts {
  readonly kind: NoticeKind;
  /** 1..MAX_NOTICE_NUMBER */
  readonly number: number;
  /** 16 bytes */
  readonly networkId: Uint8Array;
  readonly body: Uint8Array;
}

export interface Notice extends NoticeFacts {
  /** 64 bytes */
  readonly signature: Uint8Array;
}

/** Form only. Reasons: too-long, truncated, trailing-bytes, unknown-version, unknown-type, bad-field. */
export function parseNotice(bytes: Uint8Array): Parsed<Notice> {
  if (bytes.length > MAX_NOTICE_BYTES) return dropped("too-long");
  const reader = new ByteReader(bytes);
  const form = reader.u8();
  const kind = NOTICE_KINDS[reader.u8() - 1];
  const number = reader.u32();
  const networkId = reader.bytes(NETWORK_ID_BYTES);
  const length = reader.u16();
  if (!reader.ok) return dropped("truncated");
  if (form !== FORM) return dropped("unknown-version");
  if (kind === undefined) return dropped("unknown-type");
  if (number === 0 || length > MAX_NOTICE_BODY) return dropped("bad-field");
  const body = reader.bytes(length);
  const signature = reader.bytes(SIGNATURE_BYTES);
  if (!reader.ok) return dropped("truncated");
  if (!reader.finished()) return dropped("trailing-bytes");
  return parsed({ kind, number, networkId, body, signature });
}

export function emitNotice(notice: Notice): Uint8Array {
  assert(notice.signature.length === SIGNATURE_BYTES, "length of a signature");
  return concat(emitFacts(notice), notice.signature);
}

/** The bytes that the authority signs. */
export function noticeText(facts: NoticeFacts): Uint8Array {
  return concat(LABEL, emitFacts(facts));
}

function emitFacts({ kind, number, networkId, body }: NoticeFacts): Uint8Array {
  assert(number >= 1 && number <= MAX_NOTICE_NUMBER, "number of a notice");
  assert(networkId.length === NETWORK_ID_BYTES, "length of a network id");
  assert(body.length <= MAX_NOTICE_BODY, "length of a notice");
  const writer = new ByteWriter()
    .u8(FORM)
    .u8(1 + NOTICE_KINDS.indexOf(kind))
    .u32(number);
  return writer.bytes(networkId).block(body).finish();
}

/** Message 0x51: the type, then the notice as it is. */
export function emitNoticeMessage(notice: Uint8Array): Uint8Array {
  return concat(Uint8Array.of(MESSAGE_TYPES.notice), notice);
}
