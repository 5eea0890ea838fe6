import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  emitSharedPart,
  MAX_SHARED_KEYS,
  MAX_SHARED_TEXT,
  parseSharedPart,
  type SharedValue,
} from "../../src/wire/shared-part.ts";
import { hex, spaced } from "../support/vectors.ts";

const GOLDEN = [
  "50 01 02",
  "05 6e 6f 64 65 73 11 11 11 11 11 11 11 11 00",
  "05 72 61 6e 67 65 22 22 22 22 22 22 22 22 0b 31 30 2e 31 2e 30 2e 30 2f 31 36",
].join(" ");
const VALUES: readonly SharedValue[] = [
  { key: "nodes", digest: new Uint8Array(8).fill(0x11), text: "" },
  { key: "range", digest: new Uint8Array(8).fill(0x22), text: "10.1.0.0/16" },
];

const anyValues = fc
  .uniqueArray(
    fc.record({
      key: fc.stringMatching(/^[a-z0-9_]{1,32}$/),
      digest: fc.uint8Array({ minLength: 8, maxLength: 8 }),
      text: fc.stringMatching(/^[\x20-\x7e]{0,120}$/),
    }),
    { selector: ({ key }) => key, maxLength: MAX_SHARED_KEYS },
  )
  .map((values) => values.sort((a, b) => (a.key < b.key ? -1 : 1)));

describe("shared part", () => {
  it("golden, both ways", () => {
    expect(spaced(emitSharedPart(VALUES))).toBe(GOLDEN);
    expect(parseSharedPart(hex(GOLDEN))).toEqual({ ok: true, value: VALUES });
  });

  it("docs/WIRE.md shows the golden bytes", () => {
    const document = readFileSync(new URL("../../docs/WIRE.md", import.meta.url), "utf8");
    expect(document.replace(/\s+/g, " ")).toContain(GOLDEN);
  });

  it("decode(encode(x)) = x", () => {
    fc.assert(
      fc.property(anyValues, (value) => {
        expect(parseSharedPart(emitSharedPart(value))).toEqual({ ok: true, value });
      }),
    );
  });

  it("a text that is too long is not told, its digest is", () => {
    const long = { key: "nodes", digest: new Uint8Array(8), text: "x".repeat(MAX_SHARED_TEXT + 1) };
    const said = parseSharedPart(emitSharedPart([long]));
    expect(said).toEqual({ ok: true, value: [{ ...long, text: "" }] });
  });

  it("refuses every cut and every tail", () => {
    const bytes = hex(GOLDEN);
    for (let n = 1; n < bytes.length; n++) {
      expect(parseSharedPart(bytes.subarray(0, n)).ok).toBe(false);
    }
    expect(parseSharedPart(Uint8Array.of(...bytes, 0))).toEqual({
      ok: false,
      reason: "trailing-bytes",
    });
  });

  it("refuses other forms, too many keys, odd names, names twice, and what no terminal may show", () => {
    const digest = "00 00 00 00 00 00 00 00";
    const reasons = [
      ["51 01 00", "unknown-type"],
      ["50 02 00", "unknown-version"],
      ["50 01 21", "too-long"],
      [`50 01 01 01 41 ${digest} 00`, "bad-field"],
      [`50 01 01 00 ${digest} 00`, "bad-field"],
      [`50 01 02 01 61 ${digest} 00 01 61 ${digest} 00`, "bad-field"],
      [`50 01 01 01 61 ${digest} 01 1b`, "bad-field"],
      [`50 01 01 01 61 ${digest} 79 ${"61 ".repeat(121).trim()}`, "bad-field"],
    ] as const;
    for (const [bytes, reason] of reasons) {
      expect(parseSharedPart(hex(bytes)), bytes).toEqual({ ok: false, reason });
    }
  });

  it("random bytes never throw", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (tail) => {
        expect(typeof parseSharedPart(Uint8Array.of(0x50, 1, ...tail)).ok).toBe("boolean");
        expect(typeof parseSharedPart(tail).ok).toBe("boolean");
      }),
    );
  });
});
