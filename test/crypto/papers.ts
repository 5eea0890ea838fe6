/** An authority and members' certificates for tests, each rule of them open to be broken. */
import {
  type CertificateFacts,
  emitCertificate,
  parseCertificate,
  signCertificate,
} from "../../src/crypto/certificate.ts";
import { emitChain } from "../../src/crypto/certificate-chain.ts";
import { deriveClusterKeys } from "../../src/crypto/cluster-keys.ts";
import { type Identity, identityFromSeed } from "../../src/crypto/identity.ts";
import { suite } from "../support/suite.ts";

export const DAY = 86_400;
export const NOW = 1_800_000_000;

export function identityOf(fill: number): Identity {
  return identityFromSeed(suite, new Uint8Array(32).fill(fill));
}

export class Papers {
  readonly authority = suite.signingKeyPair(new Uint8Array(32).fill(0xa0));
  readonly networkKey: Uint8Array;

  constructor(networkKey: Uint8Array = new Uint8Array(32).fill(7)) {
    this.networkKey = networkKey;
  }

  get keys() {
    return deriveClusterKeys(suite, this.networkKey, this.authority.publicKey);
  }

  facts(identity: Identity, facts: Partial<CertificateFacts> = {}): CertificateFacts {
    return {
      networkId: this.keys.networkId,
      publicKey: identity.signing.publicKey,
      salt: new Uint8Array(16).fill(identity.signing.publicKey[0] ?? 0),
      name: "alpha",
      groups: [],
      claims: [],
      notBefore: NOW - DAY,
      notAfter: NOW + 365 * DAY,
      serial: 1n,
      mayIssue: false,
      ...facts,
    };
  }

  /** Signed by the authority. */
  signed(identity: Identity, facts: Partial<CertificateFacts> = {}): Uint8Array {
    return emitCertificate(signCertificate(suite, this.authority, this.facts(identity, facts)));
  }

  /** Signed by `issuer`, whose own certificate stands behind it. */
  chain(
    issuer: { readonly identity: Identity; readonly bytes: Uint8Array },
    holder: Identity,
    facts: Partial<CertificateFacts> = {},
  ): Uint8Array {
    const said = this.facts(holder, { notAfter: NOW + 30 * DAY, name: "beta", ...facts });
    const leaf = emitCertificate(signCertificate(suite, issuer.identity.signing, said));
    const chain = emitChain(leaf, issuer.bytes);
    if (chain === undefined) throw new Error("the chain does not fit");
    return chain;
  }
}

export function certificateIn(bytes: Uint8Array) {
  const parsed = parseCertificate(bytes);
  if (!parsed.ok) throw new Error(parsed.reason);
  return parsed.value;
}
