import { afterAll, beforeAll, expect, it } from "vitest";
import type { Agent } from "../../lab/agent.ts";
import { eventually } from "../../lab/shell.ts";
import { BROADCAST_MAC, type Ip, linkLocalOf, type Mac } from "../../src/base/net.ts";
import { emitEthernet, TYPE_IPV4, TYPE_IPV6 } from "../../src/frame/ethernet.ts";
import { emitIpv4, PROTOCOL_UDP } from "../../src/frame/ipv4.ts";
import { emitIpv6, PROTOCOL_ICMPV6 } from "../../src/frame/ipv6.ts";
import { emitUdp } from "../../src/frame/udp.ts";
import { describeWhere } from "../support/requires.ts";
import { addBridgedSite, addGuest, type Guest, ringed } from "./bridged.ts";
import { Capture } from "./capture.ts";
import { Cluster, kernelNeeds, TAP } from "./cluster.ts";
import { FORGED_PORT, ipv4Frame, type Party, sendFrames } from "./frames.ts";

const TITLE = "what belongs to one LAN stays on it";
const NO_TAGS = new Uint8Array(0);
const IGMP = 2;
const ICMP = 1;
const ALL_NODES: Mac = "33:33:00:00:00:01";
/** A payload that a capture finds again, whatever is in front of it. */
const FILLING: Uint8Array = new Uint8Array(64).fill(0x5a);

/** Raw frames of one machine, to everybody and to one machine of the other site. */
function linkFrames(from: Party, to: Mac): Uint8Array[] {
  return [
    ethernet(from.mac, "01:80:c2:00:00:00", 0x0027), // spanning tree, behind an LLC length
    ethernet(from.mac, "01:80:c2:00:00:02", 0x8809), // LACP
    ethernet(from.mac, "01:80:c2:00:00:0e", 0x88cc), // LLDP
    ethernet(from.mac, "01:80:c2:00:00:01", 0x8808), // pause
    ethernet(from.mac, to, 0x88cc),
    ethernet(from.mac, "03:77:65:66:74:00", 0x88b5), // a beacon
  ];
}

function dhcpFrames(from: Party, to: Mac): Uint8Array[] {
  return [BROADCAST_MAC, to].flatMap((destination) => [
    udp4(from, destination, [67, 68]),
    udp4(from, destination, [68, 67]),
    udp6(from.mac, destination, [547, 546]),
  ]);
}

function routerFrames(from: Party, to: Mac): Uint8Array[] {
  const everybody = [133, 134, 137].map((type) => icmp6(from.mac, ALL_NODES, type));
  const redirect = ip4(from, to, ICMP, Uint8Array.of(5, 1, 0, 0, ...FILLING));
  return [...everybody, icmp6(from.mac, to, 134), icmp6(from.mac, to, 137), redirect];
}

function listenerFrames(from: Party): Uint8Array[] {
  const report = ip4(from, "01:00:5e:00:00:16", IGMP, Uint8Array.of(0x22, 0, 0, 0, ...FILLING));
  return [report, icmp6(from.mac, "33:33:00:00:00:16", 143), icmp6(from.mac, ALL_NODES, 130)];
}

function ethernet(source: Mac, destination: Mac, type: number, payload = FILLING): Uint8Array {
  return emitEthernet({ destination, source, tags: NO_TAGS, type, payload });
}

function ip4(from: Party, to: Mac, protocol: number, payload: Uint8Array): Uint8Array {
  const destination: Ip = to.startsWith("01:00:5e") ? "224.0.0.22" : "10.86.255.255";
  const packet = emitIpv4({ source: from.ip, destination, protocol, ttl: 1, payload });
  return ethernet(from.mac, to, TYPE_IPV4, packet);
}

function udp4(from: Party, to: Mac, [sourcePort, destinationPort]: [number, number]): Uint8Array {
  const datagram = { sourcePort, destinationPort, payload: FILLING };
  return ip4(from, to, PROTOCOL_UDP, emitUdp(datagram, from.ip, "10.86.255.255"));
}

function udp6(mac: Mac, to: Mac, [sourcePort, destinationPort]: [number, number]): Uint8Array {
  const [source, destination] = [linkLocalOf(mac), "ff02::1"];
  const payload = emitUdp({ sourcePort, destinationPort, payload: FILLING }, source, destination);
  const packet = emitIpv6({ source, destination, protocol: PROTOCOL_UDP, hopLimit: 255, payload });
  return ethernet(mac, to, TYPE_IPV6, packet);
}

