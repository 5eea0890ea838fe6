import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Parsed } from "../../src/base/drop-reason.ts";
import { ipFromBytes, macFromBytes } from "../../src/base/net.ts";
import { emitArp, parseArp } from "../../src/frame/arp.ts";
import { internetChecksum } from "../../src/frame/checksum.ts";
import { emitEthernet, isLinkControl, parseEthernet } from "../../src/frame/ethernet.ts";
import { emitIpv4, parseIpv4 } from "../../src/frame/ipv4.ts";
import { emitIpv6, PROTOCOL_HIDDEN, parseIpv6 } from "../../src/frame/ipv6.ts";
import { emitNd, parseNd } from "../../src/frame/neighbour-discovery.ts";
import { emitUdp, parseUdp } from "../../src/frame/udp.ts";
import { hex, spaced } from "../support/vectors.ts";

const anyMac = fc.uint8Array({ minLength: 6, maxLength: 6 }).map(macFromBytes);
const anyIpv4 = fc.uint8Array({ minLength: 4, maxLength: 4 }).map(ipFromBytes);
const anyIpv6 = fc.uint8Array({ minLength: 16, maxLength: 16 }).map(ipFromBytes);
const anyBytes = fc.uint8Array({ maxLength: 400 });
const anyPayload = fc.uint8Array({ maxLength: 200 });
const value = <T>(outcome: Parsed<T>): T => {
  if (!outcome.ok) throw new Error(outcome.reason);
  return outcome.value;
};

describe("checksum", () => {
  it("is that of RFC 1071, section 3", () => {
    expect(internetChecksum(hex("00 01 f2 03 f4 f5 f6 f7"))).toBe(0x220d);
  });

  it("sums long inputs without overflow", () => {
    expect(internetChecksum(new Uint8Array(131_072).fill(0xff))).toBe(0);
  });
});

describe("ethernet", () => {
  const golden = "ff ff ff ff ff ff 02 00 00 00 00 01 81 00 00 05 08 06 aa bb";
  const frame = {
    destination: "ff:ff:ff:ff:ff:ff",
    source: "02:00:00:00:00:01",
    tags: hex("81 00 00 05"),
    type: 0x0806,
    payload: hex("aa bb"),
  };

  it("golden, with a VLAN tag", () => {
    expect(spaced(emitEthernet(frame))).toBe(golden);
    expect(value(parseEthernet(hex(golden)))).toEqual(frame);
  });

  it("looks through two tags and refuses a third", () => {
    const tags = hex("88 a8 00 01 81 00 00 02");
    const inner = emitEthernet({ ...frame, tags });
    expect(value(parseEthernet(inner)).type).toBe(0x0806);
    const three = emitEthernet({ ...frame, tags: hex("88 a8 00 01 81 00 00 02 81 00 00 03") });
    expect(parseEthernet(three)).toEqual({ ok: false, reason: "bad-field" });
  });

  it("every length below a whole header is short", () => {
    const bytes = hex(golden);
    for (let n = 0; n < 18; n++) expect(parseEthernet(bytes.subarray(0, n)).ok).toBe(false);
  });

  it("knows what steers a cable", () => {
    const control = [
      { ...frame, destination: "01:80:c2:00:00:00" },
      { ...frame, destination: "01:80:c2:00:00:0e" },
      { ...frame, type: 0x88cc },
      { ...frame, type: 0x8809 },
    ];
    expect(control.every(isLinkControl)).toBe(true);
    expect(isLinkControl(frame)).toBe(false);
    expect(isLinkControl({ ...frame, destination: "01:80:c2:00:00:10" })).toBe(false);
  });
});

describe("arp", () => {
  const golden =
    "00 01 08 00 06 04 00 01 02 00 00 00 00 01 0a 09 00 05 00 00 00 00 00 00 0a 09 00 06";
  const packet = {
    operation: 1,
    senderMac: "02:00:00:00:00:01",
    senderIp: "10.9.0.5",
    targetMac: "00:00:00:00:00:00",
    targetIp: "10.9.0.6",
  } as const;

  it("golden", () => {
    expect(spaced(emitArp(packet))).toBe(golden);
    expect(value(parseArp(hex(golden)))).toEqual(packet);
  });

  it("ignores padding, refuses other hardware, protocols and operations", () => {
    expect(parseArp(hex(`${golden} ${"00 ".repeat(18)}`)).ok).toBe(true);
    for (const at of [1, 2, 4, 5, 7]) {
      const bytes = hex(golden);
      bytes[at] = 9;
      expect(parseArp(bytes)).toEqual({ ok: false, reason: "bad-field" });
    }
    expect(parseArp(hex(golden).subarray(0, 27))).toEqual({ ok: false, reason: "short-frame" });
  });

  it("decode(encode(x)) = x", () => {
    const any = fc.record({
      operation: fc.constantFrom(1 as const, 2 as const),
      senderMac: anyMac,
      senderIp: anyIpv4,
      targetMac: anyMac,
      targetIp: anyIpv4,
    });
    fc.assert(
      fc.property(any, (arp) => {
        expect(value(parseArp(emitArp(arp)))).toEqual(arp);
      }),
    );
  });
});

