/**
 * Flooded frame, message type 0x30: one broadcast or multicast frame on its way to every member.
 *
 *      0        1        2                          22                         42
 *      +--------+--------+--------------------------+--------------------------+
 *      | 0x30   | hops   | range from 20 B          | range to 20 B            |  not signed
 *      +--------+--------+--------------------------+--------------------------+
 *      | run u64         | sequence u32    | certificate u16 + bytes | frame u16 + bytes |
 *      +-----------------------------------------------------------------------+
 *      | signature 64 B                                                        |
 *      +-----------------------------------------------------------------------+
 *
 * The receiver carries the frame on to the nodes clockwise between `from` and `to`, both excluded;
 * from = to means all but that one. `run` is drawn at the origin's start, so that sequences may
 * begin at 0 again. The signature is the origin's, over a label, the network id and everything from
 * `run` to the frame; the range changes at each hop.
 */
import { ByteReader, ByteWriter, concat, utf8 } from "../base/bytes.ts";
import { dropped, type Parsed, parsed } from "../base/drop-reason.ts";
import {
  ADDRESS_BYTES,
  addressFromBytes,
  addressToBytes,
  type RingAddress,
} from "../base/ring-address.ts";
import { MAX_CHAIN_BYTES } from "./certificate-block.ts";
import { MESSAGE_TYPES } from "./message-type.ts";

/** The part of the ring a receiver answers for: clockwise from `from` to `to`, both excluded. */
export interface FloodRange {
  readonly from: RingAddress;
  readonly to: RingAddress;
}

/** What the origin signs; the same bytes at every hop. */
export interface FloodBody {
  /** u64 */
  readonly run: bigint;
  /** u32 */
  readonly sequence: number;
  readonly certificate: Uint8Array;
  /** From the Ethernet header on. */
  readonly frame: Uint8Array;
}

export interface Flood {
  /** Hops left; a flood with 0 is delivered and not carried on. */
  readonly hops: number;
  readonly range: FloodRange;
  readonly body: FloodBody;
  /** The signed bytes of `body` as they came, so that a hop need not build them again. */
  readonly signed: Uint8Array;
  readonly signature: Uint8Array;
}

const RANGE_BYTES = 2 + 2 * ADDRESS_BYTES;
const SIGNATURE_BYTES = 64;
/** ENGINE_LIMITS.frameBytes: the largest frame a TAP gives. */
const MAX_FRAME_BYTES = 9_216;
const MIN_FRAME_BYTES = 14;
const MAX_BYTES = RANGE_BYTES + 8 + 4 + 2 + MAX_CHAIN_BYTES + 2 + MAX_FRAME_BYTES + SIGNATURE_BYTES;
const LABEL = utf8("weft flood 1");

/** Structure only. Errors: `truncated`, `too-long`, `unknown-type`, `bad-field`, `trailing-bytes`. */
export function parseFlood(bytes: Uint8Array): Parsed<Flood> {
  if (bytes.length > MAX_BYTES) return dropped("too-long");
  if (bytes.length < RANGE_BYTES + SIGNATURE_BYTES) return dropped("truncated");
  const reader = new ByteReader(bytes);
  if (reader.u8() !== MESSAGE_TYPES.flood) return dropped("unknown-type");
  const hops = reader.u8();
  const from = addressFromBytes(reader.bytes(ADDRESS_BYTES));
  const to = addressFromBytes(reader.bytes(ADDRESS_BYTES));
  const run = reader.u64();
  const sequence = reader.u32();
  const certificate = reader.block(MAX_CHAIN_BYTES);
  const frame = reader.block(MAX_FRAME_BYTES);
  const signature = reader.bytes(SIGNATURE_BYTES);
  if (!reader.ok) return dropped("truncated");
  if (reader.remaining > 0) return dropped("trailing-bytes");
  if (frame.length < MIN_FRAME_BYTES) return dropped("bad-field");
  const signed = bytes.slice(RANGE_BYTES, bytes.length - SIGNATURE_BYTES);
  return parsed({
    hops,
    range: { from, to },
    body: { run, sequence, certificate, frame },
    signed,
    signature,
  });
}

/** Takes the signed bytes as they are: a hop changes the range alone. */
export function emitFlood(flood: Omit<Flood, "body">): Uint8Array {
  return new ByteWriter()
    .u8(MESSAGE_TYPES.flood)
    .u8(flood.hops)
    .bytes(addressToBytes(flood.range.from))
    .bytes(addressToBytes(flood.range.to))
    .bytes(flood.signed)
    .bytes(flood.signature)
    .finish();
}

/** The bytes between the range and the signature. */
export function emitFloodBody(body: FloodBody): Uint8Array {
  return new ByteWriter()
    .u64(body.run)
    .u32(body.sequence)
    .block(body.certificate)
    .block(body.frame)
    .finish();
}

/** What the origin's signature covers: a flood of another network does not verify. */
export function floodSignedText(networkId: Uint8Array, signed: Uint8Array): Uint8Array {
  return concat(LABEL, networkId, signed);
}
