/**
 * A member's certificate as it travels, with the one above it where the authority did not sign it itself:
 *
 *      certificate                            signed by the authority (or, in `secret:` mode, by itself)
 *      2 u8 | length u16 | certificate | issuer's certificate      signed by a member that may issue
 *
 * The first byte of a certificate is 1, so the two forms cannot be confused. No third one fits: who may
 * issue was signed by the authority.
 */
import { assert } from "../base/assert.ts";
import { ByteReader, ByteWriter } from "../base/bytes.ts";
import { dropped, type Parsed, parsed } from "../base/drop-reason.ts";
import { MAX_CHAIN_BYTES } from "../wire/certificate-block.ts";
import { type Certificate, MAX_CERTIFICATE_BYTES, parseCertificate } from "./certificate.ts";

const CHAIN_VERSION = 2;

/** A certificate and the bytes that its signature covers. */
export interface SignedCertificate {
  readonly certificate: Certificate;
  readonly bytes: Uint8Array;
}

export interface CertificateChain {
  readonly leaf: SignedCertificate;
  /** Undefined: nobody stands between the leaf and the authority. */
  readonly issuer: SignedCertificate | undefined;
}

/** Form only. Reasons: those of `parseCertificate`. */
export function parseChain(bytes: Uint8Array): Parsed<CertificateChain> {
  if (bytes.length > MAX_CHAIN_BYTES) return dropped("too-long");
  if (bytes[0] !== CHAIN_VERSION) {
    const leaf = readSigned(bytes);
    return leaf.ok ? parsed({ leaf: leaf.value, issuer: undefined }) : leaf;
  }
  const reader = new ByteReader(bytes);
  reader.skip(1);
  const leafBytes = reader.block(MAX_CERTIFICATE_BYTES);
  const issuerBytes = reader.rest();
  if (!reader.ok) return dropped("truncated");
  const leaf = readSigned(leafBytes);
  if (!leaf.ok) return leaf;
  const issuer = readSigned(issuerBytes);
  return issuer.ok ? parsed({ leaf: leaf.value, issuer: issuer.value }) : issuer;
}

/** @returns undefined when the two together are longer than what carries them */
export function emitChain(leaf: Uint8Array, issuer: Uint8Array): Uint8Array | undefined {
  assert(leaf.length <= MAX_CERTIFICATE_BYTES, "a certificate within its bound");
  const bytes = new ByteWriter().u8(CHAIN_VERSION).block(leaf).bytes(issuer).finish();
  return bytes.length <= MAX_CHAIN_BYTES ? bytes : undefined;
}

function readSigned(bytes: Uint8Array): Parsed<SignedCertificate> {
  const outcome = parseCertificate(bytes);
  return outcome.ok ? parsed({ certificate: outcome.value, bytes }) : outcome;
}
