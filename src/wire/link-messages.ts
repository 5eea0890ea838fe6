/**
 * Messages of a link: control messages of types 0x01..0x0f. They end at the peer they are sent to
 * and never go further up. A body starts with its type; lists start with a count.
 *
 *   probe        01 | id u32 | tag u32
 *   probe-ack    02 | id u32 | tag u32 | observed endpoint or none
 *   rekey-1      03 | sender u32 | base u32 | public key 32 B
 *   rekey-2      04 | sender u32 | receiver u32 | public key 32 B
 *   candidates   05 | answer u8 | endpoints (0..8) | relay hints 20 B each (0..8)
 *   relay-open   06 | label u32 | hops left u8 | origin 20 B | target 20 B
 *                   | visited 20 B each (0..32) | hints 20 B each (0..8)
 *   relay-ok     07 | label u32
 *   relay-fail   08 | label u32 | visited 20 B each (0..32)
 *   relay-close  09 | label u32
 *   goodbye      0a | tag u32 | reason, printable ASCII (0..64)
 *   rekey-1-kem  0b | as rekey-1 | X-Wing public key 1216 B
 *   rekey-2-kem  0c | as rekey-2 | X-Wing ciphertext 1120 B | proof 16 B
 *   certificate  0e | certificate of the sender, u16 + bytes: a renewed one in place of the handshake's
 *   nat          0f | mapping u8 (0..4) | filtering u8 (0..3) | allocation u8 (0..3) | step u8
 *
 * `tag` is a random number of the sender's link object: another tag in the same session tells that
 * the peer forgot the link and made a new one. One label names one relay circuit on one link, in both
 * directions; the top bit says which side chose it, so that two choices never meet.
 */
import { assert } from "../base/assert.ts";
import { asciiText, ByteReader, ByteWriter, utf8 } from "../base/bytes.ts";
import { dropped, type Parsed, parsed } from "../base/drop-reason.ts";
import type { Label, ReceiverIndex } from "../base/engine.ts";
import type { NatAllocation, NatFiltering, NatMapping } from "../base/nat.ts";
import type { Endpoint } from "../base/net.ts";
import {
  ADDRESS_BYTES,
  addressFromBytes,
  addressToBytes,
  type RingAddress,
} from "../base/ring-address.ts";
import { MAX_CHAIN_BYTES } from "./certificate-block.ts";
import {
  readEndpoints,
  readOptionalEndpoint,
  writeEndpoints,
  writeOptionalEndpoint,
} from "./endpoint.ts";
import { MAX_CANDIDATES, MAX_RELAY_HINTS } from "./handshake-payload.ts";
import { MESSAGE_TYPES } from "./message-type.ts";

/** A relay search looks at this many nodes at most; 640 bytes keep it within one fragment. */
export const MAX_VISITED = 32;
/** Relays between two ends: four hops, and the shim's ttl of 4 is used up by a fourth relay. */
export const MAX_RELAYS = 3;
export const MAX_GOODBYE_REASON = 64;
export const REKEY_PUBLIC_BYTES = 32;
/** X-Wing's, draft-connolly-cfrg-xwing-kem. */
export const KEM_PUBLIC_BYTES = 1_216;
export const KEM_CIPHERTEXT_BYTES = 1_120;
export const REKEY_PROOF_BYTES = 16;

export type LinkMessage =
  | { readonly type: "probe"; readonly id: number; readonly tag: number }
  | {
      readonly type: "probe-ack";
      readonly id: number;
      readonly tag: number;
      /** Where the probe came from as its receiver saw it; none behind a relay. */
      readonly observed: Endpoint | undefined;
    }
  | Rekey1
  | Rekey2
  | {
      readonly type: "candidates";
      /** The receiver shall tell its own candidates too. */
      readonly answer: boolean;
      readonly endpoints: readonly Endpoint[];
      readonly relays: readonly RingAddress[];
    }
  | {
      readonly type: "relay-open";
      readonly label: Label;
      /** 0..MAX_RELAYS relays that may still follow the receiver. */
      readonly hopsLeft: number;
      readonly origin: RingAddress;
      readonly target: RingAddress;
      readonly visited: readonly RingAddress[];
      readonly hints: readonly RingAddress[];
    }
  | { readonly type: "relay-ok"; readonly label: Label }
  | {
      readonly type: "relay-fail";
      readonly label: Label;
      readonly visited: readonly RingAddress[];
    }
  | { readonly type: "relay-close"; readonly label: Label }
  /** The sender's renewed one, for the same key and address. */
  | { readonly type: "certificate"; readonly certificate: Uint8Array }
  | { readonly type: "goodbye"; readonly tag: number; readonly reason: string }
  /** What the sender's NAT does, as far as it knows; members of minor version 0 drop it. */
  | ({ readonly type: "nat" } & PeerNat);

export type Rekey1 = Rekey1Body &
  ({ readonly type: "rekey-1" } | { readonly type: "rekey-1-kem"; readonly kemPublic: Uint8Array });

