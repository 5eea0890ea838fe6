/**
 * STUN messages (RFC 8489) with the attributes of behaviour discovery (RFC 5780). Big endian.
 *
 *    0  class and method u16, the two top bits zero
 *    2  length u16 of what follows the header, a multiple of 4
 *    4  magic cookie 21 12 a4 42
 *    8  transaction 12 B
 *   20  attributes: type u16 | length u16 | value | 0..3 bytes up to a multiple of 4
 *
 *   0001 MAPPED-ADDRESS      0 | family u8 (1, 2) | port u16 | address 4 B or 16 B
 *   0003 CHANGE-REQUEST      u32: bit 2 another address, bit 1 another port
 *   0006 USERNAME            text, at most 513 B
 *   0008 MESSAGE-INTEGRITY   HMAC-SHA1 20 B of everything before it
 *   0009 ERROR-CODE          0 u16 | class u8 (3..6) | number u8 (0..99) | reason text
 *   000a UNKNOWN-ATTRIBUTES  u16 each
 *   0014 REALM   0015 NONCE  text
 *   001c MESSAGE-INTEGRITY-SHA256   HMAC-SHA256, 16..32 B
 *   0020 XOR-MAPPED-ADDRESS  as MAPPED-ADDRESS, xor cookie and transaction
 *   0026 PADDING             anything
 *   0027 RESPONSE-PORT       port u16 | 0 u16
 *   c0f7 OTHER-PORT          port u16 | 0 u16; ours
 *   8022 SOFTWARE            text
 *   8028 FINGERPRINT         CRC-32 of everything before it, xor 5354554e; the last one
 *   802b RESPONSE-ORIGIN   802c OTHER-ADDRESS   as MAPPED-ADDRESS
 */
import { assert } from "../base/assert.ts";
import { ByteReader, ByteWriter, concat } from "../base/bytes.ts";
import { crc32 } from "../base/crc32.ts";
import { dropped, type Parsed, parsed } from "../base/drop-reason.ts";
import { type Endpoint, ipFromBytes, ipToBytes, isIpv6 } from "../base/net.ts";
import { hmacSha, SHA1_BYTES, SHA256_BYTES } from "../base/sha.ts";

export const STUN_HEADER_BYTES = 20;
export const STUN_TRANSACTION_BYTES = 12;
export const STUN_BINDING = 1;
export const STUN_COOKIE = Uint8Array.of(0x21, 0x12, 0xa4, 0x42);
/** First byte of a STUN message: its two top bits are zero, and RFC 7983 gives it 0..3. */
export const STUN_LAST_FIRST_BYTE = 3;
/** A Binding message has a dozen at most; the rest of a datagram could hold hundreds. */
export const MAX_STUN_ATTRIBUTES = 32;
/** RFC 8489, 14.3. */
const MAX_USERNAME_BYTES = 513;
/** RFC 8489, 14.9, 14.10, 14.14 and 14.8: 128 characters, 763 bytes. */
const MAX_TEXT_BYTES = 763;
const FINGERPRINT_XOR = 0x5354554e;
const FINGERPRINT_BYTES = 8;

export type StunClass = "request" | "indication" | "success" | "error";
/** In the order of the two class bits. */
const CLASSES: readonly StunClass[] = ["request", "indication", "success", "error"];

const ADDRESSES = {
  "mapped-address": 0x0001,
  "xor-mapped-address": 0x0020,
  "response-origin": 0x802b,
  "other-address": 0x802c,
} as const;
const BLOBS = { username: 0x0006, realm: 0x0014, nonce: 0x0015, padding: 0x0026 } as const;
const TYPES = {
  ...ADDRESSES,
  ...BLOBS,
  software: 0x8022,
  "change-request": 0x0003,
  "message-integrity": 0x0008,
  "error-code": 0x0009,
  "unknown-attributes": 0x000a,
  "message-integrity-sha256": 0x001c,
  "response-port": 0x0027,
  "other-port": 0xc0f7,
  fingerprint: 0x8028,
} as const;

export type StunAttribute =
  | { readonly type: keyof typeof ADDRESSES; readonly endpoint: Endpoint }
  /** Texts are UTF-8 bytes. */
  | { readonly type: keyof typeof BLOBS | "software"; readonly value: Uint8Array }
  | { readonly type: "change-request"; readonly ip: boolean; readonly port: boolean }
  | { readonly type: "response-port"; readonly port: number }
  /** Ours, among members: this port of the same address answers too. Strangers may ignore it. */
  | { readonly type: "other-port"; readonly port: number }
  | { readonly type: "error-code"; readonly code: number; readonly reason: Uint8Array }
  | { readonly type: "unknown-attributes"; readonly types: readonly number[] }
  /** Not known here; below 0x8000 the receiver must understand it or refuse the message. */
  | { readonly type: "other"; readonly number: number; readonly value: Uint8Array };