describe("ipv4 and udp", () => {
  it("golden: checksum of a textbook header", () => {
    const header = hex("45 00 00 73 00 00 40 00 40 11 b8 61 c0 a8 00 01 c0 a8 00 c7");
    const packet = value(parseIpv4(header));
    expect(packet).toMatchObject({ source: "192.168.0.1", destination: "192.168.0.199" });
    expect(packet).toMatchObject({ protocol: 17, ttl: 64, fragmentOffset: 0 });
    header[11] = 0x62;
    expect(parseIpv4(header)).toEqual({ ok: false, reason: "bad-field" });
  });

  it("golden: emitted bytes", () => {
    const udp = emitUdp(
      { sourcePort: 67, destinationPort: 68, payload: hex("01 02 03") },
      "10.0.0.1",
      "10.0.0.2",
    );
    expect(spaced(udp)).toBe("00 43 00 44 00 0b e7 4c 01 02 03");
    const packet = { source: "10.0.0.1", destination: "10.0.0.2", protocol: 17, ttl: 64 };
    expect(spaced(emitIpv4({ ...packet, payload: udp }).subarray(0, 20))).toBe(
      "45 00 00 1f 00 00 00 00 40 11 66 cc 0a 00 00 01 0a 00 00 02",
    );
  });

  it("cuts Ethernet padding, refuses wrong versions and lengths", () => {
    const fields = { source: "10.0.0.1", destination: "10.0.0.2", protocol: 17, ttl: 1 };
    const bytes = emitIpv4({ ...fields, payload: hex("aa") });
    const padded = new Uint8Array(60);
    padded.set(bytes);
    expect(value(parseIpv4(padded))).toMatchObject({ payload: hex("aa"), isWhole: true });
    expect(value(parseIpv4(bytes.subarray(0, 20))).isWhole).toBe(false);
    expect(parseIpv4(bytes.subarray(0, 19)).ok).toBe(false);
    for (const first of [0x44, 0x65, 0x4f]) {
      expect(parseIpv4(Uint8Array.of(first, ...bytes.subarray(1))).ok).toBe(false);
    }
  });

  it("decode(encode(x)) = x", () => {
    const any = fc.record({
      source: anyIpv4,
      destination: anyIpv4,
      protocol: fc.nat(255),
      ttl: fc.nat(255),
      payload: anyPayload,
    });
    const ports = fc.record({
      sourcePort: fc.nat(65_535),
      destinationPort: fc.nat(65_535),
      payload: anyPayload,
    });
    fc.assert(
      fc.property(any, ports, (ip, udp) => {
        expect(value(parseIpv4(emitIpv4(ip)))).toMatchObject(ip);
        const bytes = emitUdp(udp, ip.source, ip.destination);
        expect(value(parseUdp(bytes))).toEqual(udp);
      }),
    );
  });

  it("a udp length beyond the bytes or below the header is refused", () => {
    expect(parseUdp(hex("00 43 00 44 00 0c 00 00 01 02 03")).ok).toBe(false);
    expect(parseUdp(hex("00 43 00 44 00 07 00 00 01 02 03")).ok).toBe(false);
    expect(value(parseUdp(hex("00 43 00 44 00 09 00 00 01 02 03"))).payload).toEqual(hex("01"));
  });
});

