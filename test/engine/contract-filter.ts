import { expect, it } from "vitest";
import { KIND_FRAME } from "../../sim/datagram.ts";
import { concat } from "../../src/base/bytes.ts";
import type { DropReason } from "../../src/base/drop-reason.ts";
import { ENGINE_LIMITS } from "../../src/base/engine.ts";
import { linkLocalOf } from "../../src/base/net.ts";
import {
  arp,
  ethernet,
  extension,
  icmpv6,
  ipv4,
  ipv6,
  numbered,
  numberOf,
  tagged,
  udp,
} from "./frames.ts";
import {
  allow,
  direct,
  droppedFor,
  type EngineNode,
  forward,
  IP_A,
  IP_B,
  type Lab,
  MAC_A,
  MAC_B,
  openSession,
  upcallsOf,
} from "./lab.ts";
import { RawPeer } from "./raw-peer.ts";

const IP6_A = "fd00::a";
const LOCAL_A = linkLocalOf(MAC_A);
const LOCAL_B = linkLocalOf(MAC_B);
const OTHER = "02:00:00:00:00:66";
const BRIDGES = "01:80:c2:00:00:00";

const v4 = (payload: Uint8Array) => ethernet(MAC_B, MAC_A, 0x0800, payload);
const v6 = (payload: Uint8Array) => ethernet(MAC_B, MAC_A, 0x86dd, payload);
const arpFrom = (senderMac: string, senderIp: string) =>
  arp(MAC_B, MAC_A, { senderMac, senderIp, targetIp: IP_B });

const PASSING: Record<string, Uint8Array> = {
  "another EtherType": numbered(MAC_B, MAC_A, 1),
  "its IPv4 address": v4(ipv4(IP_A, IP_B, 6, new Uint8Array(20))),
  "UDP on ordinary ports": v4(ipv4(IP_A, IP_B, 17, udp(5_000, 53))),
  "its ARP sender": arpFrom(MAC_A, IP_A),
  "an ARP probe": arpFrom(MAC_A, "0.0.0.0"),
  "its IPv6 address": v6(ipv6(IP6_A, LOCAL_B, 6, new Uint8Array(20))),
  "its EUI-64 link-local": v6(ipv6(LOCAL_A, LOCAL_B, 17, udp(5_000, 53))),
  "a neighbour advertisement of its own": v6(ipv6(LOCAL_A, LOCAL_B, 58, icmpv6(136, LOCAL_A))),
  "a neighbour solicitation": v6(ipv6(LOCAL_A, LOCAL_B, 58, icmpv6(135, LOCAL_B))),
  "an advertisement with its link-layer address": v6(
    ipv6(
      LOCAL_A,
      LOCAL_B,
      58,
      concat(icmpv6(136, LOCAL_A), Uint8Array.of(2, 1, 2, 0, 0, 0, 0, 0x0a)),
    ),
  ),
  "a duplicate address probe": v6(ipv6("::", LOCAL_B, 58, icmpv6(135, LOCAL_A))),
  "the second fragment of its packet": v4(
    ipv4(IP_A, IP_B, 17, new Uint8Array(30)).map((byte, at) => (at === 7 ? 9 : byte)),
  ),
  "an echo request": v6(ipv6(LOCAL_A, LOCAL_B, 58, icmpv6(128, LOCAL_B))),
  "its IPv4 address in a VLAN": tagged(v4(ipv4(IP_A, IP_B, 6, new Uint8Array(20))), 7),
};

