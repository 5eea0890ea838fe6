import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { Agent } from "../../lab/agent.ts";
import { Flood } from "../../lab/flood.ts";
import type { Site } from "../../lab/lab.ts";
import { eventually } from "../../lab/shell.ts";
import { BROADCAST_MAC, linkLocalOf } from "../../src/base/net.ts";
import { DATAGRAM_TYPES } from "../../src/wire/message-type.ts";
import { describeWhere } from "../support/requires.ts";
import { macOf } from "./attackers.ts";
import { Capture, type Datagram } from "./capture.ts";
import { Cluster, figure, kernelNeeds, reaches, TAP, writeClusterFile } from "./cluster.ts";
import {
  ALL_NODES_MAC,
  advertisementFrame,
  arpFrame,
  arpReplyFrame,
  bridgeFrame,
  FORGED_PORT,
  ipv4Frame,
  ipv6Frame,
  offerFrame,
  type Party,
  routerFrame,
  sendFrames,
  underlayFrame,
} from "./frames.ts";

const TITLE = "strangers get silence, members speak for themselves only";
/** UDP payload of a full Ethernet frame over IPv4. */
const DATAGRAM_MAX = 1_472;
const RECORDED = 10_000;
/** Longer than handshakes wait before they repeat a message. */
const QUIET_MS = 2_000;
/** Of each forged kind: a counter that moves by accident would not move by this much. */
const COPIES = 20;

