/**
 * Who belongs to the cluster, in `secret:` mode: each holder of the network key signs its own
 * certificate with the key derived from it.
 */
import { assert } from "../base/assert.ts";
import { concat, equalBytes } from "../base/bytes.ts";
import { dropped, type Parsed, parsed } from "../base/drop-reason.ts";
import { ADDRESS_BYTES, addressFromBytes, type RingAddress } from "../base/ring-address.ts";
import {
  type Certificate,
  emitCertificate,
  hasValidSignature,
  isValidName,
  parseCertificate,
  SALT_BYTES,
  signCertificate,
} from "./certificate.ts";
import type { ClusterKeys } from "./cluster-keys.ts";
import { deriveKey } from "./hkdf.ts";
import type { Identity } from "./identity.ts";
import type { CryptoSuite } from "./suite.ts";

/** A certificate that was found right, and the place on the ring it gives. */
export interface Member {
  readonly certificate: Certificate;
  readonly address: RingAddress;
  /** The certificates above it, nearest first; the authority's own key has none. */
  readonly issuers: readonly Certificate[];
}

/** Issues and judges certificates of one cluster. */
export class Membership {
  readonly #suite: CryptoSuite;
  readonly #keys: ClusterKeys;

  constructor(suite: CryptoSuite, keys: ClusterKeys) {
    this.#suite = suite;
    this.#keys = keys;
  }

  /** @param name 1..63 of [a-z0-9-], checked before by the reader of the configuration */
  issueOwn(identity: Identity, name: string): Member & { readonly bytes: Uint8Array } {
    assert(isValidName(name), "a node name is 1..63 of [a-z0-9-]");
    const publicKey = identity.signing.publicKey;
    const certificate = signCertificate(this.#suite, this.#keys.signing, {
      networkId: this.#keys.networkId,
      publicKey,
      salt: this.#saltOf(publicKey),
      name,
      groups: [],
      claims: [],
      notBefore: 0,
      notAfter: 0,
      serial: 0n,
      mayIssue: false,
    });
    const address = ringAddressOf(this.#suite, certificate.salt, publicKey);
    return { certificate, address, issuers: [], bytes: emitCertificate(certificate) };
  }

  /** Reasons: bad-certificate, foreign-network. */
  verify(bytes: Uint8Array, wallSeconds: number): Parsed<Member> {
    const outcome = parseCertificate(bytes);
    if (!outcome.ok) return dropped("bad-certificate");
    const certificate = outcome.value;
    if (!equalBytes(certificate.networkId, this.#keys.networkId)) return dropped("foreign-network");
    const good =
      this.#isSelfIssued(certificate) &&
      isInDate(certificate, wallSeconds) &&
      this.#suite.dhPublicOf(certificate.publicKey) !== undefined &&
      hasValidSignature(this.#suite, certificate, bytes);
    if (!good) return dropped("bad-certificate");
    const address = ringAddressOf(this.#suite, certificate.salt, certificate.publicKey);
    return parsed({ certificate, address, issuers: [] });
  }

  /**
   * A handshake payload's certificate, which must be that of the very key the handshake proved.
   *
   * @param remoteStatic X25519 key out of the finished handshake
   */
  verifyPeer(bytes: Uint8Array, remoteStatic: Uint8Array, wallSeconds: number): Parsed<Member> {
    const member = this.verify(bytes, wallSeconds);
    if (!member.ok) return member;
    const dhPublic = this.#suite.dhPublicOf(member.value.certificate.publicKey);
    const same = dhPublic !== undefined && equalBytes(dhPublic, remoteStatic);
    return same ? member : dropped("bad-certificate");
  }

  /**
   * What only an authority may grant is refused here, and the salt follows from the key: a holder
   * of the file cannot choose its place on the ring except by making new keys.
   */
  #isSelfIssued(certificate: Certificate): boolean {
    return (
      equalBytes(certificate.issuer, this.#keys.signing.publicKey) &&
      equalBytes(certificate.salt, this.#saltOf(certificate.publicKey)) &&
      certificate.groups.length === 0 &&
      certificate.claims.length === 0 &&
      !certificate.mayIssue
    );
  }

  #saltOf(publicKey: Uint8Array): Uint8Array {
    const purpose = { label: "ring salt", context: publicKey };
    return deriveKey(this.#suite, this.#keys.saltKey, purpose, SALT_BYTES);
  }
}

/** The first 160 bits of BLAKE2b-512 over salt || public key. */
export function ringAddressOf(
  suite: CryptoSuite,
  salt: Uint8Array,
  publicKey: Uint8Array,
): RingAddress {
  return addressFromBytes(suite.blake2b(64, concat(salt, publicKey)).subarray(0, ADDRESS_BYTES));
}

function isInDate(certificate: Certificate, wallSeconds: number): boolean {
  const started = certificate.notBefore === 0 || wallSeconds >= certificate.notBefore;
  const ended = certificate.notAfter !== 0 && wallSeconds > certificate.notAfter;
  return started && !ended;
}
