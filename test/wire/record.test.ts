import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { fromHex } from "../../src/base/bytes.ts";
import {
  clampTtlSeconds,
  type DhtRecord,
  emitRecord,
  MAX_BODY_BYTES,
  MAX_RECORD_BYTES,
  parseRecord,
  signedBytes,
} from "../../src/wire/record.ts";

const golden = `
  01 02 02 00  10 0e 00 00  02 00 00 00  04 03 02 01
  01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f 10 11 12 13 14
  ${"aa ".repeat(32)} de ad ${"bb ".repeat(64)}`;

const record: DhtRecord = {
  key: 0x0102030405060708090a0b0c0d0e0f1011121314n,
  kind: "mac",
  signer: new Uint8Array(32).fill(0xaa),
  epoch: 2,
  version: 0x01020304,
  ttlSeconds: 3600,
  body: Uint8Array.of(0xde, 0xad),
  signature: new Uint8Array(64).fill(0xbb),
};

const anyRecord: fc.Arbitrary<DhtRecord> = fc.record({
  key: fc.bigInt({ min: 0n, max: (1n << 160n) - 1n }),
  kind: fc.constantFrom("lease", "mac"),
  signer: fc.uint8Array({ minLength: 32, maxLength: 32 }),
  epoch: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  version: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  ttlSeconds: fc.integer({ min: 0, max: 86_400 }),
  body: fc.uint8Array({ maxLength: 300 }),
  signature: fc.uint8Array({ minLength: 64, maxLength: 64 }),
});

describe("record", () => {
  it("has its golden bytes, both ways", () => {
    expect(emitRecord(record)).toEqual(fromHex(golden));
    expect(parseRecord(fromHex(golden) as Uint8Array)).toEqual({ ok: true, value: record });
  });

  it("decodes what it encodes", () => {
    fc.assert(
      fc.property(anyRecord, (one) => {
        expect(parseRecord(emitRecord(one))).toEqual({ ok: true, value: one });
      }),
    );
  });

  it("never throws on random, cut or flipped bytes", () => {
    const good = fromHex(golden) as Uint8Array;
    for (let at = 0; at < good.length; at++) {
      expect(parseRecord(good.subarray(0, at)).ok).toBe(false);
      const flipped = good.slice();
      flipped[at] = (flipped[at] as number) ^ 0xff;
      parseRecord(flipped);
    }
    fc.assert(fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => void parseRecord(bytes)));
  });

  it("names why it refuses", () => {
    const good = fromHex(golden) as Uint8Array;
    const changed = (at: number, value: number) =>
      parseRecord(Uint8Array.from(good).fill(value, at, at + 1));
    expect(changed(0, 2)).toEqual({ ok: false, reason: "unknown-version" });
    expect(changed(1, 9)).toEqual({ ok: false, reason: "unknown-type" });
    expect(changed(2, 3)).toEqual({ ok: false, reason: "truncated" });
    expect(changed(2, 1)).toEqual({ ok: false, reason: "trailing-bytes" });
    expect(changed(6, 2)).toEqual({ ok: false, reason: "bad-field" });
    const long = { ...record, body: new Uint8Array(MAX_BODY_BYTES + 1) };
    expect(parseRecord(emitRecord(long))).toEqual({ ok: false, reason: "too-long" });
    const most = { ...record, body: new Uint8Array(MAX_BODY_BYTES) };
    expect(emitRecord(most)).toHaveLength(MAX_RECORD_BYTES);
    expect(parseRecord(emitRecord(most)).ok).toBe(true);
  });

  it("clamps every ttl into 0..86,400", () => {
    for (const [ttl, clamped] of [
      [0, 0],
      [-1, 0],
      [Number.NaN, 0],
      [0.2, 1],
      [86_401, 86_400],
      [2 ** 53, 86_400],
      [Number.POSITIVE_INFINITY, 86_400],
    ] as const) {
      expect(clampTtlSeconds(ttl)).toBe(clamped);
      const parsed = parseRecord(emitRecord({ ...record, ttlSeconds: ttl }));
      expect(parsed.ok && parsed.value.ttlSeconds).toBe(clamped);
    }
  });

  it("is signed for one network", () => {
    const [a, b] = [new Uint8Array(16).fill(1), new Uint8Array(16).fill(2)];
    expect(signedBytes(a, record)).not.toEqual(signedBytes(b, record));
  });
});
