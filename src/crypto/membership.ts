/**
 * Who belongs to the cluster. In `secret:` mode each holder of the network key signs its own certificate
 * with the key derived from it; in authority mode the authority signs, or a member that it lets issue
 * (authority-rules.ts).
 */
import { assert } from "../base/assert.ts";
import { concat, equalBytes } from "../base/bytes.ts";
import { dropped, type Parsed, parsed } from "../base/drop-reason.ts";
import { ADDRESS_BYTES, addressFromBytes, type RingAddress } from "../base/ring-address.ts";
import { type DateFault, dateFaultOf, isSignedIn } from "./authority-rules.ts";
import {
  type Certificate,
  emitCertificate,
  hasValidSignature,
  isValidName,
  SALT_BYTES,
  signCertificate,
} from "./certificate.ts";
import { type CertificateChain, parseChain } from "./certificate-chain.ts";
import type { ClusterKeys } from "./cluster-keys.ts";
import { deriveKey } from "./hkdf.ts";
import type { Identity } from "./identity.ts";
import type { NoticeBoard } from "./notice-board.ts";
import { NO_REVOCATIONS } from "./revocations.ts";
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
  readonly #board: Pick<NoticeBoard, "revocations">;

  /** @param board where the authority's newest revocations hang; default: there are none */
  constructor(
    suite: CryptoSuite,
    keys: ClusterKeys,
    board: Pick<NoticeBoard, "revocations"> = { revocations: NO_REVOCATIONS },
  ) {
    this.#suite = suite;
    this.#keys = keys;
    this.#board = board;
  }

  /**
   * In `secret:` mode alone.
   *
   * @param name 1..63 of [a-z0-9-], checked before by the reader of the configuration
   */
  issueOwn(identity: Identity, name: string): Member & { readonly bytes: Uint8Array } {
    assert(this.#keys.authority === undefined, "nobody signs itself in under an authority");
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

  /**
   * This node's own certificate, whatever its dates say: with a wrong clock it is still its own.
   *
   * @param bytes a certificate, or a chain, that names this identity's key
   */
  adoptOwn(identity: Identity, bytes: Uint8Array): Parsed<Member & { readonly bytes: Uint8Array }> {
    const member = this.#judge(bytes, undefined);
    if (!member.ok) return member;
    const isOwn = equalBytes(member.value.certificate.publicKey, identity.signing.publicKey);
    return isOwn ? parsed({ ...member.value, bytes }) : dropped("bad-certificate");
  }

  /** Reasons: bad-certificate (also for its dates, see `dateFault`), foreign-network, revoked. */
  verify(bytes: Uint8Array, wallSeconds: number): Parsed<Member> {
    return this.isRevoked(bytes) ? dropped("revoked") : this.verifyPast(bytes, wallSeconds);
  }

  /** Whether its holder, or somebody above it, was shut out; dates and signatures do not matter. */
  isRevoked(bytes: Uint8Array): boolean {
    const chain = parseChain(bytes);
    if (!chain.ok) return false;
    const { leaf, issuer } = chain.value;
    const certificates = issuer === undefined ? [leaf] : [leaf, issuer];
    return this.#board.revocations.covers(certificates.map(({ certificate }) => certificate));
  }

  /** As `verify`, for what a member signed before it was shut out. */
  verifyPast(bytes: Uint8Array, wallSeconds: number): Parsed<Member> {
    return this.#judge(bytes, wallSeconds);
  }

  /** Why a refused certificate is good but for its dates; undefined when that is not the reason. */
  dateFault(bytes: Uint8Array, wallSeconds: number): DateFault | undefined {
    const chain = parseChain(bytes);
    if (!chain.ok || !this.#judge(bytes, undefined).ok) return undefined;
    return dateFaultOf(chain.value, wallSeconds);
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

  /** @param wallSeconds undefined: the dates do not matter */
  #judge(bytes: Uint8Array, wallSeconds: number | undefined): Parsed<Member> {
    const outcome = parseChain(bytes);
    if (!outcome.ok) return dropped("bad-certificate");
    const chain = outcome.value;
    const { leaf, issuer } = chain;
    const issuers = issuer === undefined ? [] : [issuer.certificate];
    for (const { networkId } of [leaf.certificate, ...issuers]) {
      if (!equalBytes(networkId, this.#keys.networkId)) return dropped("foreign-network");
    }
    const { certificate } = leaf;
    const good =
      (wallSeconds === undefined || dateFaultOf(chain, wallSeconds) === undefined) &&
      this.#suite.dhPublicOf(certificate.publicKey) !== undefined &&
      this.#isSigned(chain);
    if (!good) return dropped("bad-certificate");
    const address = ringAddressOf(this.#suite, certificate.salt, certificate.publicKey);
    return parsed({ certificate, address, issuers });
  }

  #isSigned(chain: CertificateChain): boolean {
    const { authority } = this.#keys;
    if (authority !== undefined) return isSignedIn(this.#suite, authority, chain);
    const { certificate, bytes } = chain.leaf;
    if (chain.issuer !== undefined || !this.#isSelfIssued(certificate)) return false;
    return hasValidSignature(this.#suite, certificate, bytes);
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
