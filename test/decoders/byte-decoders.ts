/**
 * Every decoder of binary messages, with a valid message of each kind. A new one belongs here: the
 * test beside this file finds it in the sources and fails until it has its row.
 */
import { ByteReader } from "../../src/base/bytes.ts";
import { parseCertificate } from "../../src/crypto/certificate.ts";
import { parseArp } from "../../src/frame/arp.ts";
import { parseDhcp } from "../../src/frame/dhcp.ts";
import { parseEthernet } from "../../src/frame/ethernet.ts";
import { emitIpv4, parseIpv4 } from "../../src/frame/ipv4.ts";
import { emitIpv6, parseIpv6 } from "../../src/frame/ipv6.ts";
import { parseNd } from "../../src/frame/neighbour-discovery.ts";
import { parseUdp } from "../../src/frame/udp.ts";
import { parseLeaseBody, parseLeaseRecord } from "../../src/lease/lease-record.ts";
import { emitMacBody, parseMacRecord } from "../../src/vnet/mac-record.ts";
import { emitBeacon, parseBeacon } from "../../src/wire/bridge-beacon.ts";
import { emitControl, parseControl } from "../../src/wire/control.ts";
import {
  emitCookieReply,
  emitVersionRefused,
  parseCookieReply,
  parseVersionRefused,
} from "../../src/wire/cookie.ts";
import { emitData, parseData } from "../../src/wire/data.ts";
import {
  emitAggregate,
  emitDescriptor,
  emitFragmentBody,
  emitPaddedControl,
  emitPlaintext,
  PLAIN_DESCRIPTOR,
  parseAggregate,
  parseControlBody,
  parseDescriptor,
  parseFragmentBody,
  parsePlaintext,
} from "../../src/wire/descriptor.ts";
import {
  COPY,
  emitAnswerBody,
  emitRequest,
  parseAnswer,
  parseRequest,
} from "../../src/wire/dht-messages.ts";
import { emitEcho, parseEcho } from "../../src/wire/echo.ts";
import {
  readEndpoint,
  readEndpoints,
  readIp,
  readOptionalEndpoint,
} from "../../src/wire/endpoint.ts";
import { emitFlood, emitFloodBody, parseFlood } from "../../src/wire/flood.ts";
import {
  emitHandshake1,
  emitHandshake2,
  emitHandshake3,
  parseHandshake1,
  parseHandshake2,
  parseHandshake3,
  readSenderIndex,
} from "../../src/wire/handshake.ts";
import { emitHandshakePayload, parseHandshakePayload } from "../../src/wire/handshake-payload.ts";
import {
  emitLanHead,
  emitLanHello,
  parseLanHello,
  parseSealedHello,
} from "../../src/wire/lan-hello.ts";
import {
  emitLinkMessage,
  type LinkMessage,
  parseLinkMessage,
} from "../../src/wire/link-messages.ts";
import { parsePmpAddress, parsePmpMapping } from "../../src/wire/nat-pmp.ts";
import { emitOwnRecords, parseOwnRecords } from "../../src/wire/own-records.ts";
import { parsePcpAnswer } from "../../src/wire/pcp.ts";
import { type DhtRecord, emitRecord, parseRecord } from "../../src/wire/record.ts";
import { emitRelay, parseRelay } from "../../src/wire/relay.ts";
import * as ring from "../../src/wire/ring-messages.ts";
import { parseStun } from "../../src/wire/stun.ts";
import { hex } from "../support/vectors.ts";
import type { Decoder } from "./decoder.ts";
import { memberBytes } from "./member-decoders.ts";

const filled = (length: number, byte: number): Uint8Array => new Uint8Array(length).fill(byte);
const at = (top: number): bigint => BigInt(top) << 152n;
const PLACE = { ip: "192.0.2.7", port: 4711 };
const PLACE_6 = { ip: "2001:db8::1", port: 1 };
const MAC = "02:00:00:00:00:01";
const NAMED = { address: at(3), inRing: true, name: "lab1", endpoints: [PLACE, PLACE_6] };

