/**
 * The relay shim: eight bytes in front of a data datagram, rewritten in place at each hop.
 *
 *   0 type u8 = 201 | 1 ttl u8 | 2 hop tag u16 = 0 | 4 label u32 (not zero) | 8 data datagram
 */
import { assert } from "../base/assert.ts";
import { ByteReader, ByteWriter } from "../base/bytes.ts";
import { dropped, type Parsed, parsed } from "../base/drop-reason.ts";
import type { Label } from "../base/engine.ts";
import { SEAL_OVERHEAD_BYTES } from "./data.ts";
import { DATAGRAM_TYPES } from "./message-type.ts";

export const RELAY_SHIM_BYTES = 8;

export interface RelayShim {
  /** 0..4, 4 at the start of a path */
  readonly ttl: number;
  readonly label: Label;
}

/** Reasons: truncated, unknown-type, bad-field (the inner datagram is not of type data). */
export function parseRelay(
  datagram: Uint8Array,
): Parsed<{ readonly shim: RelayShim; readonly inner: Uint8Array }> {
  if (datagram.length < RELAY_SHIM_BYTES + SEAL_OVERHEAD_BYTES) return dropped("truncated");
  const reader = new ByteReader(datagram);
  if (reader.u8() !== DATAGRAM_TYPES.relay) return dropped("unknown-type");
  const ttl = reader.u8();
  const tag = reader.u16();
  const label = reader.u32();
  const inner = reader.rest();
  const good = tag === 0 && label !== 0 && inner[0] === DATAGRAM_TYPES.data;
  return good ? parsed({ shim: { ttl, label }, inner }) : dropped("bad-field");
}

export function emitRelay(shim: RelayShim, inner: Uint8Array): Uint8Array {
  assert(shim.label !== 0, "a relay label is not zero");
  assert(inner[0] === DATAGRAM_TYPES.data, "a relay carries data datagrams");
  const writer = new ByteWriter().u8(DATAGRAM_TYPES.relay).u8(shim.ttl).u16(0);
  return writer.u32(shim.label).bytes(inner).finish();
}
