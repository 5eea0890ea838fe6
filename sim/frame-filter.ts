/**
 * What a peer's frame may claim: source MAC, IPv4 and IPv6 source, ARP sender, ND target, and roles
 * no member may play over the overlay (router, DHCP server or client, bridge control).
 *
 *      Ethernet [802.1Q [802.1Q]]  ->  ARP | IPv4 -> UDP | IPv6 [extensions] -> ICMPv6, UDP
 */
import type { DropReason } from "../src/base/drop-reason.ts";
import { ENGINE_LIMITS, type FilterEntry } from "../src/base/engine.ts";
import { type Ip, ipFromBytes, linkLocalOf, type Mac, macFromBytes } from "../src/base/net.ts";

export const ETHERNET_BYTES = 14;
const TYPE_IPV4 = 0x0800;
const TYPE_ARP = 0x0806;
const TYPE_IPV6 = 0x86dd;
const TYPES_VLAN = [0x8100, 0x88a8];
/** Pause frames and the slow protocols (LACP) steer a link; they make no sense across an overlay. */
const TYPES_LINK_CONTROL = [0x8808, 0x8809];
const PROTOCOL_UDP = 17;
const PROTOCOL_ICMPV6 = 58;
const NEXT_FRAGMENT = 44;
/** Hop-by-hop, routing, destination options: they share the form `next u8 | length u8`. */
const NEXT_EXTENSIONS = [0, 43, 60];
/** Two tags are what bridges use; more is no frame of an honest host. */
const MAX_VLAN_TAGS = 2;
/** RFC 8504 lets a host refuse long chains; ND and DHCPv6 travel without any. */
const MAX_EXTENSIONS = 8;
const DHCP_PORTS = [67, 68];
const DHCPV6_PORTS = [546, 547];

/** Addresses by MAC, as published by one `filter` command. */
export type FilterTable = ReadonlyMap<Mac, ReadonlySet<Ip>>;

export function buildFilter(entries: readonly FilterEntry[]): FilterTable {
  const table = new Map<Mac, ReadonlySet<Ip>>();
  for (const entry of entries.slice(0, ENGINE_LIMITS.macsPerSession)) {
    const ips = entry.ips.slice(0, ENGINE_LIMITS.ipsPerMac);
    table.set(entry.mac, new Set([...ips, linkLocalOf(entry.mac)]));
  }
  return table;
}

export const destinationOf = (frame: Uint8Array): Mac => macFromBytes(frame);
export const sourceOf = (frame: Uint8Array): Mac => macFromBytes(frame.subarray(6, 12));
export const isGroupFrame = (frame: Uint8Array): boolean => ((frame[0] ?? 0) & 1) === 1;

/** The IPv4/IPv6 source or ARP sender; undefined for other frames. */
export function sourceIpOf(frame: Uint8Array): Ip | undefined {
  const { type, at } = payloadOf(frame);
  if (type === TYPE_ARP && frame.length >= at + 28) return ipAt(frame, at + 14, 4);
  if (type === TYPE_IPV4 && frame.length >= at + 20) return ipAt(frame, at + 12, 4);
  if (type === TYPE_IPV6 && frame.length >= at + 40) return ipAt(frame, at + 8, 16);
  return undefined;
}

/** A frame from our own TAP that asks a DHCP server something (UDP to port 67). */
export function isDhcpRequest(frame: Uint8Array): boolean {
  const { type, at } = payloadOf(frame);
  if (type !== TYPE_IPV4 || frame.length < at + 20 || frame[at + 9] !== PROTOCOL_UDP) return false;
  return frame.length >= udpOf(frame, at) + 8 && u16be(frame, udpOf(frame, at) + 2) === 67;
}

/** Why a peer's frame must not pass; undefined when it may. */
export function filterFrame(frame: Uint8Array, table: FilterTable): DropReason | undefined {
  if (frame.length < ETHERNET_BYTES) return "short-frame";
  const { type, at } = payloadOf(frame);
  if (isLinkControl(frame) || TYPES_LINK_CONTROL.includes(type)) return "link-control";
  const mac = sourceOf(frame);
  const ips = table.get(mac);
  if (ips === undefined) return "source-mac";
  if (type === TYPE_ARP) return checkArp(frame, at, ips);
  if (type === TYPE_IPV4) return checkIpv4(frame, at, ips);
  if (type === TYPE_IPV6) return checkIpv6(frame, at, ips);
  return undefined;
}

