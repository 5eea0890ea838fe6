import { expect, it } from "vitest";
import { KIND_FRAME } from "../../sim/datagram.ts";
import { concat } from "../../src/base/bytes.ts";
import { type AclPolicy, type AclRule, ENGINE_LIMITS } from "../../src/base/engine.ts";
import { linkLocalOf } from "../../src/base/net.ts";
import { readAclPacket } from "../../src/frame/acl-packet.ts";
import {
  arp,
  ethernet,
  extension,
  icmp,
  icmpv6,
  inFragments,
  ipv4,
  ipv6,
  numbered,
  tcp,
  udp,
} from "./frames.ts";
import {
  allow,
  direct,
  droppedFor,
  droppedTotal,
  type EngineNode,
  forward,
  IP_A,
  IP_B,
  type Lab,
  MAC_A,
  MAC_B,
  openSession,
} from "./lab.ts";
import { RawPeer } from "./raw-peer.ts";

const IP6_A = "fd00::a";
const IP6_B = "fd00::b";
const LOCAL_A = linkLocalOf(MAC_A);
const LOCAL_B = linkLocalOf(MAC_B);
const [SYN, ACK, RST] = [2, 16, 4];

const v4 = (protocol: number, body: Uint8Array) =>
  ethernet(MAC_B, MAC_A, 0x0800, ipv4(IP_A, IP_B, protocol, body));
const v6 = (next: number, body: Uint8Array) =>
  ethernet(MAC_B, MAC_A, 0x86dd, ipv6(IP6_A, IP6_B, next, body));
/** What our own side says. */
const ours4 = (protocol: number, body: Uint8Array) =>
  ethernet(MAC_A, MAC_B, 0x0800, ipv4(IP_B, IP_A, protocol, body));
const ours6 = (next: number, body: Uint8Array) =>
  ethernet(MAC_A, MAC_B, 0x86dd, ipv6(IP6_B, IP6_A, next, body));

const rule = (permit: boolean, protocol?: number, ...ports: [number, number][]): AclRule => ({
  allow: permit,
  protocol,
  ports: ports.map(([first, last]) => ({ first, last })),
});
const deny = (...rules: AclRule[]): AclPolicy => ({ allowsRest: false, rules });
const WEB = deny(rule(true, 6, [80, 80], [8_000, 8_100]), rule(true, 17, [53, 53]));

interface World {
  readonly node: EngineNode;
  /** Frames of the peer, in order. */
  send(...frames: Uint8Array[]): void;
  /** A frame of our own machine that reaches the peer. */
  say(frame: Uint8Array): Promise<void>;
  /** Each frame alone: does it come out of our TAP? */
  verdicts(...frames: Uint8Array[]): Promise<boolean[]>;
}