const FRAME = hex(
  "ff ff ff ff ff ff 02 00 00 00 00 01 08 06 00 01 08 00 06 04 00 01 02 00 00 00 00 01 0a 09 00 05" +
    " 00 00 00 00 00 00 0a 09 00 06",
);
const UDP = hex("00 43 00 44 00 0b 00 00 01 02 03");
const LEASE_BODY = hex(
  `01 01 02 03 0a 09 00 05 02 00 5e 10 00 01 ${"00 ".repeat(19)} 03 02 0a 0b 01 03 00 cc cc cc ` +
    "ee ".repeat(64),
);
const CERTIFICATE = hex(
  [
    `01 01 ${"11 ".repeat(16)} ${"22 ".repeat(32)} ${"33 ".repeat(16)}`,
    "00 f1 53 65 00 00 00 00 00 d2 49 6b 00 00 00 00 2a 00 00 00 00 00 00 00",
    "06 6e 6f 64 65 2d 31 02 02 64 62 03 77 65 62 02 04 0a 09 00 07",
    `06 fd ${"00 ".repeat(14)} 07 ${"44 ".repeat(32)} ${"55 ".repeat(64)}`,
  ].join(" "),
);
const RECORD: DhtRecord = {
  key: 2n,
  kind: "lease",
  signer: filled(32, 0xaa),
  epoch: 1,
  version: 2,
  ttlSeconds: 60,
  body: LEASE_BODY,
  signature: filled(64, 0xbb),
};
const MAC_RECORD: DhtRecord = { ...RECORD, kind: "mac", body: emitMacBody(MAC, at(7)) };
const CARRIED = { remainingSeconds: 59, certificate: filled(3, 0xcc), record: RECORD };
const HEAD = { request: 7, requester: 1n, key: 2n, passes: 0 };
const ANSWER_HEAD = { request: 7, key: 2n } as const;

/** mac1 and mac2, which the parsers of handshakes leave to others. */
function withMacs(message: Uint8Array): Uint8Array {
  return Uint8Array.of(...message, ...filled(32, 0));
}

/** A parser of a record's body, reached through the record as it came from the wire. */
function throughRecord(parse: (record: DhtRecord) => unknown): (input: Uint8Array) => unknown {
  return (input) => {
    const record = parseRecord(input);
    return record.ok ? parse(record.value) : record;
  };
}

/** A part of a message that is read from a reader: it must end without going past the end. */
function reading(read: (reader: ByteReader) => unknown): (input: Uint8Array) => unknown {
  return (input) => {
    const reader = new ByteReader(input);
    const value = read(reader);
    return reader.ok ? value : undefined;
  };
}

const LINK_MESSAGES: readonly LinkMessage[] = [
  { type: "probe", id: 0x01020304, tag: 5 },
  { type: "probe-ack", id: 1, tag: 2, observed: PLACE },
  { type: "rekey-1", sender: 1, base: 2, publicKey: filled(32, 0xee) },
  { type: "rekey-2", sender: 3, receiver: 1, publicKey: filled(32, 0xee) },
  { type: "candidates", answer: true, endpoints: [PLACE_6], relays: [at(0x11)] },
  {
    type: "relay-open",
    label: 0x80000001,
    hopsLeft: 2,
    origin: at(0x11),
    target: at(0x22),
    visited: [at(0x11)],
    hints: [at(0x33)],
  },
  { type: "relay-ok", label: 9 },
  { type: "relay-fail", label: 9, visited: [at(0x44)] },
  { type: "relay-close", label: 9 },
  { type: "goodbye", tag: 7, reason: "stopped" },
  {
    type: "rekey-1-kem",
    sender: 1,
    base: 2,
    publicKey: filled(32, 1),
    kemPublic: filled(1_216, 2),
  },
  {
    type: "rekey-2-kem",
    sender: 3,
    receiver: 1,
    publicKey: filled(32, 1),
    ciphertext: filled(1_120, 3),
    proof: filled(16, 4),
  },
  { type: "certificate", certificate: filled(9, 5) },
];

