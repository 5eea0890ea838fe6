import { describe, expect, it } from "vitest";
import { SeededRng } from "../../src/base/rng.ts";
import { COOKIE_SECRET_MS, CookieJar, openCookieReply } from "../../src/crypto/cookie-jar.ts";
import { appendMacs, checkMac1, checkMac2, mac1Of } from "../../src/crypto/mac.ts";
import { type CookieReply, parseCookieReply } from "../../src/wire/cookie.ts";
import { emitHandshake1, HANDSHAKE_1_BYTES } from "../../src/wire/handshake.ts";
import { suite } from "../support/suite.ts";
import { hex } from "../support/vectors.ts";

const mac1Key = new Uint8Array(32).fill(4);
const source = { ip: "192.0.2.7", port: 4242 };
const body = emitHandshake1({ sender: 0x01020304, noise: new Uint8Array(48).fill(6) }, false);
const message = appendMacs(suite, mac1Key, body);

const newJar = () => new CookieJar({ suite, rng: new SeededRng(1), mac1Key });

/** The reply as the asker reads it. */
function replyOf(jar: CookieJar, now: number, datagram = message, from = source): CookieReply {
  const outcome = parseCookieReply(jar.reply(now, from, datagram) ?? new Uint8Array(0));
  if (!outcome.ok) throw new Error(outcome.reason);
  return outcome.value;
}

function cookieOf(jar: CookieJar, now: number): Uint8Array {
  const cookie = openCookieReply(suite, mac1Key, replyOf(jar, now), mac1Of(message));
  if (cookie === undefined) throw new Error("the cookie did not open");
  return cookie;
}

describe("mac1", () => {
  it("golden", () => {
    expect(message.subarray(-32)).toEqual(
      hex(`
      3e 69 c0 c4 63 2e 88 12 42 10 ee d0 92 15 dd d8 00 00 00 00 00 00 00 00 00 00 00
      00 00 00 00 00
    `),
    );
  });

  it("covers everything before it and needs the key", () => {
    expect(checkMac1(suite, mac1Key, message)).toBe(true);
    expect(checkMac1(suite, new Uint8Array(32), message)).toBe(false);
    for (let at = 0; at < message.length - 16; at++) {
      const other = message.slice();
      other[at] = (other[at] ?? 0) ^ 1;
      expect(checkMac1(suite, mac1Key, other), `byte ${at}`).toBe(false);
    }
    for (let length = 0; length < message.length; length++) {
      expect(checkMac1(suite, mac1Key, message.subarray(0, length))).toBe(false);
    }
  });
});

describe("cookies", () => {
  it("an asker that got the reply passes, another address does not", () => {
    const jar = newJar();
    const again = appendMacs(suite, mac1Key, body, cookieOf(jar, 0));
    expect(checkMac1(suite, mac1Key, again)).toBe(true);
    expect(jar.checkMac2(0, source, again)).toBe(true);
    expect(jar.checkMac2(0, { ...source, port: 4243 }, again)).toBe(false);
    expect(jar.checkMac2(0, { ...source, ip: "192.0.2.8" }, again)).toBe(false);
    expect(jar.checkMac2(0, source, message)).toBe(false);
    expect(newJar().checkMac2(0, source, again)).toBe(false);
  });

  it("every changed byte of a message with mac2 fails", () => {
    const jar = newJar();
    const again = appendMacs(suite, mac1Key, body, cookieOf(jar, 0));
    for (let at = 0; at < again.length; at++) {
      const other = again.slice();
      other[at] = (other[at] ?? 0) ^ 1;
      expect(jar.checkMac2(0, source, other), `byte ${at}`).toBe(false);
    }
    expect(jar.checkMac2(0, source, new Uint8Array(31))).toBe(false);
  });

  it("the secret changes every 120 s; the one before counts for as long again", () => {
    const jar = newJar();
    const first = appendMacs(suite, mac1Key, body, cookieOf(jar, 0));
    const accepted = (now: number): boolean => jar.checkMac2(now, source, first);
    expect(accepted(COOKIE_SECRET_MS - 1)).toBe(true);
    const second = appendMacs(suite, mac1Key, body, cookieOf(jar, COOKIE_SECRET_MS));
    expect(second).not.toEqual(first);
    expect(accepted(2 * COOKIE_SECRET_MS - 1)).toBe(true);
    expect(jar.checkMac2(2 * COOKIE_SECRET_MS - 1, source, second)).toBe(true);
    expect(accepted(2 * COOKIE_SECRET_MS)).toBe(false);
    expect(jar.checkMac2(2 * COOKIE_SECRET_MS, source, second)).toBe(true);
  });

  it("a secret nobody asked about expires too", () => {
    const jar = newJar();
    const first = appendMacs(suite, mac1Key, body, cookieOf(jar, 0));
    expect(jar.checkMac2(2 * COOKIE_SECRET_MS - 1, source, first)).toBe(true);
    expect(jar.checkMac2(2 * COOKIE_SECRET_MS, source, first)).toBe(false);
    expect(jar.checkMac2(10 * COOKIE_SECRET_MS, source, first)).toBe(false);
  });

  it("the reply is bound to the message it answers and to its own bytes", () => {
    const reply = replyOf(newJar(), 0);
    const sent = mac1Of(message);
    expect(reply.receiver).toBe(0x01020304);
    expect(openCookieReply(suite, mac1Key, reply, sent)?.length).toBe(16);
    expect(
      openCookieReply(
        suite,
        mac1Key,
        reply,
        sent.map((b) => b ^ 1),
      ),
    ).toBeUndefined();
    expect(openCookieReply(suite, new Uint8Array(32), reply, sent)).toBeUndefined();
    const sealed = reply.sealed.map((byte, i) => (i === 20 ? byte ^ 1 : byte));
    expect(openCookieReply(suite, mac1Key, { ...reply, sealed }, sent)).toBeUndefined();
    const nonce = reply.nonce.map((byte, i) => (i === 15 ? byte ^ 1 : byte));
    expect(openCookieReply(suite, mac1Key, { ...reply, nonce }, sent)).toBeUndefined();
  });

  it("the reply passes mac1, is no longer than any handshake, and never answers scraps", () => {
    const reply = newJar().reply(0, source, message) ?? new Uint8Array(0);
    expect(checkMac1(suite, mac1Key, reply)).toBe(true);
    expect(reply.length).toBe(HANDSHAKE_1_BYTES);
    for (let length = 0; length < HANDSHAKE_1_BYTES; length++) {
      expect(newJar().reply(0, source, new Uint8Array(length))).toBeUndefined();
    }
  });

  it("golden", () => {
    expect(newJar().reply(0, source, message) ?? new Uint8Array(0)).toEqual(
      hex(`
      c3 00 00 00 04 03 02 01 bd 01 aa 19 82 d2 82 27 8d 4f 8e 2c 41 c4 0c 44 4b 1e ce
      33 14 76 cc 8e 11 4f 31 35 13 b3 4d ff 74 62 50 c9 9c e0 ef 7e 98 b9 b4 9f d4 da
      08 5e 26 2e 55 69 bc 70 ea 97 a0 e8 8c be be 56 2c 26 00 00 00 00 00 00 00 00 00
      00 00 00 00 00 00 00
    `),
    );
  });

  it("mac2 without a cookie is zero and is no valid mac2 under a zero cookie", () => {
    expect(message.subarray(-16).every((byte) => byte === 0)).toBe(true);
    expect(checkMac2(suite, new Uint8Array(16), message)).toBe(false);
  });
});
