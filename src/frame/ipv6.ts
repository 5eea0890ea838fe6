/**
 * IPv6 header and its extension headers (RFC 8200); big endian.
 *
 *      0                          4                6        7        8           24            40
 *      +--------------------------+----------------+--------+--------+-----------+-------------+
 *      | 6 | class | flow label   | payload length | next   | hops   | source 16 | destination |
 *      +--------------------------+----------------+--------+--------+-----------+-------------+
 */
import { ByteWriter } from "../base/bytes.ts";
import { dropped, type Parsed, parsed } from "../base/drop-reason.ts";
import { type Ip, ipFromBytes, ipToBytes } from "../base/net.ts";

export const IPV6_HEADER_BYTES = 40;
export const PROTOCOL_ICMPV6 = 58;
/** What `protocol` says when a later fragment or a cut chain hides the upper layer. */
export const PROTOCOL_HIDDEN = -1;
const NEXT_FRAGMENT = 44;
/** Hop-by-hop, routing, destination options: all `next u8 | length u8 in 8-byte units, first free`. */
const NEXT_OPTIONS = [0, 43, 60];
/** Hosts may refuse longer chains (RFC 8504, 5.3); none we must understand has any. */
const MAX_EXTENSIONS = 8;

export interface Ipv6Packet {
  readonly source: Ip;
  readonly destination: Ip;
  readonly hopLimit: number;
  /** Behind the extension headers, or PROTOCOL_HIDDEN. */
  readonly protocol: number;
  /** Any fragment, the first one too. */
  readonly isFragment: boolean;
  /** False for the head of a longer packet. */
  readonly isWhole: boolean;
  /** Upper layer, borrowed; cut to the payload length. */
  readonly payload: Uint8Array;
}

/** Errors: `short-frame`, `bad-field`. */
export function parseIpv6(bytes: Uint8Array): Parsed<Ipv6Packet> {
  if (bytes.length < IPV6_HEADER_BYTES) return dropped("short-frame");
  if ((bytes[0] ?? 0) >> 4 !== 6) return dropped("bad-field");
  const length = ((bytes[4] ?? 0) << 8) | (bytes[5] ?? 0);
  const body = bytes.subarray(0, Math.min(bytes.length, IPV6_HEADER_BYTES + length));
  const upper = findUpperLayer(body);
  return parsed({
    source: ipFromBytes(bytes.subarray(8, 24)),
    destination: ipFromBytes(bytes.subarray(24, 40)),
    hopLimit: bytes[7] ?? 0,
    protocol: upper.protocol,
    isFragment: upper.isFragment,
    isWhole: bytes.length >= IPV6_HEADER_BYTES + length,
    payload: body.subarray(upper.at),
  });
}

/** Without extension headers. */
export function emitIpv6(packet: Omit<Ipv6Packet, "isFragment" | "isWhole">): Uint8Array {
  return new ByteWriter()
    .u32be(0x60000000)
    .u16be(packet.payload.length)
    .u8(packet.protocol)
    .u8(packet.hopLimit)
    .bytes(ipToBytes(packet.source))
    .bytes(ipToBytes(packet.destination))
    .bytes(packet.payload)
    .finish();
}

interface UpperLayer {
  readonly protocol: number;
  readonly at: number;
  readonly isFragment: boolean;
}

function findUpperLayer(bytes: Uint8Array): UpperLayer {
  let seenFragment = false;
  let protocol = bytes[6] ?? PROTOCOL_HIDDEN;
  let at = IPV6_HEADER_BYTES;
  for (let i = 0; i < MAX_EXTENSIONS; i++) {
    const isFragment = protocol === NEXT_FRAGMENT;
    if (!isFragment && !NEXT_OPTIONS.includes(protocol)) {
      return { protocol, at, isFragment: seenFragment };
    }
    seenFragment ||= isFragment;
    if (bytes.length < at + 8) break;
    if (isFragment && isLaterFragment(bytes, at)) break;
    protocol = bytes[at] ?? PROTOCOL_HIDDEN;
    at += isFragment ? 8 : 8 + 8 * (bytes[at + 1] ?? 0);
  }
  return { protocol: PROTOCOL_HIDDEN, at: Math.min(at, bytes.length), isFragment: seenFragment };
}

function isLaterFragment(bytes: Uint8Array, at: number): boolean {
  return (((bytes[at + 2] ?? 0) << 8) | ((bytes[at + 3] ?? 0) & 0xf8)) !== 0;
}
