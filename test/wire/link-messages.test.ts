import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ipFromBytes } from "../../src/base/net.ts";
import { FRAGMENT_PART_BYTES } from "../../src/wire/control.ts";
import {
  emitLinkMessage,
  type LinkMessage,
  MAX_VISITED,
  parseLinkMessage,
} from "../../src/wire/link-messages.ts";
import { hex, spaced } from "../support/vectors.ts";

const Z = "00 ".repeat(19).trim();
const key = new Uint8Array(32).fill(0xee);
const E = "ee ".repeat(32).trim();
const kemPublic = new Uint8Array(1_216).fill(0xdd);
const ciphertext = new Uint8Array(1_120).fill(0xcc);
/** In docs/WIRE.md these stand for themselves. */
const P = "dd ".repeat(1_216).trim();
const C = "cc ".repeat(1_120).trim();
/** The address whose bytes are `first` and 19 zeros. */
const at = (first: number) => BigInt(first) << 152n;

const GOLDEN: readonly (readonly [LinkMessage, string])[] = [
  [{ type: "probe", id: 0x01020304, tag: 5 }, "01 04 03 02 01 05 00 00 00"],
  [
    { type: "probe-ack", id: 1, tag: 2, observed: { ip: "192.0.2.7", port: 4242 } },
    "02 01 00 00 00 02 00 00 00 04 c0 00 02 07 92 10",
  ],
  [{ type: "probe-ack", id: 1, tag: 2, observed: undefined }, "02 01 00 00 00 02 00 00 00 00"],
  [{ type: "rekey-1", sender: 1, base: 2, publicKey: key }, `03 01 00 00 00 02 00 00 00 ${E}`],
  [{ type: "rekey-2", sender: 3, receiver: 1, publicKey: key }, `04 03 00 00 00 01 00 00 00 ${E}`],
  [
    { type: "rekey-1-kem", sender: 1, base: 2, publicKey: key, kemPublic },
    `0b 01 00 00 00 02 00 00 00 ${E} ${P}`,
  ],
  [
    {
      type: "rekey-2-kem",
      sender: 3,
      receiver: 1,
      publicKey: key,
      ciphertext,
      proof: new Uint8Array(16).fill(0xbb),
    },
    `0c 03 00 00 00 01 00 00 00 ${E} ${C} ${"bb ".repeat(16).trim()}`,
  ],
  [
    {
      type: "candidates",
      answer: true,
      endpoints: [{ ip: "2001:db8::1", port: 1 }],
      relays: [at(0x11)],
    },
    `05 01 01 06 20 01 0d b8 00 00 00 00 00 00 00 00 00 00 00 01 01 00 01 11 ${Z}`,
  ],
  [
    {
      type: "relay-open",
      label: 0x80000001,
      hopsLeft: 2,
      origin: at(0x11),
      target: at(0x22),
      visited: [at(0x11)],
      hints: [at(0x33)],
    },
    `06 01 00 00 80 02 11 ${Z} 22 ${Z} 01 11 ${Z} 01 33 ${Z}`,
  ],
  [{ type: "relay-ok", label: 9 }, "07 09 00 00 00"],
  [{ type: "relay-fail", label: 9, visited: [at(0x44)] }, `08 09 00 00 00 01 44 ${Z}`],
  [{ type: "relay-close", label: 9 }, "09 09 00 00 00"],
  [{ type: "certificate", certificate: Uint8Array.of(0xab, 0xcd) }, "0e 02 00 ab cd"],
  [{ type: "goodbye", tag: 7, reason: "stopped" }, "0a 07 00 00 00 07 73 74 6f 70 70 65 64"],
  [
    {
      type: "nat",
      mapping: "address-and-port",
      filtering: "address",
      allocation: "sequential",
      step: 2,
    },
    "0f 04 02 02 02",
  ],
];

