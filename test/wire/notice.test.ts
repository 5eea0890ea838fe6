import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { concat, utf8 } from "../../src/base/bytes.ts";
import {
  emitNotice,
  emitNoticeMessage,
  MAX_NOTICE_BODY,
  MAX_NOTICE_BYTES,
  type Notice,
  noticeText,
  parseNotice,
} from "../../src/wire/notice.ts";
import { hex, spaced } from "../support/vectors.ts";

const NOTICE: Notice = {
  kind: "revocations",
  number: 7,
  networkId: new Uint8Array(16).fill(0x1d),
  body: hex("00 00 00 00"),
  signature: new Uint8Array(64).fill(0xee),
};
const HEAD = `01 01 07 00 00 00 ${"1d ".repeat(16)}04 00 00 00 00 00`;
const GOLDEN = `${HEAD} ${"ee ".repeat(64).trim()}`;

const bytesOf = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const anyNotice: fc.Arbitrary<Notice> = fc.record({
  kind: fc.constantFrom("revocations", "shared"),
  number: fc.integer({ min: 1, max: 0xffffffff }),
  networkId: bytesOf(16),
  body: fc.uint8Array({ maxLength: 300 }),
  signature: bytesOf(64),
});

describe("notice", () => {
  it("golden, both ways; the message has its type in front", () => {
    expect(spaced(emitNotice(NOTICE))).toBe(GOLDEN);
    expect(parseNotice(hex(GOLDEN))).toEqual({ ok: true, value: NOTICE });
    expect(spaced(emitNoticeMessage(hex(GOLDEN)))).toBe(`51 ${GOLDEN}`);
  });

  it("what is signed names the purpose and everything before the signature", () => {
    expect(noticeText(NOTICE)).toEqual(concat(utf8("weft notice 1"), hex(HEAD)));
  });

  it("docs/WIRE.md shows the golden bytes", () => {
    const document = readFileSync(new URL("../../docs/WIRE.md", import.meta.url), "utf8");
    const shown = "51 01 01 07 00 00 00 1d x 16 04 00 00 00 00 00 ee x 64";
    expect(document.replace(/\s+/g, " ")).toContain(shown);
  });

  it("decode(encode(x)) = x", () => {
    fc.assert(
      fc.property(anyNotice, (value) => {
        expect(parseNotice(emitNotice(value))).toEqual({ ok: true, value });
      }),
    );
  });

  it("the longest one fits its bound, and one more byte does not", () => {
    const longest = emitNotice({ ...NOTICE, body: new Uint8Array(MAX_NOTICE_BODY) });
    expect(longest.length).toBe(MAX_NOTICE_BYTES);
    expect(emitNoticeMessage(longest).length).toBeLessThanOrEqual(65_536);
    expect(parseNotice(longest).ok).toBe(true);
    expect(parseNotice(concat(longest, hex("00")))).toEqual({ ok: false, reason: "too-long" });
  });

  it("refuses every cut and tail, other forms and kinds, number 0, a length past its bound", () => {
    const bytes = hex(GOLDEN);
    for (let length = 0; length < bytes.length; length++) {
      expect(parseNotice(bytes.subarray(0, length)), `${length}`).toEqual({
        ok: false,
        reason: "truncated",
      });
    }
    expect(parseNotice(concat(bytes, hex("00")))).toMatchObject({ reason: "trailing-bytes" });
    const set = (at: number, value: number) => bytes.map((b, i) => (i === at ? value : b));
    expect(parseNotice(set(0, 2))).toMatchObject({ reason: "unknown-version" });
    for (const kind of [0, 3]) {
      expect(parseNotice(set(1, kind))).toMatchObject({ reason: "unknown-type" });
    }
    expect(parseNotice(set(2, 0))).toMatchObject({ reason: "bad-field" });
    expect(parseNotice(set(23, 0xff))).toMatchObject({ reason: "bad-field" });
  });

  it("random bytes never throw", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (tail) => {
        expect(typeof parseNotice(Uint8Array.of(1, 1, 1, 0, 0, 0, ...tail)).ok).toBe("boolean");
        expect(typeof parseNotice(tail).ok).toBe("boolean");
      }),
    );
  });
});
