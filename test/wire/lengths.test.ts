/**
 * Lengths at which other programs broke: nothing, one byte, the longest, one more, the longest UDP can
 * say. Frames, sealed datagrams and streams have the same in the contract of the engine.
 */
import { describe, expect, it } from "vitest";
import type { Parsed } from "../../src/base/drop-reason.ts";
import { parseArp } from "../../src/frame/arp.ts";
import { parseDhcp } from "../../src/frame/dhcp.ts";
import { parseEthernet } from "../../src/frame/ethernet.ts";
import { parseIpv4 } from "../../src/frame/ipv4.ts";
import { parseIpv6 } from "../../src/frame/ipv6.ts";
import { parseNd } from "../../src/frame/neighbour-discovery.ts";
import { parseUdp } from "../../src/frame/udp.ts";
import { parseBeacon } from "../../src/wire/bridge-beacon.ts";
import { MAX_DATAGRAM_BODY_BYTES, parseControl } from "../../src/wire/control.ts";
import {
  COOKIE_REPLY_BYTES,
  parseCookieReply,
  parseVersionRefused,
} from "../../src/wire/cookie.ts";
import { parseAggregate, parseDescriptor, parseFragmentBody } from "../../src/wire/descriptor.ts";
import { parseAnswer, parseRequest } from "../../src/wire/dht-messages.ts";
import { parseEcho } from "../../src/wire/echo.ts";
import { parseFlood } from "../../src/wire/flood.ts";
import {
  MAX_HANDSHAKE_PAYLOAD_BYTES,
  PADDED_HANDSHAKE_BYTES,
  parseHandshake1,
  parseHandshake2,
  parseHandshake3,
} from "../../src/wire/handshake.ts";
import { parseHandshakePayload } from "../../src/wire/handshake-payload.ts";
import { parseLanHello, parseSealedHello } from "../../src/wire/lan-hello.ts";
import { parseLinkMessage } from "../../src/wire/link-messages.ts";
import { parsePmpMapping } from "../../src/wire/nat-pmp.ts";
import { parseOwnRecords } from "../../src/wire/own-records.ts";
import { parsePcpAnswer } from "../../src/wire/pcp.ts";
import { MAX_RECORD_BYTES, parseRecord } from "../../src/wire/record.ts";
import * as ring from "../../src/wire/ring-messages.ts";
import { parseStun } from "../../src/wire/stun.ts";

type Parser = (bytes: Uint8Array) => Parsed<unknown>;

const UDP_LONGEST = 65_535;
/** Past these a parser says no by the length alone. */
const BOUNDED: readonly (readonly [string, Parser, number])[] = [
  ["handshake 1", parseHandshake1, PADDED_HANDSHAKE_BYTES],
  ["handshake 2", parseHandshake2, PADDED_HANDSHAKE_BYTES],
  ["handshake 3", parseHandshake3, PADDED_HANDSHAKE_BYTES],
  ["handshake payload", parseHandshakePayload, MAX_HANDSHAKE_PAYLOAD_BYTES],
  ["cookie", parseCookieReply, COOKIE_REPLY_BYTES],
  ["version refused", parseVersionRefused, 40],
  ["control", parseControl, MAX_DATAGRAM_BODY_BYTES + 64],
  ["record", parseRecord, MAX_RECORD_BYTES],
  ["flood", parseFlood, 10_000],
  ["DHCP", parseDhcp, 1_500],
];
const OTHERS: readonly (readonly [string, Parser])[] = [
  ["beacon", (bytes) => parseBeacon(bytes, () => new Uint8Array(16))],
  ["descriptor", parseDescriptor],
  ["aggregate", parseAggregate],
  ["fragment", parseFragmentBody],
  ["DHT request", parseRequest],
  ["DHT answer", parseAnswer],
  ["echo", parseEcho],
  ["sealed hello", parseSealedHello],
  ["hello", parseLanHello],
  ["link message", parseLinkMessage],
  ["NAT-PMP", parsePmpMapping],
  ["PCP", parsePcpAnswer],
  ["own records", parseOwnRecords],
  ["envelope", ring.parseEnvelope],
  ["neighbours", ring.parseNeighbours],
  ["probe request", ring.parseProbeRequest],
  ["probe report", ring.parseProbeReport],
  ["connect-to-me", ring.parseConnectToMe],
  ["list answer", ring.parseListAnswer],
  ["find", ring.parseFind],
  ["STUN", parseStun],
  ["ARP", parseArp],
  ["Ethernet", parseEthernet],
  ["IPv4", parseIpv4],
  ["IPv6", parseIpv6],
  ["neighbour discovery", parseNd],
  ["UDP", parseUdp],
];

/** Zeros, ones, and every first byte: a length field of the message is then 0, its most, or small. */
function contents(length: number): Uint8Array[] {
  const firsts = Array.from({ length: length === 0 ? 0 : 256 }, (_, first) => {
    const bytes = new Uint8Array(length);
    bytes[0] = first;
    return bytes;
  });
  return [new Uint8Array(length), new Uint8Array(length).fill(0xff), ...firsts];
}

describe("lengths 0, 1, the longest, one more, 65,535", () => {
  it.each(BOUNDED)("%s: a value or a reason, a reason past the longest", (_, parse, longest) => {
    for (const length of [0, 1, longest, longest + 1, UDP_LONGEST]) {
      for (const bytes of contents(length)) {
        const outcome = parse(bytes);
        if (length < 2 || length > longest) expect(outcome.ok).toBe(false);
        if (!outcome.ok) expect(outcome.reason).toMatch(/^[a-z0-9-]+$/);
      }
    }
  });

  it.each(OTHERS)("%s: a value or a reason", (_, parse) => {
    for (const length of [0, 1, 1_500, 1_501, UDP_LONGEST]) {
      for (const bytes of contents(length)) {
        const outcome = parse(bytes);
        if (!outcome.ok) expect(outcome.reason).toMatch(/^[a-z0-9-]+$/);
      }
    }
  });
});
