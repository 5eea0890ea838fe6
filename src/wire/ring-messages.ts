/**
 * Messages of the ring, first byte included (message-type.ts). Ring addresses are 20 bytes, big endian.
 *
 * Routed envelope: a payload on its way to an address, over as many links as it takes.
 *
 *      0        1        2           3              4             24
 *     +--------+--------+-----------+--------------+-------------+------------------+
 *     | 0x10   | flags  | hop limit | payload type | source 20 B | destination 20 B |
 *     +--------+--------+-----------+--------------+-------------+------------------+
 *     | [source agent 20 B] [destination agent 20 B] [count u8, visited 20 B each]  |
 *     | payload, up to 32,768 B                                                     |
 *     +-----------------------------------------------------------------------------+
 *     flags: bit 0 nearest (else exact)   bit 1 never deliver to the source   bit 2 source agent
 *            bit 3 destination agent      bit 4 visited (1..6 nodes of a detour)   bits 5-7 zero
 *
 * An agent is the member on which a node hangs that is not in the ring yet.
 *
 * Neighbour list (inside neighbours, neighbours-answer and find-answer):
 *
 *     count u8 (<= 24), each: flags u8 (bit 0 in the ring) | address 20 B
 *                             | name length u8, printable ASCII | endpoint count u8 (<= 3), endpoints
 */
import { asciiText, ByteReader, ByteWriter, utf8 } from "../base/bytes.ts";
import { type DropReason, dropped, type Parsed, parsed } from "../base/drop-reason.ts";
import type { Endpoint } from "../base/net.ts";
import {
  ADDRESS_BYTES,
  addressFromBytes,
  addressToBytes,
  type RingAddress,
} from "../base/ring-address.ts";
import { readEndpoints, writeEndpoints } from "./endpoint.ts";
import { MESSAGE_TYPES } from "./message-type.ts";

/** Half of a control message: room for what the link adds, and no message fills a link alone. */
export const MAX_ROUTED_PAYLOAD = 32_768;
/** Nodes a stuck message may be handed to without progress: with 30 % of links missing 0.3^6 remain. */
export const MAX_VISITED = 6;
/** Four neighbours on each side of the sender, four on each side of the receiver, and shortcuts. */
export const MAX_NEIGHBOURS = 24;
/** One per family and one mapped: enough to find a direct path at once. */
export const MAX_NEIGHBOUR_ENDPOINTS = 3;
/** A host label (RFC 1035). Longer names are left out, they are for people only. */
export const MAX_NAME_BYTES = 63;

/** A payload on its way. */
export interface Envelope {
  readonly source: RingAddress;
  readonly destination: RingAddress;
  readonly nearest: boolean;
  /** Only with `nearest`: the source itself does not count as a candidate. */
  readonly excludeSource: boolean;
  readonly hopLimit: number;
  readonly payloadType: number;
  readonly sourceAgent: RingAddress | undefined;
  readonly destinationAgent: RingAddress | undefined;
  /** Nodes that handed the message on without progress, at most MAX_VISITED. */
  readonly visited: readonly RingAddress[];
  readonly payload: Uint8Array;
}

/** One node as another tells of it. */
export interface NeighbourEntry {
  readonly address: RingAddress;
  /** False while it still joins: it may be linked to, but nothing is routed through it. */
  readonly inRing: boolean;
  /** Empty when unknown. */
  readonly name: string;
  readonly endpoints: readonly Endpoint[];
}

/** What a node tells over a link about itself and those it is linked to. */
export interface Neighbours {
  /** The sender wants the receiver's list back. */
  readonly wantsReply: boolean;
  readonly inRing: boolean;
  /** Mean gap between the sender's near neighbours in units of 2^112; 0 = not known. u48 in a u64. */
  readonly gap: bigint;
  readonly entries: readonly NeighbourEntry[];
}

/** Ask a neighbour whether it reaches `target`; the report carries the same nonce and target. */
export interface ProbeRequest {
  readonly nonce: number;
  readonly target: RingAddress;
}

export interface ProbeReport extends ProbeRequest {
  readonly reachable: boolean;
}

/** Payload of connect-to-me: the source of the envelope wants links. */
export interface ConnectToMe {
  readonly nonce: number;
  readonly name: string;
  readonly endpoints: readonly Endpoint[];
}

/** Payload of neighbours-answer (to connect-to-me) and find-answer (to find). */
export interface ListAnswer {
  readonly nonce: number;
  readonly entries: readonly NeighbourEntry[];
}

const FLAG_NEAREST = 1;
const FLAG_EXCLUDE_SOURCE = 2;
const FLAG_SOURCE_AGENT = 4;
const FLAG_DESTINATION_AGENT = 8;
const FLAG_VISITED = 16;
const ENVELOPE_FLAGS = 31;

