import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { concat } from "../../src/base/bytes.ts";
import { dataNonce, emitData, parseData } from "../../src/wire/data.ts";
import {
  type Descriptor,
  emitAggregate,
  emitDescriptor,
  emitFragmentBody,
  emitPaddedControl,
  emitPlaintext,
  PLAIN_DESCRIPTOR,
  parseAggregate,
  parseControlBody,
  parseDescriptor,
  parseFragmentBody,
  parsePlaintext,
} from "../../src/wire/descriptor.ts";
import { emitRelay, parseRelay } from "../../src/wire/relay.ts";
import { hex, spaced } from "../support/vectors.ts";

const SEALED = "aa ".repeat(20).trim();
const HEADER = { lane: 3, receiver: 0x01020304, counter: 0x1122334455667788n };
const DATA = `c8 03 00 00 04 03 02 01 88 77 66 55 44 33 22 11 ${SEALED}`;

const anyDescriptor: fc.Arbitrary<Descriptor> = fc.record({
  kind: fc.constantFrom("frame", "control", "aggregate", "fragment"),
  partialChecksum: fc.boolean(),
  superframe: fc.boolean(),
  layer4: fc.constantFrom("other", "tcp", "udp"),
  ipv6: fc.boolean(),
  congestion: fc.boolean(),
  checksumStart: fc.nat(255).map((half) => 2 * half),
  index: fc.nat(255),
  padLength: fc.nat(15),
  last: fc.boolean(),
});

describe("data header", () => {
  it("golden, both ways", () => {
    expect(spaced(emitData(HEADER, hex(SEALED)))).toBe(DATA);
    expect(parseData(hex(DATA))).toEqual({
      ok: true,
      value: { header: HEADER, sealed: hex(SEALED) },
    });
  });

  it("nonce: salt's first three bytes, lane, counter", () => {
    expect(spaced(dataNonce(hex("a0 a1 a2 a3"), 3, HEADER.counter))).toBe(
      "a0 a1 a2 03 88 77 66 55 44 33 22 11",
    );
  });

  it("decode(encode(x)) = x", () => {
    const u64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
    const sealed = fc.uint8Array({ minLength: 20, maxLength: 200 });
    fc.assert(
      fc.property(fc.nat(255), fc.nat(0xffffff), u64, sealed, (lane, receiver, counter, rest) => {
        const header = { lane, receiver, counter };
        const value = { header, sealed: rest };
        expect(parseData(emitData(header, rest))).toEqual({ ok: true, value });
      }),
    );
  });

  it("refuses short ones, other types, a flow that nothing authenticates", () => {
    const bytes = hex(DATA);
    for (let length = 0; length < 36; length++) {
      expect(parseData(bytes.subarray(0, length))).toEqual({ ok: false, reason: "truncated" });
    }
    const changed = (at: number) => bytes.map((b, i) => (i === at ? b ^ 1 : b));
    expect(parseData(changed(0))).toMatchObject({ reason: "unknown-type" });
    expect(parseData(changed(2))).toMatchObject({ reason: "bad-field" });
    expect(parseData(changed(3))).toMatchObject({ reason: "bad-field" });
  });
});

describe("relay shim", () => {
  const text = `c9 04 00 00 0d 0c 0b 0a ${DATA}`;

  it("golden, both ways", () => {
    const shim = { ttl: 4, label: 0x0a0b0c0d };
    expect(spaced(emitRelay(shim, hex(DATA)))).toBe(text);
    expect(parseRelay(hex(text))).toEqual({ ok: true, value: { shim, inner: hex(DATA) } });
  });

  it("refuses short ones, label 0, a tag, anything inside but data", () => {
    const bytes = hex(text);
    for (let length = 0; length < 44; length++) {
      expect(parseRelay(bytes.subarray(0, length))).toEqual({ ok: false, reason: "truncated" });
    }
    const changed = (at: number) => bytes.map((b, i) => (i === at ? b ^ 1 : b));
    expect(parseRelay(changed(0))).toMatchObject({ reason: "unknown-type" });
    expect(parseRelay(changed(2))).toMatchObject({ reason: "bad-field" });
    expect(parseRelay(changed(8))).toMatchObject({ reason: "bad-field" });
    expect(parseRelay(bytes.map((b, i) => (i >= 4 && i < 8 ? 0 : b)))).toMatchObject({
      reason: "bad-field",
    });
  });
});

