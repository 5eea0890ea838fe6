import { describe, expect, it } from "vitest";
import { toHex, utf8 } from "../../src/base/bytes.ts";
import { suite } from "../support/suite.ts";
import { hex, loadVectors } from "../support/vectors.ts";

interface Group<Test> {
  publicKey: { pk: string };
  tests: (Test & { tcId: number; comment: string; result: "valid" | "invalid" | "acceptable" })[];
}
interface VectorFile<Test> {
  numberOfTests: number;
  testGroups: Group<Test>[];
}

const ed25519 = loadVectors<VectorFile<{ msg: string; sig: string }>>(
  "wycheproof-ed25519_test.json",
);
const x25519 = loadVectors<VectorFile<{ public: string; private: string; shared: string }>>(
  "wycheproof-x25519_test.json",
);

describe("Wycheproof", () => {
  it.skipIf(ed25519 === undefined)("Ed25519: every verdict", () => {
    let ran = 0;
    for (const group of ed25519?.testGroups ?? []) {
      for (const test of group.tests) {
        const verdict = suite.verify(hex(group.publicKey.pk), hex(test.msg), hex(test.sig));
        expect(verdict, `${test.tcId} ${test.comment}`).toBe(test.result === "valid");
        ran++;
      }
    }
    expect(ran).toBe(ed25519?.numberOfTests);
    console.log(`Wycheproof Ed25519: ${ran} verdicts`);
  });

  it.skipIf(x25519 === undefined)("X25519: the shared secret, or refusal of zero", () => {
    let ran = 0;
    let refused = 0;
    for (const test of x25519?.testGroups.flatMap((group) => group.tests) ?? []) {
      const shared = suite.x25519(hex(test.private), hex(test.public));
      const isZero = /^0*$/.test(test.shared);
      if (isZero) refused++;
      expect(shared && toHex(shared), `${test.tcId} ${test.comment}`).toBe(
        isZero ? undefined : test.shared,
      );
      ran++;
    }
    expect(ran).toBe(x25519?.numberOfTests);
    expect(refused).toBeGreaterThan(0);
    console.log(`Wycheproof X25519: ${ran} exchanges, ${refused} of them refused as zero`);
  });
});

describe("known answers", () => {
  it("BLAKE2b-512 of abc (RFC 7693, appendix A)", () => {
    expect(toHex(suite.blake2b(64, utf8("abc")))).toBe(
      "ba80a53f981c4d0d6a2797b69f12f6e94c212f14685ac4b74b12bb6fdbffa2d1" +
        "7d87c5392aab792dc252d5de4533cc9518d38aa8dbf1925ab92386edd4009923",
    );
  });

  it("ChaCha20-Poly1305 (RFC 8439, section 2.8.2), both ways", () => {
    const key = Uint8Array.from({ length: 32 }, (_, i) => 0x80 + i);
    const nonce = hex("07000000 4041424344454647");
    const ad = hex("50515253c0c1c2c3c4c5c6c7");
    const plain = utf8(
      "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the " +
        "future, sunscreen would be it.",
    );
    const sealed = suite.seal(key, nonce, ad, plain);
    expect(toHex(sealed.subarray(-16))).toBe("1ae10b594f09e26a7e902ecbd0600691");
    expect(toHex(sealed.subarray(0, 16))).toBe("d31a8d34648e60db7b86afbc53ef7ec2");
    expect(suite.open(key, nonce, ad, sealed)).toEqual(plain);
    expect(suite.open(key, nonce, new Uint8Array(0), sealed)).toBeUndefined();
  });

  it("Ed25519 (RFC 8032, section 7.1, test 1)", () => {
    const seed = hex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
    const pair = suite.signingKeyPair(seed);
    expect(toHex(pair.publicKey)).toBe(
      "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
    );
    expect(pair.secretKey.length).toBe(64);
    const signature = suite.sign(pair.secretKey, new Uint8Array(0));
    expect(toHex(signature).slice(0, 32)).toBe("e5564300c360ac729086e2cc806e828a");
    expect(suite.verify(pair.publicKey, new Uint8Array(0), signature)).toBe(true);
  });

  it("X25519 (RFC 7748, section 5.2)", () => {
    const scalar = hex("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4");
    const point = hex("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c");
    expect(toHex(suite.x25519(scalar, point) ?? scalar)).toBe(
      "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552",
    );
  });
});

describe("input from outside never throws", () => {
  const zero = new Uint8Array(32);

  it("sealed text shorter than a tag", () => {
    for (let length = 0; length < 17; length++) {
      const sealed = new Uint8Array(length);
      expect(suite.open(zero, new Uint8Array(12), zero, sealed)).toBeUndefined();
    }
  });

  it("signatures and keys of every odd length", () => {
    for (const length of [0, 1, 31, 33, 63, 65, 128]) {
      expect(suite.verify(zero, utf8("x"), new Uint8Array(length))).toBe(false);
      expect(suite.verify(new Uint8Array(length), utf8("x"), new Uint8Array(64))).toBe(false);
    }
  });

  it("signing keys that are no points of the group have no X25519 form", () => {
    expect(suite.dhPublicOf(zero)).toBeUndefined();
    expect(suite.dhPublicOf(Uint8Array.of(1, ...new Uint8Array(31)))).toBeUndefined();
    expect(suite.dhPublicOf(new Uint8Array(32).fill(0xff))).toBeUndefined();
  });

  it("wrong lengths of our own are bugs", () => {
    expect(() => suite.x25519(zero, new Uint8Array(31))).toThrow("X25519");
    expect(() => suite.blake2b(15, zero)).toThrow("BLAKE2b");
    expect(() => suite.blake2b(65, zero)).toThrow("BLAKE2b");
    expect(() => suite.blake2b(32, zero, new Uint8Array(65))).toThrow("BLAKE2b");
    expect(() => suite.blake2b(32, zero, new Uint8Array(0))).toThrow("BLAKE2b");
  });
});
