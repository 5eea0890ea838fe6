/**
 * Members of one network on one switch: a datagram to a multicast group, and the answer to it.
 * Always of one size, and all but the first 16 bytes look random: a stranger sees that weft runs
 * here, not which network, and cannot tell two members of one network from members of two.
 *
 *      0        1                 4                                   16
 *     +--------+-----------------+-----------------------------------+
 *     | 208    | 0 (3 B)         | nonce 12 B, random                |
 *     +--------+-----------------+-----------------------------------+
 *     | sealed: body 192 B, tag 16 B                                 |
 *     +--------------------------------------------------------------+
 *
 *     body
 *      0        1              9              13           25
 *     +--------+--------------+--------------+------------+----------------------------+
 *     | kind   | boot u64     | round u32    | echo 12 B  | count u8, endpoints, zeros |
 *     +--------+--------------+--------------+------------+----------------------------+
 *     kind 1 announcement: echo is zeros    kind 2 answer: echo is the announcement's nonce
 */
import { ByteReader, ByteWriter } from "../base/bytes.ts";
import { dropped, type Parsed, parsed } from "../base/drop-reason.ts";
import type { Endpoint, Ip } from "../base/net.ts";
import { readEndpoints, writeEndpoints } from "./endpoint.ts";

/** Administratively scoped (RFC 2365), sent with a TTL of 1; and link-local, transient (RFC 4291). */
export const LAN_GROUPS: Readonly<Record<4 | 6, Ip>> = { 4: "239.255.71.17", 6: "ff12::7117" };
export const LAN_PORT = 7119;

export const LAN_NONCE_BYTES = 12;
const LAN_HEAD_BYTES = 16;
const LAN_BODY_BYTES = 192;
const TAG_BYTES = 16;
export const LAN_HELLO_BYTES = LAN_HEAD_BYTES + LAN_BODY_BYTES + TAG_BYTES;
/** Addresses of one interface; the body has room for eight of the longest. */
export const LAN_ENDPOINTS = 8;

const TYPE = 208;
const KINDS = ["announcement", "answer"] as const;

export interface LanHello {
  readonly kind: (typeof KINDS)[number];
  /** The sender's boot number. */
  readonly boot: bigint;
  /** Counts the sender's announcements; an answer repeats the one it answers. */
  readonly round: number;
  /** 12 bytes: zeros, or the nonce of the announcement that is answered. */
  readonly echo: Uint8Array;
  /** Where the sender's data port is, on the interface that this was sent on. */
  readonly endpoints: readonly Endpoint[];
}

/** What stands in clear; authenticated with the rest. @param nonce 12 bytes */
export function emitLanHead(nonce: Uint8Array): Uint8Array {
  return new ByteWriter().u8(TYPE).zeros(3).bytes(nonce).finish();
}

export interface SealedHello {
  /** 16 bytes */
  readonly head: Uint8Array;
  /** 12 bytes */
  readonly nonce: Uint8Array;
  readonly sealed: Uint8Array;
}

export function parseSealedHello(bytes: Uint8Array): Parsed<SealedHello> {
  if (bytes.length < LAN_HELLO_BYTES) return dropped("truncated");
  if (bytes.length > LAN_HELLO_BYTES) return dropped("trailing-bytes");
  if (bytes[0] !== TYPE) return dropped("unknown-type");
  if (bytes.subarray(1, 4).some((byte) => byte !== 0)) return dropped("bad-field");
  const head = bytes.slice(0, LAN_HEAD_BYTES);
  return parsed({ head, nonce: head.slice(4), sealed: bytes.slice(LAN_HEAD_BYTES) });
}

export function emitLanHello(hello: LanHello): Uint8Array {
  const writer = new ByteWriter().u8(KINDS.indexOf(hello.kind) + 1).u64(hello.boot);
  writer.u32(hello.round).bytes(hello.echo);
  writeEndpoints(writer, hello.endpoints, LAN_ENDPOINTS);
  return writer.zeros(LAN_BODY_BYTES - writer.length).finish();
}

/** @param body as unsealed; zeros at its end are not looked at */
export function parseLanHello(body: Uint8Array): Parsed<LanHello> {
  const reader = new ByteReader(body);
  const kind = KINDS[reader.u8() - 1];
  const boot = reader.u64();
  const round = reader.u32();
  const echo = reader.bytes(LAN_NONCE_BYTES);
  const endpoints = readEndpoints(reader, LAN_ENDPOINTS);
  if (kind === undefined) return dropped("unknown-type");
  if (!reader.ok || body.length !== LAN_BODY_BYTES) return dropped("bad-field");
  return parsed({ kind, boot, round, echo, endpoints });
}
