/**
 * What a peer's frame may claim: source MAC, IPv4 and IPv6 source, ARP sender, ND target, and roles
 * no member may play over the overlay (router, DHCP server, bridge control).
 *
 *      Ethernet [802.1Q [802.1Q]]  ->  ARP | IPv4 -> UDP, ICMP | IPv6 [extensions] -> UDP, ICMPv6
 */
import { equalBytes } from "../src/base/bytes.ts";
import type { DropReason } from "../src/base/drop-reason.ts";
import { ENGINE_LIMITS, type FilterEntry } from "../src/base/engine.ts";
import { type Ip, ipFromBytes, linkLocalOf, type Mac, macFromBytes } from "../src/base/net.ts";
import {
  type FrameView,
  PROTOCOL_ICMP,
  PROTOCOL_ICMPV6,
  PROTOCOL_TCP,
  PROTOCOL_UDP,
  parseFrame,
  readU16be,
} from "./frame-view.ts";

/** Pause frames, the slow protocols (LACP) and LLDP steer a link: no sense across an overlay. */
const TYPES_LINK_CONTROL = [0x8808, 0x8809, 0x88cc];
const DHCP_SERVER_PORT = 67;
const DHCPV6_SERVER_PORT = 547;
const ICMP_REDIRECT = 5;
const ND_ROUTER_SOLICITATION = 133;
const ND_ROUTER_ADVERTISEMENT = 134;
const ND_SOLICITATION = 135;
const ND_ADVERTISEMENT = 136;
const ND_REDIRECT = 137;
const ND_LINK_LAYER_OPTIONS = [1, 2];
/** Real messages carry one or two options. */
const MAX_ND_OPTIONS = 8;
/** Ethernet and IPv4: hardware type, protocol type, both lengths. */
const ARP_FORM = Uint8Array.of(0, 1, 8, 0, 6, 4);
/** What a first fragment must show, so that nothing hides behind it (RFC 7112). */
const LEAST_TRANSPORT_BYTES: Readonly<Record<number, number>> = {
  [PROTOCOL_UDP]: 8,
  [PROTOCOL_TCP]: 20,
  [PROTOCOL_ICMP]: 4,
  [PROTOCOL_ICMPV6]: 4,
};
/** Reasons that tell the core to look again at who this peer may speak for. */
const ABOUT_SOURCE: readonly DropReason[] = ["source-mac", "source-ip", "arp-sender", "nd-target"];

/** Addresses by MAC, as published by one `filter` command. */
export type FilterTable = ReadonlyMap<Mac, ReadonlySet<Ip>>;

/** undefined when the entries pass a bound. */
export function buildFilter(entries: readonly FilterEntry[]): FilterTable | undefined {
  if (entries.length > ENGINE_LIMITS.macsPerSession) return undefined;
  const table = new Map<Mac, ReadonlySet<Ip>>();
  for (const { mac, ips } of entries) {
    if (ips.length > ENGINE_LIMITS.ipsPerMac) return undefined;
    table.set(mac, new Set([...ips, linkLocalOf(mac)]));
  }
  return table;
}

export const destinationOf = (frame: Uint8Array): Mac => macFromBytes(frame);
export const sourceOf = (frame: Uint8Array): Mac => macFromBytes(frame.subarray(6, 12));
export const isGroupFrame = (frame: Uint8Array): boolean => ((frame[0] ?? 0) & 1) === 1;
export const isAboutSource = (reason: DropReason): boolean => ABOUT_SOURCE.includes(reason);

/** The IPv4/IPv6 source or ARP sender; undefined for other frames. */
export function sourceIpOf(frame: Uint8Array): Ip | undefined {
  const view = parseFrame(frame);
  return typeof view === "string" ? undefined : senderOf(frame, view);
}

/** A frame from our own TAP that asks a DHCP server something (UDP to port 67). */
export function isDhcpRequest(frame: Uint8Array): boolean {
  const view = parseFrame(frame);
  if (typeof view === "string" || view.layer3 !== "ipv4" || view.protocol !== PROTOCOL_UDP)
    return false;
  return view.end >= view.layer4 + 8 && readU16be(frame, view.layer4 + 2) === DHCP_SERVER_PORT;
}

/** Why a peer's frame must not pass; undefined when it may. */
export function filterFrame(frame: Uint8Array, table: FilterTable): DropReason | undefined {
  const view = parseFrame(frame);
  if (typeof view === "string") return view;
  if (isLinkControl(frame) || TYPES_LINK_CONTROL.includes(view.type)) return "link-control";
  const ips = table.get(sourceOf(frame));
  if (ips === undefined || ((frame[6] ?? 0) & 1) === 1) return "source-mac";
  if (view.layer3 === "other") return undefined;
  if (view.layer3 === "arp") return checkArp(frame, view.at, table);
  return checkIp(frame, view, ips) ?? checkNeighbour(frame, view, { ips, table });
}

