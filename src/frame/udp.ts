/**
 * UDP (RFC 768); big endian.
 *
 *      0                 2                  4                 6                 8
 *      +-----------------+------------------+-----------------+-----------------+--------
 *      | source port     | destination port | length          | checksum        | payload
 *      +-----------------+------------------+-----------------+-----------------+--------
 */
import { ByteReader, ByteWriter } from "../base/bytes.ts";
import { dropped, type Parsed, parsed } from "../base/drop-reason.ts";
import { type Ip, ipToBytes } from "../base/net.ts";
import { internetChecksum } from "./checksum.ts";
import { PROTOCOL_UDP } from "./ipv4.ts";

export const UDP_HEADER_BYTES = 8;

export interface UdpDatagram {
  readonly sourcePort: number;
  readonly destinationPort: number;
  /** Borrowed. */
  readonly payload: Uint8Array;
}

/**
 * The checksum is not verified: a datagram that the kernel of our own host handed to the TAP carries
 * a partial one. Errors: `short-frame`, `bad-field`.
 */
export function parseUdp(bytes: Uint8Array): Parsed<UdpDatagram> {
  const reader = new ByteReader(bytes);
  const sourcePort = reader.u16be();
  const destinationPort = reader.u16be();
  const length = reader.u16be();
  reader.skip(2);
  if (!reader.ok || bytes.length < length) return dropped("short-frame");
  if (length < UDP_HEADER_BYTES) return dropped("bad-field");
  return parsed({
    sourcePort,
    destinationPort,
    payload: bytes.subarray(UDP_HEADER_BYTES, length),
  });
}

/** With the checksum over the IPv4 pseudo header of `source` and `destination`. */
export function emitUdp(datagram: UdpDatagram, source: Ip, destination: Ip): Uint8Array {
  const length = UDP_HEADER_BYTES + datagram.payload.length;
  const bytes = new ByteWriter()
    .u16be(datagram.sourcePort)
    .u16be(datagram.destinationPort)
    .u16be(length)
    .u16be(0)
    .bytes(datagram.payload)
    .finish();
  const pseudo = new ByteWriter()
    .bytes(ipToBytes(source))
    .bytes(ipToBytes(destination))
    .u16be(PROTOCOL_UDP)
    .u16be(length)
    .finish();
  const checksum = internetChecksum(pseudo, bytes) || 0xffff;
  bytes[6] = checksum >> 8;
  bytes[7] = checksum & 255;
  return bytes;
}
