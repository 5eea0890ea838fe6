/**
 * Member certificates: who a node is, signed by whoever may say so.
 *
 *    0  version u8 = 1
 *    1  flags u8: bit 0 may issue; others zero
 *    2  network id 16 B
 *   18  public key 32 B (Ed25519)
 *   50  salt 16 B
 *   66  not before u64, unix seconds, 0 = none
 *   74  not after u64, unix seconds, 0 = none
 *   82  serial u64
 *   90  name: length u8 1..63, then [a-z0-9-]
 *       groups: count u8 0..8, each like the name, strictly ascending
 *       claims: count u8 0..8, each family u8 4|6 + address, strictly ascending as bytes
 *       issuer 32 B (Ed25519)
 *       signature 64 B by the issuer over everything before it
 *
 * One value has one encoding: order, lengths and zero bits are checked, so a certificate cannot
 * be changed into another that says the same. A chain would be another version byte around two.
 */
import { assert } from "../base/assert.ts";
import { asciiText, ByteReader, ByteWriter, compareBytes, utf8 } from "../base/bytes.ts";
import { dropped, type Parsed, parsed } from "../base/drop-reason.ts";
import { type Ip, ipToBytes } from "../base/net.ts";
import { readIp, writeIp } from "../wire/endpoint.ts";
import type { CryptoSuite } from "./suite.ts";

/** Fits a handshake datagram of 1,200 bytes beside everything else. */
export const MAX_CERTIFICATE_BYTES = 512;
export const SALT_BYTES = 16;
export const SIGNATURE_BYTES = 64;
/** A label of DNS, so that names can become host names. */
export const MAX_NAME_LENGTH = 63;
/** The ACL looks through them for each new flow; more is a sign of a wrong model. */
export const MAX_GROUPS = 8;
/** Static addresses of one site. */
export const MAX_CLAIMS = 8;

const VERSION = 1;
const FLAG_MAY_ISSUE = 1;

export interface Certificate {
  /** 16 bytes */
  readonly networkId: Uint8Array;
  /** 32 bytes, Ed25519 */
  readonly publicKey: Uint8Array;
  /** 16 bytes; with the public key it gives the ring address. */
  readonly salt: Uint8Array;
  /** 1..63 of [a-z0-9-] */
  readonly name: string;
  /** Strictly ascending; each like a name. */
  readonly groups: readonly string[];
  /** Virtual addresses this node may hold for good; strictly ascending as bytes, IPv4 first. */
  readonly claims: readonly Ip[];
  /** Unix seconds, 0 = none */
  readonly notBefore: number;
  /** Unix seconds, 0 = none */
  readonly notAfter: number;
  readonly serial: bigint;
  readonly mayIssue: boolean;
  /** 32 bytes, Ed25519 key that signed */
  readonly issuer: Uint8Array;
  /** 64 bytes */
  readonly signature: Uint8Array;
}

/** Everything a signer says; issuer and signature follow from its key. */
export type CertificateFacts = Omit<Certificate, "issuer" | "signature">;

/** Form only; who signed it and whether it is right is `Membership`'s to say. */
export function parseCertificate(bytes: Uint8Array): Parsed<Certificate> {
  if (bytes.length > MAX_CERTIFICATE_BYTES) return dropped("too-long");
  if (bytes.length === 0) return dropped("truncated");
  const reader = new ByteReader(bytes);
  if (reader.u8() !== VERSION) return dropped("unknown-version");
  const certificate = readFields(reader);
  if (!reader.ok) return dropped("bad-field");
  if (reader.remaining > 0) return dropped("trailing-bytes");
  return parsed(certificate);
}

/** A certificate that does not fit or is not canonical is a bug; users' input is checked before. */
export function emitCertificate(certificate: Certificate): Uint8Array {
  const body = signedPart(certificate, certificate.issuer);
  const bytes = new ByteWriter().bytes(body).bytes(certificate.signature).finish();
  assert(parseCertificate(bytes).ok, "certificate in canonical form");
  return bytes;
}