/** IEEE 802.1D reserved group addresses 01:80:c2:00:00:00..0f: spanning tree, LLDP, LACP. */
function isLinkControl(frame: Uint8Array): boolean {
  if (frame[0] !== 0x01 || frame[1] !== 0x80 || frame[2] !== 0xc2) return false;
  return frame[3] === 0 && frame[4] === 0 && (frame[5] ?? 0) < 16;
}

/** RFC 826. An address probe (sender 0.0.0.0, RFC 5227) claims nothing. */
function checkArp(frame: Uint8Array, at: number, table: FilterTable): DropReason | undefined {
  if (!equalBytes(frame.subarray(at, at + 6), ARP_FORM)) return "arp-sender";
  const ips = table.get(macFromBytes(frame.subarray(at + 8, at + 14)));
  const sender = ipAt(frame, at + 14, 4);
  return ips !== undefined && (sender === "0.0.0.0" || ips.has(sender)) ? undefined : "arp-sender";
}

function checkIp(frame: Uint8Array, view: FrameView, ips: ReadonlySet<Ip>): DropReason | undefined {
  const isV6 = view.layer3 === "ipv6";
  const least = LEAST_TRANSPORT_BYTES[view.protocol] ?? 0;
  if (view.end - view.layer4 < least) return "short-frame";
  if (redirectsTraffic(frame, view)) return "router-advertisement";
  const serverPort = isV6 ? DHCPV6_SERVER_PORT : DHCP_SERVER_PORT;
  if (view.protocol === PROTOCOL_UDP && readU16be(frame, view.layer4) === serverPort) {
    return "dhcp-over-overlay";
  }
  const source = senderOf(frame, view) ?? "";
  const isProbe = isV6 && source === "::" && neighbourKind(frame, view) === ND_SOLICITATION;
  return isProbe || ips.has(source) ? undefined : "source-ip";
}

function redirectsTraffic(frame: Uint8Array, view: FrameView): boolean {
  const type = frame[view.layer4];
  if (view.protocol === PROTOCOL_ICMP) return view.layer3 === "ipv4" && type === ICMP_REDIRECT;
  const kind = neighbourKind(frame, view);
  return kind === ND_ROUTER_ADVERTISEMENT || kind === ND_REDIRECT;
}

/** The ICMPv6 type when it is one of neighbour discovery (RFC 4861). */
function neighbourKind(frame: Uint8Array, view: FrameView): number | undefined {
  if (view.layer3 !== "ipv6" || view.protocol !== PROTOCOL_ICMPV6) return undefined;
  const type = frame[view.layer4] ?? 0;
  return type >= ND_ROUTER_SOLICITATION && type <= ND_REDIRECT ? type : undefined;
}

/**
 * An advertisement names only an address of its own MAC, link-layer options only known MACs.
 * Fragmented neighbour discovery is refused (RFC 6980).
 */
function checkNeighbour(
  frame: Uint8Array,
  view: FrameView,
  known: { readonly ips: ReadonlySet<Ip>; readonly table: FilterTable },
): DropReason | undefined {
  const kind = neighbourKind(frame, view);
  if (kind === undefined) return undefined;
  const fixedBytes = kind === ND_ROUTER_SOLICITATION ? 8 : 24;
  if (view.isFragment || view.end - view.layer4 < fixedBytes) return "nd-target";
  const target = ipAt(frame, view.layer4 + 8, 16);
  if (kind === ND_ADVERTISEMENT && !known.ips.has(target)) return "nd-target";
  const areOptionsFine = checkOptions(
    frame.subarray(view.layer4 + fixedBytes, view.end),
    known.table,
  );
  return areOptionsFine ? undefined : "nd-target";
}

function checkOptions(options: Uint8Array, table: FilterTable): boolean {
  let at = 0;
  for (let count = 0; at < options.length; count++) {
    const length = 8 * (options[at + 1] ?? 0);
    if (count === MAX_ND_OPTIONS || length === 0 || at + length > options.length) return false;
    const mac = macFromBytes(options.subarray(at + 2, at + 8));
    if (ND_LINK_LAYER_OPTIONS.includes(options[at] ?? 0) && !table.has(mac)) return false;
    at += length;
  }
  return true;
}

function senderOf(frame: Uint8Array, view: FrameView): Ip | undefined {
  if (view.layer3 === "arp") return ipAt(frame, view.at + 14, 4);
  if (view.layer3 === "ipv4") return ipAt(frame, view.at + 12, 4);
  return view.layer3 === "ipv6" ? ipAt(frame, view.at + 8, 16) : undefined;
}

function ipAt(frame: Uint8Array, at: number, length: number): Ip {
  return ipFromBytes(frame.subarray(at, at + length));
}
