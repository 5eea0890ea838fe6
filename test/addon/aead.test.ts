/** The engine's ciphers and mac1 against published vectors. */
import { existsSync, readFileSync } from "node:fs";
import sodium from "libsodium-wrappers";
import { describe, expect, it } from "vitest";
import { fromHex, toHex } from "../../src/base/bytes.ts";
import type { Cipher } from "../../src/base/engine.ts";
import { loadAddon } from "../../src/io/engine.ts";

/** Vectors that may lie beside the checkout; the suite says how many it ran. */
const VECTORS = new URL("../../../shared/vectors/", import.meta.url);

interface WycheproofGroup {
  readonly ivSize: number;
  readonly keySize: number;
  readonly tagSize: number;
  readonly tests: readonly {
    readonly tcId: number;
    readonly key: string;
    readonly iv: string;
    readonly aad: string;
    readonly msg: string;
    readonly ct: string;
    readonly tag: string;
    readonly result: "valid" | "invalid" | "acceptable";
  }[];
}

const bytes = (hex: string): Uint8Array => {
  const parsed = fromHex(hex);
  if (parsed === undefined) throw new Error(`not hex: ${hex}`);
  return parsed;
};

function checkFile(
  cipher: Cipher,
  file: string,
): { ran: number; notApplicable: number; wrong: number[] } {
  const { testGroups } = JSON.parse(readFileSync(new URL(file, VECTORS), "utf8")) as {
    testGroups: WycheproofGroup[];
  };
  const addon = loadAddon();
  const outcome = { ran: 0, notApplicable: 0, wrong: [] as number[] };
  for (const group of testGroups) {
    if (group.keySize !== 256 || group.ivSize !== 96 || group.tagSize !== 128) {
      outcome.notApplicable += group.tests.length;
      continue;
    }
    for (const test of group.tests) {
      const request = {
        cipher,
        key: bytes(test.key),
        nonce: bytes(test.iv),
        associated: bytes(test.aad),
      };
      const opened = addon.open({ ...request, bytes: bytes(test.ct + test.tag) });
      const sealed = addon.seal({ ...request, bytes: bytes(test.msg) });
      const isValid = opened !== undefined && toHex(opened) === test.msg;
      const isSame = toHex(sealed) === test.ct + test.tag;
      outcome.ran++;
      const isRight = test.result === "valid" ? isValid && isSame : opened === undefined;
      if (!isRight) outcome.wrong.push(test.tcId);
    }
  }
  return outcome;
}

describe.each([
  ["aes256gcm", "wycheproof-aes_gcm_test.json", 60],
  ["chacha20poly1305", "wycheproof-chacha20_poly1305_test.json", 200],
] as const)("Wycheproof %s", (cipher, file, least) => {
  it.skipIf(!existsSync(new URL(file, VECTORS)))(
    "all verdicts are right (skipped without vectors)",
    () => {
      const { ran, notApplicable, wrong } = checkFile(cipher, file);
      console.log(`${cipher}: ${ran} vectors ran, ${notApplicable} not applicable (other sizes)`);
      expect(wrong).toEqual([]);
      expect(ran).toBeGreaterThan(least);
    },
  );
});

describe("golden bytes", () => {
  it("AES-256-GCM, test case 16 of McGrew and Viega", () => {
    const request = {
      cipher: "aes256gcm" as const,
      key: bytes("feffe9928665731c6d6a8f9467308308 feffe9928665731c6d6a8f9467308308"),
      nonce: bytes("cafebabefacedbaddecaf888"),
      associated: bytes("feedfacedeadbeeffeedfacedeadbeefabaddad2"),
    };
    const plain = bytes(
      "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72" +
        "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
    );
    const sealed =
      "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa" +
      "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662" +
      "76fc6ece0f4e1768cddf8853bb2d551b";
    expect(toHex(loadAddon().seal({ ...request, bytes: plain }))).toBe(sealed);
    expect(loadAddon().open({ ...request, bytes: bytes(sealed) })).toEqual(plain);
  });

  it("ChaCha20-Poly1305, RFC 8439 section 2.8.2", () => {
    const request = {
      cipher: "chacha20poly1305" as const,
      key: bytes("808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f"),
      nonce: bytes("070000004041424344454647"),
      associated: bytes("50515253c0c1c2c3c4c5c6c7"),
    };
    const plain = new TextEncoder().encode(
      "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the " +
        "future, sunscreen would be it.",
    );
    const sealed = loadAddon().seal({ ...request, bytes: plain });
    expect(toHex(sealed.slice(0, 16))).toBe("d31a8d34648e60db7b86afbc53ef7ec2");
    expect(toHex(sealed.slice(-16))).toBe("1ae10b594f09e26a7e902ecbd0600691");
    expect(loadAddon().open({ ...request, bytes: sealed })).toEqual(plain);
    for (let at = 0; at < sealed.length; at++) {
      const bad = sealed.slice();
      bad[at] = (bad[at] ?? 0) ^ 0x80;
      expect(loadAddon().open({ ...request, bytes: bad })).toBeUndefined();
    }
  });

  it("mac1 is keyed BLAKE2b-128 at every length around a block", async () => {
    await sodium.ready;
    const key = Uint8Array.from({ length: 32 }, (_, i) => 3 * i);
    for (const length of [0, 1, 63, 64, 127, 128, 129, 255, 256, 257, 1_168]) {
      const message = Uint8Array.from({ length }, (_, i) => i);
      const expected = sodium.crypto_generichash(16, message, key);
      expect(toHex(loadAddon().mac1({ key, bytes: message }))).toBe(toHex(expected));
    }
  });
});

describe("wrong arguments", () => {
  it("throws a TypeError that names the field", () => {
    const request = {
      cipher: "aes256gcm" as const,
      key: new Uint8Array(32),
      nonce: new Uint8Array(12),
      associated: new Uint8Array(0),
      bytes: new Uint8Array(0),
    };
    const addon = loadAddon();
    expect(() => addon.seal({ ...request, key: new Uint8Array(31) })).toThrow(/key must be 32/);
    expect(() => addon.seal({ ...request, nonce: new Uint8Array(13) })).toThrow(/nonce must be 12/);
    expect(() => addon.open({ ...request, bytes: "x" as never })).toThrow(
      /bytes must be a Uint8Array/,
    );
    expect(addon.open({ ...request, bytes: new Uint8Array(15) })).toBeUndefined();
  });
});
