import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { addressFromBytes } from "../../src/base/ring-address.ts";
import {
  BEACON_BYTES,
  type BridgeBeacon,
  emitBeacon,
  parseBeacon,
} from "../../src/wire/bridge-beacon.ts";
import { suite } from "../support/suite.ts";
import { hex, spaced } from "../support/vectors.ts";

const KEY = new Uint8Array(32).fill(9);
const tagOf = (body: Uint8Array) => suite.blake2b(16, body, KEY);

const GOLDEN: BridgeBeacon = {
  address: addressFromBytes(hex("a0 a1 a2 a3 a4 a5 a6 a7 a8 a9 aa ab ac ad ae af b0 b1 b2 b3")),
  run: 7n,
  sequence: 3,
  isCut: true,
};
const BODY =
  "01 01 00 00 a0 a1 a2 a3 a4 a5 a6 a7 a8 a9 aa ab ac ad ae af b0 b1 b2 b3 07 00 00 00 00 00 00 00 03 00 00 00";
/** By another implementation of BLAKE2b. */
const TAG = "96 15 19 78 f7 44 4d 41 f7 da 3d 5f e0 3e bf 19";

const anyBeacon: fc.Arbitrary<BridgeBeacon> = fc.record({
  address: fc.uint8Array({ minLength: 20, maxLength: 20 }).map(addressFromBytes),
  run: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  sequence: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  isCut: fc.boolean(),
});

describe("bridge beacon", () => {
  it("golden both ways", () => {
    const text = `${BODY} ${TAG}`;
    expect(spaced(emitBeacon(GOLDEN, tagOf))).toBe(text);
    expect(parseBeacon(hex(text), tagOf)).toEqual({ ok: true, value: GOLDEN });
  });

  it("decode(encode(x)) = x, always of one length", () => {
    fc.assert(
      fc.property(anyBeacon, (beacon) => {
        const bytes = emitBeacon(beacon, tagOf);
        expect(bytes.length).toBe(BEACON_BYTES);
        expect(parseBeacon(bytes, tagOf)).toEqual({ ok: true, value: beacon });
      }),
    );
  });

  it("another length, form, key or reserved bit is refused with its reason", () => {
    const good = emitBeacon(GOLDEN, tagOf);
    const reason = (bytes: Uint8Array, tag = tagOf) => {
      const result = parseBeacon(bytes, tag);
      return result.ok ? "" : result.reason;
    };
    expect(reason(good.subarray(1))).toBe("truncated");
    expect(reason(Uint8Array.of(...good, 0))).toBe("trailing-bytes");
    expect(reason(Uint8Array.of(2, ...good.subarray(1)))).toBe("unknown-version");
    expect(reason(good, (body) => suite.blake2b(16, body))).toBe("foreign-network");
    for (const at of [1, 2, 3]) {
      const body = good.slice(0, 36);
      body[at] = 2;
      expect(reason(Uint8Array.of(...body, ...tagOf(body)))).toBe("bad-field");
    }
  });

  it("a flipped bit anywhere is noticed; random bytes never throw", () => {
    const good = emitBeacon(GOLDEN, tagOf);
    for (let bit = 0; bit < 8 * BEACON_BYTES; bit++) {
      const bytes = good.slice();
      bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(parseBeacon(bytes, tagOf).ok).toBe(false);
    }
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        expect(parseBeacon(bytes, tagOf).ok).toBe(false);
      }),
    );
  });
});