function icmp6(mac: Mac, to: Mac, type: number): Uint8Array {
  const payload = Uint8Array.of(type, 0, 0, 0, ...FILLING);
  const route = { source: linkLocalOf(mac), destination: "ff02::1" };
  const packet = emitIpv6({ ...route, protocol: PROTOCOL_ICMPV6, hopLimit: 255, payload });
  return ethernet(mac, to, TYPE_IPV6, packet);
}

describeWhere(TITLE, kernelNeeds("udhcpc", "tcpdump", "tshark", "python3"), () => {
  let cluster: Cluster;
  const parties = new Map<string, Party>();
  const guests = new Map<string, Guest>();

  beforeAll(async () => {
    cluster = await Cluster.create("bridgesilence");
    for (const name of ["a", "b"]) {
      const { site } = await addBridgedSite(cluster, name);
      guests.set(name, await addGuest(cluster, site, `g${name}`));
    }
    for (const agent of cluster.agents) {
      agent.start();
      await ringed(agent);
    }
    await cluster.settled();
    for (const [name, guest] of guests) {
      guest.startDhcp();
      parties.set(name, { ip: await guest.bound(), mac: await guest.mac() });
    }
    expect(await guests.get("a")?.reaches(party("b").ip)).toBe(true);
  });
  afterAll(() => cluster?.remove());

  it.each([
    ["a", "b"],
    ["b", "a"],
  ])("from %s to %s: link control, DHCP, routers, listeners never; others do", async (from, to) => {
    const [source, target] = [party(from), party(to)];
    const arriving = await Capture.start(cluster.agent(to).site, TAP, `ether src ${source.mac}`);
    const frames = [
      ...linkFrames(source, target.mac),
      ...dhcpFrames(source, target.mac),
      ...routerFrames(source, target.mac),
      ...listenerFrames(source),
    ];
    // straight to weft: a bridge holds some of them back by itself
    await sendFrames(cluster.agent(from).site, TAP, frames);
    const honest = [BROADCAST_MAC, "01:00:5e:01:02:03", target.mac];
    const control = honest.map((mac) => ipv4Frame(source, { mac, ip: target.ip }));
    await sendFrames(cluster.agent(from).site, TAP, control);
    const seen = () => arriving.read("frame", ["eth.dst", "eth.type", "udp.dstport"]);
    const arrived = async () => (await seen()).length >= control.length;
    await cluster.agent(to).explain(() => eventually("the honest ones arrive", arrived, 15_000));
    await arriving.end();
    const marked = (await seen()).filter(([, , port]) => port !== `${FORGED_PORT}`);
    // resolution of the honest unicast's return way may have been seen too: never the marked ones
    expect(marked.filter(([, type]) => type !== "0x0806")).toEqual([]);
    expect(new Set((await seen()).map(([mac]) => mac))).toEqual(new Set(honest));
    expect(await droppedKinds(cluster.agents)).toEqual(
      expect.arrayContaining(["dhcp-over-overlay", "link-control", "router-advertisement"]),
    );
  });

  it("a machine with an address of its own making stays on its bridge; the log names it", async () => {
    const { site } = cluster.agent("a");
    const fixed = await addGuest(cluster, site, "fixed");
    await fixed.site.run(["ip", "addr", "add", "10.86.9.9/16", "dev", "eth0"]);
    expect(await fixed.reaches(party("a").ip)).toBe(true);
    expect(await fixed.reaches(party("b").ip, "-W", "1")).toBe(false);
    const lines = () =>
      cluster
        .agent("a")
        .logLines()
        .filter((line) => line.msg === "outsider");
    const isNamed = async () => {
      await fixed.reaches(party("b").ip, "-W", "1");
      return lines().length > 0;
    };
    await eventually("it is named", isNamed, 40_000, 500);
    expect(lines()).toEqual([expect.objectContaining({ mac: await fixed.mac(), ip: "10.86.9.9" })]);
  });

  function party(name: string): Party {
    const found = parties.get(name);
    if (found === undefined) throw new Error(`no guest at ${name}`);
    return found;
  }
});

async function droppedKinds(agents: readonly Agent[]): Promise<string[]> {
  const all = await Promise.all(agents.map((agent) => agent.drops()));
  return [...new Set(all.flatMap((drops) => [...drops.keys()]))];
}
