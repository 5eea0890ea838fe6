/** Where the parts of an Ethernet frame lie: parsed once, lengths checked. */
import type { DropReason } from "../src/base/drop-reason.ts";

export const ETHERNET_BYTES = 14;
export const PROTOCOL_ICMP = 1;
export const PROTOCOL_TCP = 6;
export const PROTOCOL_UDP = 17;
export const PROTOCOL_ICMPV6 = 58;
const TYPE_IPV4 = 0x0800;
const TYPE_ARP = 0x0806;
const TYPE_IPV6 = 0x86dd;
const TYPES_VLAN = [0x8100, 0x88a8];
const VLAN_TAG_BYTES = 4;
/** Two tags are what bridges use; more is no frame of an honest host. */
const MAX_VLAN_TAGS = 2;
const ARP_BYTES = 28;
const IPV4_BYTES = 20;
const IPV6_BYTES = 40;
const NEXT_FRAGMENT = 44;
const NEXT_AUTHENTICATION = 51;
/** Hop-by-hop, routing, destination options, mobility: `next u8 | length u8 in units of 8, less one`. */
const NEXT_EXTENSIONS = [0, 43, 60, 135];
/** RFC 8504 lets a host refuse long chains; ND and DHCPv6 travel without any. */
const MAX_EXTENSIONS = 8;

export interface FrameView {
  /** EtherType under the VLAN tags. */
  readonly type: number;
  readonly layer3: "arp" | "ipv4" | "ipv6" | "other";
  /** Where layer 3 begins. */
  readonly at: number;
  /** Where the packet ends; Ethernet padding lies behind it. */
  readonly end: number;
  /** -1 in a later fragment, whose ports are elsewhere. */
  readonly protocol: number;
  /** Where layer 4 begins; `end` when it is elsewhere. */
  readonly layer4: number;
  readonly isFragment: boolean;
}

/** The parts of a frame, or why it is none. */
export function parseFrame(frame: Uint8Array): FrameView | DropReason {
  if (frame.length < ETHERNET_BYTES) return "short-frame";
  let at = ETHERNET_BYTES;
  let type = readU16be(frame, 12);
  for (let tags = 0; TYPES_VLAN.includes(type); tags++) {
    if (tags === MAX_VLAN_TAGS) return "bad-field";
    if (frame.length < at + VLAN_TAG_BYTES) return "short-frame";
    type = readU16be(frame, at + 2);
    at += VLAN_TAG_BYTES;
  }
  if (type === TYPE_IPV4) return parseIpv4(frame, at);
  if (type === TYPE_IPV6) return parseIpv6(frame, at);
  const nothing = { type, at, protocol: -1, isFragment: false };
  if (type !== TYPE_ARP) {
    return { ...nothing, layer3: "other", end: frame.length, layer4: frame.length };
  }
  const end = at + ARP_BYTES;
  return frame.length < end ? "short-frame" : { ...nothing, layer3: "arp", end, layer4: end };
}

function parseIpv4(frame: Uint8Array, at: number): FrameView | DropReason {
  if (frame.length < at + IPV4_BYTES) return "short-frame";
  const headerBytes = 4 * ((frame[at] ?? 0) & 15);
  const totalBytes = readU16be(frame, at + 2);
  if ((frame[at] ?? 0) >> 4 !== 4 || headerBytes < IPV4_BYTES || totalBytes < headerBytes) {
    return "bad-field";
  }
  const end = at + totalBytes;
  if (end > frame.length) return "short-frame";
  const fragment = readU16be(frame, at + 6) & 0x3fff;
  const isLater = (fragment & 0x1fff) !== 0;
  return {
    type: TYPE_IPV4,
    layer3: "ipv4",
    at,
    end,
    protocol: isLater ? -1 : (frame[at + 9] ?? -1),
    layer4: isLater ? end : at + headerBytes,
    isFragment: fragment !== 0,
  };
}

function parseIpv6(frame: Uint8Array, at: number): FrameView | DropReason {
  if (frame.length < at + IPV6_BYTES) return "short-frame";
  if ((frame[at] ?? 0) >> 4 !== 6) return "bad-field";
  const end = at + IPV6_BYTES + readU16be(frame, at + 4);
  if (end > frame.length) return "short-frame";
  const upper = walkExtensions(frame, at, end);
  return typeof upper === "string" ? upper : { type: TYPE_IPV6, layer3: "ipv6", at, end, ...upper };
}

function walkExtensions(
  frame: Uint8Array,
  start: number,
  end: number,
): Pick<FrameView, "protocol" | "layer4" | "isFragment"> | DropReason {
  let protocol = frame[start + 6] ?? -1;
  let at = start + IPV6_BYTES;
  let isFragment = false;
  for (let count = 0; isExtension(protocol); count++) {
    if (count === MAX_EXTENSIONS) return "bad-field";
    if (at + 8 > end) return "short-frame";
    isFragment ||= protocol === NEXT_FRAGMENT;
    if (protocol === NEXT_FRAGMENT && (readU16be(frame, at + 2) & 0xfff8) !== 0) {
      return { protocol: -1, layer4: end, isFragment };
    }
    const length = extensionBytes(protocol, frame[at + 1] ?? 0);
    if (at + length > end) return "short-frame";
    protocol = frame[at] ?? -1;
    at += length;
  }
  return { protocol, layer4: at, isFragment };
}

function isExtension(next: number): boolean {
  return NEXT_EXTENSIONS.includes(next) || next === NEXT_FRAGMENT || next === NEXT_AUTHENTICATION;
}

function extensionBytes(next: number, length: number): number {
  if (next === NEXT_FRAGMENT) return 8;
  return next === NEXT_AUTHENTICATION ? 4 * (length + 2) : 8 * (length + 1);
}

export function writeU16be(frame: Uint8Array, at: number, value: number): void {
  frame[at] = value >>> 8;
  frame[at + 1] = value;
}

export function readU16be(frame: Uint8Array, at: number): number {
  return ((frame[at] ?? 0) << 8) | (frame[at + 1] ?? 0);
}