/** `before` = bytes of the message that it covers. */
interface Integrity {
  readonly mac: Uint8Array;
  readonly before: number;
}

export interface StunMessage {
  readonly kind: StunClass;
  /** 12 bits */
  readonly method: number;
  /** 12 bytes */
  readonly transaction: Uint8Array;
  readonly attributes: readonly StunAttribute[];
}

/** A message from outside: its integrity is to be checked with the right key (`isIntact`). */
export interface ReceivedStun extends StunMessage {
  readonly bytes: Uint8Array;
  readonly sha1: Integrity | undefined;
  readonly sha256: Integrity | undefined;
  readonly hasFingerprint: boolean;
}

/** What ends a message, in the order of RFC 8489: both integrities may stand, the print is last. */
export interface StunSeal {
  readonly sha1?: Uint8Array;
  readonly sha256?: Uint8Array;
  readonly fingerprint: boolean;
}

/**
 * Attributes after an integrity are ignored but for the other integrity and the fingerprint, which
 * must be right when present. Reasons: truncated, trailing-bytes, unknown-type, bad-field, too-long.
 */
export function parseStun(bytes: Uint8Array): Parsed<ReceivedStun> {
  if (bytes.length < STUN_HEADER_BYTES) return dropped("truncated");
  const reader = new ByteReader(bytes);
  const [type, length] = [reader.u16be(), reader.u16be()];
  if (type >= 0x4000) return dropped("unknown-type");
  const cookie = reader.bytes(4);
  if (STUN_COOKIE.some((byte, i) => cookie[i] !== byte)) return dropped("unknown-type");
  if (length % 4 !== 0) return dropped("bad-field");
  if (bytes.length < STUN_HEADER_BYTES + length) return dropped("truncated");
  if (bytes.length > STUN_HEADER_BYTES + length) return dropped("trailing-bytes");
  const transaction = reader.bytes(STUN_TRANSACTION_BYTES);
  const body = readAttributes(bytes, transaction);
  return body.ok ? parsed({ ...readType(type), transaction, bytes, ...body.value }) : body;
}

/** The first one of its type: a second is to be ignored (RFC 8489, 14). */
export function findStun<T extends StunAttribute["type"]>(
  message: StunMessage,
  type: T,
): AttributeOf<T> | undefined {
  const found = message.attributes.find((attribute) => attribute.type === type);
  return found as AttributeOf<T> | undefined;
}

/** The variant that has `T` among its types. */
type AttributeOf<T, A = StunAttribute> = A extends { readonly type: infer U }
  ? T extends U
    ? A
    : never
  : never;

/** Attributes that must be understood and are not, by number. */
export function unknownRequired(message: StunMessage): number[] {
  return message.attributes.flatMap((attribute) =>
    attribute.type === "other" && attribute.number < 0x8000 ? [attribute.number] : [],
  );
}

/** Whether the message carries this integrity and it is right under `key`. */
export function isIntact(message: ReceivedStun, name: "sha1" | "sha256", key: Uint8Array): boolean {
  const integrity = message[name];
  if (integrity === undefined) return false;
  const { mac, before } = integrity;
  const covered = message.bytes.slice(0, before);
  // As if the message ended with this attribute.
  setLength(covered, before + 4 + mac.length);
  const expected = hmacSha(name, key, covered).subarray(0, mac.length);
  let difference = 0;
  for (let i = 0; i < mac.length; i++) difference |= (mac[i] ?? 0) ^ (expected[i] ?? 0);
  return difference === 0;
}

export function emitStun(message: StunMessage, seal: StunSeal): Uint8Array {
  assert(message.transaction.length === STUN_TRANSACTION_BYTES, "length of a transaction id");
  const writer = new ByteWriter().u16be(typeOf(message)).u16be(0).bytes(STUN_COOKIE);
  writer.bytes(message.transaction);
  for (const attribute of message.attributes) {
    writeAttribute(writer, numberOf(attribute), valueBytes(attribute, message.transaction));
  }
  let bytes = withLength(writer.finish());
  if (seal.sha1 !== undefined) bytes = sealed(bytes, "sha1", seal.sha1);
  if (seal.sha256 !== undefined) bytes = sealed(bytes, "sha256", seal.sha256);
  return seal.fingerprint ? printed(bytes) : bytes;
}

