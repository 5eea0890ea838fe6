import { writeFileSync } from "node:fs";
import { afterAll, afterEach, expect, it } from "vitest";
import type { Agent } from "../../lab/agent.ts";
import type { Site } from "../../lab/lab.ts";
import { eventually, run } from "../../lab/shell.ts";
import { describeWhere } from "../support/requires.ts";
import { Capture } from "./capture.ts";
import { Cluster, figure, kernelNeeds, TAP } from "./cluster.ts";
import { ScpCopy } from "./scp-copy.ts";

const MEGABYTES = 100;
/** Larger than every underlay here: what passes is up to the paths. */
const TAP_MTU = "mtu: 9000";
const FRAGMENTS = "ip[6:2] & 0x3fff != 0 or (ip6 and ip6[6] == 44)";
const TITLE = "frames find out what their path carries, and so do the machines that send them";

describeWhere(TITLE, kernelNeeds("tcpdump", "tshark", "iperf3", "scp", "sshd"), () => {
  let cluster: Cluster | undefined;
  afterEach(() => cluster?.remove());
  afterAll(() => cluster?.remove());

  it("a hole without ICMP under 100 MB by scp: they go on within 10 s", async () => {
    cluster = await Cluster.start("hole", ["a", "b"], { extra: TAP_MTU });
    const [a, b] = [cluster.agent("a"), cluster.agent("b")];
    for (const { site } of [a, b]) await sendsSinglePackets(site);
    await tellsMtu(a, await cluster.ip("b"), 1_422);
    const fragments = await Capture.start(b.site, "eth0", FRAGMENTS);
    const copy = await ScpCopy.start(a, b, await cluster.ip("b"), MEGABYTES);
    await copy.past(20);
    await digHole(cluster, 1_300);
    await copy.past(MEGABYTES);
    expect(copy.end()).toBe(true);
    const gap = copy.longestGapMs();
    figure(`1500 -> 1300 under scp: ${(gap / 1_000).toFixed(2)} s without progress`);
    expect(gap).toBeLessThan(10_000);
    await tellsMtu(a, await cluster.ip("b"), 1_222);
    await clampsSyns(a, b, await cluster.ip("b"), 1_182);
    await fragments.end();
    expect(await fragments.read("frame", ["frame.number"])).toEqual([]);
  });

  for (const [bytes, inner] of [
    [1_400, 1_322],
    [9_000, 8_922],
  ] as const) {
    it(`an underlay of ${bytes} bytes: ping -M do sees ${inner}`, async () => {
      cluster = await Cluster.create(`under${bytes}`, { extra: TAP_MTU });
      for (const name of ["a", "b"])
        await setUnderlayMtu(cluster, await cluster.addAgent(name), bytes);
      await cluster.startAll();
      await carriesExactly(cluster, inner);
    });
  }

  it("mtu: auto follows what every path carries, and a stream goes on through each change", async () => {
    cluster = await Cluster.create("automtu");
    for (const name of ["a", "b", "c"]) {
      const agent = await cluster.addAgent(name);
      if (name !== "c") await setUnderlayMtu(cluster, agent, 9_000);
    }
    const [a, b, c] = [cluster.agent("a"), cluster.agent("b"), cluster.agent("c")];
    for (const agent of [a, b]) {
      agent.start();
      await agent.online();
    }
    const ip = await cluster.ip("b");
    const small = await speed(a, b, ip);
    expect(await tapMtu(a)).toBe(1_390);
    const stream = await startStream(a, b, ip, 600);
    const isRaised = async () => (await tapMtu(a)) === 8_922 && (await tapMtu(b)) === 8_922;
    await eventually("the MTU is raised at both ends", isRaised, 60_000, 500);
    const large = await speed(a, b, ip);
    figure(`one TCP stream over an underlay of 9000: ${small} Mbit/s at 1390, ${large} at 8922`);
    // a veth pair takes what is larger than its MTU
    for (const { site } of [a, b]) await sendsSinglePackets(site);
    await digHole(cluster, 1_500, "ip daddr 198.51.100.3");
    c.start();
    await c.online();
    const begun = Date.now();
    const isLowered = async () => (await tapMtu(a)) === 1_390 && (await tapMtu(b)) === 1_390;
    await eventually("the MTU is lowered at both ends", isLowered, 60_000, 500);
    figure(`lowered ${Date.now() - begun} ms after a member with an underlay of 1500 joined`);
    await (await startStream(a, c, await cluster.ip("c"))).past(5);
    await stream.past(MEGABYTES);
    expect(stream.longestGapMs()).toBeLessThan(10_000);
    const changes = [...a.log.matchAll(/"msg":"(mtu-\w+)"/g)].map(([, what]) => what);
    expect(changes).toEqual(["mtu-raised", "mtu-lowered"]);
  });

  it("an IPv6 underlay of 1280 bytes: ping -M do sees 1182", async () => {
    cluster = await Cluster.create("under1280", { extra: TAP_MTU });
    const agents = [await cluster.addAgent("a"), await cluster.addAgent("b")];
    for (const [i, agent] of agents.entries()) {
      await setUnderlayMtu(cluster, agent, 1_280);
      await onlyIpv6(agent.site, `2001:db8:51::${i + 1}`);
    }
    const text = `name: kernel
secret: ${await secretOf(cluster)}
bootstrap: ["[2001:db8:51::1]:7117"]
interface: ${TAP}
range: 10.86.0.0/16
${TAP_MTU}
`;
    writeFileSync(cluster.file, text, { mode: 0o600 });
    await cluster.startAll();
    await carriesExactly(cluster, 1_182);
  });
});

