import { expect, it } from "vitest";
import { ENGINE_LIMITS } from "../../src/base/engine.ts";
import type { Ip } from "../../src/base/net.ts";
import { internetChecksum } from "../../src/frame/checksum.ts";
import { ethernet, ipv4, ipv6, tagged, udp } from "./frames.ts";
import {
  allow,
  connectedPair,
  direct,
  droppedFor,
  type EngineNode,
  IP_A,
  IP_B,
  type Lab,
  MAC_A,
  MAC_B,
  type Pair,
} from "./lab.ts";

const PATH_BYTES = 1_200;
const INNER_MTU = PATH_BYTES - 36 - 14;
const V6_A = "2001:db8::a";
const V6_B = "2001:db8::b";
const PROTOCOL_TCP = 6;

/** A pair whose path carries 1,200 bytes, and is not expected to carry more. */
async function smallPair(lab: Lab): Promise<Pair> {
  const pair = await connectedPair(lab);
  settle(pair.a, pair.b);
  settle(pair.b, pair.a);
  pair.b.engine.apply([allow(1, [MAC_A, IP_A, V6_A])]);
  return pair;
}

function settle(node: EngineNode, peer: EngineNode, settled = true): void {
  const size = { maxDatagram: PATH_BYTES, settled, keepaliveMs: 0 };
  node.engine.apply([{ op: "path", session: 1, path: 0, to: direct(peer.endpoint), ...size }]);
}

function packetV4(bytes: number, flags = 0x4000, [from, to] = [IP_A, IP_B]): Uint8Array {
  const packet = ipv4(from ?? IP_A, to ?? IP_B, 17, udp(5, 6, bytes - 28));
  return ethernet(MAC_B, MAC_A, 0x0800, withHeaderChecksum(setU16(packet, 6, flags)));
}

function packetV6(bytes: number): Uint8Array {
  return ethernet(MAC_B, MAC_A, 0x86dd, ipv6(V6_A, V6_B, 17, udp(5, 6, bytes - 48)));
}

function syn(mss: number, isV6: boolean): Uint8Array {
  const tcp = new Uint8Array(24);
  tcp.set([156, 64, 20, 81], 0);
  tcp.set([0x60, 0x12], 12);
  tcp.set([2, 4, mss >> 8, mss & 255], 20);
  const packet = isV6
    ? ipv6(V6_A, V6_B, PROTOCOL_TCP, tcp)
    : withHeaderChecksum(ipv4(IP_A, IP_B, PROTOCOL_TCP, tcp));
  const at = packet.length - tcp.length;
  setU16(packet, at + 16, tcpChecksum(packet, at));
  return ethernet(MAC_B, MAC_A, isV6 ? 0x86dd : 0x0800, packet);
}

function mssOf(frame: Uint8Array | undefined): number {
  return frame === undefined ? 0 : u16(frame, frame.length - 2);
}

