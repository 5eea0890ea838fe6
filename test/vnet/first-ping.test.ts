import { describe, expect, it } from "vitest";
import type { Ip, Mac } from "../../src/base/net.ts";
import { emitArp, parseArp } from "../../src/frame/arp.ts";
import { emitEthernet, parseEthernet } from "../../src/frame/ethernet.ts";
import { emitIpv4 } from "../../src/frame/ipv4.ts";
import { emitIpv6, parseIpv6 } from "../../src/frame/ipv6.ts";
import { emitNd, parseNd } from "../../src/frame/neighbour-discovery.ts";
import type { PeerInfo } from "../../src/link/link-types.ts";
import { macOfLinkLocal } from "../../src/vnet/neighbour-responder.ts";
import { hex } from "../support/vectors.ts";
import { Bench, FakeDht, makeMember, peerOf, SERVER_IP, SERVER_MAC } from "./harness.ts";

const MAC_A = "02:00:00:00:00:01";
const MAC_B = "02:00:00:00:00:02";
const IP_A = "10.9.0.5";
const IP_B = "10.9.0.6";
const B = makeMember(2);
const NO_TAGS = new Uint8Array(0);

function arpRequest(targetIp: Ip, senderIp: Ip = IP_A, senderMac: Mac = MAC_A): Uint8Array {
  const targetMac = "00:00:00:00:00:00";
  const payload = emitArp({ operation: 1, senderMac, senderIp, targetMac, targetIp });
  const head = { destination: "ff:ff:ff:ff:ff:ff", source: senderMac, tags: NO_TAGS };
  return emitEthernet({ ...head, type: 0x0806, payload });
}

function arpReplies(bench: Bench): string[] {
  return bench.tapFrames().map((bytes) => {
    const frame = parseEthernet(bytes);
    const arp = frame.ok ? parseArp(frame.value.payload) : frame;
    if (!frame.ok || !arp.ok) throw new Error("not ARP");
    expect(frame.value.source).toBe(arp.value.senderMac);
    expect(frame.value.destination).toBe(arp.value.targetMac);
    const { operation, senderIp, senderMac, targetIp } = arp.value;
    return `${operation} ${senderIp} is ${senderMac} for ${targetIp}`;
  });
}

function head(source: Ip, destination: Ip, to = MAC_B): Uint8Array {
  const packet = { source, destination, protocol: 1, ttl: 64, payload: hex("08 00 00 00") };
  const frame = { destination: to, source: MAC_A, tags: NO_TAGS, type: 0x0800 };
  return emitEthernet({ ...frame, payload: emitIpv4(packet) });
}

function start(): Bench {
  const dht = new FakeDht();
  const bench = new Bench(1, dht);
  bench.input({ kind: "timeout" });
  bench.bind(IP_A);
  dht.lease(IP_B, MAC_B, B);
  dht.mac(MAC_B, B);
  bench.take();
  return bench;
}

const forwards = (bench: Bench): string[] =>
  bench.commands().flatMap((command) => {
    if (command.op === "forward") return [`${command.mac} -> ${command.to}`];
    return command.op === "forward-remove" ? [`${command.mac} gone`] : [];
  });

/** A link with a path, as links report it. */
function linkUp(bench: Bench, peer: PeerInfo): void {
  bench.input({ kind: "link-up", peer });
  bench.input({ kind: "path", link: peer.link, usable: true });
}

