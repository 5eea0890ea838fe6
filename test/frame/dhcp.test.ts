import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ipFromBytes, macFromBytes } from "../../src/base/net.ts";
import { type DhcpMessage, emitDhcp, ipOption, parseDhcp } from "../../src/frame/dhcp.ts";
import { hex, spaced } from "../support/vectors.ts";

const zeros = (count: number): string => "00 ".repeat(count);
const FIXED =
  "01 01 06 00 39 03 f3 26 00 02 80 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 " +
  `02 00 00 00 00 01 ${zeros(10)}`;
const MAGIC = "63 82 53 63";
const discover = (options: string): Uint8Array => hex(`${FIXED}${zeros(192)}${MAGIC} ${options}`);

const MESSAGE: DhcpMessage = {
  op: "request",
  type: "discover",
  xid: 0x3903f326,
  secs: 2,
  broadcast: true,
  ciaddr: "0.0.0.0",
  yiaddr: "0.0.0.0",
  siaddr: "0.0.0.0",
  giaddr: "0.0.0.0",
  chaddr: "02:00:00:00:00:01",
  options: new Map([
    [61, hex("01 02 00 00 00 00 01")],
    [50, hex("0a 09 00 05")],
  ]),
};

describe("dhcp", () => {
  it("golden DISCOVER, both ways", () => {
    const text = discover("35 01 01 3d 07 01 02 00 00 00 00 01 32 04 0a 09 00 05 ff");
    const padded = new Uint8Array(300);
    padded.set(text);
    expect(spaced(emitDhcp(MESSAGE))).toBe(spaced(padded));
    expect(parseDhcp(text)).toEqual({ ok: true, value: MESSAGE });
  });

  it("is padded to 300 bytes", () => {
    expect(emitDhcp({ ...MESSAGE, options: new Map() }).length).toBe(300);
  });

  it("reads options from file and sname when option 52 says so (RFC 2132, 9.3)", () => {
    const bytes = discover("34 01 03 35 01 03 ff");
    bytes.set(hex("36 04 0a 09 00 01 ff"), 108);
    bytes.set(hex("32 04 0a 09 00 07 ff"), 44);
    const message = parseDhcp(bytes);
    expect(message.ok && ipOption(message.value, 54)).toBe("10.9.0.1");
    expect(message.ok && ipOption(message.value, 50)).toBe("10.9.0.7");
  });

  it("leaves file and sname alone without option 52", () => {
    const bytes = discover("35 01 03 ff");
    bytes.set(hex("36 04 0a 09 00 01 ff"), 108);
    const message = parseDhcp(bytes);
    expect(message.ok && message.value.options.size).toBe(0);
  });

  it("joins a code that comes twice (RFC 3396)", () => {
    const message = parseDhcp(discover("35 01 01 3d 02 ff 01 3d 02 02 03 ff"));
    expect(message.ok && message.value.options.get(61)).toEqual(hex("ff 01 02 03"));
  });

  it("refuses what is no DHCP request of an Ethernet host", () => {
    expect(parseDhcp(discover("35 01 01").subarray(0, 239)).ok).toBe(false);
    expect(parseDhcp(discover("ff")).ok).toBe(false);
    expect(parseDhcp(discover("35 01 09 ff")).ok).toBe(false);
    expect(parseDhcp(discover("35 02 01 01 ff")).ok).toBe(false);
    expect(parseDhcp(discover("35 01 01 32 04 0a 09")).ok).toBe(false);
    expect(parseDhcp(discover("35 01 01 32")).ok).toBe(false);
    for (const at of [0, 1, 2, 236]) {
      const bytes = discover("35 01 01 ff");
      bytes[at] = 7;
      expect(parseDhcp(bytes)).toEqual({ ok: false, reason: "bad-field" });
    }
    expect(parseDhcp(new Uint8Array(9_001))).toEqual({ ok: false, reason: "too-long" });
  });

  it("tolerates a missing end option", () => {
    expect(parseDhcp(discover("35 01 01")).ok).toBe(true);
  });

  it("decode(encode(x)) = x", () => {
    const ip = fc.uint8Array({ minLength: 4, maxLength: 4 }).map(ipFromBytes);
    const code = fc.integer({ min: 1, max: 254 }).filter((n) => n !== 52 && n !== 53);
    const any: fc.Arbitrary<DhcpMessage> = fc.record({
      op: fc.constantFrom("request" as const, "reply" as const),
      type: fc.constantFrom("discover" as const, "request" as const, "nak" as const),
      xid: fc.nat(0xffffffff),
      secs: fc.nat(65_535),
      broadcast: fc.boolean(),
      ciaddr: ip,
      yiaddr: ip,
      siaddr: ip,
      giaddr: ip,
      chaddr: fc.uint8Array({ minLength: 6, maxLength: 6 }).map(macFromBytes),
      options: fc
        .uniqueArray(fc.tuple(code, fc.uint8Array({ maxLength: 600 })), {
          selector: ([key]) => key,
          maxLength: 8,
        })
        .map((entries) => new Map(entries)),
    });
    fc.assert(
      fc.property(any, (message) => {
        expect(parseDhcp(emitDhcp(message))).toEqual({ ok: true, value: message });
      }),
    );
  });

  it("random options never throw", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (tail) => {
        const bytes = new Uint8Array(240 + tail.length);
        bytes.set(discover(""), 0);
        bytes.set(tail, 240);
        expect(typeof parseDhcp(bytes).ok).toBe("boolean");
        expect(typeof parseDhcp(tail).ok).toBe("boolean");
      }),
      { numRuns: 2_000 },
    );
  });
});
