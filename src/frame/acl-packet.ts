/**
 * What the ACL looks at in a frame: who talks to whom over what, and what kind of word it is.
 *
 *      Ethernet [tag [tag]] -> ARP | IPv4 -> transport | IPv6 [headers] -> transport
 *      transport = TCP, UDP -> ports      ICMP, ICMPv6 -> echo, or an error that quotes a packet
 */
import { type Ip, ipFromBytes } from "../base/net.ts";
import { parseEthernet, TYPE_ARP, TYPE_IPV4, TYPE_IPV6 } from "./ethernet.ts";
import { IPV4_HEADER_BYTES, PROTOCOL_ICMP, PROTOCOL_UDP } from "./ipv4.ts";
import { IPV6_HEADER_BYTES, PROTOCOL_ICMPV6 } from "./ipv6.ts";

export const PROTOCOL_TCP = 6;
const NEXT_FRAGMENT = 44;
const NEXT_AUTHENTICATION = 51;
/** Hop-by-hop, routing, destination options, mobility. */
const NEXT_OPTIONS = [0, 43, 60, 135];
/** Host Identity, Shim6 and two experimental ones: the rest of IANA's list of extension headers. */
const NEXT_UNKNOWN = [139, 140, 253, 254];
/** As in the engine: longer chains are refused before. */
const MAX_EXTENSIONS = 8;
/** What is read of a transport header. */
const LEAST_BYTES: Readonly<Record<number, number>> = {
  [PROTOCOL_TCP]: 20,
  [PROTOCOL_UDP]: 8,
  [PROTOCOL_ICMP]: 4,
  [PROTOCOL_ICMPV6]: 4,
};
/** What every ICMP error must quote behind the IP header (RFC 792). */
const QUOTED_TRANSPORT_BYTES = 8;
const ICMP_HEADER_BYTES = 8;
const ND_FIRST = 133;
const ND_LAST = 137;

export interface TransportPacket {
  readonly kind: "transport";
  /** ICMPv6 counts as ICMP. */
  readonly protocol: number;
  readonly source: Ip;
  readonly destination: Ip;
  /** Of TCP and UDP; of an echo both are its identifier; else 0. */
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly tcpFlags: number;
  readonly icmp: "none" | "request" | "reply" | "error";
  /** What an ICMP error says went wrong: the beginning of an IP packet. Borrowed. */
  readonly quoted: Uint8Array | undefined;
  /** Names the packet that this is the first fragment of. */
  readonly fragment: string | undefined;
}

export type AclPacket =
  /** ARP and neighbour discovery: the source filter's. */
  | { readonly kind: "exempt" }
  /** No IP. */
  | { readonly kind: "other" }
  /** IPv6 behind a header that nobody here can walk over. */
  | { readonly kind: "opaque" }
  /** Ports are elsewhere: a later fragment of the named packet; without a name they are cut off. */
  | { readonly kind: "later"; readonly fragment: string | undefined }
  | TransportPacket;

const CUT: AclPacket = { kind: "later", fragment: undefined };

export function readAclPacket(frame: Uint8Array): AclPacket {
  const ethernet = parseEthernet(frame);
  if (!ethernet.ok) return CUT;
  const { type, payload } = ethernet.value;
  if (type === TYPE_ARP) return { kind: "exempt" };
  if (type !== TYPE_IPV4 && type !== TYPE_IPV6) return { kind: "other" };
  const shape = type === TYPE_IPV4 ? ipv4Shape(payload, false) : ipv6Shape(payload, false);
  return shape === undefined ? CUT : readIp(payload, shape);
}

/** The packet that an ICMP error quotes; undefined when it cannot be told whose it is. */
export function readQuoted(quoted: Uint8Array): TransportPacket | undefined {
  const isV4 = (quoted[0] ?? 0) >> 4 === 4;
  const shape = isV4 ? ipv4Shape(quoted, true) : ipv6Shape(quoted, true);
  if (shape === undefined || shape.isLater) return undefined;
  const layer4 = quoted.subarray(shape.layer4, shape.end);
  return layer4.length < QUOTED_TRANSPORT_BYTES ? undefined : transport(quoted, shape, layer4);
}

/** Where the parts of an IP packet lie. */
interface Shape {
  readonly isV6: boolean;
  readonly protocol: number;
  readonly layer4: number;
  readonly end: number;
  /** Identification of a fragmented packet. */
  readonly fragmentId: number | undefined;
  /** The fragment is not the first one. */
  readonly isLater: boolean;
}

/** @param isCut only the headers have to be there */
function ipv4Shape(bytes: Uint8Array, isCut: boolean): Shape | undefined {
  const headerBytes = 4 * ((bytes[0] ?? 0) & 15);
  const end = isCut ? bytes.length : u16(bytes, 2);
  const isWhole = bytes.length >= IPV4_HEADER_BYTES && end >= headerBytes && end <= bytes.length;
  if (!isWhole || headerBytes < IPV4_HEADER_BYTES || (bytes[0] ?? 0) >> 4 !== 4) return undefined;
  const fragment = u16(bytes, 6) & 0x3fff;
  return {
    isV6: false,
    protocol: bytes[9] ?? 0,
    layer4: headerBytes,
    end,
    fragmentId: fragment === 0 ? undefined : u16(bytes, 4),
    isLater: (fragment & 0x1fff) !== 0,
  };
}