/** What an attribute with a value of that length takes. */
export function stunAttributeBytes(valueBytes: number): number {
  return 4 + 4 * Math.ceil(valueBytes / 4);
}

/** One line for logs. */
export function stunText(message: StunMessage): string {
  const method = message.method === STUN_BINDING ? "binding" : `method ${message.method}`;
  return `stun ${method} ${message.kind}, ${message.attributes.length} attributes`;
}

// parsing

type Body = Omit<ReceivedStun, keyof StunMessage | "bytes"> & Pick<StunMessage, "attributes">;

function readAttributes(bytes: Uint8Array, transaction: Uint8Array): Parsed<Body> {
  const attributes: StunAttribute[] = [];
  let [sha1, sha256] = [undefined, undefined] as (Integrity | undefined)[];
  for (let at = STUN_HEADER_BYTES, count = 0; at < bytes.length; count++) {
    if (count >= MAX_STUN_ATTRIBUTES) return dropped("too-long");
    const reader = new ByteReader(bytes.subarray(at));
    const [number, length] = [reader.u16be(), reader.u16be()];
    const value = reader.bytes(length);
    if (!reader.ok) return dropped("truncated");
    const next = at + stunAttributeBytes(length);
    if (number === TYPES.fingerprint) {
      if (next !== bytes.length || !isPrintRight(bytes, at)) return dropped("bad-field");
      return parsed({ attributes, sha1, sha256, hasFingerprint: true });
    }
    if (number === TYPES["message-integrity"] && sha1 === undefined && sha256 === undefined) {
      if (length !== SHA1_BYTES) return dropped("bad-field");
      sha1 = { mac: value, before: at };
    } else if (number === TYPES["message-integrity-sha256"] && sha256 === undefined) {
      if (length < 16 || length > SHA256_BYTES || length % 4 !== 0) return dropped("bad-field");
      sha256 = { mac: value, before: at };
    } else if (sha1 === undefined && sha256 === undefined) {
      const attribute = readValue(number, value, transaction);
      if (attribute === undefined) return dropped("bad-field");
      attributes.push(attribute);
    }
    at = next;
  }
  return parsed({ attributes, sha1, sha256, hasFingerprint: false });
}

function readValue(
  number: number,
  value: Uint8Array,
  transaction: Uint8Array,
): StunAttribute | undefined {
  const type = NAMES.get(number);
  switch (type) {
    case undefined:
      return { type: "other", number, value };
    case "xor-mapped-address":
      return addressAttribute(type, masked(value, transaction));
    case "mapped-address":
    case "response-origin":
    case "other-address":
      return addressAttribute(type, value);
    case "username":
      return value.length > MAX_USERNAME_BYTES ? undefined : { type, value };
    case "realm":
    case "nonce":
    case "software":
      return value.length > MAX_TEXT_BYTES ? undefined : { type, value };
    case "padding":
      return { type, value };
    default:
      return readFixed(type, value);
  }
}

function readFixed(
  type: "change-request" | "response-port" | "other-port" | "error-code" | "unknown-attributes",
  value: Uint8Array,
): StunAttribute | undefined {
  const reader = new ByteReader(value);
  switch (type) {
    case "change-request": {
      const flags = reader.u32be();
      const [ip, port] = [(flags & 4) !== 0, (flags & 2) !== 0];
      return reader.finished() ? { type, ip, port } : undefined;
    }
    case "response-port":
    case "other-port": {
      const port = reader.u16be();
      // RFC 5780 writes 2 bytes and padding, some write the padding into the length.
      return reader.ok && port > 0 && value.length <= 4 ? { type, port } : undefined;
    }
    case "error-code": {
      reader.skip(2);
      const [hundreds, rest] = [reader.u8() & 7, reader.u8()];
      const reason = reader.rest();
      if (hundreds < 3 || hundreds > 6 || rest > 99 || reason.length > MAX_TEXT_BYTES) return;
      return { type, code: 100 * hundreds + rest, reason };
    }
    case "unknown-attributes":
      if (value.length % 2 !== 0) return undefined;
      return { type, types: Array.from({ length: value.length / 2 }, () => reader.u16be()) };
  }
}

function addressAttribute(
  type: keyof typeof ADDRESSES,
  value: Uint8Array,
): StunAttribute | undefined {
  const reader = new ByteReader(value);
  reader.skip(1);
  const [family, port] = [reader.u8(), reader.u16be()];
  const address = reader.rest();
  const length = family === 1 ? 4 : family === 2 ? 16 : 0;
  if (!reader.ok || address.length !== length || length === 0 || port === 0) return undefined;
  return { type, endpoint: { ip: ipFromBytes(address), port } };
}