export type Rekey2 = Rekey2Body &
  (
    | { readonly type: "rekey-2" }
    | {
        readonly type: "rekey-2-kem";
        readonly ciphertext: Uint8Array;
        /** That its sender has the new keys. */
        readonly proof: Uint8Array;
      }
  );

interface Rekey1Body {
  readonly sender: ReceiverIndex;
  /** The key pair that the new one builds on: its index at the receiver of this message. */
  readonly base: ReceiverIndex;
  readonly publicKey: Uint8Array;
}

interface Rekey2Body {
  readonly sender: ReceiverIndex;
  readonly receiver: ReceiverIndex;
  readonly publicKey: Uint8Array;
}

/** `step` is 0 unless the allocation is sequential. */
export interface PeerNat {
  readonly mapping: NatMapping;
  readonly filtering: NatFiltering;
  readonly allocation: NatAllocation;
  readonly step: number;
}

const MAPPINGS: readonly NatMapping[] = [
  "unknown",
  "none",
  "endpoint-independent",
  "address",
  "address-and-port",
];
const FILTERINGS: readonly NatFiltering[] = [
  "unknown",
  "endpoint-independent",
  "address",
  "address-and-port",
];
const ALLOCATIONS: readonly NatAllocation[] = ["unknown", "preserved", "sequential", "random"];

/** Reasons: truncated, trailing-bytes, unknown-type, bad-field. */
export function parseLinkMessage(bytes: Uint8Array): Parsed<LinkMessage> {
  if (bytes.length === 0) return dropped("truncated");
  const reader = new ByteReader(bytes);
  const message = readBody(reader.u8(), reader);
  if (message === "unknown-type") return dropped("unknown-type");
  if (message === "bad-field") return dropped("bad-field");
  if (!reader.ok) return dropped("truncated");
  return reader.remaining > 0 ? dropped("trailing-bytes") : parsed(message);
}

/** The lists must be within their maxima. */
export function emitLinkMessage(message: LinkMessage): Uint8Array {
  const writer = new ByteWriter().u8(MESSAGE_TYPES[message.type]);
  switch (message.type) {
    case "probe":
      return writer.u32(message.id).u32(message.tag).finish();
    case "probe-ack":
      writer.u32(message.id).u32(message.tag);
      return writeOptionalEndpoint(writer, message.observed).finish();
    case "rekey-1":
    case "rekey-1-kem":
      return emitRekey1(writer, message);
    case "rekey-2":
    case "rekey-2-kem":
      return emitRekey2(writer, message);
    case "candidates":
      writeEndpoints(writer.u8(message.answer ? 1 : 0), message.endpoints, MAX_CANDIDATES);
      return writeAddresses(writer, message.relays, MAX_RELAY_HINTS).finish();
    case "relay-open":
      writer.u32(message.label).u8(message.hopsLeft);
      writer.bytes(addressToBytes(message.origin)).bytes(addressToBytes(message.target));
      writeAddresses(writer, message.visited, MAX_VISITED);
      return writeAddresses(writer, message.hints, MAX_RELAY_HINTS).finish();
    case "relay-ok":
    case "relay-close":
      return writer.u32(message.label).finish();
    case "relay-fail":
      return writeAddresses(writer.u32(message.label), message.visited, MAX_VISITED).finish();
    case "goodbye":
      return emitGoodbye(writer, message.tag, message.reason);
    case "certificate":
      return writer.block(message.certificate).finish();
    case "nat":
      writer.u8(MAPPINGS.indexOf(message.mapping)).u8(FILTERINGS.indexOf(message.filtering));
      return writer.u8(ALLOCATIONS.indexOf(message.allocation)).u8(message.step).finish();
  }
}

function emitRekey1(writer: ByteWriter, message: Rekey1): Uint8Array {
  writer.u32(message.sender).u32(message.base).bytes(message.publicKey);
  if (message.type === "rekey-1-kem") writer.bytes(message.kemPublic);
  return writer.finish();
}

function emitRekey2(writer: ByteWriter, message: Rekey2): Uint8Array {
  writer.u32(message.sender).u32(message.receiver).bytes(message.publicKey);
  if (message.type === "rekey-2-kem") writer.bytes(message.ciphertext).bytes(message.proof);
  return writer.finish();
}

function emitGoodbye(writer: ByteWriter, tag: number, reason: string): Uint8Array {
  const text = utf8(reason);
  assert(text.length <= MAX_GOODBYE_REASON, "length of a goodbye");
  return writer.u32(tag).u8(text.length).bytes(text).finish();
}