/** Packets of `inner` bytes pass whole, larger ones are answered with that figure; no outer fragments. */
async function carriesExactly(cluster: Cluster, inner: number): Promise<void> {
  const [a, b] = [cluster.agent("a"), cluster.agent("b")];
  const ip = await cluster.ip("b");
  const fragments = await Capture.start(b.site, "eth0", FRAGMENTS);
  await tellsMtu(a, ip, inner);
  await tellsMtu(b, await cluster.ip("a"), inner);
  const fits = ["ping", "-n", "-c", "3", "-i", "0.2", "-W", "2", "-M", "do", "-s", `${inner - 28}`];
  expect((await a.site.finish([...fits, ip])).stdout).toContain("3 received");
  const cut = ["ping", "-n", "-c", "3", "-i", "0.2", "-W", "2", "-M", "dont", "-s", "1372"];
  expect((await a.site.finish([...cut, ip])).stdout).toContain("3 received");
  await fragments.end();
  expect(await fragments.read("frame", ["frame.number"])).toEqual([]);
}

/** What a SYN says when it arrives at b, and the SYN-ACK when it arrives at a. */
async function clampsSyns(a: Agent, b: Agent, ip: string, mss: number): Promise<void> {
  const syns = "tcp[tcpflags] & tcp-syn != 0";
  const [atA, atB] = [
    await Capture.start(a.site, TAP, syns),
    await Capture.start(b.site, TAP, syns),
  ];
  await (await startStream(a, b, ip)).past(1);
  await Promise.all([atA.end(), atB.end()]);
  const [syn] = await atB.read("tcp.flags.ack == 0", ["tcp.options.mss_val"]);
  const [synAck] = await atA.read("tcp.flags.ack == 1", ["tcp.options.mss_val"]);
  expect([Number(syn?.[0]), Number(synAck?.[0])]).toEqual([mss, mss]);
}

/** The kernel's ping is told this MTU, once the search for it is over. */
async function tellsMtu(from: Agent, ip: string, mtu: number): Promise<void> {
  let said = "";
  const isTold = async () => {
    const ping = ["ping", "-n", "-c", "1", "-W", "1", "-M", "do", "-s", "8900", ip];
    const { stdout, stderr } = await from.site.finish(ping);
    // what the kernel heard before it says itself, on the other stream
    said = stdout + stderr;
    return new RegExp(`mtu ?= ?${mtu}\\b`).test(said);
  };
  await eventually(`ping is told ${mtu}`, isTold, 15_000).catch((error: Error) => {
    throw new Error(`${error.message}: ${said}`);
  });
}

