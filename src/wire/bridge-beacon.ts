/**
 * What a node says on the LAN of its bridged site, so that another member on the same LAN hears it:
 * an Ethernet frame of a type of its own, to a group that bridges pass on and nobody else joins.
 *
 *      0        1        2        4                24             32        36              52
 *      +--------+--------+--------+----------------+--------------+---------+---------------+
 *      | form 1 | flags  | 0      | ring address   | run u64      | seq u32 | tag 16 B      |
 *      +--------+--------+--------+----------------+--------------+---------+---------------+
 *      flags: bit 0 = the sender does not bridge at the moment
 *      tag = BLAKE2b(key = derive(network key, "bridge beacon"), the 36 bytes before it)
 *
 * 52 bytes are more than the 46 of the shortest frame: no card pads it.
 */
import { ByteReader, ByteWriter, concat, equalSecret } from "../base/bytes.ts";
import { dropped, type Parsed, parsed } from "../base/drop-reason.ts";
import type { Mac } from "../base/net.ts";
import {
  ADDRESS_BYTES,
  addressFromBytes,
  addressToBytes,
  type RingAddress,
} from "../base/ring-address.ts";

/** Local experimental EtherType 1 (IEEE 802, clause 9.2.4). */
export const TYPE_BEACON = 0x88b5;
/** Locally administered group: outside the reserved ones that bridges keep to themselves. */
export const BEACON_GROUP: Mac = "03:77:65:66:74:00";

const FORM = 1;
const FLAG_CUT = 1;
const BODY_BYTES = 36;
const TAG_BYTES = 16;
export const BEACON_BYTES = BODY_BYTES + TAG_BYTES;

export interface BridgeBeacon {
  readonly address: RingAddress;
  /** Random for each start of the sender. */
  readonly run: bigint;
  /** Counts the beacons of a run. */
  readonly sequence: number;
  /** The sender does not bridge at the moment. */
  readonly isCut: boolean;
}

/** The keyed hash of the caller's suite: 16 bytes. */
export type TagOf = (body: Uint8Array) => Uint8Array;

export function emitBeacon(beacon: BridgeBeacon, tagOf: TagOf): Uint8Array {
  const body = new ByteWriter()
    .u8(FORM)
    .u8(beacon.isCut ? FLAG_CUT : 0)
    .u16(0)
    .bytes(addressToBytes(beacon.address))
    .u64(beacon.run)
    .u32(beacon.sequence)
    .finish();
  return concat(body, tagOf(body));
}

/** Errors: `truncated`, `trailing-bytes`, `unknown-version`, `foreign-network`, `bad-field`. */
export function parseBeacon(bytes: Uint8Array, tagOf: TagOf): Parsed<BridgeBeacon> {
  if (bytes.length < BEACON_BYTES) return dropped("truncated");
  if (bytes.length > BEACON_BYTES) return dropped("trailing-bytes");
  const reader = new ByteReader(bytes);
  if (reader.u8() !== FORM) return dropped("unknown-version");
  const tag = bytes.subarray(BODY_BYTES);
  if (!equalSecret(tagOf(bytes.subarray(0, BODY_BYTES)), tag)) return dropped("foreign-network");
  const flags = reader.u8();
  if (flags > FLAG_CUT || reader.u16() !== 0) return dropped("bad-field");
  const address = addressFromBytes(reader.bytes(ADDRESS_BYTES));
  const run = reader.u64();
  const sequence = reader.u32();
  return parsed({ address, run, sequence, isCut: flags === FLAG_CUT });
}