const wire: Record<string, [(input: Uint8Array) => unknown, ...Uint8Array[]]> = {
  "bridge-beacon.ts:parseBeacon": [
    (input) => parseBeacon(input, () => filled(16, 0)),
    emitBeacon({ address: at(1), run: 5n, sequence: 6, isCut: true }, () => filled(16, 0)),
  ],
  "control.ts:parseControl": [
    parseControl,
    emitControl({ form: "datagram", body: filled(9, 1) }),
    emitControl({ form: "ack", messageId: 7 }),
    emitControl({ form: "fragment", messageId: 7, index: 0, count: 2, part: filled(1_100, 0xaa) }),
  ],
  "cookie.ts:parseCookieReply": [
    parseCookieReply,
    withMacs(emitCookieReply({ receiver: 1, nonce: filled(16, 2), sealed: filled(32, 3) })),
  ],
  "cookie.ts:parseVersionRefused": [
    parseVersionRefused,
    withMacs(emitVersionRefused({ receiver: 1, major: 2 })),
  ],
  "data.ts:parseData": [parseData, emitData({ lane: 0, receiver: 7, counter: 8n }, filled(40, 9))],
  "descriptor.ts:parsePlaintext": [
    parsePlaintext,
    emitPlaintext({ ...PLAIN_DESCRIPTOR, padLength: 3 }, FRAME),
  ],
  "descriptor.ts:parseDescriptor": [parseDescriptor, emitDescriptor(PLAIN_DESCRIPTOR)],
  "descriptor.ts:parseAggregate": [
    parseAggregate,
    emitAggregate([
      { descriptor: PLAIN_DESCRIPTOR, frame: FRAME },
      { descriptor: PLAIN_DESCRIPTOR, frame: FRAME },
    ]),
  ],
  "descriptor.ts:parseControlBody": [
    (input) => parseControlBody({ ...PLAIN_DESCRIPTOR, kind: "control", superframe: true }, input),
    emitPaddedControl(filled(5, 1), 40),
  ],
  "descriptor.ts:parseFragmentBody": [
    parseFragmentBody,
    emitFragmentBody({ frameId: 3, part: FRAME }),
  ],
  "dht-messages.ts:parseRequest": [
    parseRequest,
    emitRequest({ ...HEAD, op: "get" }),
    emitRequest({ ...HEAD, op: "create", passes: COPY, carried: CARRIED }),
    emitRequest({ ...HEAD, op: "sync", members: [1n, 2n], digest: filled(8, 0xdd) }),
  ],
  "dht-messages.ts:parseAnswer": [
    parseAnswer,
    signed({
      ...ANSWER_HEAD,
      form: "answer",
      ready: true,
      status: "value",
      view: [1n, 2n],
      carried: [CARRIED],
      attestation: undefined,
    }),
    signed({
      ...ANSWER_HEAD,
      form: "page",
      informed: true,
      same: false,
      next: 9n,
      carried: [CARRIED, CARRIED],
    }),
  ],
  "echo.ts:parseEcho": [parseEcho, emitEcho({ nonce: 5n, fill: 9 })],
  "endpoint.ts:readEndpoint": [reading(readEndpoint), hex("04 c0 00 02 07 92 10")],
  "endpoint.ts:readOptionalEndpoint": [
    reading((reader) => readOptionalEndpoint(reader) ?? "none"),
    hex("00"),
    hex("04 c0 00 02 07 92 10"),
  ],
  "endpoint.ts:readEndpoints": [
    reading((reader) => readEndpoints(reader, 8)),
    hex("02 04 c0 00 02 07 92 10 04 c0 00 02 08 92 10"),
  ],
  "endpoint.ts:readIp": [reading(readIp), hex("04 c0 00 02 07")],
  "flood.ts:parseFlood": [
    parseFlood,
    emitFlood({
      hops: 3,
      range: { from: at(1), to: at(2) },
      signed: emitFloodBody({
        run: 1n,
        sequence: 2,
        certificate: CERTIFICATE,
        frame: FRAME,
      }),
      signature: filled(64, 1),
    }),
  ],
  "handshake.ts:parseHandshake1": [
    parseHandshake1,
    withMacs(emitHandshake1({ sender: 5, noise: filled(48, 1) }, false)),
    withMacs(emitHandshake1({ sender: 5, noise: filled(48, 1) }, true)),
  ],
  "handshake.ts:readSenderIndex": [
    readSenderIndex,
    withMacs(emitHandshake1({ sender: 5, noise: filled(48, 1) }, true)),
  ],
  "handshake.ts:parseHandshake2": [
    parseHandshake2,
    withMacs(emitHandshake2({ sender: 5, receiver: 6, noise: filled(400, 1) })),
  ],
  "handshake.ts:parseHandshake3": [
    parseHandshake3,
    withMacs(emitHandshake3({ sender: 5, receiver: 6, noise: filled(400, 1) })),
  ],
  "handshake-payload.ts:parseHandshakePayload": [
    parseHandshakePayload,
    emitHandshakePayload({
      minorVersion: 1,
      capabilities: 2,
      revocation: 3,
      digest: filled(32, 0xdd),
      boot: 4n,
      ciphers: 3,
      certificate: CERTIFICATE,
      observed: PLACE,
      candidates: [PLACE, PLACE_6],
      relays: [at(5)],
    }),
  ],
  "lan-hello.ts:parseSealedHello": [
    parseSealedHello,
    Uint8Array.of(...emitLanHead(filled(12, 3)), ...filled(192 + 16, 7)),
  ],
  "lan-hello.ts:parseLanHello": [
    parseLanHello,
    emitLanHello({ kind: "answer", boot: 1n, round: 2, echo: filled(12, 0), endpoints: [PLACE] }),
  ],
  "link-messages.ts:parseLinkMessage": [parseLinkMessage, ...LINK_MESSAGES.map(emitLinkMessage)],
  "nat-pmp.ts:parsePmpAddress": [parsePmpAddress, hex("00 80 00 00 00 00 00 09 c0 00 02 01")],
  "nat-pmp.ts:parsePmpMapping": [
    parsePmpMapping,
    hex("00 81 00 00 00 00 00 09 1b cd 1b ce 00 00 0e 10"),
  ],
  "own-records.ts:parseOwnRecords": [
    parseOwnRecords,
    emitOwnRecords({ sequence: 1, entries: [{ mac: MAC, ips: ["10.9.0.5", "2001:db8::1"] }] }),
  ],
  "pcp.ts:parsePcpAnswer": [
    parsePcpAnswer,
    hex(
      `02 81 00 00 00 00 0e 10 00 00 00 09 ${"00 ".repeat(12)} ${"a0 ".repeat(12)} 11 00 00 00 ` +
        `1b cd 1b ce ${"00 ".repeat(10)} ff ff c0 00 02 01`,
    ),
  ],
  "record.ts:parseRecord": [parseRecord, emitRecord(RECORD), emitRecord(MAC_RECORD)],
  "relay.ts:parseRelay": [
    parseRelay,
    emitRelay({ ttl: 4, label: 7 }, emitData({ lane: 0, receiver: 7, counter: 8n }, filled(40, 9))),
  ],
  "ring-messages.ts:parseEnvelope": [
    ring.parseEnvelope,
    ring.emitEnvelope({
      source: at(1),
      destination: at(2),
      nearest: true,
      excludeSource: true,
      hopLimit: 100,
      payloadType: 0x25,
      sourceAgent: at(3),
      destinationAgent: at(4),
      visited: [at(5), at(6)],
      payload: filled(30, 7),
    }),
  ],
  "ring-messages.ts:parseNeighbours": [
    ring.parseNeighbours,
    ring.emitNeighbours({ wantsReply: true, inRing: true, gap: 5n, entries: [NAMED, NAMED] }),
  ],
  "ring-messages.ts:parseProbeRequest": [
    ring.parseProbeRequest,
    ring.emitProbeRequest({ nonce: 1, target: at(2) }),
  ],
  "ring-messages.ts:parseProbeReport": [
    ring.parseProbeReport,
    ring.emitProbeReport({ nonce: 1, target: at(2), reachable: true }),
  ],
  "ring-messages.ts:parseConnectToMe": [
    ring.parseConnectToMe,
    ring.emitConnectToMe({ nonce: 1, name: "lab1", endpoints: [PLACE] }),
  ],
  "ring-messages.ts:parseListAnswer": [
    ring.parseListAnswer,
    ring.emitListAnswer({ nonce: 1, entries: [NAMED] }),
  ],
  "ring-messages.ts:parseFind": [ring.parseFind, ring.emitFind(9)],
  "stun.ts:parseStun": [
    parseStun,
    // RFC 5769, 2.1 and 2.2
    hex(
      "00 01 00 58 21 12 a4 42 b7 e7 a7 01 bc 34 d6 86 fa 87 df ae 80 22 00 10 53 54 55 4e 20 74 65" +
        "73 74 20 63 6c 69 65 6e 74 00 24 00 04 6e 00 01 ff 80 29 00 08 93 2f f9 b1 51 26 3b 36 00 06" +
        "00 09 65 76 74 6a 3a 68 36 76 59 20 20 20 00 08 00 14 9a ea a7 0c bf d8 cb 56 78 1e f2 b5 b2" +
        "d3 f2 49 c1 b5 71 a2 80 28 00 04 e5 7a 3b cf",
    ),
    hex(
      "01 01 00 3c 21 12 a4 42 b7 e7 a7 01 bc 34 d6 86 fa 87 df ae 80 22 00 0b 74 65 73 74 20 76 65" +
        "63 74 6f 72 20 00 20 00 08 00 01 a1 47 e1 12 a6 43 00 08 00 14 2b 91 f5 99 fd 9e 90 c3 8c 74" +
        "89 f9 2a f9 ba 53 f0 6b e7 d7 80 28 00 04 c0 7d 4c 96",
    ),
  ],
};

