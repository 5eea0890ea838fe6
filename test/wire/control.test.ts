import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  type ControlEnvelope,
  emitControl,
  FRAGMENT_PART_BYTES,
  MAX_DATAGRAM_BODY_BYTES,
  MAX_FRAGMENTS,
  MAX_MESSAGE_BYTES,
  parseControl,
} from "../../src/wire/control.ts";
import { hex, spaced } from "../support/vectors.ts";

const GOLDEN: readonly (readonly [ControlEnvelope, string])[] = [
  [{ form: "datagram", body: hex("01 aa") }, "00 01 aa"],
  [
    { form: "fragment", messageId: 0x01020304, index: 1, count: 2, part: hex("ff") },
    "01 04 03 02 01 01 00 02 00 ff",
  ],
  [{ form: "ack", messageId: 7 }, "02 07 00 00 00"],
];

const u32 = fc.integer({ min: 0, max: 0xffffffff });
const anyEnvelope: fc.Arbitrary<ControlEnvelope> = fc.oneof(
  fc.record({
    form: fc.constant("datagram" as const),
    body: fc.uint8Array({ minLength: 1, maxLength: 2_000 }),
  }),
  fc
    .tuple(u32, fc.integer({ min: 1, max: MAX_FRAGMENTS }), fc.nat(1_000_000))
    .chain(([messageId, count, pick]) =>
      fc.record({
        form: fc.constant("fragment" as const),
        messageId: fc.constant(messageId),
        index: fc.constant(pick % count),
        count: fc.constant(count),
        part: fc.uint8Array({ minLength: 1, maxLength: FRAGMENT_PART_BYTES }),
      }),
    ),
  fc.record({ form: fc.constant("ack" as const), messageId: u32 }),
);

describe("control envelope", () => {
  for (const [envelope, text] of GOLDEN) {
    it(`golden ${envelope.form}`, () => {
      expect(spaced(emitControl(envelope))).toBe(text);
      expect(parseControl(hex(text))).toEqual({ ok: true, value: envelope });
    });
  }

  it("decode(encode(x)) = x", () => {
    fc.assert(
      fc.property(anyEnvelope, (value) => {
        expect(parseControl(emitControl(value))).toEqual({ ok: true, value });
      }),
    );
  });

  it("random bytes never throw, and what parses has one encoding", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), fc.nat(3), (bytes, form) => {
        const whole = Uint8Array.of(form, ...bytes);
        const outcome = parseControl(whole);
        if (outcome.ok) expect(emitControl(outcome.value)).toEqual(whole);
      }),
      { numRuns: 2_000 },
    );
  });

  const BAD: readonly (readonly [string, Uint8Array, string])[] = [
    ["nothing", hex(""), "truncated"],
    ["an unknown form", hex("03 00"), "unknown-type"],
    ["an empty body", hex("00"), "truncated"],
    ["a fragment without part", hex("01 04 03 02 01 00 00 01 00"), "truncated"],
    ["an index past the count", hex("01 04 03 02 01 02 00 02 00 ff"), "bad-field"],
    ["a count of zero", hex("01 04 03 02 01 00 00 00 00 ff"), "bad-field"],
    ["a count past the largest message", hex("01 04 03 02 01 00 00 3d 00 ff"), "bad-field"],
    ["a short ack", hex("02 07 00 00"), "truncated"],
    ["a long ack", hex("02 07 00 00 00 00"), "trailing-bytes"],
    ["a part of 1,101 bytes", new Uint8Array(1_110).fill(1), "too-long"],
    ["a body past a datagram", new Uint8Array(MAX_DATAGRAM_BODY_BYTES + 2), "too-long"],
    ["65,535 bytes", new Uint8Array(65_535), "too-long"],
  ];
  for (const [name, bytes, reason] of BAD) {
    it(`refuses ${name}`, () => expect(parseControl(bytes)).toEqual({ ok: false, reason }));
  }

  it("the largest message needs exactly the largest count", () => {
    expect(MAX_FRAGMENTS).toBe(60);
    expect(MAX_FRAGMENTS * FRAGMENT_PART_BYTES).toBeGreaterThanOrEqual(MAX_MESSAGE_BYTES);
  });
});