describe("first ping", () => {
  it("ARP -> DHT -> reply -> connect -> link-up -> forward", () => {
    const bench = start();
    bench.holdsDht = true;
    bench.frame(arpRequest(IP_B));
    expect(bench.take()).toEqual([]);
    bench.answerDht();
    const outputs = bench.take();
    expect(outputs.map((output) => output.kind)).toEqual(["engine", "connect"]);
    expect(outputs[1]).toEqual({ kind: "connect", address: B.address });
    bench.outputs = outputs;
    expect(arpReplies(bench)).toEqual([`2 ${IP_B} is ${MAC_B} for ${IP_A}`]);
    bench.linkUp(B, 7);
    expect(forwards(bench)).toEqual([`${MAC_B} -> 7`]);
  });

  it("with a link there already the entry is published with the reply", () => {
    const bench = start();
    bench.linkUp(B, 7);
    bench.take();
    bench.frame(arpRequest(IP_B));
    expect(forwards(bench)).toContain(`${MAC_B} -> 7`);
  });

  it("an entry is published only when a path leads to the peer", () => {
    const bench = start();
    bench.input({ kind: "link-up", peer: peerOf(B, 7) });
    bench.take();
    bench.frame(arpRequest(IP_B));
    expect(forwards(bench)).toEqual([]);
    bench.input({ kind: "path", link: 7, usable: true });
    expect(forwards(bench)).toEqual([`${MAC_B} -> 7`]);
  });

  it("a repeated request does not ask or connect twice", () => {
    const bench = start();
    bench.asked.length = 0;
    bench.holdsDht = true;
    for (let i = 0; i < 3; i++) bench.frame(arpRequest(IP_B));
    expect(bench.asked.length).toBe(1);
    bench.answerDht();
    expect(bench.takeKind("connect").length).toBe(1);
    bench.frame(arpRequest(IP_B));
    expect(bench.asked.length).toBe(1);
    expect(bench.takeKind("connect")).toEqual([]);
  });

  it("connects again with growing pauses while the peer is not there", () => {
    const bench = start();
    let attempts = 0;
    for (let i = 0; i < 60; i++) {
      bench.frame(arpRequest(IP_B));
      attempts += bench.takeKind("connect").length;
      bench.sleep(1_000);
    }
    expect(attempts).toBeGreaterThan(3);
    expect(attempts).toBeLessThan(8);
  });

  it("a link with another key than the record's gets no traffic", () => {
    const bench = start();
    bench.frame(arpRequest(IP_B));
    bench.take();
    const impostor = { ...peerOf(B, 7), publicKey: new Uint8Array(32) };
    linkUp(bench, impostor);
    bench.input({ kind: "path", link: 7, usable: true });
    expect(forwards(bench)).toEqual([]);
  });
});

describe("ARP", () => {
  it("the server identifier answers at once, to probes too, and by unicast", () => {
    const bench = start();
    bench.frame(arpRequest(SERVER_IP));
    expect(arpReplies(bench)).toEqual([`2 ${SERVER_IP} is ${SERVER_MAC} for ${IP_A}`]);
    const upcall = { kind: "miss", mac: SERVER_MAC, head: arpRequest(SERVER_IP) } as const;
    bench.input({ kind: "upcall", upcall });
    const commands = bench.commands();
    expect(commands.map((command) => command.op)).toEqual(["frame-to-tap", "forward-remove"]);
  });

  it("silence: own address, probes of it, announcements, foreign ranges, replies", () => {
    const bench = start();
    bench.asked.length = 0;
    bench.frame(arpRequest(IP_A, "0.0.0.0"));
    bench.frame(arpRequest(IP_A, "10.9.0.200", "02:00:00:00:00:77"));
    bench.frame(arpRequest(IP_B, IP_B));
    bench.frame(arpRequest("192.168.1.1"));
    expect(bench.take()).toEqual([]);
    expect(bench.asked).toEqual([]);
  });

  it("a probe for an address that another member holds is answered: that is a conflict", () => {
    const bench = start();
    bench.frame(arpRequest(IP_B, "0.0.0.0"));
    expect(arpReplies(bench)).toEqual([`2 ${IP_B} is ${MAC_B} for 0.0.0.0`]);
  });

  it("nobody: silence, and no second question within a second", () => {
    const bench = start();
    bench.asked.length = 0;
    bench.frame(arpRequest("10.9.1.1"));
    bench.sleep(1_000);
    bench.frame(arpRequest("10.9.1.1"));
    expect(bench.asked.length).toBe(1);
    bench.sleep(1_000);
    bench.frame(arpRequest("10.9.1.1"));
    expect(bench.asked.length).toBe(2);
    expect(bench.take()).toEqual([]);
  });

  it("an address that just came to our host is not answered from its old record", () => {
    const bench = start();
    bench.dht.lease("10.9.0.8", MAC_B, B);
    bench.holdsDht = true;
    bench.frame(arpRequest("10.9.0.8", "0.0.0.0"));
    bench.input({ kind: "bound", lease: bench.lease("10.9.0.8", MAC_A, "ff") });
    bench.take();
    bench.answerDht();
    expect(bench.tapFrames()).toEqual([]);
  });

  it("a scan asks the DHT a bounded number of times", () => {
    const bench = start();
    bench.asked.length = 0;
    for (let i = 0; i < 5_000; i++) bench.frame(arpRequest(`10.9.${10 + (i >> 8)}.${i & 255}`));
    expect(bench.asked.length).toBeLessThanOrEqual(400);
    expect(bench.vnet.drops().get("rate-limited")).toBeGreaterThan(4_000);
  });
});

