/** How certificates of authority mode are made: by the authority itself, or by a member that may issue. */
import { equalBytes } from "../base/bytes.ts";
import type { Ip } from "../base/net.ts";
import { reachesNoFurther } from "./authority-rules.ts";
import { type Certificate, emitCertificate, isEmittable, signCertificate } from "./certificate.ts";
import { emitChain } from "./certificate-chain.ts";
import type { CryptoSuite, KeyPair } from "./suite.ts";

const DAY_SECONDS = 86_400;
/** They renew themselves: a member that was shut out of its issuer's cluster is out after this long. */
export const MEMBER_DAYS = 30;
/** Clocks of two machines differ; a certificate must not start in the future of a slow one. */
const BACKDATE_SECONDS = 3_600;

/** What is said of a member. */
export interface Grant {
  /** 32 bytes, Ed25519 */
  readonly publicKey: Uint8Array;
  /** 16 bytes, drawn at random; a renewed certificate keeps it, and with it the place on the ring */
  readonly salt: Uint8Array;
  readonly serial: bigint;
  readonly name: string;
  /** Strictly ascending. */
  readonly groups: readonly string[];
  /** Strictly ascending as bytes. */
  readonly claims: readonly Ip[];
}

export interface Validity {
  /** Unix seconds */
  readonly wallSeconds: number;
  readonly days: number;
}

/** By the authority's own key. @returns the certificate's bytes */
export function signAsAuthority(
  suite: CryptoSuite,
  authority: KeyPair,
  networkId: Uint8Array,
  grant: Grant & { readonly mayIssue: boolean } & Validity,
): Uint8Array {
  const { publicKey, salt, serial, name, groups, claims, mayIssue } = grant;
  const facts = { networkId, publicKey, salt, serial, name, groups, claims, mayIssue };
  return emitCertificate(signCertificate(suite, authority, { ...facts, ...datesOf(grant, 0) }));
}

/** A member that may issue, and its certificate. */
export interface IssuingMember {
  readonly signing: KeyPair;
  readonly certificate: Certificate;
  /** The bytes of it, that the authority signed. */
  readonly bytes: Uint8Array;
}

/** @returns leaf and issuer as they travel; undefined when the issuer may not say that */
export function signAsMember(
  suite: CryptoSuite,
  issuer: IssuingMember,
  grant: Grant,
  wallSeconds: number,
): Uint8Array | undefined {
  const { publicKey, salt, serial, name, groups, claims } = grant;
  const dates = datesOf({ wallSeconds, days: MEMBER_DAYS }, issuer.certificate.notAfter);
  const { networkId } = issuer.certificate;
  const facts = { networkId, publicKey, salt, serial, name, groups, claims, mayIssue: false };
  if (!reachesNoFurther({ ...facts, ...dates }, issuer.certificate)) return undefined;
  if (equalBytes(publicKey, issuer.certificate.publicKey)) return undefined;
  const leaf = signCertificate(suite, issuer.signing, { ...facts, ...dates });
  return isEmittable(leaf) ? emitChain(emitCertificate(leaf), issuer.bytes) : undefined;
}

function datesOf({ wallSeconds, days }: Validity, end: number) {
  const wanted = wallSeconds + days * DAY_SECONDS;
  const notAfter = end === 0 ? wanted : Math.min(wanted, end);
  return { notBefore: Math.max(0, wallSeconds - BACKDATE_SECONDS), notAfter };
}