/** The answer's body with a signature behind it, as it travels. */
function signed(answer: Parameters<typeof emitAnswerBody>[0]): Uint8Array {
  return Uint8Array.of(...emitAnswerBody(answer, filled(3, 0xcc)), ...filled(64, 0xee));
}

const PACKET = { source: "10.9.0.5", destination: "10.9.0.6", ttl: 64, protocol: 17 };
const PACKET_6 = { source: "fe80::1", destination: "fe80::2", hopLimit: 255 };
const ND = hex(
  "88 00 1b 1a 60 00 00 00 fe 80 00 00 00 00 00 00 00 00 00 ff fe 00 00 02 02 01 02 00 00 00 00 02",
);
const DHCP = hex(
  `01 01 06 00 78 56 34 12 00 00 80 00 ${"00 ".repeat(16)} 02 00 00 00 00 01 ${"00 ".repeat(202)}` +
    "63 82 53 63 35 01 01 3d 07 01 02 00 00 00 00 01 32 04 0a 09 00 05 ff",
);

const frame: typeof wire = {
  "arp.ts:parseArp": [parseArp, FRAME.subarray(14)],
  "dhcp.ts:parseDhcp": [parseDhcp, DHCP],
  "ethernet.ts:parseEthernet": [
    parseEthernet,
    FRAME,
    hex("ff ff ff ff ff ff 02 00 00 00 00 01 81 00 00 05 08 06 aa bb"),
  ],
  "ipv4.ts:parseIpv4": [parseIpv4, emitIpv4({ ...PACKET, payload: UDP })],
  "ipv6.ts:parseIpv6": [
    parseIpv6,
    emitIpv6({ ...PACKET_6, protocol: 58, payload: ND }),
    emitIpv6({
      ...PACKET_6,
      protocol: 43,
      payload: hex("2c 00 00 00 00 00 00 00 3a 00 00 01 00 00 00 01 86 00"),
    }),
  ],
  "neighbour-discovery.ts:parseNd": [parseNd, ND],
  "udp.ts:parseUdp": [parseUdp, UDP],
};

const others: typeof wire = {
  "crypto/certificate.ts:parseCertificate": [parseCertificate, CERTIFICATE],
  "lease/lease-record.ts:parseLeaseBody": [parseLeaseBody, LEASE_BODY],
  "lease/lease-record.ts:parseLeaseRecord": [throughRecord(parseLeaseRecord), emitRecord(RECORD)],
  "vnet/mac-record.ts:parseMacRecord": [throughRecord(parseMacRecord), emitRecord(MAC_RECORD)],
};

export const BYTE_DECODERS: readonly Decoder[] = [
  ...rows("src/wire/", wire),
  ...rows("src/frame/", frame),
  ...rows("src/", { ...others, ...memberBytes(CERTIFICATE) }),
];

function rows(folder: string, table: typeof wire): Decoder[] {
  return Object.entries(table).map(([name, [decode, ...samples]]) => ({
    name: `${folder}${name}`,
    decode,
    samples,
  }));
}