describe("ipv6", () => {
  const base = { source: "fe80::1", destination: "ff02::1", hopLimit: 255 };

  it("decode(encode(x)) = x", () => {
    const any = fc.record({
      source: anyIpv6,
      destination: anyIpv6,
      hopLimit: fc.nat(255),
      protocol: fc.constantFrom(6, 17, 58),
      payload: anyPayload,
    });
    fc.assert(
      fc.property(any, (ip) => {
        expect(value(parseIpv6(emitIpv6(ip)))).toMatchObject(ip);
      }),
    );
  });

  it("walks extension headers to the upper layer", () => {
    const options = hex("2b 00 00 00 00 00 00 00 3a 00 00 00 00 00 00 00 86 00");
    const bytes = emitIpv6({ ...base, protocol: 0, payload: options });
    const packet = value(parseIpv6(bytes));
    expect(packet.protocol).toBe(58);
    expect(packet.payload).toEqual(hex("86 00"));
  });

  it("a first fragment shows its upper layer, a later one hides it", () => {
    const first = emitIpv6({ ...base, protocol: 44, payload: hex("3a 00 00 01 00 00 00 01 86") });
    const later = emitIpv6({ ...base, protocol: 44, payload: hex("3a 00 00 08 00 00 00 01 86") });
    expect(value(parseIpv6(first))).toMatchObject({ protocol: 58, isFragment: true });
    expect(value(parseIpv6(later)).protocol).toBe(PROTOCOL_HIDDEN);
  });

  it("an endless chain is hidden, not followed", () => {
    const chain = new Uint8Array(8 * 40);
    const bytes = emitIpv6({ ...base, protocol: 0, payload: chain });
    expect(value(parseIpv6(bytes)).protocol).toBe(PROTOCOL_HIDDEN);
  });
});

describe("neighbour discovery", () => {
  const golden =
    "88 00 1b 1a 60 00 00 00 fe 80 00 00 00 00 00 00 00 00 00 ff fe 00 00 02 " +
    "02 01 02 00 00 00 00 02";
  const message = {
    kind: "advertisement",
    target: "fe80::ff:fe00:2",
    mac: "02:00:00:00:00:02",
    solicited: true,
    override: true,
  } as const;

  it("golden advertisement", () => {
    const bytes = emitNd(message, "fe80::ff:fe00:2", "fe80::ff:fe00:1");
    expect(spaced(bytes)).toBe(golden);
    expect(value(parseNd(hex(golden)))).toEqual(message);
  });

  it("the checksum verifies over the pseudo header", () => {
    const pseudo = hex(
      "fe 80 00 00 00 00 00 00 00 00 00 ff fe 00 00 02 fe 80 00 00 00 00 00 00 00 00 00 ff fe 00 00 01 " +
        "00 00 00 20 00 00 00 3a",
    );
    expect(internetChecksum(pseudo, hex(golden))).toBe(0);
  });

  it("tells routers, redirects, listeners and the rest apart", () => {
    const kinds = [133, 134, 137, 130, 131, 143, 128].map((type) => {
      return value(parseNd(Uint8Array.of(type, 0, 0, 0))).kind;
    });
    expect(kinds).toEqual([
      "router-solicitation",
      "router-advertisement",
      "redirect",
      "listener",
      "listener",
      "listener",
      "other",
    ]);
  });

  it("an option of length 0 or past the end is refused", () => {
    const zero = hex(golden);
    zero[25] = 0;
    expect(parseNd(zero)).toEqual({ ok: false, reason: "bad-field" });
    zero[25] = 2;
    expect(parseNd(zero)).toEqual({ ok: false, reason: "bad-field" });
  });

  it("two MAC options, a tail, and options without end are refused", () => {
    const option = "02 01 02 00 00 00 00 02";
    expect(parseNd(hex(`${golden} ${option}`)).ok).toBe(false);
    expect(parseNd(hex(`${golden} 00`)).ok).toBe(false);
    expect(parseNd(hex(golden + " 0e 01 00 00 00 00 00 00".repeat(15))).ok).toBe(true);
    expect(parseNd(hex(golden + " 0e 01 00 00 00 00 00 00".repeat(16))).ok).toBe(false);
  });

  it("decode(encode(x)) = x", () => {
    const mac = fc.option(anyMac, { nil: undefined });
    const any = fc.oneof(
      fc.record({ kind: fc.constant("solicitation" as const), target: anyIpv6, mac }),
      fc.record({
        kind: fc.constant("advertisement" as const),
        target: anyIpv6,
        mac,
        solicited: fc.boolean(),
        override: fc.boolean(),
      }),
    );
    fc.assert(
      fc.property(any, (nd) => {
        expect(value(parseNd(emitNd(nd, "::", "ff02::1")))).toEqual(nd);
      }),
    );
  });
});

describe("random bytes", () => {
  it("never throw in any parser", () => {
    fc.assert(
      fc.property(anyBytes, (bytes) => {
        for (const parse of [parseEthernet, parseArp, parseIpv4, parseUdp, parseIpv6, parseNd]) {
          expect(typeof parse(bytes).ok).toBe("boolean");
        }
      }),
      { numRuns: 2_000 },
    );
  });
});
