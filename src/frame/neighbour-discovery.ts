/**
 * Neighbour discovery (RFC 4861) and listener reports (RFC 2710, 3810), ICMPv6 behind IPv6.
 *
 *      0        1        2                 4                 8              24
 *      +--------+--------+-----------------+-----------------+--------------+---------
 *      | type   | code 0 | checksum        | flags R S O ... | target 16    | options     135, 136, 137
 *      +--------+--------+-----------------+-----------------+--------------+---------
 *      option: type u8 | length u8 in 8-byte units | value;  1 = source MAC, 2 = target MAC
 */
import { ByteReader, ByteWriter } from "../base/bytes.ts";
import { dropped, type Parsed, parsed } from "../base/drop-reason.ts";
import {
  type Ip,
  ipFromBytes,
  ipToBytes,
  type Mac,
  macFromBytes,
  macToBytes,
} from "../base/net.ts";
import { internetChecksum } from "./checksum.ts";
import { PROTOCOL_ICMPV6 } from "./ipv6.ts";

const ROUTER_SOLICITATION = 133;
const ROUTER_ADVERTISEMENT = 134;
const NEIGHBOUR_SOLICITATION = 135;
const NEIGHBOUR_ADVERTISEMENT = 136;
const REDIRECT = 137;
/** Listener query, reports and done of versions 1 and 2. */
const LISTENER_TYPES = [130, 131, 132, 143];
const OPTION_SOURCE_MAC = 1;
const OPTION_TARGET_MAC = 2;
const FLAG_SOLICITED = 0x40;
const FLAG_OVERRIDE = 0x20;
/** A 1500-byte message holds 182 options; honest ones carry at most a handful. */
const MAX_OPTIONS = 16;

export type NdMessage =
  | { readonly kind: "router-solicitation" }
  | { readonly kind: "router-advertisement" }
  | { readonly kind: "redirect" }
  /** Multicast listener discovery: who wants which group; floods reach everybody anyway. */
  | { readonly kind: "listener" }
  | {
      readonly kind: "solicitation";
      readonly target: Ip;
      /** The asker's own MAC option; absent in address probes. */
      readonly mac: Mac | undefined;
    }
  | {
      readonly kind: "advertisement";
      readonly target: Ip;
      readonly mac: Mac | undefined;
      readonly solicited: boolean;
      readonly override: boolean;
    }
  /** Echo, errors and whatever else ICMPv6 carries. */
  | { readonly kind: "other" };

/** @param bytes ICMPv6 from its type on. Errors: `short-frame`, `bad-field`. */
export function parseNd(bytes: Uint8Array): Parsed<NdMessage> {
  const type = bytes[0];
  if (type === undefined) return dropped("short-frame");
  if (LISTENER_TYPES.includes(type)) return parsed({ kind: "listener" });
  if (type === ROUTER_SOLICITATION) return parsed({ kind: "router-solicitation" });
  if (type === ROUTER_ADVERTISEMENT) return parsed({ kind: "router-advertisement" });
  if (type === REDIRECT) return parsed({ kind: "redirect" });
  if (type === NEIGHBOUR_SOLICITATION || type === NEIGHBOUR_ADVERTISEMENT) {
    return parseNeighbour(type, bytes);
  }
  return parsed({ kind: "other" });
}

/** ICMPv6 bytes with the checksum over the pseudo header of `source` and `destination`. */
export function emitNd(
  message: Extract<NdMessage, { target: Ip }>,
  source: Ip,
  destination: Ip,
): Uint8Array {
  const isAdvertisement = message.kind === "advertisement";
  const flags = isAdvertisement
    ? (message.solicited ? FLAG_SOLICITED : 0) | (message.override ? FLAG_OVERRIDE : 0)
    : 0;
  const out = new ByteWriter()
    .u8(isAdvertisement ? NEIGHBOUR_ADVERTISEMENT : NEIGHBOUR_SOLICITATION)
    .u8(0)
    .u16be(0)
    .u32be(flags * 2 ** 24)
    .bytes(ipToBytes(message.target));
  if (message.mac !== undefined) {
    out.u8(isAdvertisement ? OPTION_TARGET_MAC : OPTION_SOURCE_MAC).u8(1);
    out.bytes(macToBytes(message.mac));
  }
  return withChecksum(out.finish(), source, destination);
}

function parseNeighbour(type: number, bytes: Uint8Array): Parsed<NdMessage> {
  const reader = new ByteReader(bytes);
  reader.skip(4);
  const flags = reader.u8();
  reader.skip(3);
  const target = ipFromBytes(reader.bytes(16));
  if (!reader.ok) return dropped("short-frame");
  const isAdvertisement = type === NEIGHBOUR_ADVERTISEMENT;
  const options = readOptions(reader, isAdvertisement ? OPTION_TARGET_MAC : OPTION_SOURCE_MAC);
  if (!options.ok) return options;
  const mac = options.value;
  if (!isAdvertisement) return parsed({ kind: "solicitation", target, mac });
  return parsed({
    kind: "advertisement",
    target,
    mac,
    solicited: (flags & FLAG_SOLICITED) !== 0,
    override: (flags & FLAG_OVERRIDE) !== 0,
  });
}

/** The MAC of the wanted option. An option of length 0 makes the message invalid (RFC 4861, 4.6). */
function readOptions(reader: ByteReader, wanted: number): Parsed<Mac | undefined> {
  let mac: Mac | undefined;
  for (let i = 0; reader.remaining > 0; i++) {
    if (i === MAX_OPTIONS) return dropped("bad-field");
    const type = reader.u8();
    const length = reader.u8();
    if (length === 0) return dropped("bad-field");
    const value = reader.bytes(8 * length - 2);
    if (!reader.ok) return dropped("bad-field");
    if (type !== wanted) continue;
    // Two of them would let a checker and a host believe different ones.
    if (mac !== undefined || length !== 1) return dropped("bad-field");
    mac = macFromBytes(value);
  }
  return parsed(mac);
}

function withChecksum(bytes: Uint8Array, source: Ip, destination: Ip): Uint8Array {
  const pseudo = new ByteWriter()
    .bytes(ipToBytes(source))
    .bytes(ipToBytes(destination))
    .u32be(bytes.length)
    .u32be(PROTOCOL_ICMPV6)
    .finish();
  const checksum = internetChecksum(pseudo, bytes);
  bytes[2] = checksum >> 8;
  bytes[3] = checksum & 255;
  return bytes;
}