describe("miss", () => {
  const miss = (bench: Bench, mac: Mac, bytes: Uint8Array): void =>
    bench.input({ kind: "upcall", upcall: { kind: "miss", mac, head: bytes } });

  it("MAC record -> connect -> forward", () => {
    const bench = start();
    miss(bench, MAC_B, head(IP_A, "10.9.0.99"));
    expect(bench.takeKind("connect")).toEqual([{ kind: "connect", address: B.address }]);
    bench.linkUp(B, 7);
    expect(forwards(bench)).toEqual([`${MAC_B} -> 7`]);
  });

  it("without a MAC record the lease of the destination address serves, if it is of that MAC", () => {
    const bench = start();
    bench.dht.lease("10.9.0.20", "02:00:00:00:00:20", B);
    miss(bench, "02:00:00:00:00:20", head(IP_A, "10.9.0.20", "02:00:00:00:00:20"));
    expect(bench.takeKind("connect").length).toBe(1);
    miss(bench, "02:00:00:00:00:21", head(IP_A, "10.9.0.20", "02:00:00:00:00:21"));
    expect(forwards(bench)).toEqual(["02:00:00:00:00:21 gone"]);
  });

  it("nobody has it: what waits is dropped; the DHT cannot say: it may wait", () => {
    const bench = start();
    miss(bench, "02:00:00:00:00:44", hex("00"));
    expect(forwards(bench)).toEqual(["02:00:00:00:00:44 gone"]);
    bench.dht.isAvailable = false;
    miss(bench, "02:00:00:00:00:45", hex("00"));
    expect(forwards(bench)).toEqual([]);
  });

  it("after link-down the entry is gone and the next miss connects again", () => {
    const bench = start();
    miss(bench, MAC_B, head(IP_A, IP_B));
    bench.linkUp(B, 7);
    bench.take();
    bench.sleep(5_000);
    bench.input({ kind: "link-down", link: 7, address: B.address, reason: "silent" });
    expect(forwards(bench)).toEqual([`${MAC_B} gone`]);
    miss(bench, MAC_B, head(IP_A, IP_B));
    expect(bench.takeKind("connect").length).toBe(1);
    bench.linkUp(B, 8);
    expect(forwards(bench)).toContain(`${MAC_B} -> 8`);
  });

  it("an entry in use is checked and published before it ends, or removed with its record", () => {
    const bench = start();
    bench.linkUp(B, 7);
    bench.frame(arpRequest(IP_B));
    bench.take();
    bench.sleep(170_000);
    expect(forwards(bench)).toContain(`${MAC_B} -> 7`);
    bench.dht.remove(IP_B);
    bench.sleep(170_000);
    expect(forwards(bench)).toContain(`${MAC_B} gone`);
  });

  it("an address that moved to another member is followed", () => {
    const bench = start();
    const C = makeMember(3);
    bench.linkUp(B, 7);
    bench.linkUp(C, 9);
    bench.frame(arpRequest(IP_B));
    bench.take();
    bench.dht.lease(IP_B, MAC_B, C);
    bench.sleep(170_000);
    expect(
      forwards(bench)
        .filter((line) => line.startsWith(MAC_B))
        .at(-1),
    ).toBe(`${MAC_B} -> 9`);
  });
});