const DROPPED: [string, DropReason, Uint8Array][] = [
  ["a foreign source MAC", "source-mac", numbered(MAC_B, OTHER, 1)],
  ["a multicast source MAC", "source-mac", numbered(MAC_B, "03:00:00:00:00:0a", 1)],
  ["a foreign IPv4 source", "source-ip", v4(ipv4("10.9.0.99", IP_B, 6, new Uint8Array(20)))],
  ["no IPv4 source", "source-ip", v4(ipv4("0.0.0.0", IP_B, 6, new Uint8Array(20)))],
  [
    "a foreign IPv4 source in a VLAN",
    "source-ip",
    tagged(v4(ipv4("10.9.0.99", IP_B, 6, new Uint8Array(20))), 7),
  ],
  ["a foreign IPv6 source", "source-ip", v6(ipv6("fd00::b", LOCAL_B, 6, new Uint8Array(20)))],
  ["a foreign link-local", "source-ip", v6(ipv6(LOCAL_B, LOCAL_B, 6, new Uint8Array(20)))],
  ["a foreign ARP sender address", "arp-sender", arpFrom(MAC_A, "10.9.0.99")],
  ["a foreign ARP sender MAC", "arp-sender", arpFrom(OTHER, IP_A)],
  ["a cut ARP packet", "short-frame", arpFrom(MAC_A, IP_A).slice(0, 40)],
  [
    "an advertisement for another",
    "nd-target",
    v6(ipv6(LOCAL_A, LOCAL_B, 58, icmpv6(136, LOCAL_B))),
  ],
  [
    "a router advertisement",
    "router-advertisement",
    v6(ipv6(LOCAL_A, LOCAL_B, 58, icmpv6(134, LOCAL_B))),
  ],
  ["a redirect", "router-advertisement", v6(ipv6(LOCAL_A, LOCAL_B, 58, icmpv6(137, LOCAL_B)))],
  [
    "a router advertisement behind an extension header",
    "router-advertisement",
    v6(ipv6(LOCAL_A, LOCAL_B, 0, extension(58, icmpv6(134, LOCAL_B)))),
  ],
  [
    "an IPv4 redirect",
    "router-advertisement",
    v4(ipv4(IP_A, IP_B, 1, Uint8Array.of(5, 1, 0, 0, 0, 0, 0, 0))),
  ],
  ["a UDP header cut short", "short-frame", v4(ipv4(IP_A, IP_B, 17, new Uint8Array(7)))],
  [
    "an IPv4 packet longer than its frame",
    "short-frame",
    v4(ipv4(IP_A, IP_B, 6, new Uint8Array(40))).slice(0, 60),
  ],
  ["a third VLAN tag", "bad-field", tagged(tagged(tagged(numbered(MAC_B, MAC_A, 1), 1), 2), 3)],
  ["a multicast destination", "no-route", numbered("33:33:00:00:00:01", MAC_A, 1)],
  [
    "an advertisement with a foreign link-layer address",
    "nd-target",
    v6(
      ipv6(
        LOCAL_A,
        LOCAL_B,
        58,
        concat(icmpv6(136, LOCAL_A), Uint8Array.of(2, 1, 2, 0, 0, 0, 0, 0x66)),
      ),
    ),
  ],
  ["a DHCP answer", "dhcp-over-overlay", v4(ipv4(IP_A, IP_B, 17, udp(67, 68, 240)))],
  ["a DHCPv6 answer", "dhcp-over-overlay", v6(ipv6(LOCAL_A, LOCAL_B, 17, udp(547, 546, 40)))],
  ["a bridge's own frame", "link-control", ethernet(BRIDGES, MAC_A, 38, new Uint8Array(60))],
  [
    "a pause frame",
    "link-control",
    ethernet("01:80:c2:00:00:01", MAC_A, 0x8808, new Uint8Array(46)),
  ],
];

interface World {
  readonly node: EngineNode;
  readonly peer: RawPeer;
  send(frame: Uint8Array): void;
}

async function world(lab: Lab, hasFilter = true): Promise<World> {
  const node = await lab.node();
  const peer = await RawPeer.make(lab, node, { generation: 1, side: 0 });
  node.engine.apply([
    ...openSession(1, { generation: 1, side: 1 }, direct(peer.socket.endpoint)),
    forward(MAC_B, "local"),
  ]);
  if (hasFilter) node.engine.apply([allow(1, [MAC_A, IP_A, IP6_A])]);
  return { node, peer, send: (frame) => peer.sendSealed(frame, { kind: KIND_FRAME }) };
}

