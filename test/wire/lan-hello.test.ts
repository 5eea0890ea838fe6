import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Endpoint, ipFromBytes } from "../../src/base/net.ts";
import {
  emitLanHead,
  emitLanHello,
  LAN_HELLO_BYTES,
  type LanHello,
  parseLanHello,
  parseSealedHello,
} from "../../src/wire/lan-hello.ts";
import { hex, spaced } from "../support/vectors.ts";

const bytesOf = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const anyEndpoint: fc.Arbitrary<Endpoint> = fc.record({
  ip: fc.oneof(bytesOf(4), bytesOf(16)).map(ipFromBytes),
  port: fc.integer({ min: 1, max: 0xffff }),
});
const anyHello: fc.Arbitrary<LanHello> = fc.record({
  kind: fc.constantFrom("announcement", "answer"),
  boot: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  round: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  echo: bytesOf(12),
  endpoints: fc.array(anyEndpoint, { maxLength: 8 }),
});

describe("lan hello", () => {
  it("head, golden", () => {
    const head = emitLanHead(hex("01 02 03 04 05 06 07 08 09 0a 0b 0c"));
    expect(spaced(head)).toBe("d0 00 00 00 01 02 03 04 05 06 07 08 09 0a 0b 0c");
  });

  it("body, golden both ways", () => {
    const hello: LanHello = {
      kind: "answer",
      boot: 7n,
      round: 3,
      echo: hex("a0 a1 a2 a3 a4 a5 a6 a7 a8 a9 aa ab"),
      endpoints: [{ ip: "192.0.2.1", port: 7117 }],
    };
    const start =
      "02 07 00 00 00 00 00 00 00 03 00 00 00 a0 a1 a2 a3 a4 a5 a6 a7 a8 a9 aa ab 01 04 c0 00 02 01 cd 1b";
    const text = `${start}${" 00".repeat(192 - 33)}`;
    expect(spaced(emitLanHello(hello))).toBe(text);
    expect(parseLanHello(hex(text))).toEqual({ ok: true, value: hello });
  });

  it("decode(encode(x)) = x, always of one length", () => {
    fc.assert(
      fc.property(anyHello, (hello) => {
        const body = emitLanHello(hello);
        expect(body.length).toBe(192);
        expect(parseLanHello(body)).toEqual({ ok: true, value: hello });
      }),
    );
  });

  it("another length, type or reserved byte is refused with its reason", () => {
    const good = new Uint8Array(LAN_HELLO_BYTES);
    good[0] = 208;
    expect(parseSealedHello(good).ok).toBe(true);
    expect(parseSealedHello(good.subarray(1))).toEqual({ ok: false, reason: "truncated" });
    const longer = new Uint8Array(LAN_HELLO_BYTES + 1);
    expect(parseSealedHello(longer)).toEqual({ ok: false, reason: "trailing-bytes" });
    expect(parseSealedHello(good.with(0, 200))).toEqual({ ok: false, reason: "unknown-type" });
    expect(parseSealedHello(good.with(2, 1))).toEqual({ ok: false, reason: "bad-field" });
  });

  it("random bytes never throw", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        parseSealedHello(bytes);
        parseLanHello(bytes);
      }),
    );
    expect(parseLanHello(new Uint8Array(192))).toEqual({ ok: false, reason: "unknown-type" });
    expect(parseLanHello(Uint8Array.of(1))).toEqual({ ok: false, reason: "bad-field" });
  });
});