const u32 = fc.integer({ min: 0, max: 0xffffffff });
const address = fc.bigInt({ min: 0n, max: (1n << 160n) - 1n });
const endpoint = fc.record({
  ip: fc
    .oneof(
      fc.uint8Array({ minLength: 4, maxLength: 4 }),
      fc.uint8Array({ minLength: 16, maxLength: 16 }),
    )
    .map(ipFromBytes),
  port: fc.integer({ min: 1, max: 65_535 }),
});
const bytesOf = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const publicKey = bytesOf(32);
const visited = fc.array(address, { maxLength: MAX_VISITED });
const eight = fc.array(address, { maxLength: 8 });
const is = <T extends LinkMessage["type"]>(type: T) => fc.constant(type);
const anyMessage: fc.Arbitrary<LinkMessage> = fc.oneof(
  fc.record({ type: is("probe"), id: u32, tag: u32 }),
  fc.record({
    type: is("probe-ack"),
    id: u32,
    tag: u32,
    observed: fc.option(endpoint, { nil: undefined }),
  }),
  fc.record({ type: is("rekey-1"), sender: u32, base: u32, publicKey }),
  fc.record({ type: is("rekey-2"), sender: u32, receiver: u32, publicKey }),
  fc.record({
    type: is("rekey-1-kem"),
    sender: u32,
    base: u32,
    publicKey,
    kemPublic: bytesOf(1_216),
  }),
  fc.record({
    type: is("rekey-2-kem"),
    sender: u32,
    receiver: u32,
    publicKey,
    ciphertext: bytesOf(1_120),
    proof: bytesOf(16),
  }),
  fc.record({
    type: is("candidates"),
    answer: fc.boolean(),
    endpoints: fc.array(endpoint, { maxLength: 8 }),
    relays: eight,
  }),
  fc.record({
    type: is("relay-open"),
    label: u32,
    hopsLeft: fc.nat(3),
    origin: address,
    target: address,
    visited,
    hints: eight,
  }),
  fc.record({ type: is("relay-ok"), label: u32 }),
  fc.record({ type: is("relay-fail"), label: u32, visited }),
  fc.record({ type: is("relay-close"), label: u32 }),
  fc.record({
    type: is("goodbye"),
    tag: u32,
    reason: fc.string({ unit: "grapheme-ascii", maxLength: 64 }),
  }),
);

describe("link messages", () => {
  for (const [message, text] of GOLDEN) {
    it(`golden ${message.type}`, () => {
      expect(spaced(emitLinkMessage(message))).toBe(text);
      expect(parseLinkMessage(hex(text))).toEqual({ ok: true, value: message });
    });
  }

  it("decode(encode(x)) = x", () => {
    fc.assert(
      fc.property(anyMessage, (value) => {
        expect(parseLinkMessage(emitLinkMessage(value))).toEqual({ ok: true, value });
      }),
    );
  });

  it("random bytes never throw, and what parses has one encoding", () => {
    const tail = fc.uint8Array({ maxLength: 120 });
    fc.assert(
      fc.property(fc.nat(15), tail, (type, rest) => {
        const bytes = Uint8Array.of(type, ...rest);
        const outcome = parseLinkMessage(bytes);
        if (outcome.ok) expect(emitLinkMessage(outcome.value)).toEqual(bytes);
      }),
      { numRuns: 2_000 },
    );
  });

  it("each message cut or lengthened by one byte is refused", () => {
    for (const [, text] of GOLDEN) {
      const bytes = hex(text);
      expect(parseLinkMessage(bytes.subarray(0, -1)).ok).toBe(false);
      expect(parseLinkMessage(Uint8Array.of(...bytes, 0))).toEqual({
        ok: false,
        reason: "trailing-bytes",
      });
    }
  });

  it("names what is wrong", () => {
    const reason = (text: string) => parseLinkMessage(hex(text));
    expect(reason("")).toEqual({ ok: false, reason: "truncated" });
    expect(reason("0d")).toEqual({ ok: false, reason: "unknown-type" });
    expect(reason("05 02 00 00")).toEqual({ ok: false, reason: "bad-field" });
    expect(reason(`06 01 00 00 80 04 11 ${Z} 22 ${Z} 00 00`)).toEqual({
      ok: false,
      reason: "bad-field",
    });
    expect(reason("0a 07 00 00 00 01 07")).toEqual({ ok: false, reason: "bad-field" });
  });

  it("the longest relay-open fits one fragment", () => {
    const message: LinkMessage = {
      type: "relay-open",
      label: 1,
      hopsLeft: 3,
      origin: 1n,
      target: 2n,
      visited: new Array(MAX_VISITED).fill(3n),
      hints: new Array(8).fill(4n),
    };
    expect(emitLinkMessage(message).length).toBeLessThanOrEqual(FRAGMENT_PART_BYTES);
  });

  it("docs/WIRE.md shows every golden message", () => {
    const document = readFileSync(new URL("../../docs/WIRE.md", import.meta.url), "utf8");
    for (const [, text] of GOLDEN) {
      const shown = text
        .replaceAll(E, "E")
        .replaceAll(Z, "Z")
        .replaceAll(P, "P")
        .replaceAll(C, "C");
      expect(document).toContain(`\n${shown}`);
    }
  });
});
