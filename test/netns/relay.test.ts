import { randomBytes } from "node:crypto";
import { afterAll, afterEach, expect, it } from "vitest";
import type { Agent } from "../../lab/agent.ts";
import { eventually } from "../../lab/shell.ts";
import { describeWhere } from "../support/requires.ts";
import { Capture } from "./capture.ts";
import { Cluster, figure, kernelNeeds, LongPing, readPing, TAP } from "./cluster.ts";

const TITLE = "pairs without a direct path talk over other members, sealed end to end";

describeWhere(TITLE, kernelNeeds("tcpdump", "tshark"), () => {
  let cluster: Cluster | undefined;
  afterEach(() => cluster?.remove());
  afterAll(() => cluster?.remove());

  it("one relay: works from the first packet, shows nothing, gives way to the direct path", async () => {
    cluster = await Cluster.create("relay");
    const [c, a, b] = [
      await cluster.addAgent("c"),
      await cluster.addAgent("a"),
      await cluster.addAgent("b"),
    ];
    await cluster.lab.block(a.site, b.site);
    await cluster.startAll();
    const ip = await cluster.ip("b");
    const [outside, inside] = [
      await Capture.start(c.site, "eth0", "udp"),
      await Capture.start(b.site, TAP, "ip"),
    ];

    const mark = randomBytes(16);
    const first = await pingWithPattern(a, ip, mark.toString("hex"));
    expect(first.answered).toEqual([1, 2, 3, 4, 5]);
    expect(await peerOf(a, "b")).toMatchObject({ link: "relay", relay: "c" });
    expect((await a.weft("peers")).stdout).toContain("relay(c)");
    const secret = randomBytes(48).toString("base64");
    await moveOverTcp(a, b, secret);
    const isRecorded = async () => inside.bytes().includes(secret);
    await eventually("the control capture has the words", isRecorded, 20_000);
    await Promise.all([outside.end(), inside.end()]);
    for (const word of [mark, Buffer.from(secret)]) {
      expect(inside.bytes().includes(word)).toBe(true);
      expect(outside.bytes().includes(word)).toBe(false);
    }
    const relayed = await outside.datagrams(`ip.src == ${a.site.ip}`);
    expect(relayed.length).toBeGreaterThan(5);
    figure(`relay: first ping answered over c; ${relayed.length} datagrams of a carried, sealed`);

    await becomesDirect(cluster, a, "b", ip);
  }, 120_000);

  it("two relays in a chain: works from the first packet and becomes direct", async () => {
    cluster = await Cluster.create("chain", { bootstraps: 2 });
    const [c, d, a, b] = [
      await cluster.addAgent("c"),
      await cluster.addAgent("d"),
      await cluster.addAgent("a"),
      await cluster.addAgent("b"),
    ];
    await cluster.lab.block(a.site, b.site);
    await cluster.lab.block(a.site, d.site);
    await cluster.lab.block(c.site, b.site);
    await cluster.startAll();
    const ip = await cluster.ip("b");
    const first = await pingWithPattern(a, ip, "77656674");
    expect(first.answered).toEqual([1, 2, 3, 4, 5]);
    const peer = await peerOf(a, "b");
    expect(peer).toMatchObject({ link: "relay" });
    const [carriedByC, carriedByD] = [await relayedBy(c), await relayedBy(d)];
    figure(`chain a-c-d-b: first ping answered; carried by c ${carriedByC}, by d ${carriedByD}`);
    expect(Math.min(carriedByC, carriedByD)).toBeGreaterThan(5);

    await becomesDirect(cluster, a, "b", ip);
  }, 120_000);
});

async function pingWithPattern(from: Agent, ip: string, pattern: string) {
  const ping = ["ping", "-n", "-c", "5", "-i", "0.2", "-W", "3", "-p", pattern, ip];
  return readPing((await from.site.finish(ping)).stdout);
}

async function peerOf(agent: Agent, name: string) {
  return (await agent.status())?.peers.find((peer) => peer.name === name);
}

/** Datagrams this member carried for others. */
async function relayedBy(agent: Agent): Promise<number> {
  const { text } = (await agent.ask("metrics")) as unknown as { readonly text: string };
  return Number(/^weft_relayed_datagrams_total (\d+)$/m.exec(text)?.[1] ?? 0);
}

const SERVE = `
const [ip] = process.argv.slice(1);
require("net").createServer((socket) => {
  let text = "";
  socket.on("data", (part) => (text += part)).on("end", () => (console.log("got " + text), process.exit()));
}).listen(9000, ip, () => console.log("ready"));`;

const SEND = `
const [ip, text] = process.argv.slice(1);
require("net").connect(9000, ip, function () { this.end(text); });`;

async function moveOverTcp(from: Agent, to: Agent, text: string): Promise<void> {
  const ip = (await to.status())?.lease?.ip ?? "";
  const server = to.site.start([process.execPath, "-e", SERVE, ip]);
  await eventually("the server listens", async () => server.output.includes("ready"), 10_000);
  await from.site.run([process.execPath, "-e", SEND, ip, text]);
  await eventually("the text arrives", async () => server.output.includes(`got ${text}`), 10_000);
}

/** Paths open again: the pair moves to the direct one and no ping is lost on the way. */
async function becomesDirect(cluster: Cluster, from: Agent, name: string, ip: string) {
  const ping = new LongPing(from, ip);
  await ping.answering();
  await cluster.lab.unblockAll();
  const started = performance.now();
  const direct = async () => (await peerOf(from, name))?.link === "direct";
  await eventually("the pair is direct", direct, 60_000, 200);
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  const report = await ping.end();
  figure(
    `unblocked: direct after ${seconds} s, ${report.lost.length} of ${report.sent} pings lost`,
  );
  expect(report.lost).toEqual([]);
}