/** @param policy undefined: the peer has no rules */
async function world(lab: Lab, policy: AclPolicy | undefined): Promise<World> {
  const node = await lab.node();
  const peer = await RawPeer.make(lab, node, { generation: 1, side: 0 });
  node.engine.apply([
    ...openSession(1, { generation: 1, side: 1 }, direct(peer.socket.endpoint)),
    forward(MAC_B, "local"),
    forward(MAC_A, 1),
    { op: "acl", session: 1, ...(policy && { policy }) },
    allow(1, [MAC_A, IP_A, IP6_A]),
  ]);
  const send = (...frames: Uint8Array[]): void => {
    for (const frame of frames) peer.sendSealed(frame, { kind: KIND_FRAME });
  };
  return {
    node,
    send,
    say: async (frame) => {
      const before = peer.socket.received.length;
      node.tapSend(frame);
      await lab.until(() => peer.socket.received.length > before);
    },
    verdicts: async (...frames) => {
      const [passed, dropped] = [node.tap.length, droppedFor(node, "acl")];
      send(...frames);
      const done = () =>
        node.tap.length - passed + droppedFor(node, "acl") - dropped === frames.length;
      await lab.until(done);
      const out = new Set(node.tap.slice(passed).map(hex));
      return frames.map((frame) => out.has(hex(frame)));
    },
  };
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

/** An IPv4 fragment with only so much behind its header. */
function cutTo(bytes: number, frame: Uint8Array): Uint8Array {
  const cut = frame.slice(0, 14 + 20 + bytes);
  const view = new DataView(cut.buffer, 14);
  view.setUint16(2, 20 + bytes);
  view.setUint16(10, 0);
  let sum = 0;
  for (let at = 0; at < 20; at += 2) sum += view.getUint16(at);
  view.setUint16(10, ~((sum & 0xffff) + (sum >> 16)) & 0xffff);
  return cut;
}

export function aclContract(lab: () => Lab): void {
  it("lets in what the first matching rule allows, by protocol and port", async () => {
    const policy = deny(
      rule(false, 6, [8_050, 8_050]),
      rule(true, 6, [80, 80], [8_000, 8_100]),
      rule(true, 47),
    );
    const { verdicts } = await world(lab(), policy);
    const passing = [tcp(9, 80), tcp(9, 8_000), tcp(9, 8_100)].map((body) => v4(6, body));
    const refused = [tcp(9, 81), tcp(9, 7_999), tcp(9, 8_101), tcp(9, 8_050)];
    expect(await verdicts(...passing, v4(47, new Uint8Array(20)))).toEqual([
      true,
      true,
      true,
      true,
    ]);
    expect(await verdicts(...refused.map((body) => v4(6, body)))).toEqual([
      false,
      false,
      false,
      false,
    ]);
    const others = [v4(17, udp(9, 80)), v4(1, icmp(8, 1)), v4(50, new Uint8Array(20))];
    expect(await verdicts(...others, numbered(MAC_B, MAC_A, 1))).toEqual([
      false,
      false,
      false,
      false,
    ]);
    expect(await verdicts(v6(6, tcp(9, 80)), v6(6, tcp(9, 81)))).toEqual([true, false]);
  });

  it("a rule about any protocol covers frames without IP, and the rest can be allowed", async () => {
    const { node, verdicts } = await world(lab(), deny(rule(true)));
    expect(await verdicts(numbered(MAC_B, MAC_A, 1), v4(47, new Uint8Array(20)))).toEqual([
      true,
      true,
    ]);
    const policy = { allowsRest: true, rules: [rule(false, 1)] };
    node.engine.apply([{ op: "acl", session: 1, policy }]);
    expect(
      await verdicts(numbered(MAC_B, MAC_A, 2), v4(1, icmp(8, 1)), v6(58, icmpv6(128, LOCAL_B))),
    ).toEqual([true, false, false]);
  });

  it("always lets ARP and neighbour discovery in", async () => {
    const { verdicts } = await world(lab(), deny());
    const solicitation = ipv6(LOCAL_A, LOCAL_B, 58, icmpv6(135, LOCAL_B));
    expect(
      await verdicts(
        arp(MAC_B, MAC_A, { senderMac: MAC_A, senderIp: IP_A, targetIp: IP_B }),
        ethernet(MAC_B, MAC_A, 0x86dd, solicitation),
      ),
    ).toEqual([true, true]);
  });

  it("lets the answers to our own flows in, and nothing else", async () => {
    const { say, verdicts } = await world(lab(), deny());
    const answers = [v4(6, tcp(22, 4_000, SYN | ACK)), v4(17, udp(53, 4_000)), v4(1, icmp(0, 7))];
    expect(await verdicts(...answers)).toEqual([false, false, false]);
    await say(ours4(6, tcp(4_000, 22, SYN)));
    await say(ours4(17, udp(4_000, 53)));
    await say(ours4(1, icmp(8, 7)));
    expect(await verdicts(...answers)).toEqual([true, true, true]);
    const strangers = [v4(6, tcp(22, 4_001, ACK)), v4(17, udp(54, 4_000)), v4(1, icmp(0, 8))];
    expect(await verdicts(...strangers, v4(1, icmp(8, 7)))).toEqual([false, false, false, false]);
    // The other direction of the very same flow is no answer.
    expect(await verdicts(v4(6, tcp(22, 4_000, SYN)))).toEqual([false]);
  });

  it("takes up TCP flows of ours that are older than itself, by no reset and no answer to a SYN", async () => {
    const { say, verdicts } = await world(lab(), deny());
    const theirs = (port: number) => v4(6, tcp(22, port, ACK));
    await say(ours4(6, tcp(40_000, 22, RST)));
    await say(ours4(6, tcp(40_000, 22, SYN | ACK)));
    expect(await verdicts(theirs(40_000))).toEqual([false]);
    await say(ours4(6, tcp(40_000, 22, ACK)));
    // From a server's port: they began it.
    await say(ours4(6, tcp(32_767, 22, ACK)));
    expect(await verdicts(theirs(40_000), theirs(32_767))).toEqual([true, false]);
  });

  it("ends what the peer began when the rule goes, and nothing that our side began", async () => {
    const { node, say, verdicts } = await world(lab(), deny(rule(true, 6, [40_000, 50_000])));
    const theirs = (port: number) => v4(6, tcp(9, port, ACK));
    expect(await verdicts(v4(6, tcp(9, 40_001, SYN)))).toEqual([true]);
    await say(ours4(6, tcp(40_001, 9, SYN | ACK)));
    await say(ours4(6, tcp(40_002, 9, SYN)));
    expect(await verdicts(theirs(40_001), theirs(40_002))).toEqual([true, true]);
    node.engine.apply([{ op: "acl", session: 1, policy: deny() }]);
    for (const port of [40_001, 40_002, 40_003]) await say(ours4(6, tcp(port, 9, ACK)));
    expect(await verdicts(...[40_001, 40_002, 40_003].map(theirs))).toEqual([false, true, false]);
  });

  it("takes nothing up under rules that come after a time without any", async () => {
    const { node, say, verdicts } = await world(lab(), deny());
    node.engine.apply([
      { op: "acl", session: 1 },
      { op: "acl", session: 1, policy: deny() },
    ]);
    await say(ours4(6, tcp(40_000, 22, ACK)));
    expect(await verdicts(v4(6, tcp(22, 40_000, ACK)))).toEqual([false]);
  });

  it("sees ports behind IPv6 extension headers, and refuses what it cannot walk over", async () => {
    const { say, verdicts } = await world(lab(), WEB);
    const authentication = concat(Uint8Array.of(6, 4), new Uint8Array(22), tcp(9, 80));
    expect(
      await verdicts(
        v6(0, extension(60, extension(6, tcp(9, 80)))),
        v6(51, authentication),
        v6(43, extension(6, tcp(9, 81))),
        v6(0, extension(253, tcp(9, 80))),
        v6(139, tcp(9, 80)),
      ),
    ).toEqual([true, true, false, false, false]);
    await say(ours6(60, extension(6, tcp(4_000, 22, SYN))));
    expect(await verdicts(v6(0, extension(6, tcp(22, 4_000, ACK))))).toEqual([true]);
  });

  it("lets an ICMP error in that is about a packet of an allowed flow", async () => {
    const { say, verdicts } = await world(lab(), WEB);
    const about = (packet: Uint8Array) => v4(1, icmp(3, 0, packet));
    const asked = ipv4(IP_B, IP_A, 17, udp(4_000, 5_000));
    expect(await verdicts(about(asked))).toEqual([false]);
    await say(ethernet(MAC_A, MAC_B, 0x0800, asked));
    const foreign = ipv4("10.9.0.12", IP_A, 17, udp(4_000, 5_000));
    const served = ipv4(IP_B, IP_A, 6, tcp(80, 4_000));
    expect(
      await verdicts(
        about(asked),
        about(served),
        about(foreign),
        about(asked.slice(0, 27)),
        v4(1, icmp(3, 0)),
      ),
    ).toEqual([true, true, false, false, false]);
    const asked6 = ipv6(IP6_B, IP6_A, 17, udp(4_000, 5_000));
    await say(ethernet(MAC_A, MAC_B, 0x86dd, asked6));
    expect(await verdicts(v6(58, icmp(2, 0, asked6)))).toEqual([true]);
  });

  it("later fragments follow their first one", async () => {
    const { node, send, verdicts } = await world(lab(), WEB);
    const [first, later] = inFragments(v4(6, tcp(9, 80)), 7);
    expect(await verdicts(later)).toEqual([false]);
    expect(await verdicts(first, later)).toEqual([true, true]);
    const [refused, rest] = inFragments(v4(6, tcp(9, 81)), 8);
    expect(await verdicts(refused, rest)).toEqual([false, false]);
    // A second first fragment that is refused takes the leave of the others back.
    const [other] = inFragments(v4(6, tcp(9, 81)), 7);
    expect(await verdicts(other, later)).toEqual([false, false]);
    const fragment = (offset: number, more: number, body: Uint8Array) =>
      v6(44, concat(Uint8Array.of(6, 0, offset, more, 0, 0, 0, 9), body));
    expect(
      await verdicts(
        fragment(1, 0, new Uint8Array(16)),
        fragment(0, 1, tcp(9, 80)),
        fragment(1, 0, new Uint8Array(24)),
      ),
    ).toEqual([false, true, true]);
    // A first fragment that hides its ports is none of those that were let in under its number.
    const hiding = inFragments(v4(6, tcp(9, 22)), 11);
    expect(await verdicts(...inFragments(v4(6, tcp(9, 80)), 11))).toEqual([true, true]);
    const before = [node.tap.length, droppedTotal(node)] as const;
    send(cutTo(8, hiding[0]));
    await lab().until(() => droppedTotal(node) > before[1]);
    expect(node.tap.length).toBe(before[0]);
    const passed = node.tap.length;
    send(
      first,
      ...Array.from({ length: ENGINE_LIMITS.aclFragments }, (_, i) => {
        return inFragments(v4(6, tcp(9, 80)), 100 + i)[0];
      }),
    );
    await lab().until(() => node.tap.length === passed + 1 + ENGINE_LIMITS.aclFragments);
    expect(await verdicts(later)).toEqual([false]);
  });

  it("replaces rules, takes them away, and keeps them when new ones pass a bound", async () => {
    const { node, verdicts } = await world(lab(), WEB);
    const web = v4(6, tcp(9, 80));
    expect(await verdicts(web)).toEqual([true]);
    node.engine.apply([{ op: "acl", session: 1, policy: deny() }]);
    expect(await verdicts(web)).toEqual([false]);
    const { aclRules, aclPortsPerRule } = ENGINE_LIMITS;
    const many = Array.from({ length: aclRules + 1 }, () => rule(true));
    const wide = Array.from({ length: aclPortsPerRule + 1 }, (): [number, number] => [0, 65_535]);
    node.engine.apply([
      { op: "acl", session: 1, policy: deny(...many) },
      { op: "acl", session: 1, policy: deny(rule(true, 6, ...wide)) },
    ]);
    await lab().until(() => droppedFor(node, "table-full") === 2);
    expect(await verdicts(web)).toEqual([false]);
    node.engine.apply([{ op: "acl", session: 1, policy: deny(...many.slice(1)) }]);
    expect(await verdicts(web)).toEqual([true]);
    node.engine.apply([{ op: "acl", session: 1 }]);
    expect(await verdicts(v4(6, tcp(9, 81)))).toEqual([true]);
  });

  it("lets nothing in where the first rules of a peer pass a bound, until good ones come", async () => {
    const { node, verdicts } = await world(lab(), undefined);
    const web = v4(6, tcp(9, 80));
    expect(await verdicts(web)).toEqual([true]);
    const many = Array.from({ length: ENGINE_LIMITS.aclRules + 1 }, () => rule(true));
    node.engine.apply([{ op: "acl", session: 1, policy: deny(...many) }]);
    await lab().until(() => droppedFor(node, "table-full") === 1);
    expect(await verdicts(web)).toEqual([false]);
    node.engine.apply([{ op: "acl", session: 1, policy: WEB }]);
    expect(await verdicts(web)).toEqual([true]);
  });

  it("takes the same first bytes for an IPv4 header as the judge of floods", async () => {
    const { node, send } = await world(lab(), { allowsRest: true, rules: [] });
    const bent = Array.from({ length: 256 }, (_, first) => {
      const frame = v4(17, concat(udp(9, 80), new Uint8Array(64)));
      frame[14] = first;
      return frame;
    });
    const [passed, dropped] = [node.tap.length, droppedTotal(node)];
    send(...bent);
    const done = () => node.tap.length - passed + droppedTotal(node) - dropped === bent.length;
    await lab().until(done);
    const out = new Set(node.tap.slice(passed).map(hex));
    const byFloods = bent.filter((frame) => readAclPacket(frame).kind === "transport");
    expect(bent.filter((frame) => out.has(hex(frame)))).toEqual(byFloods);
    expect(byFloods.map((frame) => frame[14])).toEqual(
      Array.from({ length: 11 }, (_, words) => 0x45 + words),
    );
  });

  it("judges frames that were held until the filter came", async () => {
    const node = await lab().node();
    const peer = await RawPeer.make(lab(), node, { generation: 1, side: 0 });
    node.engine.apply([
      ...openSession(1, { generation: 1, side: 1 }, direct(peer.socket.endpoint)),
      forward(MAC_B, "local"),
      { op: "acl", session: 1, policy: WEB },
    ]);
    for (const port of [81, 80]) peer.sendSealed(v4(6, tcp(9, port)), { kind: KIND_FRAME });
    await lab().until(() => node.engine.counters().datagramsIn === 2);
    await lab().advance(20);
    node.engine.apply([allow(1, [MAC_A, IP_A])]);
    await lab().until(() => node.tap.length === 1 && droppedFor(node, "acl") === 1);
    expect(node.tap).toEqual([v4(6, tcp(9, 80))]);
  });

  it("is one peer's: others have their own rules or none", async () => {
    const { node, verdicts } = await world(lab(), deny());
    const other = await RawPeer.make(lab(), node, { generation: 2, side: 0 });
    const mac = "02:00:00:00:00:0c";
    node.engine.apply([
      ...openSession(2, { generation: 2, side: 1 }, direct(other.socket.endpoint)),
      allow(2, [mac, "10.9.0.12"]),
    ]);
    const frame = ethernet(MAC_B, mac, 0x0800, ipv4("10.9.0.12", IP_B, 6, tcp(9, 81)));
    other.sendSealed(frame, { kind: KIND_FRAME });
    await lab().until(() => node.tap.length === 1);
    expect(await verdicts(v4(6, tcp(9, 81)))).toEqual([false]);
  });
}