export function filterContract(lab: () => Lab): void {
  for (const [what, frame] of Object.entries(PASSING)) {
    it(`lets pass: ${what}`, async () => {
      const { node, send } = await world(lab());
      send(frame);
      await lab().until(() => node.tap.length === 1);
      expect(node.tap[0]).toEqual(frame);
    });
  }

  for (const [what, reason, frame] of DROPPED) {
    it(`drops: ${what} (${reason})`, async () => {
      const { node, send } = await world(lab());
      send(frame);
      send(numbered(MAC_B, MAC_A, 0xffff));
      await lab().until(() => node.tap.length === 1);
      expect(numberOf(node.tap[0] ?? new Uint8Array())).toBe(0xffff);
      expect(node.engine.counters().dropped).toEqual({ [reason]: 1 });
    });
  }

  it("drops a frame for a machine that is not behind this TAP", async () => {
    const { node, send } = await world(lab());
    send(numbered(OTHER, MAC_A, 1));
    send(numbered(MAC_B, MAC_A, 2));
    await lab().until(() => node.tap.length === 1);
    expect(node.tap.map(numberOf)).toEqual([2]);
    expect(droppedFor(node, "no-route")).toBe(1);
  });

  it("cuts random frames short without harm", async () => {
    const { node, send } = await world(lab());
    let sent = 0;
    for (const [, , frame] of DROPPED) {
      for (let length = 0; length < Math.min(frame.length, 64); length += 3) {
        send(frame.slice(0, length));
        sent++;
        if (sent % 32 === 0) await lab().until(() => node.engine.counters().datagramsIn === sent);
      }
    }
    send(numbered(MAC_B, MAC_A, 0xffff));
    await lab().until(() => node.tap.some((frame) => numberOf(frame) === 0xffff));
  });

  it("says who was dropped, at most each 500 ms", async () => {
    const { node, send } = await world(lab());
    for (let i = 0; i < 3; i++) send(v4(ipv4("10.9.0.99", IP_B, 6, new Uint8Array(20))));
    await lab().until(() => droppedFor(node, "source-ip") === 3);
    await lab().until(() => upcallsOf(node, "held").length === 1);
    expect(upcallsOf(node, "held")).toEqual([
      { kind: "held", session: 1, mac: MAC_A, ip: "10.9.0.99" },
    ]);
    await lab().advance(550);
    send(v6(ipv6(LOCAL_A, LOCAL_B, 58, icmpv6(134, LOCAL_B))));
    await lab().until(() => droppedFor(node, "router-advertisement") === 1);
    send(numbered(MAC_B, OTHER, 1));
    await lab().until(() => upcallsOf(node, "held").length === 2);
    expect(upcallsOf(node, "held")[1]).toMatchObject({ mac: OTHER, ip: undefined });
  });

  it("holds frames until the first filter, then judges each in order", async () => {
    const { node, send } = await world(lab(), false);
    send(arpFrom(MAC_A, IP_A));
    send(numbered(MAC_B, MAC_A, 1));
    send(numbered(MAC_B, OTHER, 2));
    send(numbered(MAC_B, MAC_A, 3));
    await lab().until(
      () => node.engine.counters().datagramsIn === 4 && upcallsOf(node, "held").length === 1,
    );
    await lab().advance(20);
    expect(upcallsOf(node, "held")).toEqual([{ kind: "held", session: 1, mac: MAC_A, ip: IP_A }]);
    expect(node.tap).toEqual([]);
    node.engine.apply([allow(1, [MAC_A, IP_A])]);
    send(numbered(MAC_B, MAC_A, 4));
    await lab().until(() => node.tap.length === 4);
    expect(node.tap.map(numberOf)).toEqual([1, 1, 3, 4]);
    expect(droppedFor(node, "source-mac")).toBe(1);
  });

  it("holds frames again after a filter without entries", async () => {
    const { node, send } = await world(lab());
    node.engine.apply([allow(1)]);
    send(numbered(MAC_B, MAC_A, 1));
    send(numbered(MAC_B, OTHER, 2));
    await lab().until(() => upcallsOf(node, "held").length === 1);
    await lab().advance(20);
    expect(node.tap).toEqual([]);
    expect(droppedFor(node, "source-mac")).toBe(0);
    node.engine.apply([allow(1, [MAC_A])]);
    await lab().until(() => node.tap.length === 1 && droppedFor(node, "source-mac") === 1);
    expect(node.tap.map(numberOf)).toEqual([1]);
  });

  it("holds at most 64 frames of a session, for two seconds", async () => {
    const { node, send } = await world(lab(), false);
    const limit = ENGINE_LIMITS.heldFramesPerSession;
    for (let i = 0; i < limit + 5; i++) send(numbered(MAC_B, MAC_A, i));
    await lab().until(() => droppedFor(node, "fence-full") === 5);
    await lab().until(() => droppedFor(node, "waiting-expired") === limit);
    node.engine.apply([allow(1, [MAC_A])]);
    send(numbered(MAC_B, MAC_A, 1_000));
    await lab().until(() => node.tap.length === 1);
    expect(node.tap.map(numberOf)).toEqual([1_000]);
  });

  it("refuses a filter past its bounds and keeps the one it has", async () => {
    const { node, send } = await world(lab());
    const macs = Array.from({ length: ENGINE_LIMITS.macsPerSession + 1 }, (_, i) => {
      return `02:00:00:01:${(i >> 8).toString(16).padStart(2, "0")}:${(i & 255).toString(16).padStart(2, "0")}`;
    });
    const ips = Array.from({ length: ENGINE_LIMITS.ipsPerMac + 1 }, (_, i) => `10.9.1.${i}`);
    node.engine.apply([allow(1, ...macs.map((mac) => [mac] as const)), allow(1, [OTHER, ...ips])]);
    await lab().until(() => droppedFor(node, "table-full") === 2);
    send(numbered(MAC_B, MAC_A, 1));
    await lab().until(() => node.tap.length === 1);
  });

  it("replaces what a peer may speak for", async () => {
    const { node, send } = await world(lab());
    node.engine.apply([allow(1, [OTHER])]);
    send(numbered(MAC_B, MAC_A, 1));
    send(numbered(MAC_B, OTHER, 2));
    await lab().until(() => node.tap.length === 1);
    expect(node.tap.map(numberOf)).toEqual([2]);
    node.engine.apply([allow(1, [MAC_A])]);
    send(numbered(MAC_B, OTHER, 3));
    await lab().until(() => droppedFor(node, "source-mac") === 2);
  });

  it("checks each frame of an aggregate by itself", async () => {
    const { node, peer } = await world(lab());
    const record = (bytes: Uint8Array) =>
      concat(Uint8Array.of((bytes.length + 4) & 255, (bytes.length + 4) >> 8, 0, 0, 0, 0), bytes);
    const frames = [
      numbered(MAC_B, MAC_A, 1),
      numbered(MAC_B, OTHER, 2),
      numbered(MAC_B, MAC_A, 3),
    ];
    peer.sendSealed(concat(...frames.map(record)), { kind: 2 });
    await lab().until(() => node.tap.length === 2);
    expect(node.tap.map(numberOf)).toEqual([1, 3]);
  });
}
