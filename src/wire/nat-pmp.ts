/**
 * NAT-PMP (RFC 6886), as far as a mapping of one UDP port needs it. Big endian. Sent to UDP port 5351
 * of the default gateway.
 *
 *     address request    version 0 u8 | 0 u8                                                   2 B
 *     address answer     0 u8 | 128 u8 | result u16 | epoch u32 | IPv4 address 4 B            12 B
 *     mapping request    0 u8 | 1 u8 | 0 u16 | inside port u16 | outside port u16 | life u32  12 B
 *     mapping answer     0 u8 | 129 u8 | result u16 | epoch u32 | inside u16 | outside u16
 *                        | life u32                                                           16 B
 */
import { ByteReader, ByteWriter } from "../base/bytes.ts";
import { dropped, type Parsed, parsed } from "../base/drop-reason.ts";
import { type Ip, ipFromBytes } from "../base/net.ts";

export const GATEWAY_PORT = 5_351;

const ADDRESS = 0;
const MAP_UDP = 1;
const ANSWER = 128;

export interface PmpMapping {
  readonly insidePort: number;
  readonly outsidePort: number;
  /** 0 removes the mapping. */
  readonly lifeSeconds: number;
}

/** `result` 0 = done; else the gateway's refusal (RFC 6886, section 3.5) and no value. */
export interface PmpAnswer<T> {
  readonly result: number;
  readonly value: T | undefined;
}

export function emitPmpAddressRequest(): Uint8Array {
  return Uint8Array.of(0, ADDRESS);
}

export function emitPmpMapping(mapping: PmpMapping): Uint8Array {
  const { insidePort, outsidePort, lifeSeconds } = mapping;
  const writer = new ByteWriter().u8(0).u8(MAP_UDP).u16be(0);
  return writer.u16be(insidePort).u16be(outsidePort).u32be(lifeSeconds).finish();
}

export function parsePmpAddress(bytes: Uint8Array): Parsed<PmpAnswer<Ip>> {
  return parseAnswer(bytes, ADDRESS, (reader) => ipFromBytes(reader.bytes(4)));
}

export function parsePmpMapping(bytes: Uint8Array): Parsed<PmpAnswer<PmpMapping>> {
  return parseAnswer(bytes, MAP_UDP, (reader) => ({
    insidePort: reader.u16be(),
    outsidePort: reader.u16be(),
    lifeSeconds: reader.u32be(),
  }));
}

function parseAnswer<T>(
  bytes: Uint8Array,
  operation: number,
  read: (reader: ByteReader) => T,
): Parsed<PmpAnswer<T>> {
  const reader = new ByteReader(bytes);
  const version = reader.u8();
  const operated = reader.u8();
  const result = reader.u16be();
  if (!reader.ok) return dropped("truncated");
  if (version !== 0) return dropped("unknown-version");
  if (operated !== ANSWER + operation) return dropped("unknown-type");
  // A refusal may end here.
  if (result !== 0) return parsed({ result, value: undefined });
  reader.skip(4);
  const value = read(reader);
  if (!reader.ok) return dropped("truncated");
  return reader.finished() ? parsed({ result, value }) : dropped("trailing-bytes");
}