export function pathSizeContract(lab: () => Lab): void {
  it("answers a DF packet above a settled size from its destination, with the MTU", async () => {
    const { a, b } = await smallPair(lab());
    const sent = packetV4(INNER_MTU + 1);
    a.tapSend(sent);
    await lab().until(() => a.tap.length === 1);
    const answer = a.tap[0] ?? sent;
    expect(answer.subarray(0, 14)).toEqual(ethernet(MAC_A, MAC_B, 0x0800, new Uint8Array(0)));
    const packet = answer.subarray(14);
    expect(packet.length).toBe(576);
    expect([packet[9], packet[20], packet[21]]).toEqual([1, 3, 4]);
    expect(packet.subarray(12, 20)).toEqual(
      Uint8Array.of(...sent.subarray(30, 34), ...sent.subarray(26, 30)),
    );
    expect(u16(packet, 26)).toBe(INNER_MTU);
    expect(packet.subarray(28)).toEqual(sent.subarray(14, 14 + 548));
    expect(internetChecksum(packet.subarray(0, 20))).toBe(0);
    expect(internetChecksum(packet.subarray(20))).toBe(0);
    expect(droppedFor(a, "too-big")).toBe(1);
    a.tapSend(packetV4(INNER_MTU));
    await lab().until(() => b.tap.length === 1);
    expect(b.tap[0]).toEqual(packetV4(INNER_MTU));
  });

  it("counts VLAN tags against the MTU it tells, and keeps them", async () => {
    const { a } = await smallPair(lab());
    a.tapSend(tagged(packetV4(INNER_MTU), 7));
    await lab().until(() => a.tap.length === 1);
    const answer = a.tap[0] ?? new Uint8Array(0);
    expect([u16(answer, 12), u16(answer, 14)]).toEqual([0x8100, 7]);
    expect(u16(answer, 18 + 26)).toBe(INNER_MTU - 4);
  });

  it("answers IPv6 above 1,280 bytes and cuts what every IPv6 link must carry", async () => {
    const { a, b } = await smallPair(lab());
    a.tapSend(packetV6(1_280));
    a.tapSend(packetV6(1_281));
    await lab().until(() => a.tap.length === 1 && b.tap.length === 1);
    expect(b.tap[0]).toEqual(packetV6(1_280));
    const packet = (a.tap[0] ?? new Uint8Array(0)).subarray(14);
    expect(packet.length).toBe(1_280);
    expect([packet[6], packet[40], packet[41]]).toEqual([58, 2, 0]);
    expect([u16(packet, 44), u16(packet, 46)]).toEqual([0, 1_280]);
    const pseudo = Uint8Array.of(0, 58, ...packet.subarray(4, 6));
    expect(internetChecksum(packet.subarray(8, 40), pseudo, packet.subarray(40))).toBe(0);
  });

  it("cuts in two what may be cut, and everything while the size is looked for", async () => {
    const { a, b } = await smallPair(lab());
    const soft = packetV4(INNER_MTU + 100, 0);
    a.tapSend(soft);
    await lab().until(() => b.tap.length === 1);
    settle(a, b, false);
    const strict = packetV4(INNER_MTU + 100);
    a.engine.apply([{ op: "frame-to-peer", session: 1, bytes: strict }]);
    await lab().until(() => b.tap.length === 2);
    expect(b.tap).toEqual([soft, strict]);
    expect(a.tap).toEqual([]);
  });

  it("answers also without DF what two halves do not carry", async () => {
    const { a } = await smallPair(lab());
    a.tapSend(packetV4(2 * INNER_MTU + 100, 0));
    await lab().until(() => a.tap.length === 1);
    expect(u16(a.tap[0] ?? new Uint8Array(0), 14 + 26)).toBe(INNER_MTU);
  });

  it("never answers errors, later fragments and groups", async () => {
    const { a, b } = await smallPair(lab());
    const error = ipv4(IP_A, IP_B, 1, new Uint8Array(INNER_MTU));
    setU16(error, 6, 0x4000);
    error[20] = 3;
    a.tapSend(ethernet(MAC_B, MAC_A, 0x0800, error));
    a.tapSend(packetV4(INNER_MTU + 1, 0x4010));
    const group: [Ip, Ip] = [IP_A, "239.1.1.1"];
    a.tapSend(packetV4(INNER_MTU + 1, 0x4000, group));
    await lab().until(() => b.tap.length === 3);
    expect(a.tap).toEqual([]);
  });

  it("bounds its answers each second", async () => {
    const { a } = await smallPair(lab());
    const frames = 4 * ENGINE_LIMITS.tooBigAnswersPerSecond;
    for (let i = 1; i <= frames; i++) {
      a.tapSend(packetV4(INNER_MTU + 1));
      if (i % 20 === 0) await lab().until(() => droppedFor(a, "too-big") === i);
    }
    expect(a.tap.length).toBeGreaterThanOrEqual(ENGINE_LIMITS.tooBigAnswersPerSecond);
    expect(a.tap.length).toBeLessThan(frames);
  });

  for (const isV6 of [false, true]) {
    const most = INNER_MTU - (isV6 ? 60 : 40);
    const inHalves = 2 * (INNER_MTU + 14 - 4) - 14 - (isV6 ? 60 : 40);
    it(`clamps the MSS of IPv${isV6 ? 6 : 4} SYNs, out and in`, async () => {
      const { a, b } = await smallPair(lab());
      settle(b, a, false);
      a.tapSend(syn(9_000, isV6));
      await lab().until(() => b.tap.length === 1);
      settle(a, b, false);
      settle(b, a, true);
      // through the mailbox of the thread that sends, so behind the command above
      a.engine.apply([{ op: "frame-to-peer", session: 1, bytes: syn(9_000, isV6) }]);
      await lab().until(() => b.tap.length === 2);
      settle(b, a, false);
      a.engine.apply([{ op: "frame-to-peer", session: 1, bytes: syn(9_000, isV6) }]);
      await lab().until(() => b.tap.length === 3);
      expect(b.tap.map(mssOf)).toEqual([most, most, inHalves]);
      for (const frame of b.tap) {
        const packet = frame.subarray(14);
        expect(tcpChecksum(packet, packet.length - 24)).toBe(0);
      }
    });
  }

  it("lets no TCP segment wait for the search: two halves carry what a SYN agreed on", async () => {
    const { a, b } = await smallPair(lab());
    settle(a, b, false);
    settle(b, a, false);
    a.engine.apply([{ op: "frame-to-peer", session: 1, bytes: syn(9_000, false) }]);
    await lab().until(() => b.tap.length === 1);
    const mss = mssOf(b.tap[0]);
    a.engine.apply([
      { op: "frame-to-peer", session: 1, bytes: packetV4(mss + 40) },
      { op: "frame-to-peer", session: 1, bytes: packetV4(mss + 41) },
    ]);
    await lab().until(() => droppedFor(a, "too-big") === 1);
    await lab().until(() => b.tap.length === 2);
    expect(b.tap[1]).toEqual(packetV4(mss + 40));
  });

  it("leaves an MSS that fits alone", async () => {
    const { a, b } = await smallPair(lab());
    a.tapSend(syn(1_000, false));
    await lab().until(() => b.tap.length === 1);
    expect(b.tap[0]).toEqual(syn(1_000, false));
  });
}

function tcpChecksum(packet: Uint8Array, at: number): number {
  const addresses = packet.subarray(at - (at === 40 ? 32 : 8), at);
  const pseudo = Uint8Array.of(0, PROTOCOL_TCP, 0, packet.length - at);
  return internetChecksum(addresses, pseudo, packet.subarray(at));
}

function withHeaderChecksum(packet: Uint8Array): Uint8Array {
  return setU16(packet, 10, internetChecksum(packet.subarray(0, 20)));
}

function setU16(bytes: Uint8Array, at: number, value: number): Uint8Array {
  bytes[at] = value >>> 8;
  bytes[at + 1] = value & 255;
  return bytes;
}

function u16(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
}
