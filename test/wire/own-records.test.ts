import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { FilterEntry } from "../../src/base/engine.ts";
import { ipFromBytes, macFromBytes } from "../../src/base/net.ts";
import { emitOwnRecords, parseOwnRecords } from "../../src/wire/own-records.ts";
import { hex, spaced } from "../support/vectors.ts";

const GOLDEN = "40 01 02 00 07 00 00 00 02 00 00 00 00 01 01 04 0a 09 00 05 02 00 00 00 00 02 00";
const ENTRIES: readonly FilterEntry[] = [
  { mac: "02:00:00:00:00:01", ips: ["10.9.0.5"] },
  { mac: "02:00:00:00:00:02", ips: [] },
];

const anyIp = fc
  .oneof(
    fc.uint8Array({ minLength: 4, maxLength: 4 }),
    fc.uint8Array({ minLength: 16, maxLength: 16 }),
  )
  .map(ipFromBytes);
const anyMac = fc
  .uint8Array({ minLength: 6, maxLength: 6 })
  .map((bytes) => macFromBytes(bytes.map((byte, i) => (i === 0 ? byte & 0xfe : byte))));
const anyEntries = fc.uniqueArray(
  fc.record({ mac: anyMac, ips: fc.array(anyIp, { maxLength: 16 }) }),
  { selector: (entry) => entry.mac, maxLength: 20 },
);

describe("own records", () => {
  it("golden, both ways", () => {
    expect(spaced(emitOwnRecords({ sequence: 7, entries: ENTRIES }))).toBe(GOLDEN);
    expect(parseOwnRecords(hex(GOLDEN))).toEqual({
      ok: true,
      value: { sequence: 7, entries: ENTRIES },
    });
  });

  it("docs/WIRE.md shows the golden bytes", () => {
    const document = readFileSync(new URL("../../docs/WIRE.md", import.meta.url), "utf8");
    expect(document.replace(/\s+/g, " ")).toContain(GOLDEN.replace(/\s+/g, " "));
  });

  it("decode(encode(x)) = x", () => {
    fc.assert(
      fc.property(fc.nat(), anyEntries, (sequence, entries) => {
        const value = { sequence, entries };
        expect(parseOwnRecords(emitOwnRecords(value))).toEqual({ ok: true, value });
      }),
    );
  });

  it("refuses every cut and every tail", () => {
    const bytes = hex(GOLDEN);
    for (let n = 0; n < bytes.length; n++) {
      expect(parseOwnRecords(bytes.subarray(0, n)).ok).toBe(false);
    }
    expect(parseOwnRecords(Uint8Array.of(...bytes, 0))).toEqual({
      ok: false,
      reason: "trailing-bytes",
    });
  });

  it("refuses group MACs, a MAC named twice, other families and counts past the bounds", () => {
    expect(parseOwnRecords(hex("40 01 01 00 01 00 00 00 03 00 00 00 00 01 00")).ok).toBe(false);
    const twice = "02 00 00 00 00 01 00";
    expect(parseOwnRecords(hex(`40 01 02 00 01 00 00 00 ${twice} ${twice}`)).ok).toBe(false);
    expect(
      parseOwnRecords(hex("40 01 01 00 01 00 00 00 02 00 00 00 00 01 01 05 0a 09 00 05")).ok,
    ).toBe(false);
    expect(parseOwnRecords(hex("40 01 01 00 01 00 00 00 02 00 00 00 00 01 11")).ok).toBe(false);
    expect(parseOwnRecords(hex("40 01 01 04"))).toEqual({ ok: false, reason: "too-long" });
  });

  it("random bytes never throw", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (tail) => {
        expect(typeof parseOwnRecords(tail).ok).toBe("boolean");
        const bytes = Uint8Array.of(0x40, 1, ...tail);
        expect(typeof parseOwnRecords(bytes).ok).toBe("boolean");
      }),
    );
  });
});
