import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { concat } from "../../src/base/bytes.ts";
import {
  emitCookieReply,
  emitVersionRefused,
  parseCookieReply,
  parseVersionRefused,
} from "../../src/wire/cookie.ts";
import {
  emitHandshake1,
  emitHandshake2,
  emitHandshake3,
  HANDSHAKE_1_BYTES,
  MACS_BYTES,
  PADDED_HANDSHAKE_BYTES,
  parseHandshake1,
  parseHandshake2,
  parseHandshake3,
  readSenderIndex,
} from "../../src/wire/handshake.ts";
import { hex, spaced } from "../support/vectors.ts";

const MACS = new Uint8Array(MACS_BYTES).fill(0xee);
const whole = (body: Uint8Array) => concat(body, MACS);
const run = (byte: string, count: number) => `${byte} `.repeat(count).trim();
const u32 = fc.integer({ min: 0, max: 0xffffffff });
const bytesOf = (min: number, max = min) => fc.uint8Array({ minLength: min, maxLength: max });

describe("handshake 1", () => {
  const message = { sender: 0x01020304, noise: new Uint8Array(48).fill(0xaa) };

  it("golden, routed and padded", () => {
    const short = `c0 01 00 00 04 03 02 01 ${run("aa", 48)}`;
    expect(spaced(emitHandshake1(message, false))).toBe(short);
    expect(spaced(emitHandshake1(message, true))).toBe(`${short} ${run("00", 1112)}`);
    for (const padded of [false, true]) {
      const bytes = whole(emitHandshake1(message, padded));
      expect(bytes.length).toBe(padded ? PADDED_HANDSHAKE_BYTES : HANDSHAKE_1_BYTES);
      expect(parseHandshake1(bytes)).toEqual({ ok: true, value: message });
    }
  });

  it("refuses every other length, other majors, and anything in the zeros", () => {
    const bytes = whole(emitHandshake1(message, true));
    for (let length = 0; length < bytes.length; length++) {
      if (length !== HANDSHAKE_1_BYTES) {
        expect(parseHandshake1(bytes.subarray(0, length)).ok, `${length}`).toBe(false);
      }
    }
    expect(parseHandshake1(concat(bytes, Uint8Array.of(0)))).toEqual({
      ok: false,
      reason: "trailing-bytes",
    });
    const changed = (at: number) => bytes.map((byte, i) => (i === at ? byte ^ 2 : byte));
    expect(parseHandshake1(changed(0))).toEqual({ ok: false, reason: "unknown-type" });
    expect(parseHandshake1(changed(1))).toEqual({ ok: false, reason: "unknown-version" });
    expect(readSenderIndex(changed(1))).toBe(0x01020304);
    for (const at of [2, 3, 56, 600, 1167]) {
      expect(parseHandshake1(changed(at)), `${at}`).toEqual({ ok: false, reason: "bad-field" });
    }
  });
});

describe("handshake 2 and 3", () => {
  const message = { sender: 1, receiver: 0xfffffffe, noise: new Uint8Array(96).fill(0xbb) };

  it("golden", () => {
    const text = `00 00 00 01 00 00 00 fe ff ff ff ${run("bb", 96)}`;
    expect(spaced(emitHandshake2(message))).toBe(`c1 ${text}`);
    expect(spaced(emitHandshake3(message))).toBe(`c2 ${text}`);
    expect(parseHandshake2(whole(hex(`c1 ${text}`)))).toEqual({ ok: true, value: message });
    expect(parseHandshake3(whole(hex(`c2 ${text}`)))).toEqual({ ok: true, value: message });
  });

  it("decode(encode(x)) = x up to a whole datagram", () => {
    fc.assert(
      fc.property(u32, u32, bytesOf(96, 1_156), (sender, receiver, noise) => {
        const value = { sender, receiver, noise };
        expect(parseHandshake2(whole(emitHandshake2(value)))).toEqual({ ok: true, value });
        expect(parseHandshake3(whole(emitHandshake3(value)))).toEqual({ ok: true, value });
      }),
    );
  });

  it("refuses too short, too long, the other's type, reserved bytes", () => {
    const two = whole(emitHandshake2(message));
    expect(parseHandshake2(two.subarray(0, two.length - 1))).toMatchObject({ reason: "truncated" });
    expect(parseHandshake2(new Uint8Array(1_201))).toMatchObject({ reason: "too-long" });
    expect(parseHandshake3(two)).toMatchObject({ reason: "unknown-type" });
    for (const at of [1, 2, 3]) {
      const changed = two.map((byte, i) => (i === at ? 1 : byte));
      expect(parseHandshake2(changed)).toMatchObject({ reason: "bad-field" });
    }
  });
});

describe("cookie and version refused", () => {
  const cookie = {
    receiver: 5,
    nonce: new Uint8Array(16).fill(1),
    sealed: new Uint8Array(32).fill(2),
  };

  it("golden", () => {
    const text = `c3 00 00 00 05 00 00 00 ${run("01", 16)} ${run("02", 32)}`;
    expect(spaced(emitCookieReply(cookie))).toBe(text);
    expect(parseCookieReply(whole(hex(text)))).toEqual({ ok: true, value: cookie });
    const refused = { receiver: 6, major: 9 };
    expect(spaced(emitVersionRefused(refused))).toBe("c4 09 00 00 06 00 00 00");
    expect(parseVersionRefused(whole(hex("c4 09 00 00 06 00 00 00")))).toEqual({
      ok: true,
      value: refused,
    });
  });

  it("decode(encode(x)) = x", () => {
    fc.assert(
      fc.property(u32, bytesOf(16), bytesOf(32), fc.nat(255), (receiver, nonce, sealed, major) => {
        const value = { receiver, nonce, sealed };
        expect(parseCookieReply(whole(emitCookieReply(value)))).toEqual({ ok: true, value });
        const refused = { receiver, major };
        expect(parseVersionRefused(whole(emitVersionRefused(refused)))).toEqual({
          ok: true,
          value: refused,
        });
      }),
    );
  });

  it("every other length and every reserved bit is refused", () => {
    const pairs = [
      { parse: parseCookieReply, bytes: whole(emitCookieReply(cookie)), reserved: [1, 2, 3] },
      {
        parse: parseVersionRefused,
        bytes: whole(emitVersionRefused({ receiver: 6, major: 9 })),
        reserved: [2, 3],
      },
    ];
    for (const { parse, bytes, reserved } of pairs) {
      for (let length = 0; length < bytes.length; length++) {
        expect(parse(bytes.subarray(0, length))).toEqual({ ok: false, reason: "truncated" });
      }
      expect(parse(concat(bytes, MACS))).toEqual({ ok: false, reason: "trailing-bytes" });
      expect(parse(bytes.map((b, i) => (i === 0 ? 192 : b)))).toMatchObject({
        reason: "unknown-type",
      });
      for (const at of reserved) {
        expect(parse(bytes.map((b, i) => (i === at ? 1 : b)))).toMatchObject({
          reason: "bad-field",
        });
      }
    }
  });
});

it("random bytes never throw", () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 1_300 }),
      fc.integer({ min: 190, max: 202 }),
      (rest, type) => {
        const bytes = Uint8Array.of(type, ...rest);
        for (const parse of [parseHandshake1, parseHandshake2, parseHandshake3]) parse(bytes);
        parseCookieReply(bytes);
        parseVersionRefused(bytes);
        readSenderIndex(bytes);
      },
    ),
    { numRuns: 1_000 },
  );
});