/** Xor of port and address with cookie and transaction: its own inverse. */
function masked(value: Uint8Array, transaction: Uint8Array): Uint8Array {
  const mask = concat(STUN_COOKIE.subarray(0, 2), STUN_COOKIE, transaction);
  return value.map((byte, i) => (i < 2 ? byte : byte ^ (mask[i - 2] ?? 0)));
}

// the type field: method bits M and class bits C as MMMMM C MMM C MMMM

function readType(type: number): { kind: StunClass; method: number } {
  const kind = CLASSES[((type >> 7) & 2) | ((type >> 4) & 1)] ?? "request";
  return { kind, method: ((type >> 2) & 0xf80) | ((type >> 1) & 0x70) | (type & 0xf) };
}

function typeOf({ kind, method }: StunMessage): number {
  assert(method >= 0 && method < 0x1000, "a STUN method has 12 bits");
  const bits = CLASSES.indexOf(kind);
  const spread = ((method & 0xf80) << 2) | ((method & 0x70) << 1) | (method & 0xf);
  return spread | ((bits & 2) << 7) | ((bits & 1) << 4);
}

// emitting

type Known = Exclude<keyof typeof TYPES, `message-integrity${string}` | "fingerprint">;
const NAMES: ReadonlyMap<number, Known> = new Map(
  Object.entries(TYPES)
    .filter(([name]) => !name.startsWith("message-integrity") && name !== "fingerprint")
    .map(([name, number]) => [number, name as Known]),
);

function numberOf(attribute: StunAttribute): number {
  return attribute.type === "other" ? attribute.number : TYPES[attribute.type];
}

function valueBytes(attribute: StunAttribute, transaction: Uint8Array): Uint8Array {
  const writer = new ByteWriter();
  switch (attribute.type) {
    case "xor-mapped-address":
      return masked(addressValue(attribute.endpoint), transaction);
    case "mapped-address":
    case "response-origin":
    case "other-address":
      return addressValue(attribute.endpoint);
    case "change-request":
      return writer.u32be((attribute.ip ? 4 : 0) | (attribute.port ? 2 : 0)).finish();
    case "response-port":
    case "other-port":
      return writer.u16be(attribute.port).u16be(0).finish();
    case "error-code":
      writer
        .u16be(0)
        .u8(Math.floor(attribute.code / 100))
        .u8(attribute.code % 100);
      return writer.bytes(attribute.reason).finish();
    case "unknown-attributes":
      for (const type of attribute.types) writer.u16be(type);
      return writer.finish();
    default:
      return attribute.value;
  }
}

function addressValue({ ip, port }: Endpoint): Uint8Array {
  const writer = new ByteWriter().u8(0).u8(isIpv6(ip) ? 2 : 1);
  return writer.u16be(port).bytes(ipToBytes(ip)).finish();
}

function writeAttribute(writer: ByteWriter, number: number, value: Uint8Array): void {
  writer.u16be(number).u16be(value.length).bytes(value);
  writer.zeros(stunAttributeBytes(value.length) - 4 - value.length);
}

function sealed(bytes: Uint8Array, name: "sha1" | "sha256", key: Uint8Array): Uint8Array {
  const length = name === "sha1" ? SHA1_BYTES : SHA256_BYTES;
  const number = TYPES[name === "sha1" ? "message-integrity" : "message-integrity-sha256"];
  setLength(bytes, bytes.length + 4 + length);
  const writer = new ByteWriter().bytes(bytes).u16be(number).u16be(length);
  return writer.bytes(hmacSha(name, key, bytes)).finish();
}

function printed(bytes: Uint8Array): Uint8Array {
  setLength(bytes, bytes.length + FINGERPRINT_BYTES);
  const writer = new ByteWriter().bytes(bytes).u16be(TYPES.fingerprint).u16be(4);
  return writer.u32be((crc32(bytes) ^ FINGERPRINT_XOR) >>> 0).finish();
}

function isPrintRight(bytes: Uint8Array, at: number): boolean {
  if (bytes.length - at !== FINGERPRINT_BYTES) return false;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const print = view.getUint32(at + 4);
  return print === (crc32(bytes.subarray(0, at)) ^ FINGERPRINT_XOR) >>> 0;
}

function withLength(bytes: Uint8Array): Uint8Array {
  setLength(bytes, bytes.length);
  return bytes;
}

/** @param total of the whole message, header included */
function setLength(bytes: Uint8Array, total: number): void {
  bytes[2] = (total - STUN_HEADER_BYTES) >> 8;
  bytes[3] = (total - STUN_HEADER_BYTES) & 255;
}
