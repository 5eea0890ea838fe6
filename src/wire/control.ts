/**
 * The envelope of control messages: what the body of a sealed datagram of kind `control` holds.
 *
 *   datagram   0 | body                                          sent once, unreliable
 *   fragment   1 | message id u32 | index u16 | count u16 | part  reliable; part 1..1,100 B
 *   ack        2 | message id u32                                the whole message arrived
 *
 * A body, whole or put together from its parts, starts with a message type (wire/message-type.ts).
 */
import { assert } from "../base/assert.ts";
import { ByteReader, ByteWriter } from "../base/bytes.ts";
import { dropped, type Parsed, parsed } from "../base/drop-reason.ts";
import { ENGINE_LIMITS } from "../base/engine.ts";

/** With every header of a relayed path this stays inside the 1,200 bytes each path starts with. */
export const FRAGMENT_PART_BYTES = 1_100;
/** A message is a list of records or neighbours, never bulk data. */
export const MAX_MESSAGE_BYTES = 65_536;
export const MAX_FRAGMENTS = Math.ceil(MAX_MESSAGE_BYTES / FRAGMENT_PART_BYTES);
/** Form byte, message id, index and count. */
export const FRAGMENT_HEADER_BYTES = 9;
/** What one datagram can carry behind its form byte. */
export const MAX_DATAGRAM_BODY_BYTES = ENGINE_LIMITS.controlBytes - 1;

const FORM_DATAGRAM = 0;
const FORM_FRAGMENT = 1;
const FORM_ACK = 2;
const ACK_BYTES = 5;

export type ControlEnvelope =
  | { readonly form: "datagram"; readonly body: Uint8Array }
  | {
      readonly form: "fragment";
      readonly messageId: number;
      /** 0..count-1 */
      readonly index: number;
      /** 1..MAX_FRAGMENTS */
      readonly count: number;
      readonly part: Uint8Array;
    }
  | { readonly form: "ack"; readonly messageId: number };

/** Reasons: truncated, trailing-bytes, too-long, bad-field, unknown-type. */
export function parseControl(bytes: Uint8Array): Parsed<ControlEnvelope> {
  switch (bytes[0]) {
    case FORM_DATAGRAM:
      return parseDatagram(bytes);
    case FORM_FRAGMENT:
      return parseFragment(bytes);
    case FORM_ACK:
      return parseAck(bytes);
    case undefined:
      return dropped("truncated");
    default:
      return dropped("unknown-type");
  }
}

export function emitControl(envelope: ControlEnvelope): Uint8Array {
  const writer = new ByteWriter();
  switch (envelope.form) {
    case "datagram":
      assert(isWithin(envelope.body.length, MAX_DATAGRAM_BODY_BYTES), "control body length");
      return writer.u8(FORM_DATAGRAM).bytes(envelope.body).finish();
    case "fragment":
      assert(isWithin(envelope.part.length, FRAGMENT_PART_BYTES), "fragment length");
      assert(isWithin(envelope.count, MAX_FRAGMENTS), "fragment count");
      assert(envelope.index < envelope.count, "fragment index");
      writer.u8(FORM_FRAGMENT).u32(envelope.messageId);
      return writer.u16(envelope.index).u16(envelope.count).bytes(envelope.part).finish();
    case "ack":
      return writer.u8(FORM_ACK).u32(envelope.messageId).finish();
  }
}

function parseDatagram(bytes: Uint8Array): Parsed<ControlEnvelope> {
  const body = bytes.slice(1);
  if (body.length === 0) return dropped("truncated");
  if (body.length > MAX_DATAGRAM_BODY_BYTES) return dropped("too-long");
  return parsed({ form: "datagram", body });
}

function parseFragment(bytes: Uint8Array): Parsed<ControlEnvelope> {
  if (bytes.length <= FRAGMENT_HEADER_BYTES) return dropped("truncated");
  if (bytes.length > FRAGMENT_HEADER_BYTES + FRAGMENT_PART_BYTES) return dropped("too-long");
  const reader = new ByteReader(bytes);
  reader.skip(1);
  const messageId = reader.u32();
  const index = reader.u16();
  const count = reader.u16();
  if (!isWithin(count, MAX_FRAGMENTS) || index >= count) return dropped("bad-field");
  return parsed({ form: "fragment", messageId, index, count, part: reader.rest() });
}

function parseAck(bytes: Uint8Array): Parsed<ControlEnvelope> {
  if (bytes.length < ACK_BYTES) return dropped("truncated");
  if (bytes.length > ACK_BYTES) return dropped("trailing-bytes");
  const reader = new ByteReader(bytes);
  reader.skip(1);
  return parsed({ form: "ack", messageId: reader.u32() });
}

function isWithin(value: number, max: number): boolean {
  return value >= 1 && value <= max;
}