describe("descriptor", () => {
  const GOLDEN: readonly (readonly [Partial<Descriptor>, string])[] = [
    [{}, "00 00 00 00"],
    [{ kind: "control", superframe: true }, "09 00 00 00"],
    [{ partialChecksum: true, layer4: "tcp", checksumStart: 34 }, "14 11 00 00"],
    [{ kind: "aggregate", padLength: 15 }, "02 00 00 0f"],
    [{ kind: "fragment", index: 1, last: true }, "03 00 01 10"],
    [{ layer4: "udp", ipv6: true, congestion: true }, "e0 00 00 00"],
  ];
  for (const [fields, text] of GOLDEN) {
    it(`golden ${text}`, () => {
      const value = { ...PLAIN_DESCRIPTOR, ...fields };
      expect(spaced(emitDescriptor(value))).toBe(text);
      expect(parseDescriptor(hex(text))).toEqual({ ok: true, value });
    });
  }

  it("every four bytes parse to their one value or are refused", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 4, maxLength: 4 }), (bytes) => {
        const outcome = parseDescriptor(bytes);
        const refused = (bytes[3] ?? 0) >= 32 || ((bytes[0] ?? 0) & 0x30) === 0x30;
        expect(outcome.ok).toBe(!refused);
        if (outcome.ok) expect(emitDescriptor(outcome.value)).toEqual(bytes);
      }),
      { numRuns: 2_000 },
    );
  });

  it("plaintext: padding comes off, and is never longer than what is there", () => {
    fc.assert(
      fc.property(anyDescriptor, fc.uint8Array({ maxLength: 100 }), (descriptor, body) => {
        const plain = emitPlaintext(descriptor, body);
        expect(plain.length).toBe(4 + body.length + descriptor.padLength);
        expect(parsePlaintext(plain)).toEqual({ ok: true, value: { descriptor, body } });
      }),
    );
    expect(parsePlaintext(hex("00 00 00 05 00 00 00 00"))).toMatchObject({ reason: "bad-field" });
    expect(parsePlaintext(hex("00 00 00"))).toMatchObject({ reason: "truncated" });
  });
});

describe("bodies", () => {
  it("aggregate golden and property", () => {
    const items = [
      { descriptor: PLAIN_DESCRIPTOR, frame: hex("01 02") },
      { descriptor: { ...PLAIN_DESCRIPTOR, ipv6: true }, frame: hex("03") },
    ];
    const text = "06 00 00 00 00 00 01 02 05 00 40 00 00 00 03";
    expect(spaced(emitAggregate(items))).toBe(text);
    expect(parseAggregate(hex(text))).toEqual({ ok: true, value: items });
    const item = fc.record({
      descriptor: anyDescriptor.map((d) => ({ ...d, kind: "frame" as const })),
      frame: fc.uint8Array({ maxLength: 60 }),
    });
    fc.assert(
      fc.property(fc.array(item, { maxLength: 20 }), (value) => {
        expect(parseAggregate(emitAggregate(value))).toEqual({ ok: true, value });
      }),
    );
  });

  it("one bad record drops the aggregate whole; an aggregate in an aggregate too", () => {
    for (const text of [
      "01",
      "05 00 40 00 00 00",
      "03 00 00 00 00",
      "00 00",
      "04 00 02 00 00 00",
    ]) {
      expect(parseAggregate(hex(text)), text).toEqual({ ok: false, reason: "bad-field" });
    }
  });

  it("padded control messages", () => {
    const padded = { ...PLAIN_DESCRIPTOR, kind: "control" as const, superframe: true };
    const plain = { ...padded, superframe: false };
    const body = emitPaddedControl(hex("01 02"), 8);
    expect(spaced(body)).toBe("02 00 01 02 00 00 00 00");
    expect(parseControlBody(padded, body)).toEqual({ ok: true, value: hex("01 02") });
    expect(parseControlBody(plain, body)).toEqual({ ok: true, value: body });
    expect(parseControlBody(padded, hex("03 00 01 02"))).toMatchObject({ reason: "truncated" });
    expect(() => emitPaddedControl(hex("01 02"), 3)).toThrow("padded");
  });

  it("fragments", () => {
    const fragment = { frameId: 0x01020304, part: hex("aa bb") };
    expect(spaced(emitFragmentBody(fragment))).toBe("04 03 02 01 aa bb");
    expect(parseFragmentBody(hex("04 03 02 01 aa bb"))).toEqual({ ok: true, value: fragment });
    expect(parseFragmentBody(hex("04 03 02 01"))).toMatchObject({ reason: "truncated" });
  });
});

it("random bytes never throw", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      parseData(concat(Uint8Array.of(200), bytes));
      parseRelay(concat(Uint8Array.of(201), bytes));
      parsePlaintext(bytes);
      parseAggregate(bytes);
      parseFragmentBody(bytes);
    }),
    { numRuns: 2_000 },
  );
});
