import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ByteReader, ByteWriter } from "../../src/base/bytes.ts";
import { type Endpoint, ipFromBytes } from "../../src/base/net.ts";
import {
  MAX_ENDPOINT_BYTES,
  readEndpoint,
  readEndpoints,
  readIp,
  readOptionalEndpoint,
  writeEndpoint,
  writeEndpoints,
  writeIp,
  writeOptionalEndpoint,
} from "../../src/wire/endpoint.ts";
import { hex, spaced } from "../support/vectors.ts";

const bytesOf = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const anyEndpoint: fc.Arbitrary<Endpoint> = fc.record({
  ip: fc.oneof(bytesOf(4), bytesOf(16)).map(ipFromBytes),
  port: fc.integer({ min: 1, max: 0xffff }),
});

const GOLDEN: readonly (readonly [Endpoint, string])[] = [
  [{ ip: "192.0.2.7", port: 4242 }, "04 c0 00 02 07 92 10"],
  [{ ip: "2001:db8::1", port: 65535 }, "06 20 01 0d b8 00 00 00 00 00 00 00 00 00 00 00 01 ff ff"],
];

describe("endpoint", () => {
  for (const [endpoint, text] of GOLDEN) {
    it(`golden ${text}`, () => {
      expect(spaced(writeEndpoint(new ByteWriter(), endpoint).finish())).toBe(text);
      const reader = new ByteReader(hex(text));
      expect(readEndpoint(reader)).toEqual(endpoint);
      expect(reader.finished()).toBe(true);
    });
  }

  it("a missing endpoint is one zero", () => {
    expect(spaced(writeOptionalEndpoint(new ByteWriter(), undefined).finish())).toBe("00");
    const reader = new ByteReader(Uint8Array.of(0));
    expect(readOptionalEndpoint(reader)).toBeUndefined();
    expect(reader.finished()).toBe(true);
  });

  it("decode(encode(x)) = x, alone, optional and in lists", () => {
    fc.assert(
      fc.property(fc.array(anyEndpoint, { maxLength: 8 }), (endpoints) => {
        const bytes = writeEndpoints(new ByteWriter(), endpoints, 8).finish();
        expect(bytes.length).toBeLessThanOrEqual(1 + endpoints.length * MAX_ENDPOINT_BYTES);
        const reader = new ByteReader(bytes);
        expect(readEndpoints(reader, 8)).toEqual(endpoints);
        expect(reader.finished()).toBe(true);
        const first = endpoints[0];
        const optional = writeOptionalEndpoint(new ByteWriter(), first).finish();
        expect(readOptionalEndpoint(new ByteReader(optional))).toEqual(first);
      }),
    );
  });

  const BAD: readonly (readonly [string, string])[] = [
    ["family 5", "05 c0 00 02 07 92 10"],
    ["family 0", "00 c0 00 02 07 92 10"],
    ["port 0", "04 c0 00 02 07 00 00"],
    ["cut", "04 c0 00 02 07 92"],
    ["nothing", ""],
  ];
  for (const [name, text] of BAD) {
    it(`refuses ${name}`, () => {
      const reader = new ByteReader(hex(text));
      readEndpoint(reader);
      expect(reader.ok).toBe(false);
    });
  }

  it("lists and addresses: refuses too many, a bad family, an end too early", () => {
    const many = writeEndpoints(new ByteWriter(), new Array(3).fill(GOLDEN[0]?.[0]), 3).finish();
    const lists: [Uint8Array, number][] = [
      [many, 2],
      [many.subarray(0, 20), 3],
      [Uint8Array.of(255), 255],
    ];
    for (const [bytes, max] of lists) {
      const reader = new ByteReader(bytes);
      readEndpoints(reader, max);
      expect(reader.ok).toBe(false);
    }
    const reader = new ByteReader(hex("07 01 02 03 04"));
    readIp(reader);
    expect(reader.ok).toBe(false);
  });

  it("our own mistakes are bugs", () => {
    const writer = () => new ByteWriter();
    expect(() => writeEndpoint(writer(), { ip: "192.0.2.7", port: 0 })).toThrow("port");
    expect(() => writeEndpoint(writer(), { ip: "192.0.2.7", port: 65536 })).toThrow("port");
    expect(() => writeIp(writer(), "localhost")).toThrow("address");
    expect(() => writeEndpoints(writer(), [{ ip: "192.0.2.7", port: 1 }], 0)).toThrow("list");
  });
});
