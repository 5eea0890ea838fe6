import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { concat } from "../../src/base/bytes.ts";
import { type Endpoint, ipFromBytes } from "../../src/base/net.ts";
import { emitHandshake2, MAX_HANDSHAKE_PAYLOAD_BYTES } from "../../src/wire/handshake.ts";
import {
  CIPHER_BIT_AES,
  CIPHER_BIT_CHACHA,
  emitHandshakePayload,
  type HandshakePayload,
  MAX_CERTIFICATE_BLOCK_BYTES,
  parseHandshakePayload,
  settleCipher,
} from "../../src/wire/handshake-payload.ts";
import { hex, spaced } from "../support/vectors.ts";

const bytesOf = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const anyEndpoint: fc.Arbitrary<Endpoint> = fc.record({
  ip: fc.oneof(bytesOf(4), bytesOf(16)).map(ipFromBytes),
  port: fc.integer({ min: 1, max: 0xffff }),
});
const anyPayload: fc.Arbitrary<HandshakePayload> = fc.record(
  {
    minorVersion: fc.nat(0xffff),
    capabilities: fc.integer({ min: 0, max: 0xffffffff }),
    revocation: fc.integer({ min: 0, max: 0xffffffff }),
    digest: bytesOf(32),
    boot: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    ciphers: fc.nat(255),
    certificate: fc.uint8Array({ maxLength: 512 }),
    observed: anyEndpoint,
    candidates: fc.array(anyEndpoint, { maxLength: 8 }),
    relays: fc.array(fc.bigInt({ min: 0n, max: 2n ** 160n - 1n }), { maxLength: 8 }),
    sharedNumber: fc.integer({ min: 1, max: 0xffffffff }),
  },
  {
    requiredKeys: [
      "minorVersion",
      "capabilities",
      "revocation",
      "digest",
      "boot",
      "ciphers",
      "certificate",
      "candidates",
      "relays",
    ],
  },
);

const PAYLOAD: HandshakePayload = {
  minorVersion: 1,
  capabilities: 2,
  revocation: 3,
  digest: new Uint8Array(32).fill(0xdd),
  boot: 4n,
  ciphers: CIPHER_BIT_CHACHA | CIPHER_BIT_AES,
  certificate: hex("ce ce"),
  observed: { ip: "192.0.2.7", port: 4242 },
  candidates: [{ ip: "10.0.0.1", port: 1 }],
  relays: [0xffn],
};

const GOLDEN = [
  "01 00 02 00 00 00 03 00 00 00",
  "dd ".repeat(32).trim(),
  "04 00 00 00 00 00 00 00 03 02 00 ce ce",
  "04 c0 00 02 07 92 10",
  "01 04 0a 00 00 01 01 00",
  `01 ${"00 ".repeat(19)}ff`,
].join(" ");

describe("handshake payload", () => {
  it("golden, both ways", () => {
    expect(spaced(emitHandshakePayload(PAYLOAD))).toBe(GOLDEN);
    expect(parseHandshakePayload(hex(GOLDEN))).toEqual({ ok: true, value: PAYLOAD });
  });

  it("decode(encode(x)) = x, and it fits message 2", () => {
    fc.assert(
      fc.property(anyPayload, (value) => {
        const bytes = emitHandshakePayload(value);
        expect(bytes.length).toBeLessThanOrEqual(MAX_HANDSHAKE_PAYLOAD_BYTES);
        expect(parseHandshakePayload(bytes)).toEqual({ ok: true, value });
      }),
    );
  });

  it("the number of a signed shared part stands behind, where there is one", () => {
    const value = { ...PAYLOAD, sharedNumber: 0x04030201 };
    expect(spaced(emitHandshakePayload(value))).toBe(`${GOLDEN} 01 02 03 04`);
    expect(parseHandshakePayload(hex(`${GOLDEN} 01 02 03 04 ff`))).toEqual({ ok: true, value });
    expect(parseHandshakePayload(hex(`${GOLDEN} 00 00 00 00`))).toEqual({
      ok: true,
      value: PAYLOAD,
    });
  });

  it("with every list full it fills 1,200 bytes and no more", () => {
    const six = { ip: "2001:db8::1", port: 1 };
    const bytes = emitHandshakePayload({
      ...PAYLOAD,
      certificate: new Uint8Array(MAX_CERTIFICATE_BLOCK_BYTES),
      observed: six,
      candidates: new Array(8).fill(six),
      relays: new Array(8).fill(1n),
      sharedNumber: 1,
    });
    expect(bytes.length).toBe(MAX_HANDSHAKE_PAYLOAD_BYTES);
    expect(MAX_CERTIFICATE_BLOCK_BYTES).toBeGreaterThanOrEqual(512);
    const noise = new Uint8Array(96 + bytes.length);
    expect(emitHandshake2({ sender: 1, receiver: 2, noise }).length).toBe(1_200 - 32);
  });

  it("what a later minor version appends is ignored", () => {
    const longer = concat(hex(GOLDEN), hex("01 02 03"));
    expect(parseHandshakePayload(longer)).toEqual({ ok: true, value: PAYLOAD });
  });

  it("refuses every truncation, lists past their bounds, bad endpoints", () => {
    const bytes = hex(GOLDEN);
    for (let length = 0; length < bytes.length; length++) {
      expect(parseHandshakePayload(bytes.subarray(0, length)), `${length}`).toEqual({
        ok: false,
        reason: "bad-field",
      });
    }
    const set = (at: number, value: number) => bytes.map((b, i) => (i === at ? value : b));
    const [certificateLength, family, candidates, relays] = [51, 55, 62, 70];
    for (const [at, value] of [
      [certificateLength + 1, 0xff],
      [family, 5],
      [candidates, 9],
      [relays, 9],
    ] as const) {
      expect(parseHandshakePayload(set(at, value)).ok, `byte ${at}`).toBe(false);
    }
    const nineRelays = concat(set(relays, 9), new Uint8Array(8 * 20));
    expect(parseHandshakePayload(nineRelays)).toMatchObject({ reason: "bad-field" });
    expect(parseHandshakePayload(new Uint8Array(1_061))).toMatchObject({ reason: "too-long" });
  });

  it("random bytes never throw", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 1_100 }), (bytes) => {
        parseHandshakePayload(bytes);
        parseHandshakePayload(concat(hex(GOLDEN).subarray(0, 55), bytes));
      }),
      { numRuns: 1_000 },
    );
  });
});

it("AES only when both sides have it; unknown bits mean nothing", () => {
  expect(settleCipher(3, 3)).toBe("aes256gcm");
  expect(settleCipher(3, 1)).toBe("chacha20poly1305");
  expect(settleCipher(1, 3)).toBe("chacha20poly1305");
  expect(settleCipher(0xfd, 0xfd)).toBe("chacha20poly1305");
});
