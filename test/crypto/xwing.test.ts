/**
 * The three vectors of draft-connolly-cfrg-xwing-kem-08, appendix C. Their seeds are the output of
 * SHAKE-128 for nothing; keys and ciphertexts are long and stand here by their SHA-256.
 */
import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { toHex } from "../../src/base/bytes.ts";
import { suite } from "../support/suite.ts";

const VECTORS = [
  {
    publicKey: "2e816deebcd76c5c80d0cd2d174478871658e8e2ff42bc9d4a6e486372e856bb",
    ciphertext: "17cd532d657e44c897ca6583e548a5424fc70bf54f99515a4d2bcf99e3469f33",
    sharedSecret: "d2df0522128f09dd8e2c92b1e905c793d8f57a54c3da25861f10bf4ca613e384",
  },
  {
    publicKey: "c42ba5f8430d7d2c83739338203819f090e8303ce9c8b02107c272bfa5376916",
    ciphertext: "1661ea86d608a1924ba30840cb0a65f13ae051e3aec9cf0f064efc0bc92f2154",
    sharedSecret: "f2e86241c64d60f6649fbc6c5b7d17180b780a3f34355e64a85749949c45f150",
  },
  {
    publicKey: "6b080d6b84f095342092fa7a22423e58bd681397ad0ef00eac92bd254db4fa95",
    ciphertext: "d3ca5578500344b5896cffc4fd740c9311946b82951df155e6fd86a7966b43c6",
    sharedSecret: "953f7f4e8c5b5049bdc771d1dffada0dd961477d1a2ae0988baa7ea6898d893f",
  },
];
const SEED_BYTES = 32;
const STRIDE = 96;

const { kem } = suite;
if (kem === undefined) throw new Error("libsodium has no X-Wing");
const stream = createHash("shake128", { outputLength: STRIDE * VECTORS.length }).digest();
const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

describe("X-Wing", () => {
  for (const [i, vector] of VECTORS.entries()) {
    it(`vector ${i + 1} of the draft`, () => {
      const at = i * STRIDE;
      const seed = stream.subarray(at, at + SEED_BYTES);
      const publicKey = kem.publicKey(seed);
      const sealed = kem.encapsulate(publicKey, stream.subarray(at + SEED_BYTES, at + STRIDE));
      if (sealed === undefined) throw new Error("a good key was refused");
      expect([publicKey.length, sealed.ciphertext.length]).toEqual([1_216, 1_120]);
      expect(sha256(publicKey)).toBe(vector.publicKey);
      expect(sha256(sealed.ciphertext)).toBe(vector.ciphertext);
      expect(toHex(sealed.sharedSecret)).toBe(vector.sharedSecret);
      expect(kem.decapsulate(seed, sealed.ciphertext)).toEqual(sealed.sharedSecret);
    });
  }

  it("refuses what is no key, and gives another secret for another ciphertext", () => {
    const seed = stream.subarray(0, SEED_BYTES);
    expect(kem.encapsulate(new Uint8Array(1_216).fill(0xff), new Uint8Array(64))).toBeUndefined();
    const sealed = kem.encapsulate(kem.publicKey(seed), new Uint8Array(64));
    if (sealed === undefined) throw new Error("a good key was refused");
    for (let at = 0; at < 1_120; at++) {
      const changed = sealed.ciphertext.slice();
      changed[at] = (changed[at] ?? 0) ^ 1;
      expect(kem.decapsulate(seed, changed)).not.toEqual(sealed.sharedSecret);
    }
    expect(kem.decapsulate(seed, new Uint8Array(1_120))).toBeUndefined();
  });
});
