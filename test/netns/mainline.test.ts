import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, it } from "vitest";
import { Agent } from "../../lab/agent.ts";
import type { Site } from "../../lab/lab.ts";
import { NatBox } from "../../lab/nat-box.ts";
import { eventually, type Running } from "../../lab/shell.ts";
import { describeWhere } from "../support/requires.ts";
import { Capture } from "./capture.ts";
import { Cluster, figure, kernelNeeds, reaches, secondsSince } from "./cluster.ts";

const TITLE = "three sites behind port-restricted NATs meet in a BitTorrent DHT of plain nodes";
const NODE = fileURLToPath(new URL("../../lab/bittorrent-node.mjs", import.meta.url));
const DHT_PORTS = [6_881, 6_882, 6_883];
const WITHIN_MS = 60_000;
/** What one agent may ask on average, its first burst apart. */
const QUERIES_PER_SECOND = 20;
const BURST = 60;

describeWhere(TITLE, kernelNeeds("tcpdump", "tshark"), () => {
  let cluster: Cluster;
  let plain: Site;
  let nodes: readonly Running[];
  const agents: Agent[] = [];

  beforeAll(async () => {
    cluster = await Cluster.create("mainline", {
      bootstraps: 0,
      extra: "lan: off\nport_mapping: off",
    });
    const { lab } = cluster;
    plain = await lab.addSite("dht");
    nodes = await startDht(plain);
    const flags = ["--bootstrap", "mainline", "--mainline-nodes", `${plain.ip}:${DHT_PORTS[0]}`];
    for (const [i, name] of ["a", "b", "c"].entries()) {
      // other ports outside than inside: what the nodes see is all that anybody knows
      const firstPort = 20_000 + 10_000 * i;
      const box = await NatBox.create(lab, `box-${name}`, { kind: "portrestricted", firstPort });
      agents.push(new Agent(await box.addSite(name), cluster.file, { flags }));
    }
  });
  afterAll(() => cluster?.remove());

  it("all pairs are direct within a minute, and the DHT's nodes carry nothing of theirs", async () => {
    const capture = await Capture.start(plain, "eth0", "udp");
    const startedMs = performance.now();
    for (const agent of agents) agent.start();
    const direct = async () => {
      const all = await Promise.all(agents.map((agent) => agent.status()));
      const links = all.flatMap((status) => status?.peers ?? []);
      return links.length === 6 && links.every(({ link }) => link === "direct");
    };
    await eventually("every pair is direct", direct, WITHIN_MS, 250).catch(async (error) => {
      const said = agents.map((agent) => agent.log.slice(-1_500)).join("\n");
      throw new Error(`${error.message}\n${nodes.map((node) => node.output).join("\n")}\n${said}`);
    });
    figure(`mainline: three sites behind NATs all direct after ${secondsSince(startedMs)}`);
    const [a, b] = agents as [Agent, Agent];
    const ip = (await b.status())?.lease?.ip ?? "";
    await eventually("a ping", () => reaches(a, ip), 20_000);

    const seconds = (performance.now() - startedMs) / 1_000;
    const asked = await capture.datagrams(`ip.dst == ${plain.ip}`);
    await capture.end();
    const others = asked.filter(({ payload }) => !payload.startsWith("64"));
    expect(others.map(({ payload }) => payload)).toEqual([]);
    expect(asked.length).toBeLessThanOrEqual(3 * (BURST + QUERIES_PER_SECOND * (seconds + 1)));
  }, 120_000);

  it("a newcomer behind a fourth NAT is met halfway", async () => {
    const box = await NatBox.create(cluster.lab, "box-d", { kind: "portrestricted" });
    const flags = ["--bootstrap", "mainline", "--mainline-nodes", `${plain.ip}:${DHT_PORTS[1]}`];
    const d = new Agent(await box.addSite("d"), cluster.file, { flags });
    d.start();
    const startedMs = performance.now();
    const joined = async () => ((await d.status())?.peers.length ?? 0) > 0;
    await d.explain(() => eventually("the newcomer is in", joined, WITHIN_MS, 250));
    figure(`mainline: a newcomer is in after ${secondsSince(startedMs)}`);
  }, 120_000);
});

async function startDht(site: Site): Promise<Running[]> {
  const nodes: Running[] = [];
  for (const port of DHT_PORTS) {
    const other = nodes.length === 0 ? [] : [`${site.ip}:${DHT_PORTS[0]}`];
    const node = site.start([process.execPath, NODE, site.ip, `${port}`, ...other]);
    const listens = async () => node.output.includes("listening");
    await eventually(`the DHT's node on ${port} listens: ${node.output}`, listens, 10_000, 50);
    nodes.push(node);
  }
  return nodes;
}
