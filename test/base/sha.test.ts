import { createHash, createHmac } from "node:crypto";
import { crc32 as zlibCrc32 } from "node:zlib";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { toHex, utf8 } from "../../src/base/bytes.ts";
import { crc32 } from "../../src/base/crc32.ts";
import { hmacSha, type ShaName, sha1, sha256 } from "../../src/base/sha.ts";

const names: readonly ShaName[] = ["sha1", "sha256"];
/** Around the ends of one, two and three blocks, where padding goes wrong first. */
const lengths = fc.oneof(fc.integer({ min: 0, max: 200 }), fc.constantFrom(55, 56, 63, 64, 119));
const message = lengths.chain((length) => fc.uint8Array({ minLength: length, maxLength: length }));

describe("SHA and HMAC", () => {
  it("FIPS 180 examples", () => {
    expect(toHex(sha1(utf8("abc")))).toBe("a9993e364706816aba3e25717850c26c9cd0d89d");
    expect(toHex(sha256(utf8("abc")))).toBe(
      "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    );
  });

  it("equal the host's for every message and key", () => {
    fc.assert(
      fc.property(message, message, (key, text) => {
        for (const name of names) {
          const hash = name === "sha1" ? sha1 : sha256;
          expect(toHex(hash(text))).toBe(createHash(name).update(text).digest("hex"));
          const expected = createHmac(name, key).update(text).digest("hex");
          expect(toHex(hmacSha(name, key, text))).toBe(expected);
        }
      }),
    );
  });
});

describe("CRC-32", () => {
  it("equals the host's", () => {
    expect(crc32(utf8("123456789"))).toBe(0xcbf43926);
    fc.assert(fc.property(message, (text) => crc32(text) === zlibCrc32(text)));
  });
});
