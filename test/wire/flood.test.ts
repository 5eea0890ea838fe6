import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { emitFlood, emitFloodBody, type Flood, parseFlood } from "../../src/wire/flood.ts";
import { hex, spaced } from "../support/vectors.ts";

const FRAME = "ff ff ff ff ff ff 02 00 00 00 00 01 88 b5";
const SIGNED = `08 07 06 05 04 03 02 01 2a 00 00 00 02 00 ca fe 0e 00 ${FRAME}`;
const GOLDEN = [
  "30 20",
  `${"00 ".repeat(19)}0a`,
  `${"00 ".repeat(19)}0b`,
  SIGNED,
  "5a ".repeat(64).trim(),
].join(" ");
const FLOOD: Flood = {
  hops: 32,
  range: { from: 10n, to: 11n },
  body: {
    run: 0x0102030405060708n,
    sequence: 42,
    certificate: hex("ca fe"),
    frame: hex(FRAME),
  },
  signed: hex(SIGNED),
  signature: new Uint8Array(64).fill(0x5a),
};

const address = fc.bigInt({ min: 0n, max: (1n << 160n) - 1n });
const anyFlood: fc.Arbitrary<Flood> = fc
  .record({
    hops: fc.nat(255),
    range: fc.record({ from: address, to: address }),
    body: fc.record({
      run: fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
      sequence: fc.nat(0xffffffff),
      certificate: fc.uint8Array({ maxLength: 640 }),
      frame: fc.uint8Array({ minLength: 14, maxLength: 2_000 }),
    }),
    signature: fc.uint8Array({ minLength: 64, maxLength: 64 }),
  })
  .map((flood) => ({ ...flood, signed: emitFloodBody(flood.body) }));

describe("flood", () => {
  it("golden, both ways", () => {
    expect(spaced(emitFloodBody(FLOOD.body))).toBe(SIGNED);
    expect(spaced(emitFlood(FLOOD))).toBe(GOLDEN);
    expect(parseFlood(hex(GOLDEN))).toEqual({ ok: true, value: FLOOD });
  });

  it("docs/WIRE.md shows the golden bytes", () => {
    const document = readFileSync(new URL("../../docs/WIRE.md", import.meta.url), "utf8");
    expect(document.replace(/\s+/g, " ")).toContain(GOLDEN.replace(/\s+/g, " "));
  });

  it("decode(encode(x)) = x", () => {
    fc.assert(
      fc.property(anyFlood, (flood) => {
        expect(parseFlood(emitFlood(flood))).toEqual({ ok: true, value: flood });
      }),
    );
  });

  it("refuses every cut, a tail, a frame without a header and too much of anything", () => {
    const bytes = hex(GOLDEN);
    for (let n = 0; n < bytes.length; n++) expect(parseFlood(bytes.subarray(0, n)).ok).toBe(false);
    expect(parseFlood(Uint8Array.of(...bytes, 0)).ok).toBe(false);
    const short = emitFloodBody({ ...FLOOD.body, frame: new Uint8Array(13) });
    expect(parseFlood(emitFlood({ ...FLOOD, signed: short })).ok).toBe(false);
    const long = emitFloodBody({ ...FLOOD.body, frame: new Uint8Array(9_217) });
    expect(parseFlood(emitFlood({ ...FLOOD, signed: long })).ok).toBe(false);
    const certificate = emitFloodBody({ ...FLOOD.body, certificate: new Uint8Array(641) });
    expect(parseFlood(emitFlood({ ...FLOOD, signed: certificate })).ok).toBe(false);
    expect(parseFlood(new Uint8Array(65_535))).toEqual({ ok: false, reason: "too-long" });
  });

  it("random bytes never throw", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (tail) => {
        expect(typeof parseFlood(Uint8Array.of(0x30, ...tail)).ok).toBe("boolean");
      }),
    );
  });
});
