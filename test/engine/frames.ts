/** Ethernet frames for the contract suite, built by hand so that a codec's fault cannot hide. */
import { concat } from "../../src/base/bytes.ts";
import { type Ip, ipToBytes, type Mac, macToBytes } from "../../src/base/net.ts";

/** IEEE 802 local experimental EtherType: nothing on the way gives it a meaning. */
export const TYPE_TEST = 0x88b5;

export function ethernet(to: Mac, from: Mac, type: number, payload: Uint8Array): Uint8Array {
  return concat(macToBytes(to), macToBytes(from), u16(type), payload);
}

/** A frame of `length` bytes that carries a number. */
export function numbered(to: Mac, from: Mac, number: number, length = 60): Uint8Array {
  const frame = ethernet(to, from, TYPE_TEST, new Uint8Array(length - 14));
  frame.set(u16(number), 14);
  return frame;
}

export function numberOf(frame: Uint8Array): number {
  return ((frame[14] ?? 0) << 8) | (frame[15] ?? 0);
}

export interface ArpFields {
  readonly senderMac: Mac;
  readonly senderIp: Ip;
  readonly targetIp: Ip;
}

export function arp(to: Mac, from: Mac, fields: ArpFields): Uint8Array {
  const head = Uint8Array.of(0, 1, 8, 0, 6, 4, 0, 1);
  const sender = concat(macToBytes(fields.senderMac), ipToBytes(fields.senderIp));
  return ethernet(
    to,
    from,
    0x0806,
    concat(head, sender, new Uint8Array(6), ipToBytes(fields.targetIp)),
  );
}

export function ipv4(source: Ip, destination: Ip, protocol: number, body: Uint8Array): Uint8Array {
  const header = new Uint8Array(20);
  header[0] = 0x45;
  header.set(u16(20 + body.length), 2);
  header[8] = 64;
  header[9] = protocol;
  header.set(ipToBytes(source), 12);
  header.set(ipToBytes(destination), 16);
  return concat(header, body);
}

export function ipv6(source: Ip, destination: Ip, next: number, body: Uint8Array): Uint8Array {
  const header = new Uint8Array(40);
  header[0] = 0x60;
  header.set(u16(body.length), 4);
  header[6] = next;
  header[7] = 255;
  header.set(ipToBytes(source), 8);
  header.set(ipToBytes(destination), 24);
  return concat(header, body);
}

export function udp(sourcePort: number, destinationPort: number, length = 8): Uint8Array {
  return concat(
    u16(sourcePort),
    u16(destinationPort),
    u16(8 + length),
    u16(0),
    new Uint8Array(length),
  );
}

/** ICMPv6 of a neighbour discovery kind: type, code, checksum, flags, target. */
export function icmpv6(type: number, target: Ip): Uint8Array {
  return concat(Uint8Array.of(type, 0, 0, 0, 0, 0, 0, 0), ipToBytes(target));
}

/** An IPv6 extension header of eight bytes (hop-by-hop, routing, destination options). */
export function extension(next: number, body: Uint8Array): Uint8Array {
  return concat(Uint8Array.of(next, 0, 1, 4, 0, 0, 0, 0), body);
}

/** Puts an 802.1Q tag behind the two addresses. */
export function tagged(frame: Uint8Array, vlan: number): Uint8Array {
  return concat(frame.subarray(0, 12), u16(0x8100), u16(vlan), frame.subarray(12));
}

function u16(value: number): Uint8Array {
  return Uint8Array.of(value >>> 8, value & 255);
}

/** A TCP header without options. */
export function tcp(sourcePort: number, destinationPort: number, flags = 16): Uint8Array {
  const header = new Uint8Array(20);
  header.set(concat(u16(sourcePort), u16(destinationPort)));
  header[12] = 0x50;
  header[13] = flags;
  return header;
}

/** ICMP or ICMPv6: type, code, checksum, echo identifier, sequence, what it quotes. */
export function icmp(type: number, id: number, quoted: Uint8Array = new Uint8Array()): Uint8Array {
  return concat(Uint8Array.of(type, 0, 0, 0), u16(id), u16(0), quoted);
}

/** The IPv4 frame as a first fragment, and one that would follow it. */
export function inFragments(frame: Uint8Array, id: number): [Uint8Array, Uint8Array] {
  const [first, later] = [frame.slice(), frame.slice()];
  for (const part of [first, later]) part.set(u16(id), 14 + 4);
  first.set(u16(0x2000), 14 + 6);
  later.set(u16(64), 14 + 6);
  return [first, later];
}
