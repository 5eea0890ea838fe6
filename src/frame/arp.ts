/**
 * ARP for IPv4 over Ethernet (RFC 826), the payload behind type 0806; big endian.
 *
 *      0        2        4    5    6        8            14          18           24          28
 *      +--------+--------+----+----+--------+------------+-----------+------------+-----------+
 *      | 1      | 0800   | 6  | 4  | op     | sender MAC | sender IP | target MAC | target IP |
 *      +--------+--------+----+----+--------+------------+-----------+------------+-----------+
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

const HARDWARE_ETHERNET = 1;
const PROTOCOL_IPV4 = 0x0800;
export const ARP_REQUEST = 1;
export const ARP_REPLY = 2;

export interface ArpPacket {
  readonly operation: typeof ARP_REQUEST | typeof ARP_REPLY;
  readonly senderMac: Mac;
  readonly senderIp: Ip;
  readonly targetMac: Mac;
  readonly targetIp: Ip;
}

/** Bytes behind the packet are Ethernet padding and ignored. Errors: `short-frame`, `bad-field`. */
export function parseArp(payload: Uint8Array): Parsed<ArpPacket> {
  const reader = new ByteReader(payload);
  const form = [reader.u16be(), reader.u16be(), reader.u8(), reader.u8()];
  const operation = reader.u16be();
  const senderMac = macFromBytes(reader.bytes(6));
  const senderIp = ipFromBytes(reader.bytes(4));
  const targetMac = macFromBytes(reader.bytes(6));
  const targetIp = ipFromBytes(reader.bytes(4));
  if (!reader.ok) return dropped("short-frame");
  const isIpv4 = form.join() === [HARDWARE_ETHERNET, PROTOCOL_IPV4, 6, 4].join();
  if (!isIpv4 || (operation !== ARP_REQUEST && operation !== ARP_REPLY)) {
    return dropped("bad-field");
  }
  return parsed({ operation, senderMac, senderIp, targetMac, targetIp });
}

export function emitArp(packet: ArpPacket): Uint8Array {
  return new ByteWriter()
    .u16be(HARDWARE_ETHERNET)
    .u16be(PROTOCOL_IPV4)
    .u8(6)
    .u8(4)
    .u16be(packet.operation)
    .bytes(macToBytes(packet.senderMac))
    .bytes(ipToBytes(packet.senderIp))
    .bytes(macToBytes(packet.targetMac))
    .bytes(ipToBytes(packet.targetIp))
    .finish();
}
