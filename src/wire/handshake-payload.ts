/**
 * What each side says of itself inside handshake messages 2 and 3.
 *
 *    0  minor version u16
 *    2  capabilities u32: bit meanings are added by minor versions, unknown bits are ignored
 *    6  revocation number u32
 *   10  digest 32 B of the shared part of the cluster file
 *   42  boot u64, random at each start of the agent
 *   50  ciphers u8: bit 0 ChaCha20-Poly1305 (always), bit 1 AES-256-GCM in hardware
 *   51  certificate: u16 length, then up to MAX_CERTIFICATE_BLOCK_BYTES
 *       observed endpoint of the receiver: family u8 (0 none) | address | port u16
 *       candidates: count u8 0..8, endpoints
 *       relays: count u8 0..8, ring addresses 20 B of direct neighbours
 *       number of the signed shared part u32, left out where there is none
 *       anything after this belongs to later minor versions and is ignored
 */
import { assert } from "../base/assert.ts";
import { ByteReader, ByteWriter } from "../base/bytes.ts";
import { dropped, type Parsed, parsed } from "../base/drop-reason.ts";
import type { Cipher } from "../base/engine.ts";
import type { Endpoint } from "../base/net.ts";
import {
  ADDRESS_BYTES,
  addressFromBytes,
  addressToBytes,
  type RingAddress,
} from "../base/ring-address.ts";
import {
  MAX_ENDPOINT_BYTES,
  readEndpoints,
  readOptionalEndpoint,
  writeEndpoints,
  writeOptionalEndpoint,
} from "./endpoint.ts";
import { MAX_HANDSHAKE_PAYLOAD_BYTES } from "./handshake.ts";

export const DIGEST_BYTES = 32;
/** Host addresses of both families plus what peers have seen; more rarely helps a punch. */
export const MAX_CANDIDATES = 8;
/** The near neighbours, four each side. */
export const MAX_RELAY_HINTS = 8;

const FIXED_BYTES = 51;
const SHARED_NUMBER_BYTES = 4;
/** What is left when every list is full: a certificate of 512 bytes or a chain of two small ones. */
export const MAX_CERTIFICATE_BLOCK_BYTES =
  MAX_HANDSHAKE_PAYLOAD_BYTES -
  FIXED_BYTES -
  2 -
  MAX_ENDPOINT_BYTES -
  (1 + MAX_CANDIDATES * MAX_ENDPOINT_BYTES) -
  (1 + MAX_RELAY_HINTS * ADDRESS_BYTES) -
  SHARED_NUMBER_BYTES;

export const CIPHER_BIT_CHACHA = 1;
export const CIPHER_BIT_AES = 2;

export interface HandshakePayload {
  readonly minorVersion: number;
  readonly capabilities: number;
  readonly revocation: number;
  /** 32 bytes */
  readonly digest: Uint8Array;
  readonly boot: bigint;
  /** Bits CIPHER_BIT_*. */
  readonly ciphers: number;
  readonly certificate: Uint8Array;
  /** How the sender sees the receiver; undefined when the message came over the ring. */
  readonly observed?: Endpoint;
  readonly candidates: readonly Endpoint[];
  readonly relays: readonly RingAddress[];
  /** Of the shared part that the authority signed, 1 and up; undefined: there is none. */
  readonly sharedNumber?: number;
}

/** Reasons: too-long, bad-field (which includes a payload that ends early). */
export function parseHandshakePayload(bytes: Uint8Array): Parsed<HandshakePayload> {
  if (bytes.length > MAX_HANDSHAKE_PAYLOAD_BYTES) return dropped("too-long");
  const reader = new ByteReader(bytes);
  const fixed = {
    minorVersion: reader.u16(),
    capabilities: reader.u32(),
    revocation: reader.u32(),
    digest: reader.bytes(DIGEST_BYTES),
    boot: reader.u64(),
    ciphers: reader.u8(),
    certificate: reader.block(MAX_CERTIFICATE_BLOCK_BYTES),
  };
  const observed = readOptionalEndpoint(reader);
  const candidates = readEndpoints(reader, MAX_CANDIDATES);
  const relays = readRelays(reader);
  if (!reader.ok) return dropped("bad-field");
  const sharedNumber = reader.remaining >= SHARED_NUMBER_BYTES ? reader.u32() : 0;
  const lists = { candidates, relays, ...(sharedNumber > 0 ? { sharedNumber } : {}) };
  return parsed(observed === undefined ? { ...fixed, ...lists } : { ...fixed, ...lists, observed });
}

export function emitHandshakePayload(payload: HandshakePayload): Uint8Array {
  assert(payload.digest.length === DIGEST_BYTES, "length of the digest");
  assert(payload.certificate.length <= MAX_CERTIFICATE_BLOCK_BYTES, "length of the certificate");
  assert(payload.relays.length <= MAX_RELAY_HINTS, "number of relay hints");
  const writer = new ByteWriter().u16(payload.minorVersion).u32(payload.capabilities);
  writer.u32(payload.revocation).bytes(payload.digest).u64(payload.boot).u8(payload.ciphers);
  writer.block(payload.certificate);
  writeOptionalEndpoint(writer, payload.observed);
  writeEndpoints(writer, payload.candidates, MAX_CANDIDATES);
  writer.u8(payload.relays.length);
  for (const relay of payload.relays) writer.bytes(addressToBytes(relay));
  if (payload.sharedNumber !== undefined) writer.u32(payload.sharedNumber);
  return writer.finish();
}

/** Both sides compute the same: AES only when both have it in hardware. */
export function settleCipher(ours: number, theirs: number): Cipher {
  return (ours & theirs & CIPHER_BIT_AES) === 0 ? "chacha20poly1305" : "aes256gcm";
}

function readRelays(reader: ByteReader): RingAddress[] {
  const count = reader.u8();
  if (count > MAX_RELAY_HINTS) reader.ok = false;
  const relays: RingAddress[] = [];
  for (let i = 0; i < count && reader.ok; i++) {
    const bytes = reader.bytes(ADDRESS_BYTES);
    if (reader.ok) relays.push(addressFromBytes(bytes));
  }
  return relays;
}