function ipv6Shape(bytes: Uint8Array, isCut: boolean): Shape | undefined {
  const end = isCut ? bytes.length : IPV6_HEADER_BYTES + u16(bytes, 4);
  if (bytes.length < IPV6_HEADER_BYTES || end > bytes.length) return undefined;
  if ((bytes[0] ?? 0) >> 4 !== 6) return undefined;
  let protocol = bytes[6] ?? 0;
  let at = IPV6_HEADER_BYTES;
  let fragmentId: number | undefined;
  for (let count = 0; isExtension(protocol); count++) {
    if (count === MAX_EXTENSIONS || at + 8 > end) return undefined;
    if (protocol === NEXT_FRAGMENT) {
      fragmentId = u16(bytes, at + 4) * 65_536 + u16(bytes, at + 6);
      const isLater = (u16(bytes, at + 2) & 0xfff8) !== 0;
      if (isLater) return { isV6: true, protocol, layer4: end, end, fragmentId, isLater };
    }
    const length = extensionBytes(protocol, bytes[at + 1] ?? 0);
    if (at + length > end) return undefined;
    protocol = bytes[at] ?? 0;
    at += length;
  }
  return { isV6: true, protocol, layer4: at, end, fragmentId, isLater: false };
}

function isExtension(next: number): boolean {
  return NEXT_OPTIONS.includes(next) || next === NEXT_FRAGMENT || next === NEXT_AUTHENTICATION;
}

function extensionBytes(next: number, length: number): number {
  if (next === NEXT_FRAGMENT) return 8;
  return next === NEXT_AUTHENTICATION ? 4 * (length + 2) : 8 * (length + 1);
}

function readIp(bytes: Uint8Array, shape: Shape): AclPacket {
  if (shape.isLater) return { kind: "later", fragment: fragmentName(bytes, shape) };
  const { isV6, protocol } = shape;
  const layer4 = bytes.subarray(shape.layer4, shape.end);
  if (layer4.length < (LEAST_BYTES[protocol] ?? 0)) return CUT;
  if (isV6 && NEXT_UNKNOWN.includes(protocol)) return { kind: "opaque" };
  const type = layer4[0] ?? 0;
  const isNd = isV6 && protocol === PROTOCOL_ICMPV6 && type >= ND_FIRST && type <= ND_LAST;
  return isNd ? { kind: "exempt" } : transport(bytes, shape, layer4);
}

function transport(bytes: Uint8Array, shape: Shape, layer4: Uint8Array): TransportPacket {
  const { isV6, protocol } = shape;
  const isIcmp = protocol === (isV6 ? PROTOCOL_ICMPV6 : PROTOCOL_ICMP);
  const hasPorts = protocol === PROTOCOL_TCP || protocol === PROTOCOL_UDP;
  const packet = {
    kind: "transport",
    protocol: isIcmp ? PROTOCOL_ICMP : protocol,
    ...addresses(bytes, isV6),
    sourcePort: hasPorts ? u16(layer4, 0) : 0,
    destinationPort: hasPorts ? u16(layer4, 2) : 0,
    tcpFlags: protocol === PROTOCOL_TCP ? (layer4[13] ?? 0) : 0,
    icmp: "none",
    quoted: undefined,
    fragment: fragmentName(bytes, shape),
  } as const;
  return isIcmp && layer4.length >= ICMP_HEADER_BYTES
    ? { ...packet, ...icmpPart(layer4, isV6) }
    : packet;
}

function icmpPart(layer4: Uint8Array, isV6: boolean): Partial<TransportPacket> {
  const type = layer4[0] ?? 0;
  const isError = isV6 ? type >= 1 && type <= 4 : type === 3 || type === 11 || type === 12;
  if (isError) return { icmp: "error", quoted: layer4.subarray(ICMP_HEADER_BYTES) };
  const [request, reply] = isV6 ? [128, 129] : [8, 0];
  if (type !== request && type !== reply) return {};
  const id = u16(layer4, 4);
  const icmp = type === request ? "request" : "reply";
  return { icmp, sourcePort: id, destinationPort: id };
}

function addresses(bytes: Uint8Array, isV6: boolean): { source: Ip; destination: Ip } {
  const [at, length] = isV6 ? [8, 16] : [12, 4];
  return {
    source: ipFromBytes(bytes.subarray(at, at + length)),
    destination: ipFromBytes(bytes.subarray(at + length, at + 2 * length)),
  };
}

/** The same for all fragments of one packet (RFC 791, RFC 8200). */
function fragmentName(bytes: Uint8Array, shape: Shape): string | undefined {
  if (shape.fragmentId === undefined) return undefined;
  const { source, destination } = addresses(bytes, shape.isV6);
  const protocol = shape.isV6 ? "" : `${bytes[9]}`;
  return `${source} ${destination} ${protocol} ${shape.fragmentId}`;
}

function u16(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
}
