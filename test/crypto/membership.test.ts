import { describe, expect, it } from "vitest";
import { addressFromBytes } from "../../src/base/ring-address.ts";
import {
  type CertificateFacts,
  emitCertificate,
  signCertificate,
} from "../../src/crypto/certificate.ts";
import { deriveClusterKeys } from "../../src/crypto/cluster-keys.ts";
import { deriveKey } from "../../src/crypto/hkdf.ts";
import { identityFromSeed } from "../../src/crypto/identity.ts";
import { Membership, ringAddressOf } from "../../src/crypto/membership.ts";
import { suite } from "../support/suite.ts";
import { hex } from "../support/vectors.ts";

const keys = deriveClusterKeys(suite, new Uint8Array(32).fill(7));
const membership = new Membership(suite, keys);
const identity = identityFromSeed(suite, new Uint8Array(32).fill(8));
const own = membership.issueOwn(identity, "alpha");
const NOW = 1_700_000_000;

const bad = { ok: false, reason: "bad-certificate" };

/** A certificate signed with the cluster's key whose facts differ from what a member would say. */
function signed(facts: Partial<CertificateFacts>, signer = keys.signing): Uint8Array {
  return emitCertificate(signCertificate(suite, signer, { ...own.certificate, ...facts }));
}

describe("secret mode", () => {
  it("a member accepts another's certificate and computes its address", () => {
    const outcome = new Membership(suite, keys).verify(own.bytes, NOW);
    expect(outcome).toEqual({
      ok: true,
      value: { certificate: own.certificate, address: own.address, issuers: [] },
    });
    expect(own.certificate.name).toBe("alpha");
    expect(own.certificate.publicKey).toEqual(identity.signing.publicKey);
  });

  it("golden bytes", () => {
    expect(own.bytes).toEqual(
      hex(`
      01 00 5d 02 d4 bc 4c cd 98 d1 21 0a a3 03 c9 70 2e 44 13 98 f6 2c 6d 1a 45 7c 51
      ba 6a 4b 5f 3d bd 2f 69 fc a9 32 16 21 8d c8 99 7e 41 6b d1 7d 93 ca 80 82 04 83
      f7 79 5a 6e 6c 10 40 af 1f 1d 93 b8 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
      00 00 00 00 00 00 00 00 00 05 61 6c 70 68 61 00 00 89 1c d0 67 89 eb 55 ca b8 43
      3f b7 b3 97 92 b3 87 b9 88 e8 33 5b 8e b8 ff 9f 92 7b 10 c6 5c 54 6a 13 9f 3a d9
      f8 2e ea 54 1f d2 89 30 53 f4 97 d5 31 e2 10 1b 5a bc 37 e9 aa 48 6c 8f fb 83 b3
      6f b8 7a 55 c8 61 97 fd 15 5e c4 5a ce c8 f7 4a c1 0e c5 a9 0c 0d b1 37 5d 94 3b
      58 13 5b 80 09
    `),
    );
    expect(own.address.toString(16)).toBe("b61eb8e5fd818ebcc0764f9fb03e59c143427b47");
  });

  it("another network's certificate is foreign, not bad", () => {
    const other = deriveClusterKeys(suite, new Uint8Array(32).fill(6));
    expect(new Membership(suite, other).verify(own.bytes, NOW)).toEqual({
      ok: false,
      reason: "foreign-network",
    });
  });

  it("what only an authority may grant is refused, however well signed", () => {
    expect(membership.verify(signed({}), NOW).ok).toBe(true);
    expect(membership.verify(signed({ groups: ["admin"] }), NOW)).toEqual(bad);
    expect(membership.verify(signed({ claims: ["10.9.0.1"] }), NOW)).toEqual(bad);
    expect(membership.verify(signed({ mayIssue: true }), NOW)).toEqual(bad);
  });

  it("a chosen salt is refused: nobody grinds a place on the ring", () => {
    expect(membership.verify(signed({ salt: new Uint8Array(16) }), NOW)).toEqual(bad);
  });

  it("another issuer is refused", () => {
    expect(membership.verify(signed({}, identity.signing), NOW)).toEqual(bad);
  });

  it("a public key of low order is refused", () => {
    const facts = (publicKey: Uint8Array) => {
      const purpose = { label: "ring salt", context: publicKey };
      return { publicKey, salt: deriveKey(suite, keys.saltKey, purpose, 16) };
    };
    const lowOrder = Uint8Array.of(1, ...new Uint8Array(31));
    const fine = suite.signingKeyPair(new Uint8Array(32)).publicKey;
    expect(membership.verify(signed(facts(lowOrder)), NOW)).toEqual(bad);
    expect(membership.verify(signed(facts(fine)), NOW).ok).toBe(true);
  });

  it("dates, at their edges; zero means none", () => {
    const dated = signed({ notBefore: 100, notAfter: 200 });
    const verdicts = [0, 99, 100, 200, 201].map((wall) => membership.verify(dated, wall).ok);
    expect(verdicts).toEqual([false, false, true, true, false]);
    expect(membership.verify(own.bytes, 0).ok).toBe(true);
    expect(membership.verify(own.bytes, 2 ** 40).ok).toBe(true);
  });

  it("every changed byte is refused", () => {
    for (let at = 0; at < own.bytes.length; at++) {
      const other = own.bytes.slice();
      other[at] = (other[at] ?? 0) ^ 0x80;
      expect(membership.verify(other, NOW).ok, `byte ${at}`).toBe(false);
    }
  });

  it("the certificate must be that of the key the handshake proved", () => {
    const stranger = identityFromSeed(suite, new Uint8Array(32).fill(1));
    expect(membership.verifyPeer(own.bytes, identity.dh.publicKey, NOW).ok).toBe(true);
    expect(membership.verifyPeer(own.bytes, stranger.dh.publicKey, NOW)).toEqual(bad);
    expect(membership.verifyPeer(own.bytes, new Uint8Array(0), NOW)).toEqual(bad);
  });

  it("a name that is no name is a bug of the caller", () => {
    expect(() => membership.issueOwn(identity, "Alpha")).toThrow("name");
  });
});

it("the ring address is the first 160 bits of BLAKE2b(salt || public key)", () => {
  const { salt, publicKey } = own.certificate;
  const hash = suite.blake2b(64, Uint8Array.of(...salt, ...publicKey));
  expect(ringAddressOf(suite, salt, publicKey)).toBe(addressFromBytes(hash.subarray(0, 20)));
  expect(own.address).toBeLessThan(1n << 160n);
});
