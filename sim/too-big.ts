/**
 * "Packet too big" (RFC 792 and 1191, RFC 4443) for frames that their path does not carry, and the
 * MSS option of TCP's SYN: what native/engine/too-big.cc and mss-clamp.cc do.
 */
import { concat } from "../src/base/bytes.ts";
import { internetChecksum } from "../src/frame/checksum.ts";
import { FRAGMENT_HEADER_BYTES } from "./datagram.ts";
import { frameRoom, type PathCommand } from "./engine-session.ts";
import {
  type FrameView,
  PROTOCOL_ICMP,
  PROTOCOL_ICMPV6,
  PROTOCOL_TCP,
  parseFrame,
  readU16be,
  writeU16be,
} from "./frame-view.ts";

const LEAST_IPV6_MTU = 1_280;
/** Whole answers, headers included: RFC 1812, 4.3.2.3, and RFC 4443, 2.4. */
const MAX_ANSWER_V4 = 576;
const MAX_ANSWER_V6 = LEAST_IPV6_MTU;
const IPV4_BYTES = 20;
const IPV6_BYTES = 40;
const ICMP_BYTES = 8;
const TCP_BYTES = 20;
const DONT_FRAGMENT = 0x4000;
const HOP_LIMIT = 64;
const ICMP_ERRORS = [3, 4, 5, 11, 12];
const FLAG_SYN = 2;
const OPTION_MSS = 2;
const LEAST_MSS = 536;

/** The answer to `frame`, whose path carries `room` bytes; undefined when it may be cut in two. */
export function tooBigAnswer(frame: Uint8Array, room: number): Uint8Array | undefined {
  const view = parseFrame(frame);
  if (typeof view === "string" || !mayBeAnswered(frame, view)) return undefined;
  const fitsHalves = Math.ceil(frame.length / 2) + 4 <= room;
  if (fitsHalves && !forbidsFragments(frame, view)) return undefined;
  const ethernet = concat(frame.subarray(6, 12), frame.subarray(0, 6), frame.subarray(12, view.at));
  const packet = frame.subarray(view.at);
  const mtu = room - view.at;
  return concat(ethernet, view.layer3 === "ipv4" ? answerV4(packet, mtu) : answerV6(packet, mtu));
}

function forbidsFragments(frame: Uint8Array, { layer3, at }: FrameView): boolean {
  if (layer3 === "ipv4") return (readU16be(frame, at + 6) & DONT_FRAGMENT) !== 0;
  return frame.length > at + LEAST_IPV6_MTU;
}

/** RFC 1122, 3.2.2: never after an ICMP error, a later fragment, or a packet from or to a group. */
function mayBeAnswered(frame: Uint8Array, view: FrameView): boolean {
  const { layer3, at, layer4, end, protocol } = view;
  const type = frame[layer4] ?? 0;
  if (protocol < 0 || layer4 >= end) return false;
  if (layer3 === "ipv4") {
    const isGroup = [at + 12, at + 16].some((place) => isGroupV4(frame[place] ?? 0));
    return !isGroup && (protocol !== PROTOCOL_ICMP || !ICMP_ERRORS.includes(type));
  }
  const isGroup = [at + 8, at + 24].some((place) => isGroupV6(frame.subarray(place, place + 16)));
  return !isGroup && (protocol !== PROTOCOL_ICMPV6 || type >= 128);
}

function isGroupV4(first: number): boolean {
  return first === 0 || first >= 224;
}

function isGroupV6(ip: Uint8Array): boolean {
  return ip[0] === 255 || ip.every((byte) => byte === 0);
}

function answerV4(packet: Uint8Array, mtu: number): Uint8Array {
  const quote = packet.subarray(0, MAX_ANSWER_V4 - IPV4_BYTES - ICMP_BYTES);
  const header = new Uint8Array(IPV4_BYTES);
  header[0] = 0x45;
  writeU16be(header, 2, IPV4_BYTES + ICMP_BYTES + quote.length);
  writeU16be(header, 6, DONT_FRAGMENT);
  header[8] = HOP_LIMIT;
  header[9] = PROTOCOL_ICMP;
  header.set(packet.subarray(16, 20), 12);
  header.set(packet.subarray(12, 16), 16);
  writeU16be(header, 10, internetChecksum(header));
  const icmp = Uint8Array.of(3, 4, 0, 0, 0, 0, mtu >>> 8, mtu & 255);
  writeU16be(icmp, 2, internetChecksum(icmp, quote));
  return concat(header, icmp, quote);
}

