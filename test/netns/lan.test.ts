import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { Agent, type LogLine } from "../../lab/agent.ts";
import type { Site } from "../../lab/lab.ts";
import { eventually } from "../../lab/shell.ts";
import { LAN_GROUPS, LAN_HELLO_BYTES, LAN_PORT } from "../../src/wire/lan-hello.ts";
import { describeWhere } from "../support/requires.ts";
import { Capture } from "./capture.ts";
import { Cluster, figure, kernelNeeds, reaches, writeClusterFile } from "./cluster.ts";

const TITLE = "members on one switch find each other without any bootstrap entry";
const TO_GROUP = `ip.dst == ${LAN_GROUPS[4]} || ipv6.dst == ${LAN_GROUPS[6]}`;
/** Two seconds alone and three together are promised and measured; a busy machine gets more. */
const WITHIN_MS = 10_000;
const REPLAYS = 50;
/** Long enough for five announcements and their answers. */
const BURST_OVER_MS = 5_000;

describeWhere(TITLE, kernelNeeds("python3", "tcpdump", "tshark"), () => {
  let cluster: Cluster;
  let outside: Site;
  /** All that crossed the switch so far, as a stranger on it sees it. */
  let heard: Capture;

  beforeAll(async () => {
    cluster = await Cluster.create("lan", { bootstraps: 0 });
    for (const name of ["a", "b"]) await cluster.addAgent(name);
    outside = await cluster.lab.addSite("x");
    heard = await Capture.start(outside, "eth0", `udp`);
  });
  afterAll(() => cluster?.remove());

  it("the first node has its address soon after its start", async () => {
    const a = cluster.agent("a");
    a.start();
    await a.online();
    const tookMs = between(
      a,
      started,
      (line) => line.msg === "state" && line["state"] === "online",
    );
    figure(`lan: a lone node is online ${tookMs} ms after its start`);
    expect(tookMs).toBeLessThan(WITHIN_MS);
  });

  it("the second one joins it soon", async () => {
    const b = cluster.agent("b");
    b.start();
    await b.online();
    await cluster.settled();
    const tookMs = between(b, started, (line) => line.msg === "ring-joined");
    figure(`lan: the second node is on the ring ${tookMs} ms after its start`);
    expect(tookMs).toBeLessThan(WITHIN_MS);
    const ip = await cluster.ip("a");
    await eventually("a ping", () => reaches(b, ip), 10_000);
    expect(await b.status()).toMatchObject({ peers: [{ name: "a", link: "direct" }] });
  });

  it("two that start at the same moment join soon", async () => {
    const file = join(cluster.lab.folder, "pair.yaml");
    writeClusterFile(file, { bootstraps: 0 });
    const pair = [];
    for (const name of ["d", "e"]) pair.push(new Agent(await cluster.lab.addSite(name), file));
    for (const agent of pair) agent.start();
    for (const agent of pair) {
      const joined = async () => agent.logLines().some((line) => line.msg === "ring-joined");
      await agent.explain(() => eventually("the ring is joined", joined, 20_000));
      const tookMs = between(agent, started, (line) => line.msg === "ring-joined");
      figure(`lan: ${agent.name} of two at once is on the ring after ${tookMs} ms`);
      expect(tookMs).toBeLessThan(WITHIN_MS);
    }
    for (const agent of pair) await agent.stop();
  });

  it("another network on the same switch is not joined and learns nothing", async () => {
    const file = join(cluster.lab.folder, "foreign.yaml");
    writeClusterFile(file, { bootstraps: 0 });
    const foreign = new Agent(outside, file);
    const before = (await cluster.agent("a").drops()).get("foreign-network") ?? 0;
    foreign.start();
    await foreign.online();
    const counted = async () =>
      ((await cluster.agent("a").drops()).get("foreign-network") ?? 0) > before + 2;
    await eventually("a hears it and cannot read it", counted, 10_000);
    expect((await foreign.status())?.peers).toEqual([]);
    const sites = cluster.agents.map((agent) => agent.site.ip);
    const answers = await heard.datagrams(`ip.dst == ${outside.ip}`);
    expect(answers.filter(({ from }) => sites.includes(from))).toEqual([]);
    await foreign.stop();
  });

  it("announcements of a network have nothing in common but their first four bytes", async () => {
    const hellos = (await heard.datagrams(TO_GROUP)).map(({ payload }) => payload);
    expect(hellos.length).toBeGreaterThan(10);
    for (const hello of hellos) {
      expect(hello.length).toBe(2 * LAN_HELLO_BYTES);
      expect(hello.slice(0, 8)).toBe("d0000000");
    }
    // one announcement goes out by both families
    const distinct = new Set(hellos);
    const seen = new Map<string, string>();
    for (const hello of distinct) {
      for (let at = 8; at + 16 <= hello.length; at += 2) {
        const piece = hello.slice(at, at + 16);
        expect(seen.get(piece) ?? hello, `${piece} in two announcements`).toBe(hello);
        seen.set(piece, hello);
      }
    }
  });

  it("an announcement played again gets no answer, and no traffic follows", async () => {
    const [a, b] = [cluster.agent("a"), cluster.agent("b")];
    const old = await heard.datagrams(`(${TO_GROUP}) && ip.src == ${b.site.ip}`);
    const replay = old.at(-1)?.payload ?? "";
    const before = (await a.drops()).get("replayed") ?? 0;
    const capture = await Capture.start(outside, "eth0", `udp and dst host ${outside.ip}`);
    await outside.run(["python3", "-c", REPLAY, replay, `${REPLAYS}`, outside.ip]);
    const counted = async () => ((await a.drops()).get("replayed") ?? 0) >= before + REPLAYS;
    await eventually("a counts the copies", counted, 10_000);
    expect(await capture.datagrams("udp")).toEqual([]);
    await capture.end();
  });

  it("lan: off sends nothing, answers nobody and finds nobody", async () => {
    const off = await cluster.addAgent("c", { flags: ["--lan", "off"] });
    off.start();
    await off.online();
    await new Promise((resolve) => setTimeout(resolve, BURST_OVER_MS));
    expect((await off.status())?.peers).toEqual([]);
    expect(await heard.datagrams(`(${TO_GROUP}) && ip.src == ${off.site.ip}`)).toEqual([]);
    const listening = await off.site.run(["ss", "-ulpn"]);
    expect(listening).not.toContain(`:${LAN_PORT} `);
    await heard.end();
  });
});

/** Sends one datagram to the group again and again. */
const REPLAY = `
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(sys.argv[3]))
for _ in range(int(sys.argv[2])):
    s.sendto(bytes.fromhex(sys.argv[1]), ("${LAN_GROUPS[4]}", ${LAN_PORT}))
`;

function started(line: LogLine): boolean {
  return line.msg === "agent started";
}

/** Milliseconds between two lines of an agent's own log. */
function between(
  agent: Agent,
  first: (line: LogLine) => boolean,
  second: (line: LogLine) => boolean,
): number {
  const lines = agent.logLines();
  const [from, to] = [lines.find(first), lines.find(second)];
  if (from === undefined || to === undefined) throw new Error(`lines missing:\n${agent.log}`);
  return Date.parse(to.time) - Date.parse(from.time);
}
