import { createHmac, hkdfSync } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { toHex, utf8 } from "../../src/base/bytes.ts";
import { deriveKey, hmac, noiseHkdf } from "../../src/crypto/hkdf.ts";
import { suite } from "../support/suite.ts";

const bytes = (maxLength: number) => fc.uint8Array({ maxLength });

describe("against another implementation", () => {
  it("HMAC-BLAKE2b-512, keys shorter and longer than a block", () => {
    fc.assert(
      fc.property(bytes(300), bytes(300), (key, message) => {
        const expected = createHmac("blake2b512", key).update(message).digest("hex");
        expect(toHex(hmac(suite, key, message))).toBe(expected);
      }),
    );
  });

  it("deriveKey is RFC 5869 with label, zero and context as info", () => {
    fc.assert(
      fc.property(
        bytes(64),
        bytes(40),
        fc.integer({ min: 1, max: 64 }),
        (secret, context, length) => {
          const info = Buffer.concat([Buffer.from("label\0"), context]);
          const expected = hkdfSync("blake2b512", secret, "weft key schedule 1", info, length);
          expect(deriveKey(suite, secret, { label: "label", context }, length)).toEqual(
            new Uint8Array(expected),
          );
        },
      ),
    );
  });

  it("Noise's HKDF is RFC 5869 with empty info, the chaining key as salt", () => {
    const chain = new Uint8Array(64).fill(3);
    const input = utf8("input");
    const expected = Buffer.from(hkdfSync("blake2b512", input, chain, "", 192));
    expect(toHex(Buffer.concat([...noiseHkdf(suite, chain, input, 3)]))).toBe(
      expected.toString("hex"),
    );
    expect(noiseHkdf(suite, chain, input, 2).map(toHex)).toEqual(
      noiseHkdf(suite, chain, input, 3).slice(0, 2).map(toHex),
    );
  });
});

it("labels and contexts separate keys; a label cannot eat its context", () => {
  const secret = new Uint8Array(32).fill(1);
  const key = (label: string, context: string): string =>
    toHex(deriveKey(suite, secret, { label, context: utf8(context) }, 32));
  expect(new Set([key("a", "b"), key("ab", ""), key("a", ""), key("", "ab")]).size).toBe(4);
});