function answerV6(packet: Uint8Array, mtu: number): Uint8Array {
  const quote = packet.subarray(0, MAX_ANSWER_V6 - IPV6_BYTES - ICMP_BYTES);
  const header = new Uint8Array(IPV6_BYTES);
  header[0] = 0x60;
  writeU16be(header, 4, ICMP_BYTES + quote.length);
  header[6] = PROTOCOL_ICMPV6;
  header[7] = HOP_LIMIT;
  header.set(packet.subarray(24, 40), 8);
  header.set(packet.subarray(8, 24), 24);
  const icmp = Uint8Array.of(2, 0, 0, 0, 0, 0, 0, 0);
  writeU16be(icmp, 6, Math.max(mtu, LEAST_IPV6_MTU));
  const pseudo = Uint8Array.of(0, PROTOCOL_ICMPV6, 0, 0);
  writeU16be(pseudo, 2, ICMP_BYTES + quote.length);
  writeU16be(icmp, 2, internetChecksum(header.subarray(8), pseudo, icmp, quote));
  return concat(header, icmp, quote);
}

/**
 * The frame itself, or a copy of a SYN whose MSS option is lowered to what the path carries. Also for
 * SYNs that came in: the size is a limit for what our side sends in answer.
 */
export function clampToPath(frame: Uint8Array, path: PathCommand | undefined): Uint8Array {
  if (path === undefined) return frame;
  const room = frameRoom(path);
  // Before the size is settled two halves carry it: TCP never has to wait for the search.
  return clampMss(frame, path.settled === true ? room : 2 * (room - FRAGMENT_HEADER_BYTES));
}

function clampMss(frame: Uint8Array, room: number): Uint8Array {
  const view = parseFrame(frame);
  if (typeof view === "string" || view.protocol !== PROTOCOL_TCP || view.isFragment) return frame;
  const { layer3, at, layer4, end } = view;
  if (end < layer4 + TCP_BYTES || ((frame[layer4 + 13] ?? 0) & FLAG_SYN) === 0) return frame;
  const option = findMss(frame.subarray(0, end), layer4);
  const most = room - at - (layer3 === "ipv4" ? IPV4_BYTES : IPV6_BYTES) - TCP_BYTES;
  if (option === undefined || most < LEAST_MSS || readU16be(frame, option) <= most) return frame;
  const copy = frame.slice();
  writeU16be(copy, option, most);
  const odd = (option - layer4) % 2 !== 0;
  const [before, after] = [readU16be(frame, option), most].map((mss) => (odd ? swap(mss) : mss));
  writeU16be(copy, layer4 + 16, corrected(readU16be(frame, layer4 + 16), before ?? 0, after ?? 0));
  return copy;
}

/** Where the MSS value of the TCP header at `layer4` lies. */
function findMss(frame: Uint8Array, layer4: number): number | undefined {
  const end = layer4 + 4 * ((frame[layer4 + 12] ?? 0) >> 4);
  if (end > frame.length) return undefined;
  for (let at = layer4 + TCP_BYTES; at < end && frame[at] !== 0; ) {
    const bytes = frame[at] === 1 ? 1 : (frame[at + 1] ?? 0);
    if (bytes === 0 || at + bytes > end) return undefined;
    if (frame[at] === OPTION_MSS) return bytes === 4 ? at + 2 : undefined;
    at += bytes;
  }
  return undefined;
}

/** RFC 1624: HC' = ~(~HC + ~m + m'). */
function corrected(checksum: number, before: number, after: number): number {
  let sum = (~checksum & 0xffff) + (~before & 0xffff) + after;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

function swap(value: number): number {
  return ((value << 8) | (value >>> 8)) & 0xffff;
}