export function emitEnvelope(envelope: Envelope): Uint8Array {
  const { sourceAgent, destinationAgent, visited } = envelope;
  const flags =
    (envelope.nearest ? FLAG_NEAREST : 0) |
    (envelope.excludeSource ? FLAG_EXCLUDE_SOURCE : 0) |
    (sourceAgent === undefined ? 0 : FLAG_SOURCE_AGENT) |
    (destinationAgent === undefined ? 0 : FLAG_DESTINATION_AGENT) |
    (visited.length === 0 ? 0 : FLAG_VISITED);
  const writer = new ByteWriter().u8(MESSAGE_TYPES.routed).u8(flags).u8(envelope.hopLimit);
  writer.u8(envelope.payloadType);
  writeAddress(writer, envelope.source);
  writeAddress(writer, envelope.destination);
  if (sourceAgent !== undefined) writeAddress(writer, sourceAgent);
  if (destinationAgent !== undefined) writeAddress(writer, destinationAgent);
  if (visited.length > 0) writer.u8(visited.length);
  for (const address of visited) writeAddress(writer, address);
  return writer.bytes(envelope.payload).finish();
}

export function parseEnvelope(bytes: Uint8Array): Parsed<Envelope> {
  const reader = readerAfter(bytes, MESSAGE_TYPES.routed);
  if (reader === undefined) return dropped("unknown-type");
  const flags = reader.u8();
  const hopLimit = reader.u8();
  const payloadType = reader.u8();
  const source = readAddress(reader);
  const destination = readAddress(reader);
  const sourceAgent = flags & FLAG_SOURCE_AGENT ? readAddress(reader) : undefined;
  const destinationAgent = flags & FLAG_DESTINATION_AGENT ? readAddress(reader) : undefined;
  const visited = flags & FLAG_VISITED ? readVisited(reader) : [];
  if (!reader.ok) return dropped("truncated");
  if (flags > ENVELOPE_FLAGS || visited === undefined) return dropped("bad-field");
  if (reader.remaining > MAX_ROUTED_PAYLOAD) return dropped("too-long");
  const nearest = (flags & FLAG_NEAREST) !== 0;
  const excludeSource = (flags & FLAG_EXCLUDE_SOURCE) !== 0;
  const ways = { sourceAgent, destinationAgent, visited };
  const what = { payloadType, payload: reader.rest() };
  return parsed({ source, destination, nearest, excludeSource, hopLimit, ...ways, ...what });
}

/**
 *     0x11 | flags u8 (bit 0 wants reply, bit 1 in the ring) | gap u64 | neighbour list
 */
export function emitNeighbours(message: Neighbours): Uint8Array {
  const writer = new ByteWriter().u8(MESSAGE_TYPES.neighbours);
  writer.u8((message.wantsReply ? 1 : 0) | (message.inRing ? 2 : 0)).u64(message.gap);
  return writeEntries(writer, message.entries).finish();
}

export function parseNeighbours(bytes: Uint8Array): Parsed<Neighbours> {
  const reader = readerAfter(bytes, MESSAGE_TYPES.neighbours);
  if (reader === undefined) return dropped("unknown-type");
  const flags = reader.u8();
  const gap = reader.u64();
  const entries = readEntries(reader);
  const fault = faultOf(reader) ?? (flags > 3 || gap >> 48n !== 0n ? "bad-field" : undefined);
  if (fault !== undefined) return dropped(fault);
  return parsed({ wantsReply: (flags & 1) !== 0, inRing: (flags & 2) !== 0, gap, entries });
}

/** `0x12 | nonce u32 | target 20 B`, 25 bytes */
export function emitProbeRequest(request: ProbeRequest): Uint8Array {
  const writer = new ByteWriter().u8(MESSAGE_TYPES["probe-request"]).u32(request.nonce);
  return writeAddress(writer, request.target).finish();
}

export function parseProbeRequest(bytes: Uint8Array): Parsed<ProbeRequest> {
  const reader = readerAfter(bytes, MESSAGE_TYPES["probe-request"]);
  if (reader === undefined) return dropped("unknown-type");
  const request = { nonce: reader.u32(), target: readAddress(reader) };
  const fault = faultOf(reader);
  return fault === undefined ? parsed(request) : dropped(fault);
}

/** `0x13 | nonce u32 | target 20 B | reachable u8 (0 | 1)`, 26 bytes */
export function emitProbeReport(report: ProbeReport): Uint8Array {
  const writer = new ByteWriter().u8(MESSAGE_TYPES["probe-report"]).u32(report.nonce);
  return writeAddress(writer, report.target)
    .u8(report.reachable ? 1 : 0)
    .finish();
}

export function parseProbeReport(bytes: Uint8Array): Parsed<ProbeReport> {
  const reader = readerAfter(bytes, MESSAGE_TYPES["probe-report"]);
  if (reader === undefined) return dropped("unknown-type");
  const nonce = reader.u32();
  const target = readAddress(reader);
  const reachable = reader.u8();
  const fault = faultOf(reader) ?? (reachable > 1 ? "bad-field" : undefined);
  return fault === undefined
    ? parsed({ nonce, target, reachable: reachable === 1 })
    : dropped(fault);
}

