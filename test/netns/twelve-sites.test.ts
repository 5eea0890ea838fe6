import { afterAll, beforeAll, expect, it } from "vitest";
import type { Agent } from "../../lab/agent.ts";
import { describeWhere } from "../support/requires.ts";
import { Cluster, figure, kernelNeeds, type PingReport, readPing } from "./cluster.ts";

const SITES = 12;
/** Twelve agents on two cores: the figures are for people, these bounds for broken code. */
const LEASE_LIMIT_MS = 15_000;
const TITLE = "twelve sites lease their addresses and answer every first ping";

describeWhere(TITLE, kernelNeeds(), () => {
  let cluster: Cluster;
  const addresses: string[] = [];

  beforeAll(async () => {
    cluster = await Cluster.create("twelve");
    for (let i = 1; i <= SITES; i++) await cluster.addAgent(`s${i}`);
  });
  afterAll(() => cluster?.remove());

  it("gives the lone first node and each joining node a lease of its own", async () => {
    for (const [i, agent] of cluster.agents.entries()) {
      const started = performance.now();
      agent.start();
      addresses.push(await agent.online(LEASE_LIMIT_MS));
      const wholeMs = performance.now() - started;
      const who = i === 0 ? "first node alone" : `joining node ${i + 1}`;
      figure(
        `${who}: lease ${(wholeMs / 1000).toFixed(2)} s after \`weft up\`, ${ownTimes(agent)}`,
      );
    }
    expect(new Set(addresses).size).toBe(SITES);
  }, 240_000);

  it("loses no ping of any ordered pair, the first included", async () => {
    await cluster.settled();
    const pairs = cluster.agents.flatMap((from, i) =>
      cluster.agents.flatMap((_, j) => (i === j ? [] : [{ from, to: j }])),
    );
    const reports = await Promise.all(
      pairs.map(({ from, to }) => pingPair(from, addresses[to] ?? "")),
    );
    const bad = reports.flatMap((report, i) => (isWhole(report) ? [] : [describePair(i, report)]));
    figure(`${pairs.length} ordered pairs x 20 pings: ${lost(reports)} lost`);
    expect(pairs).toHaveLength(SITES * (SITES - 1));
    expect(bad).toEqual([]);

    function describePair(i: number, report: PingReport): string {
      const pair = pairs[i];
      const to = cluster.agents[pair?.to ?? 0]?.name;
      return `${pair?.from.name} -> ${to}: answered ${report.answered.join(" ")}`;
    }
  }, 120_000);

  async function pingPair(from: Agent, ip: string): Promise<PingReport> {
    const ping = ["ping", "-n", "-c", "20", "-i", "0.2", "-W", "3", ip];
    return readPing((await from.site.finish(ping)).stdout);
  }
});

function isWhole(report: PingReport): boolean {
  return report.sent === 20 && report.received === 20 && report.answered.includes(1);
}

function lost(reports: readonly PingReport[]): number {
  return reports.reduce((sum, report) => sum + 20 - report.received, 0);
}

/** The same by the agent's own log, which leaves out the start of node itself. */
function ownTimes(agent: Agent): string {
  const at = (field: string, value: string) =>
    Date.parse(agent.logLines().find((line) => line[field] === value)?.time ?? "");
  const seconds = (at("state", "online") - at("state", "joining")) / 1000;
  return `online ${seconds.toFixed(2)} s after its sockets were open`;
}