describe("neighbour discovery", () => {
  const LINK_LOCAL_A = "fe80::ff:fe00:1";
  const LINK_LOCAL_B = "fe80::ff:fe00:2";
  const solicit = (source: Ip, target: Ip): Uint8Array => {
    const mac = source === "::" ? undefined : MAC_A;
    const payload = emitNd({ kind: "solicitation", target, mac }, source, "ff02::1:ff00:2");
    const fields = { source, destination: "ff02::1:ff00:2", hopLimit: 255, protocol: 58 };
    const frame = { destination: "33:33:ff:00:00:02", source: MAC_A, tags: NO_TAGS, type: 0x86dd };
    return emitEthernet({ ...frame, payload: emitIpv6({ ...fields, payload }) });
  };

  it("an EUI-64 link-local is answered from its MAC record, and the way there is prepared", () => {
    const bench = start();
    bench.frame(solicit(LINK_LOCAL_A, LINK_LOCAL_B));
    const outputs = bench.take();
    expect(outputs).toContainEqual({ kind: "connect", address: B.address });
    bench.outputs = outputs;
    const frame = parseEthernet(bench.tapFrames()[0] ?? new Uint8Array(0));
    const packet = frame.ok ? parseIpv6(frame.value.payload) : frame;
    if (!frame.ok || !packet.ok) throw new Error("not IPv6");
    expect(frame.value).toMatchObject({ destination: MAC_A, source: MAC_B });
    expect(packet.value).toMatchObject({ source: LINK_LOCAL_B, destination: LINK_LOCAL_A });
    expect(parseNd(packet.value.payload)).toEqual({
      ok: true,
      value: {
        kind: "advertisement",
        target: LINK_LOCAL_B,
        mac: MAC_B,
        solicited: true,
        override: true,
      },
    });
  });

  it("silence: own address probe, unknown MACs, other addresses", () => {
    const bench = start();
    bench.frame(solicit("::", LINK_LOCAL_A));
    bench.frame(solicit(LINK_LOCAL_A, "fe80::ff:fe00:99"));
    bench.frame(solicit(LINK_LOCAL_A, "fe80::1"));
    expect(bench.take()).toEqual([]);
  });

  it("a probe for another member's address is answered to all nodes", () => {
    const bench = start();
    bench.frame(solicit("::", LINK_LOCAL_B));
    const frame = parseEthernet(bench.tapFrames()[0] ?? new Uint8Array(0));
    expect(frame.ok && frame.value.destination).toBe("33:33:00:00:00:01");
  });

  it("finds the MAC of an EUI-64 address and of nothing else", () => {
    expect(macOfLinkLocal(LINK_LOCAL_B)).toBe(MAC_B);
    expect(macOfLinkLocal("fe80::1")).toBeUndefined();
    expect(macOfLinkLocal("10.0.0.1")).toBeUndefined();
  });
});

describe("resolve", () => {
  it("own, another's, nobody's and foreign addresses", () => {
    const bench = start();
    const ask = (ip: Ip): unknown => {
      bench.input({ kind: "resolve", token: 4, ip });
      return bench.takeKind("resolved").map((output) => output.answer);
    };
    expect(ask(IP_A)).toEqual([{ ip: IP_A, mac: MAC_A, holder: bench.member.address }]);
    expect(ask(IP_B)).toEqual([{ ip: IP_B, mac: MAC_B, holder: B.address }]);
    expect(ask("10.9.9.9")).toEqual([undefined]);
    expect(ask("192.168.0.1")).toEqual([undefined]);
    expect(ask("fe80::1")).toEqual([undefined]);
  });
});
