import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { DropReason } from "../../src/base/drop-reason.ts";
import { emitArp } from "../../src/frame/arp.ts";
import { emitEthernet } from "../../src/frame/ethernet.ts";
import { emitIpv4 } from "../../src/frame/ipv4.ts";
import { emitIpv6 } from "../../src/frame/ipv6.ts";
import { emitNd } from "../../src/frame/neighbour-discovery.ts";
import { buildSourceTable, checkSource, claimsOf } from "../../src/frame/source-check.ts";
import { emitUdp } from "../../src/frame/udp.ts";
import { hex } from "../support/vectors.ts";

const MAC = "02:00:00:00:00:01";
const LINK_LOCAL = "fe80::ff:fe00:1";
const table = buildSourceTable([{ mac: MAC, ips: ["10.9.0.5"] }]);
const NO_TAGS: Uint8Array = new Uint8Array(0);
const ethernet = (
  type: number,
  payload: Uint8Array,
  source = MAC,
  tags: Uint8Array = NO_TAGS,
): Uint8Array => emitEthernet({ destination: "ff:ff:ff:ff:ff:ff", source, tags, type, payload });

const arp = (senderMac: string, senderIp: string): Uint8Array =>
  emitArp({
    operation: 1,
    senderMac,
    senderIp,
    targetMac: "00:00:00:00:00:00",
    targetIp: "10.9.0.9",
  });
const udp = (source: string, ports: readonly [number, number]): Uint8Array => {
  const [sourcePort, destinationPort] = ports;
  const payload = emitUdp({ sourcePort, destinationPort, payload: hex("00") }, source, "10.9.0.9");
  return emitIpv4({ source, destination: "10.9.0.9", protocol: 17, ttl: 64, payload });
};
const icmp6 = (source: string, payload: Uint8Array): Uint8Array =>
  emitIpv6({ source, destination: "ff02::1", hopLimit: 255, protocol: 58, payload });
const solicit = (target: string): Uint8Array =>
  emitNd({ kind: "solicitation", target, mac: undefined }, "::", "ff02::1");
const advertise = (target: string): Uint8Array =>
  emitNd(
    { kind: "advertisement", target, mac: MAC, solicited: false, override: true },
    LINK_LOCAL,
    "ff02::1",
  );

