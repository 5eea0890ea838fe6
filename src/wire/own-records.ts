/**
 * Own records, message type 0x40: what the sender claims to speak for, the whole list each time.
 * The receiver believes none of it: it asks the DHT for each record (docs/PROTOCOL.md, Fence). Control
 * messages may overtake one another, so a list with a lower sequence than the last one is out of date.
 *
 *      0        1        2                 4
 *      +--------+--------+-----------------+-----------------+
 *      | 0x40   | form 1 | count u16       | sequence u32    |
 *      +--------+--------+-----------------+-----------------+
 *      count x { mac 6 B | addresses u8 (0..16) | addresses x { family u8 (4 | 6) | 4 or 16 B } }
 */
import { ByteReader, ByteWriter } from "../base/bytes.ts";
import { dropped, type Parsed, parsed } from "../base/drop-reason.ts";
import { ENGINE_LIMITS, type FilterEntry } from "../base/engine.ts";
import {
  type Ip,
  ipFromBytes,
  ipToBytes,
  isGroupMac,
  isIpv6,
  macFromBytes,
  macToBytes,
} from "../base/net.ts";
import { MESSAGE_TYPES } from "./message-type.ts";

const FORM = 1;

export interface OwnRecords {
  /** Counts up with every list of this sender since it started. */
  readonly sequence: number;
  readonly entries: readonly FilterEntry[];
}

/** Errors: `truncated`, `trailing-bytes`, `too-long`, `unknown-type`, `unknown-version`, `bad-field`. */
export function parseOwnRecords(bytes: Uint8Array): Parsed<OwnRecords> {
  const reader = new ByteReader(bytes);
  if (reader.u8() !== MESSAGE_TYPES["own-records"]) return dropped("unknown-type");
  if (reader.u8() !== FORM) return dropped("unknown-version");
  const count = reader.u16();
  if (count > ENGINE_LIMITS.macsPerSession) return dropped("too-long");
  const sequence = reader.u32();
  const entries: FilterEntry[] = [];
  for (let i = 0; i < count && reader.ok; i++) {
    const mac = macFromBytes(reader.bytes(6));
    const ips = readAddresses(reader);
    if (reader.ok && (ips === undefined || isGroupMac(mac))) return dropped("bad-field");
    entries.push({ mac, ips: ips ?? [] });
  }
  if (!reader.ok) return dropped("truncated");
  if (!reader.finished()) return dropped("trailing-bytes");
  const macs = new Set(entries.map((entry) => entry.mac));
  return macs.size === entries.length ? parsed({ sequence, entries }) : dropped("bad-field");
}

/** Entries and addresses past the engine's bounds are left out. */
export function emitOwnRecords(records: OwnRecords): Uint8Array {
  const kept = records.entries.slice(0, ENGINE_LIMITS.macsPerSession);
  const out = new ByteWriter().u8(MESSAGE_TYPES["own-records"]).u8(FORM).u16(kept.length);
  out.u32(records.sequence);
  for (const { mac, ips } of kept) {
    const addresses = ips.slice(0, ENGINE_LIMITS.ipsPerMac);
    out.bytes(macToBytes(mac)).u8(addresses.length);
    for (const ip of addresses) out.u8(isIpv6(ip) ? 6 : 4).bytes(ipToBytes(ip));
  }
  return out.finish();
}

/** Undefined when a field is wrong; running past the end is left to the reader's `ok`. */
function readAddresses(reader: ByteReader): readonly Ip[] | undefined {
  const count = reader.u8();
  if (count > ENGINE_LIMITS.ipsPerMac) return undefined;
  const ips: Ip[] = [];
  for (let i = 0; i < count && reader.ok; i++) {
    const family = reader.u8();
    if (!reader.ok) return [];
    if (family !== 4 && family !== 6) return undefined;
    const bytes = reader.bytes(family === 4 ? 4 : 16);
    if (reader.ok) ips.push(ipFromBytes(bytes));
  }
  return ips;
}