/** IEEE 802.1D reserved group addresses 01:80:c2:00:00:00..0f: spanning tree, LLDP, LACP. */
function isLinkControl(frame: Uint8Array): boolean {
  if (frame[0] !== 0x01 || frame[1] !== 0x80 || frame[2] !== 0xc2) return false;
  return frame[3] === 0 && frame[4] === 0 && (frame[5] ?? 0) < 16;
}

/** RFC 826. An address probe (sender 0.0.0.0, RFC 5227) claims nothing. */
function checkArp(frame: Uint8Array, at: number, ips: ReadonlySet<Ip>): DropReason | undefined {
  if (frame.length < at + 28 || u16be(frame, at + 2) !== TYPE_IPV4) return "arp-sender";
  for (let i = 0; i < 6; i++) if (frame[at + 8 + i] !== frame[6 + i]) return "arp-sender";
  const sender = ipAt(frame, at + 14, 4);
  return sender === "0.0.0.0" || ips.has(sender) ? undefined : "arp-sender";
}

function checkIpv4(frame: Uint8Array, at: number, ips: ReadonlySet<Ip>): DropReason | undefined {
  if (frame.length < at + 20) return "short-frame";
  const isFirst = (u16be(frame, at + 6) & 0x1fff) === 0;
  if (isFirst && frame[at + 9] === PROTOCOL_UDP && usesPort(frame, udpOf(frame, at), DHCP_PORTS)) {
    return "dhcp-over-overlay";
  }
  return ips.has(ipAt(frame, at + 12, 4)) ? undefined : "source-ip";
}

function checkIpv6(frame: Uint8Array, at: number, ips: ReadonlySet<Ip>): DropReason | undefined {
  if (frame.length < at + 40) return "short-frame";
  const upper = upperLayerOf(frame, at);
  if (upper.protocol === PROTOCOL_UDP && usesPort(frame, upper.at, DHCPV6_PORTS)) {
    return "dhcp-over-overlay";
  }
  const source = ipAt(frame, at + 8, 16);
  if (upper.protocol === PROTOCOL_ICMPV6) return checkIcmpv6(frame, upper.at, source, ips);
  return ips.has(source) ? undefined : "source-ip";
}

/** RFC 4861: 134 router advertisement, 137 redirect, 135 and 136 solicitation and advertisement. */
function checkIcmpv6(
  frame: Uint8Array,
  at: number,
  source: Ip,
  ips: ReadonlySet<Ip>,
): DropReason | undefined {
  const type = frame[at];
  if (type === 134 || type === 137) return "router-advertisement";
  const isAddressProbe = type === 135 && source === "::";
  if (type === 136 || isAddressProbe) {
    if (frame.length < at + 24 || !ips.has(ipAt(frame, at + 8, 16))) return "nd-target";
  }
  return isAddressProbe || ips.has(source) ? undefined : "source-ip";
}

/** The protocol above the extension headers; -1 for a later fragment, whose ports are elsewhere. */
function upperLayerOf(frame: Uint8Array, at: number): { protocol: number; at: number } {
  let protocol = frame[at + 6] ?? -1;
  let next = at + 40;
  for (let i = 0; i < MAX_EXTENSIONS; i++) {
    if (protocol === NEXT_FRAGMENT) {
      if ((u16be(frame, next + 2) & 0xfff8) !== 0) return { protocol: -1, at: next };
      protocol = frame[next] ?? -1;
      next += 8;
    } else if (NEXT_EXTENSIONS.includes(protocol)) {
      protocol = frame[next] ?? -1;
      next += 8 + 8 * (frame[next + 1] ?? 0);
    } else break;
  }
  return { protocol, at: next };
}

/** The EtherType under at most two VLAN tags, and where its payload begins. */
function payloadOf(frame: Uint8Array): { type: number; at: number } {
  let at = 12;
  let type = u16be(frame, at);
  for (let tags = 0; tags < MAX_VLAN_TAGS && TYPES_VLAN.includes(type); tags++) {
    at += 4;
    type = u16be(frame, at);
  }
  return { type, at: at + 2 };
}

function udpOf(frame: Uint8Array, at: number): number {
  return at + 4 * ((frame[at] ?? 0) & 15);
}

function usesPort(frame: Uint8Array, udp: number, ports: readonly number[]): boolean {
  return ports.includes(u16be(frame, udp)) || ports.includes(u16be(frame, udp + 2));
}

function ipAt(frame: Uint8Array, at: number, length: number): Ip {
  return ipFromBytes(frame.subarray(at, at + length));
}

function u16be(frame: Uint8Array, at: number): number {
  return ((frame[at] ?? 0) << 8) | (frame[at + 1] ?? 0);
}