const CASES: readonly (readonly [string, Uint8Array, DropReason | undefined])[] = [
  ["own ARP", ethernet(0x0806, arp(MAC, "10.9.0.5")), undefined],
  [
    "own ARP under a VLAN tag",
    ethernet(0x0806, arp(MAC, "10.9.0.5"), MAC, hex("81 00 00 05")),
    undefined,
  ],
  ["ARP probe", ethernet(0x0806, arp(MAC, "0.0.0.0")), undefined],
  ["ARP for another's address", ethernet(0x0806, arp(MAC, "10.9.0.6")), "arp-sender"],
  [
    "the same under a tag",
    ethernet(0x0806, arp(MAC, "10.9.0.6"), MAC, hex("81 00 00 05")),
    "arp-sender",
  ],
  [
    "ARP with another sender MAC",
    ethernet(0x0806, arp("02:00:00:00:00:02", "10.9.0.5")),
    "arp-sender",
  ],
  ["another's MAC", ethernet(0x0800, udp("10.9.0.5", [1, 2]), "02:00:00:00:00:02"), "source-mac"],
  ["own IPv4", ethernet(0x0800, udp("10.9.0.5", [5353, 5353])), undefined],
  ["another's IPv4", ethernet(0x0800, udp("10.9.0.6", [5353, 5353])), "source-ip"],
  ["DHCP server", ethernet(0x0800, udp("10.9.0.5", [67, 68])), "dhcp-over-overlay"],
  ["DHCP client", ethernet(0x0800, udp("0.0.0.0", [68, 67])), "dhcp-over-overlay"],
  ["own link-local", ethernet(0x86dd, icmp6(LINK_LOCAL, hex("80 00 00 00"))), undefined],
  ["another link-local", ethernet(0x86dd, icmp6("fe80::1", hex("80 00 00 00"))), "source-ip"],
  [
    "router advertisement",
    ethernet(0x86dd, icmp6(LINK_LOCAL, hex("86 00 00 00"))),
    "router-advertisement",
  ],
  ["redirect", ethernet(0x86dd, icmp6(LINK_LOCAL, hex("89 00 00 00"))), "router-advertisement"],
  ["address probe of its own", ethernet(0x86dd, icmp6("::", solicit(LINK_LOCAL))), undefined],
  ["address probe of another's", ethernet(0x86dd, icmp6("::", solicit("fe80::9"))), "nd-target"],
  [
    "advertisement of its own",
    ethernet(0x86dd, icmp6(LINK_LOCAL, advertise(LINK_LOCAL))),
    undefined,
  ],
  [
    "advertisement of another's",
    ethernet(0x86dd, icmp6(LINK_LOCAL, advertise("fe80::9"))),
    "nd-target",
  ],
  ["advertisement cut short", ethernet(0x86dd, icmp6(LINK_LOCAL, hex("88 00 00 00"))), "nd-target"],
  [
    "DHCPv6",
    ethernet(
      0x86dd,
      emitIpv6({
        source: LINK_LOCAL,
        destination: "ff02::1:2",
        hopLimit: 1,
        protocol: 17,
        payload: hex("02 22 02 23 00 08 00 00"),
      }),
    ),
    "dhcp-over-overlay",
  ],
  [
    "advertisement that names another MAC",
    ethernet(
      0x86dd,
      icmp6(
        LINK_LOCAL,
        emitNd(
          {
            kind: "advertisement",
            target: LINK_LOCAL,
            mac: "02:00:00:00:00:02",
            solicited: false,
            override: true,
          },
          LINK_LOCAL,
          "ff02::1",
        ),
      ),
    ),
    "nd-target",
  ],
  [
    "neighbour discovery in a fragment",
    ethernet(
      0x86dd,
      emitIpv6({
        source: LINK_LOCAL,
        destination: "ff02::1",
        hopLimit: 255,
        protocol: 44,
        payload: Uint8Array.of(...hex("3a 00 00 01 00 00 00 01"), ...advertise(LINK_LOCAL)),
      }),
    ),
    "nd-target",
  ],
  [
    "ICMP redirect",
    ethernet(
      0x0800,
      emitIpv4({
        source: "10.9.0.5",
        destination: "10.9.0.9",
        protocol: 1,
        ttl: 64,
        payload: hex("05 01 00 00"),
      }),
    ),
    "router-advertisement",
  ],
  ["a packet cut short", ethernet(0x0800, udp("10.9.0.5", [1, 2]).subarray(0, 24)), "short-frame"],
  ["a group source", ethernet(0x88b5, hex("01"), "03:00:00:00:00:01"), "source-mac"],
  ["some other protocol", ethernet(0x88b5, hex("01 02")), undefined],
  ["LLDP", ethernet(0x88cc, hex("01 02")), "link-control"],
  ["too short", hex("ff ff ff"), "short-frame"],
];

describe("source check", () => {
  for (const [name, frame, reason] of CASES) {
    it(`${name}: ${reason ?? "passes"}`, () => expect(checkSource(frame, table)).toBe(reason));
  }

  it("hides nothing behind extension headers", () => {
    const chain = new Uint8Array([...hex("3a 00 00 00 00 00 00 00"), ...hex("86 00 00 00")]);
    const packet = emitIpv6({
      source: LINK_LOCAL,
      destination: "ff02::1",
      hopLimit: 255,
      protocol: 0,
      payload: chain,
    });
    expect(checkSource(ethernet(0x86dd, packet), table)).toBe("router-advertisement");
  });

  it("tells the claims of a frame", () => {
    expect(claimsOf(ethernet(0x0800, udp("10.9.0.5", [1, 2])))).toEqual({
      mac: MAC,
      ips: ["10.9.0.5"],
    });
    expect(claimsOf(ethernet(0x0800, udp("10.9.0.5", [67, 68])))).toBe("dhcp-over-overlay");
  });

  it("random frames never throw", () => {
    const types = fc.constantFrom("08 00", "08 06", "86 dd", "81 00 00 01 86 dd");
    fc.assert(
      fc.property(types, fc.uint8Array({ maxLength: 200 }), (type, tail) => {
        const head = hex(`ff ff ff ff ff ff 02 00 00 00 00 01 ${type}`);
        const frame = Uint8Array.of(...head, ...tail);
        const reason = checkSource(frame, table);
        expect(reason === undefined || typeof reason === "string").toBe(true);
      }),
      { numRuns: 2_000 },
    );
  });
});