describeWhere(TITLE, kernelNeeds("python3", "tcpdump", "tshark", "ethtool", "g++"), () => {
  let cluster: Cluster;
  let stranger: Site;
  /** From b to a while b joined: handshakes, and what came before a had the keys for it. */
  let joining: readonly Datagram[];
  /** From b to a while the link stood: control and frames, all of them received by a. */
  let standing: readonly Datagram[];
  let toStranger: Capture;

  beforeAll(async () => {
    cluster = await Cluster.create("hostile");
    for (const name of ["a", "b", "c"]) await cluster.addAgent(name);
    stranger = await cluster.lab.addSite("x");
    const [a, b] = [cluster.agent("a"), cluster.agent("b")];
    const wire = await Capture.start(a.site, "eth0", "udp");
    await cluster.startAll();
    joining = await wire.datagrams(`ip.src == ${b.site.ip} && ip.dst == ${a.site.ip}`);
    await wire.end();
    const link = await Capture.start(a.site, "eth0", `udp and src host ${b.site.ip}`);
    for (let i = 0; i < 20; i++) expect(await reaches(b, await cluster.ip("a"))).toBe(true);
    standing = await link.datagrams("udp");
    await link.end();
    toStranger = await Capture.start(stranger, "eth0", `udp and dst host ${stranger.ip}`);
  });
  afterAll(() => cluster?.remove());

  it("a node with another network key: no answer, counted, told to its owner", async () => {
    const file = join(cluster.lab.folder, "foreign.yaml");
    writeClusterFile(file);
    const foreign = new Agent(stranger, file);
    const before = await dropsOf("a", "bad-mac1");
    foreign.start();
    await foreign.online();
    const after = async () => (await dropsOf("a", "bad-mac1")) > before + 2;
    await eventually("a counts foreign handshakes", after, 15_000, 200);
    const told = async () =>
      (await foreign.status())?.health.find((line) =>
        line.includes("no bootstrap endpoint answers"),
      );
    expect(await eventually("status names the cause", told, 30_000, 200)).toMatch(/secret/);
    expect((await foreign.status())?.peers).toEqual([]);
    await foreign.stop();
    await stranger.run(["ip", "link", "del", TAP]);
    await expectSilenceAndLife();
  }, 60_000);

  it("a node of another cluster that was given our address: no answer, counted", async () => {
    const file = join(cluster.lab.folder, "other.yaml");
    writeClusterFile(file, { name: "other", range: "10.87.0.0/16" });
    const other = new Agent(stranger, file);
    const before = await dropsOf("a", "bad-mac1");
    other.start();
    await other.online();
    expect((await other.status())?.network).toBe("other");
    const after = async () => (await dropsOf("a", "bad-mac1")) > before + 2;
    await eventually("a counts foreign handshakes", after, 15_000, 200);
    await other.stop();
    await stranger.run(["ip", "link", "del", TAP]);
    await expectSilenceAndLife();
  });

  it("garbage of every type and size: no answer, counted, the link lives", async () => {
    const before = await totalDrops("a");
    const types = [...Object.values(DATAGRAM_TYPES), 0, 1, 22, 192 + 31, 255];
    const sizes = [0, 1, 4, 15, 16, 31, 32, 100, 1_200, 1_400];
    const garbage = types.flatMap((type) =>
      sizes.map((size) => Buffer.concat([Buffer.from([type]), randomBytes(size)]).toString("hex")),
    );
    await sendFromStranger(stranger.ip, garbage);
    await eventually("a counts garbage", async () => (await totalDrops("a")) > before, 10_000, 200);
    figure(
      `garbage: ${garbage.length} datagrams, ${(await totalDrops("a")) - before} drops counted`,
    );
    await expectSilenceAndLife();
  });

  it("captured datagrams, replayed and bit-flipped, from the wrong and the right source", async () => {
    const sealed = standing.map(({ payload }) => payload).filter(isOneDatagram);
    expect(sealed.length).toBeGreaterThan(10);
    // in the counter, else the replay window answers first; and in what is sealed
    const flipped = sealed.flatMap((payload) => [flipByte(payload, 10), flipByte(payload, -1)]);
    const before = await cluster.agent("a").drops();
    for (const source of [stranger.ip, cluster.agent("b").site.ip]) {
      await sendFromStranger(source, sealed);
      await sendFromStranger(source, flipped);
    }
    const counted = (reason: string, drops: ReadonlyMap<string, number>) =>
      (drops.get(reason) ?? 0) - (before.get(reason) ?? 0);
    const enough = async () => {
      const drops = await cluster.agent("a").drops();
      return counted("replayed", drops) > 5 && counted("bad-tag", drops) > 5;
    };
    await eventually("replays and forgeries are counted", enough, 10_000, 200);
    const drops = await cluster.agent("a").drops();
    const [replayed, forged] = [counted("replayed", drops), counted("bad-tag", drops)];
    figure(`${sealed.length * 6} captured datagrams: replayed ${replayed}, bad-tag ${forged}`);
    await expectSilenceAndLife();
  });

  it("10,000 recorded packets, from the right source and from another: none arrives, nothing moves", async () => {
    const [a, b] = [cluster.agent("a"), cluster.agent("b")];
    // what the engine sends in one segmented burst must be recorded as the datagrams it becomes
    await b.site.run(["ethtool", "-K", "eth0", "gso", "off", "tx", "off"]);
    const link = await Capture.start(a.site, "eth0", `udp and src host ${b.site.ip}`);
    // two such frames do not fit one datagram
    const ping = ["ping", "-q", "-f", "-c", `${RECORDED}`, "-s", "1000", await cluster.ip("a")];
    let recorded: readonly string[] = [];
    // a busy machine loses some of them, or of the recording
    for (let rounds = 0; rounds < 4 && recorded.length < RECORDED; rounds++) {
      await b.site.finish(ping);
      recorded = link
        .udpPayloads()
        .filter((payload) => isOneDatagram(payload) && typeOf(payload) === DATAGRAM_TYPES.data)
        .slice(0, RECORDED);
    }
    await link.end();
    expect(recorded).toHaveLength(RECORDED);
    const [before, peers] = [await dropsOf("a", "replayed"), await peersOf("a")];
    const arriving = await Capture.start(a.site, TAP, "icmp[icmptype] == icmp-echo");
    const rate = { perSecond: 5_000, seconds: recorded.length / 5_000 };
    for (const source of [b.site.ip, stranger.ip]) {
      const flood = await Flood.start(stranger, await framesFrom(source, recorded), rate);
      await flood.end();
    }
    const counted = async () => (await dropsOf("a", "replayed")) - before >= 2 * recorded.length;
    await eventually("each is counted as a replay", counted, 10_000, 200);
    figure(`${2 * recorded.length} replays: ${(await dropsOf("a", "replayed")) - before} counted`);
    expect(await arriving.read("icmp", ["ip.src"])).toEqual([]);
    await arriving.end();
    expect(await peersOf("a")).toEqual(peers);
    await expectSilenceAndLife();
  }, 120_000);

  it("a whole join replayed by a stranger: fewer bytes than he sent, no session, no path", async () => {
    // A genuine first handshake message is answered whoever carries it, and a datagram that a could
    // not read when it came is news when it comes again: the sender's address is asked for a proof.
    const payloads = joining.map(({ payload }) => payload).filter(isOneDatagram);
    expect(payloads.map(typeOf)).toContain(DATAGRAM_TYPES["handshake-1"]);
    const before = await peersOf("a");
    await sendFromStranger(stranger.ip, payloads);
    const answers = await whenQuiet(() => toStranger.datagrams("udp"));
    figure(`a join replayed: ${bytesOf(payloads)} bytes sent, ${answers.length} answers`);
    expect(bytesOf(answers.map(({ payload }) => payload))).toBeLessThan(bytesOf(payloads));
    expect(await peersOf("a")).toEqual(before);
    await expectLife();
  });

  it("a member with another's MAC, IPv4, IPv6, ARP or ND claim, as router or DHCP server: nothing arrives, each is counted", async () => {
    const [a, b, c] = [await party("a"), await party("b"), await party("c")];
    const arriving = await Capture.start(
      cluster.agent("a").site,
      TAP,
      `ether src ${b.mac} or ether src ${c.mac}`,
    );
    const refused = () =>
      arriving.read(
        `arp.src.proto_ipv4 == ${c.ip} || icmpv6.nd.na.target_address == ${linkLocalOf(c.mac)} || icmpv6.type == 134 || dhcp`,
        ["eth.src"],
      );
    const kinds: readonly (readonly [string, Uint8Array])[] = [
      ["source-mac", ipv4Frame(c, a)],
      ["source-ip", ipv4Frame({ mac: b.mac, ip: c.ip }, a)],
      ["source-ip", ipv6Frame(b.mac, c.mac, a.mac)],
      ["arp-sender", arpFrame(b.mac, { mac: b.mac, ip: c.ip }, a)],
      ["arp-sender", arpFrame(b.mac, { mac: c.mac, ip: c.ip }, a)],
      ["arp-sender", arpReplyFrame(b.mac, c.ip, a)],
      ["nd-target", advertisementFrame(b.mac, c.mac, a.mac)],
      ["router-advertisement", routerFrame(b.mac, a.mac)],
      ["dhcp-over-overlay", offerFrame(b, a)],
    ];
    for (const [reason, frame] of kinds) {
      const before = await dropsOf("a", reason);
      await sendFrames(
        cluster.agent("b").site,
        TAP,
        Array.from({ length: COPIES }, () => frame),
      );
      const counted = async () => (await dropsOf("a", reason)) >= before + COPIES;
      await eventually(`a counts ${COPIES} frames as ${reason}`, counted, 10_000, 100);
    }
    // the honest frame of the same form arrives: the forged ones did not fail for another reason
    await sendFrames(cluster.agent("b").site, TAP, [ipv4Frame(b, a)]);
    const honest = () => arriving.read(`udp.port == ${FORGED_PORT}`, ["ip.src", "eth.src"]);
    await eventually("the honest frame arrives", async () => (await honest()).length > 0, 10_000);
    expect(await honest()).toEqual([[b.ip, b.mac]]);
    expect(await refused()).toEqual([]);
    await expectLife();
  }, 60_000);

  it("the same in frames to everybody: nothing arrives, each is counted", async () => {
    const [b, c] = [await party("b"), await party("c")];
    const { site } = cluster.agent("a");
    const unwelcome = `stp or udp port 67 or icmp6[0] == 134 or icmp6[0] == 136`;
    const arriving = await Capture.start(site, TAP, `udp port ${FORGED_PORT} or ${unwelcome}`);
    const everybody = { mac: BROADCAST_MAC, ip: "10.86.255.255" };
    const kinds: readonly (readonly [string, Uint8Array])[] = [
      ["source-mac", ipv4Frame(c, everybody)],
      ["source-ip", ipv4Frame({ mac: b.mac, ip: c.ip }, everybody)],
      ["arp-sender", arpReplyFrame(b.mac, c.ip, everybody)],
      ["nd-target", advertisementFrame(b.mac, c.mac, ALL_NODES_MAC)],
      ["router-advertisement", routerFrame(b.mac, ALL_NODES_MAC)],
      ["dhcp-over-overlay", offerFrame(b, everybody)],
      ["link-control", bridgeFrame(b.mac)],
    ];
    for (const [reason, frame] of kinds) {
      const before = await everywhere(reason);
      await sendFrames(
        cluster.agent("b").site,
        TAP,
        Array.from({ length: COPIES }, () => frame),
      );
      const counted = async () => (await everywhere(reason)) >= before + COPIES;
      await eventually(`${COPIES} frames are counted as ${reason}`, counted, 10_000, 100);
    }
    await sendFrames(cluster.agent("b").site, TAP, [ipv4Frame(b, everybody)]);
    const seen = () => arriving.read("frame", ["ip.src", "eth.src"]);
    await eventually("the honest frame arrives", async () => (await seen()).length > 0, 10_000);
    expect(await seen()).toEqual([[b.ip, b.mac]]);
  }, 60_000);

  /** At the sender's own node or at a receiver: wherever it is stopped first. */
  async function everywhere(reason: string): Promise<number> {
    const counts = await Promise.all(cluster.agents.map(({ name }) => dropsOf(name, reason)));
    return counts.reduce((sum, count) => sum + count, 0);
  }

  /** What an answer would need is long over when a whole exchange of others is done. */
  async function expectSilenceAndLife(): Promise<void> {
    await expectLife();
    const heard = await toStranger.datagrams("udp");
    expect(
      heard.map(({ payload }) => `type ${typeOf(payload)}, ${payload.length / 2} bytes`),
    ).toEqual([]);
  }

  async function expectLife(): Promise<void> {
    expect(await reaches(cluster.agent("b"), await cluster.ip("a"))).toBe(true);
  }

  /** As if from `source`, which is the stranger's own address or a member's. */
  async function sendFromStranger(source: string, payloads: readonly string[]): Promise<void> {
    await sendFrames(stranger, "eth0", await framesFrom(source, payloads));
  }

  async function framesFrom(source: string, payloads: readonly string[]): Promise<Uint8Array[]> {
    const target = cluster.agent("a").site;
    const macs = { from: await macOf(stranger), to: await macOf(target) };
    return payloads.map((payload) => underlayFrame(macs, source, target.ip, payload));
  }

  async function dropsOf(name: string, reason: string): Promise<number> {
    return (await cluster.agent(name).drops()).get(reason) ?? 0;
  }

  async function totalDrops(name: string): Promise<number> {
    const drops = await cluster.agent(name).drops();
    return [...drops.values()].reduce((sum, count) => sum + count, 0);
  }

  async function peersOf(name: string): Promise<object[]> {
    const peers = (await cluster.agent(name).status())?.peers ?? [];
    return peers.map(({ address, link, endpoint }) => ({ address, link, endpoint }));
  }

  async function party(name: string): Promise<Party> {
    const status = await cluster.agent(name).status();
    return { mac: status?.mac ?? "", ip: status?.lease?.ip ?? "" };
  }
});

/** What is there once nothing more came for longer than an answer is repeated after. */
async function whenQuiet<T>(read: () => Promise<readonly T[]>): Promise<readonly T[]> {
  let seen = await read();
  const isOver = async () => {
    const before = seen.length;
    seen = await read();
    return seen.length === before;
  };
  await eventually("nothing more comes", isOver, 20_000, QUIET_MS);
  return seen;
}

function typeOf(payload: string): number {
  return Number.parseInt(payload.slice(0, 2), 16);
}

/** A capture may hold several datagrams in one (segmentation offload): those cannot be resent. */
function isOneDatagram(payload: string): boolean {
  return payload.length <= 2 * DATAGRAM_MAX;
}

function bytesOf(payloads: readonly string[]): number {
  return payloads.reduce((sum, payload) => sum + payload.length / 2, 0);
}

/** @param at byte number, negative from the end */
function flipByte(payload: string, at: number): string {
  const bytes = Buffer.from(payload, "hex");
  const index = at < 0 ? bytes.length + at : at;
  bytes[index] = (bytes[index] ?? 0) ^ 0x01;
  return bytes.toString("hex");
}