/** `nonce u32 | name length u8, name | endpoint count u8, endpoints` */
export function emitConnectToMe(payload: ConnectToMe): Uint8Array {
  const writer = new ByteWriter().u32(payload.nonce);
  writeName(writer, payload.name);
  return writeSomeEndpoints(writer, payload.endpoints).finish();
}

export function parseConnectToMe(bytes: Uint8Array): Parsed<ConnectToMe> {
  const reader = new ByteReader(bytes);
  const nonce = reader.u32();
  const name = readName(reader);
  const endpoints = readEndpoints(reader, MAX_NEIGHBOUR_ENDPOINTS);
  const fault = faultOf(reader);
  return fault === undefined ? parsed({ nonce, name, endpoints }) : dropped(fault);
}

/** `nonce u32 | neighbour list` */
export function emitListAnswer(answer: ListAnswer): Uint8Array {
  return writeEntries(new ByteWriter().u32(answer.nonce), answer.entries).finish();
}

export function parseListAnswer(bytes: Uint8Array): Parsed<ListAnswer> {
  const reader = new ByteReader(bytes);
  const answer = { nonce: reader.u32(), entries: readEntries(reader) };
  const fault = faultOf(reader);
  return fault === undefined ? parsed(answer) : dropped(fault);
}

/** Payload of find: `nonce u32`, 4 bytes; the question is the destination itself. */
export function emitFind(nonce: number): Uint8Array {
  return new ByteWriter().u32(nonce).finish();
}

/** @returns the nonce */
export function parseFind(bytes: Uint8Array): Parsed<number> {
  const reader = new ByteReader(bytes);
  const nonce = reader.u32();
  const fault = faultOf(reader);
  return fault === undefined ? parsed(nonce) : dropped(fault);
}

function readerAfter(bytes: Uint8Array, type: number): ByteReader | undefined {
  const reader = new ByteReader(bytes);
  return reader.u8() === type ? reader : undefined;
}

function faultOf(reader: ByteReader): DropReason | undefined {
  if (!reader.ok) return "bad-field";
  return reader.remaining > 0 ? "trailing-bytes" : undefined;
}

function writeAddress(writer: ByteWriter, address: RingAddress): ByteWriter {
  return writer.bytes(addressToBytes(address));
}

function readAddress(reader: ByteReader): RingAddress {
  const bytes = reader.bytes(ADDRESS_BYTES);
  return reader.ok ? addressFromBytes(bytes) : 0n;
}

/** undefined: an empty or overlong list, which no sender writes. */
function readVisited(reader: ByteReader): RingAddress[] | undefined {
  const count = reader.u8();
  if (count === 0 || count > MAX_VISITED) return undefined;
  return Array.from({ length: count }, () => readAddress(reader));
}

function writeEntries(writer: ByteWriter, entries: readonly NeighbourEntry[]): ByteWriter {
  const told = entries.slice(0, MAX_NEIGHBOURS);
  writer.u8(told.length);
  for (const entry of told) {
    writeAddress(writer.u8(entry.inRing ? 1 : 0), entry.address);
    writeName(writer, entry.name);
    writeSomeEndpoints(writer, entry.endpoints);
  }
  return writer;
}

/** Clears `reader.ok` when the list is longer than allowed or a field is bad. */
function readEntries(reader: ByteReader): NeighbourEntry[] {
  const count = reader.u8();
  if (count > MAX_NEIGHBOURS) reader.ok = false;
  const entries: NeighbourEntry[] = [];
  for (let i = 0; i < count && reader.ok; i++) {
    const flags = reader.u8();
    if (flags > 1) reader.ok = false;
    const address = readAddress(reader);
    const name = readName(reader);
    const endpoints = readEndpoints(reader, MAX_NEIGHBOUR_ENDPOINTS);
    entries.push({ address, inRing: flags === 1, name, endpoints });
  }
  return entries;
}

function writeSomeEndpoints(writer: ByteWriter, endpoints: readonly Endpoint[]): ByteWriter {
  const told = endpoints.slice(0, MAX_NEIGHBOUR_ENDPOINTS);
  return writeEndpoints(writer, told, MAX_NEIGHBOUR_ENDPOINTS);
}

function writeName(writer: ByteWriter, name: string): void {
  const bytes = utf8(name);
  const told = bytes.length <= MAX_NAME_BYTES && asciiText(bytes) !== undefined;
  writer.u8(told ? bytes.length : 0);
  if (told) writer.bytes(bytes);
}

/** A name that is too long or not printable clears `reader.ok`. */
function readName(reader: ByteReader): string {
  const length = reader.u8();
  if (length > MAX_NAME_BYTES) reader.ok = false;
  const text = asciiText(reader.bytes(length));
  if (text === undefined) reader.ok = false;
  return text ?? "";
}
