/**
 * IPv4 header (RFC 791); big endian.
 *
 *      0        1        2                 4                 6
 *      +--------+--------+-----------------+-----------------+-----------------+
 *      | 4 | ihl| tos    | total length    | identification  | flags | offset  |
 *      +--------+--------+-----------------+-----------------+-----------------+
 *      | ttl    | proto  | header checksum | source 4        | destination 4   |
 *      +--------+--------+-----------------+-----------------+-----------------+
 */
import { ByteWriter } from "../base/bytes.ts";
import { dropped, type Parsed, parsed } from "../base/drop-reason.ts";
import { type Ip, ipFromBytes, ipToBytes } from "../base/net.ts";
import { internetChecksum } from "./checksum.ts";

export const IPV4_HEADER_BYTES = 20;
export const PROTOCOL_ICMP = 1;
export const PROTOCOL_IGMP = 2;
export const PROTOCOL_UDP = 17;
const OFFSET_MASK = 0x1fff;
const MORE_FRAGMENTS = 0x2000;

export interface Ipv4Packet {
  readonly source: Ip;
  readonly destination: Ip;
  readonly protocol: number;
  readonly ttl: number;
  /** In units of 8 bytes; ports are only in the fragment at 0. */
  readonly fragmentOffset: number;
  readonly moreFragments: boolean;
  /** False for the head of a longer packet, as a miss carries it. */
  readonly isWhole: boolean;
  /** Borrowed. Ethernet padding is cut off; a head of a longer packet gives what is there. */
  readonly payload: Uint8Array;
}

/** The header's checksum must be right. Errors: `short-frame`, `bad-field`. */
export function parseIpv4(bytes: Uint8Array): Parsed<Ipv4Packet> {
  const first = bytes[0] ?? 0;
  const headerBytes = 4 * (first & 15);
  if (bytes.length < IPV4_HEADER_BYTES || bytes.length < headerBytes) return dropped("short-frame");
  const totalLength = u16be(bytes, 2);
  if (first >> 4 !== 4 || headerBytes < IPV4_HEADER_BYTES) return dropped("bad-field");
  if (totalLength < headerBytes) return dropped("bad-field");
  if (internetChecksum(bytes.subarray(0, headerBytes)) !== 0) return dropped("bad-field");
  const fragment = u16be(bytes, 6);
  return parsed({
    source: ipFromBytes(bytes.subarray(12, 16)),
    destination: ipFromBytes(bytes.subarray(16, 20)),
    protocol: bytes[9] ?? 0,
    ttl: bytes[8] ?? 0,
    fragmentOffset: fragment & OFFSET_MASK,
    moreFragments: (fragment & MORE_FRAGMENTS) !== 0,
    isWhole: bytes.length >= totalLength,
    payload: bytes.subarray(headerBytes, Math.min(totalLength, bytes.length)),
  });
}

/** What a packet without options and fragments is made of. */
export type Ipv4Fields = Omit<Ipv4Packet, "fragmentOffset" | "moreFragments" | "isWhole">;

/** No options, no fragmentation; identification 0 is right for such packets (RFC 6864). */
export function emitIpv4(packet: Ipv4Fields): Uint8Array {
  const header = new ByteWriter()
    .u16be(0x4500)
    .u16be(IPV4_HEADER_BYTES + packet.payload.length)
    .u32be(0)
    .u8(packet.ttl)
    .u8(packet.protocol)
    .u16be(0)
    .bytes(ipToBytes(packet.source))
    .bytes(ipToBytes(packet.destination))
    .finish();
  const checksum = internetChecksum(header);
  header[10] = checksum >> 8;
  header[11] = checksum & 255;
  return new ByteWriter().bytes(header).bytes(packet.payload).finish();
}

function u16be(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
}