/** Real packets on the cable: a superpacket would pass a smaller link as one. */
async function sendsSinglePackets(site: Site): Promise<void> {
  await site.run(["ip", "link", "set", "eth0", "gso_max_segs", "1"]);
}

/** Larger IP packets vanish on the way, and nobody says so. */
async function digHole(cluster: Cluster, bytes: number, towards = ""): Promise<void> {
  const rules = `add table bridge weft
add chain bridge weft forward { type filter hook forward priority 0; policy accept; }
add rule bridge weft forward ether type ip ${towards} ip length > ${bytes} drop
`;
  const nft = ["ip", "netns", "exec", cluster.lab.internet, "nft", "-f", "-"];
  await run(nft, { input: rules });
}

async function tapMtu({ site }: Agent): Promise<number> {
  return Number((await site.finish(["cat", `/sys/class/net/${TAP}/mtu`])).stdout);
}

/** Mbit/s of one TCP stream, as received. */
async function speed(from: Agent, to: Agent, ip: string): Promise<number> {
  const server = to.site.start(["iperf3", "-s", "-1", "--forceflush", "-B", ip]);
  await eventually("iperf3 listens", async () => server.output.includes("listening"), 10_000);
  const { stdout } = await from.site.finish(["iperf3", "-c", ip, "-t", "3", "-J"]);
  return Math.round(JSON.parse(stdout).end.sum_received.bits_per_second / 1e6);
}

async function setUnderlayMtu(cluster: Cluster, agent: Agent, bytes: number): Promise<void> {
  const port = ["ip", "-n", cluster.lab.internet, "link", "set", agent.site.port];
  await run([...port, "mtu", `${bytes}`]);
  await agent.site.run(["ip", "link", "set", "eth0", "mtu", `${bytes}`]);
}

async function onlyIpv6(site: Site, ip: string): Promise<void> {
  await site.run(["ip", "-4", "addr", "flush", "dev", "eth0"]);
  await site.run(["ip", "-6", "addr", "add", `${ip}/64`, "dev", "eth0", "nodad"]);
}

async function secretOf(cluster: Cluster): Promise<string> {
  return /^secret: (.+)$/m.exec(await run(["cat", cluster.file]))?.[1] ?? "";
}

const SERVE = `
const [ip, port] = process.argv.slice(1);
let bytes = 0, said = 0;
require("net").createServer((socket) => socket.on("error", () => {}).on("data", (part) => {
  for (bytes += part.length; said < Math.floor(bytes / 1e6); ) console.log("at " + Date.now() + " " + ++said);
})).listen(port, ip, () => console.log("ready"));`;

/** A megabyte each 50 ms, unless said: the hole opens in the middle. */
const SEND = `
const [ip, port, paceMs] = process.argv.slice(1);
const megabyte = Buffer.alloc(1e6, 7);
let sent = 0;
const socket = require("net").connect(port, ip, function send() {
  if (sent++ === ${MEGABYTES}) return socket.end();
  socket.write(megabyte, () => setTimeout(send, +paceMs));
});`;

interface Stream {
  /** Resolves when so many megabytes arrived. */
  past(megabytes: number): Promise<void>;
  longestGapMs(): number;
}

let streams = 0;

async function startStream(from: Agent, to: Agent, ip: string, paceMs = 50): Promise<Stream> {
  const target = [ip, `${9_000 + ++streams}`];
  const server = to.site.start([process.execPath, "-e", SERVE, ...target]);
  await eventually("the server listens", async () => server.output.includes("ready"), 10_000);
  from.site.start([process.execPath, "-e", SEND, ...target, `${paceMs}`]);
  const marks = () =>
    [...server.output.matchAll(/^at (\d+) (\d+)$/gm)].map((match) => Number(match[1]));
  return {
    past: async (megabytes) => {
      const arrived = async () => marks().length >= megabytes;
      await eventually(`${megabytes} MB arrive`, arrived, 60_000, 10);
    },
    longestGapMs: () => {
      const times = marks();
      return Math.max(...times.slice(1).map((at, i) => at - (times[i] ?? at)));
    },
  };
}