/** Whether it is within its bound: names, groups and claims together may be too long. */
export function isEmittable(certificate: Certificate): boolean {
  const body = signedPart(certificate, certificate.issuer);
  return body.length + SIGNATURE_BYTES <= MAX_CERTIFICATE_BYTES;
}

/** @param signer the issuer's Ed25519 pair */
export function signCertificate(
  suite: CryptoSuite,
  signer: { readonly publicKey: Uint8Array; readonly secretKey: Uint8Array },
  facts: CertificateFacts,
): Certificate {
  const signature = suite.sign(signer.secretKey, signedPart(facts, signer.publicKey));
  return { ...facts, issuer: signer.publicKey, signature };
}

/** Whether the named issuer signed exactly these bytes. */
export function hasValidSignature(
  suite: CryptoSuite,
  certificate: Certificate,
  bytes: Uint8Array,
): boolean {
  const signed = bytes.subarray(0, bytes.length - SIGNATURE_BYTES);
  return suite.verify(certificate.issuer, signed, certificate.signature);
}

/** Node names and groups: 1..63 of [a-z0-9-]. */
export function isValidName(name: string): boolean {
  return name.length <= MAX_NAME_LENGTH && /^[a-z0-9-]+$/.test(name);
}

function signedPart(facts: CertificateFacts, issuer: Uint8Array): Uint8Array {
  const writer = new ByteWriter().u8(VERSION).u8(facts.mayIssue ? FLAG_MAY_ISSUE : 0);
  writer.bytes(facts.networkId).bytes(facts.publicKey).bytes(facts.salt);
  writer.u64(BigInt(facts.notBefore)).u64(BigInt(facts.notAfter)).u64(facts.serial);
  writeName(writer, facts.name);
  writer.u8(facts.groups.length);
  for (const group of facts.groups) writeName(writer, group);
  writer.u8(facts.claims.length);
  for (const claim of facts.claims) writeIp(writer, claim);
  return writer.bytes(issuer).finish();
}

function readFields(reader: ByteReader): Certificate {
  const flags = reader.u8();
  if (flags > FLAG_MAY_ISSUE) reader.ok = false;
  return {
    networkId: reader.bytes(16),
    publicKey: reader.bytes(32),
    salt: reader.bytes(SALT_BYTES),
    notBefore: readSeconds(reader),
    notAfter: readSeconds(reader),
    serial: reader.u64(),
    name: readName(reader),
    groups: readAscending(reader, MAX_GROUPS, readName, utf8),
    claims: readAscending(reader, MAX_CLAIMS, readIp, claimOrder),
    mayIssue: flags === FLAG_MAY_ISSUE,
    issuer: reader.bytes(32),
    signature: reader.bytes(SIGNATURE_BYTES),
  };
}

/** Exact integers only: a time past 2^53 would compare wrongly. */
function readSeconds(reader: ByteReader): number {
  const seconds = Number(reader.u64());
  if (!Number.isSafeInteger(seconds)) reader.ok = false;
  return reader.ok ? seconds : 0;
}

function writeName(writer: ByteWriter, name: string): void {
  assert(isValidName(name), "a name is 1..63 of [a-z0-9-]");
  writer.u8(name.length).bytes(utf8(name));
}

function readName(reader: ByteReader): string {
  const name = asciiText(reader.bytes(reader.u8())) ?? "";
  if (!isValidName(name)) reader.ok = false;
  return name;
}

function readAscending<T>(
  reader: ByteReader,
  max: number,
  read: (reader: ByteReader) => T,
  order: (item: T) => Uint8Array,
): T[] {
  const count = reader.u8();
  if (count > max) reader.ok = false;
  const items: T[] = [];
  for (let i = 0; i < count && reader.ok; i++) {
    const item = read(reader);
    const previous = items.at(-1);
    if (previous !== undefined && compareBytes(order(previous), order(item)) >= 0)
      reader.ok = false;
    items.push(item);
  }
  return items;
}

/** The bytes as they are on the wire, so that IPv4 comes before IPv6. */
function claimOrder(ip: Ip): Uint8Array {
  const bytes = ipToBytes(ip);
  return Uint8Array.of(bytes.length === 4 ? 4 : 6, ...bytes);
}