function readBody(type: number, reader: ByteReader): LinkMessage | "unknown-type" | "bad-field" {
  switch (type) {
    case MESSAGE_TYPES.probe:
      return { type: "probe", id: reader.u32(), tag: reader.u32() };
    case MESSAGE_TYPES["probe-ack"]:
      return readProbeAck(reader);
    case MESSAGE_TYPES["rekey-1"]:
      return { type: "rekey-1", ...readRekey1(reader) };
    case MESSAGE_TYPES["rekey-1-kem"]: {
      const body = readRekey1(reader);
      return { type: "rekey-1-kem", ...body, kemPublic: reader.bytes(KEM_PUBLIC_BYTES) };
    }
    case MESSAGE_TYPES["rekey-2"]:
      return { type: "rekey-2", ...readRekey2(reader) };
    case MESSAGE_TYPES["rekey-2-kem"]: {
      const body = readRekey2(reader);
      const ciphertext = reader.bytes(KEM_CIPHERTEXT_BYTES);
      return { type: "rekey-2-kem", ...body, ciphertext, proof: reader.bytes(REKEY_PROOF_BYTES) };
    }
    case MESSAGE_TYPES.candidates:
      return readCandidates(reader);
    case MESSAGE_TYPES["relay-open"]:
      return readRelayOpen(reader);
    case MESSAGE_TYPES["relay-ok"]:
      return { type: "relay-ok", label: reader.u32() };
    case MESSAGE_TYPES["relay-fail"]: {
      const label = reader.u32();
      return { type: "relay-fail", label, visited: readAddresses(reader, MAX_VISITED) };
    }
    case MESSAGE_TYPES["relay-close"]:
      return { type: "relay-close", label: reader.u32() };
    case MESSAGE_TYPES.goodbye:
      return readGoodbye(reader);
    case MESSAGE_TYPES.certificate:
      return { type: "certificate", certificate: reader.block(MAX_CHAIN_BYTES) };
    case MESSAGE_TYPES.nat:
      return readNat(reader);
    default:
      return "unknown-type";
  }
}

function readRekey1(reader: ByteReader): Rekey1Body {
  const [sender, base] = [reader.u32(), reader.u32()];
  return { sender, base, publicKey: reader.bytes(REKEY_PUBLIC_BYTES) };
}

function readRekey2(reader: ByteReader): Rekey2Body {
  const [sender, receiver] = [reader.u32(), reader.u32()];
  return { sender, receiver, publicKey: reader.bytes(REKEY_PUBLIC_BYTES) };
}

function readProbeAck(reader: ByteReader): LinkMessage {
  const [id, tag] = [reader.u32(), reader.u32()];
  return { type: "probe-ack", id, tag, observed: readOptionalEndpoint(reader) };
}

function readCandidates(reader: ByteReader): LinkMessage | "bad-field" {
  const answer = reader.u8();
  if (answer > 1) return "bad-field";
  const endpoints = readEndpoints(reader, MAX_CANDIDATES);
  const relays = readAddresses(reader, MAX_RELAY_HINTS);
  return { type: "candidates", answer: answer === 1, endpoints, relays };
}

function readRelayOpen(reader: ByteReader): LinkMessage | "bad-field" {
  const [label, hopsLeft] = [reader.u32(), reader.u8()];
  if (hopsLeft > MAX_RELAYS) return "bad-field";
  const [origin, target] = [readAddress(reader), readAddress(reader)];
  const visited = readAddresses(reader, MAX_VISITED);
  const hints = readAddresses(reader, MAX_RELAY_HINTS);
  return { type: "relay-open", label, hopsLeft, origin, target, visited, hints };
}

function readGoodbye(reader: ByteReader): LinkMessage | "bad-field" {
  const tag = reader.u32();
  const length = reader.u8();
  const reason = asciiText(reader.bytes(length));
  if (length > MAX_GOODBYE_REASON || reason === undefined) return "bad-field";
  return { type: "goodbye", tag, reason };
}

function readNat(reader: ByteReader): LinkMessage | "bad-field" {
  const [mapping, filtering] = [MAPPINGS[reader.u8()], FILTERINGS[reader.u8()]];
  const [allocation, step] = [ALLOCATIONS[reader.u8()], reader.u8()];
  if (mapping === undefined || filtering === undefined || allocation === undefined) {
    return "bad-field";
  }
  return { type: "nat", mapping, filtering, allocation, step };
}

function readAddress(reader: ByteReader): RingAddress {
  const bytes = reader.bytes(ADDRESS_BYTES);
  return bytes.length === 0 ? 0n : addressFromBytes(bytes);
}

function readAddresses(reader: ByteReader, max: number): RingAddress[] {
  const count = reader.u8();
  if (count > max) reader.ok = false;
  const addresses: RingAddress[] = [];
  for (let i = 0; i < count && reader.ok; i++) addresses.push(readAddress(reader));
  return addresses;
}

function writeAddresses(
  writer: ByteWriter,
  addresses: readonly RingAddress[],
  max: number,
): ByteWriter {
  assert(addresses.length <= max, "length of an address list");
  writer.u8(addresses.length);
  for (const address of addresses) writer.bytes(addressToBytes(address));
  return writer;
}
