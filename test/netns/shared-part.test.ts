import { afterAll, beforeAll, expect, it } from "vitest";
import type { Agent } from "../../lab/agent.ts";
import { eventually } from "../../lab/shell.ts";
import { describeWhere } from "../support/requires.ts";
import { Cluster, figure, kernelNeeds, RANGE, secondsSince, TAP, within } from "./cluster.ts";

const TITLE = "two sites whose files have different ranges";
/** Ten seconds are promised. */
const NAMED_MS = within(10_000);
const OTHER_RANGE = "10.87.0.0/16";
/** The part of the other range that both files have, and a machine of one could be given by both. */
const INNER_RANGE = "10.86.0.0/24";

describeWhere(TITLE, kernelNeeds("udhcpc"), () => {
  let cluster: Cluster;
  let a: Agent;
  let b: Agent;

  beforeAll(async () => {
    cluster = await Cluster.create("shared-part");
    a = await cluster.addAgent("a", { flags: flagsOf(RANGE) });
    b = await cluster.addAgent("b", { flags: flagsOf(OTHER_RANGE) });
    a.start();
    b.start();
  }, 60_000);
  afterAll(() => cluster?.remove());

  it("`weft status` of both names the key within 10 s of their link", async () => {
    await a.explain(() => eventually("a has a link", () => isLinked(a), 20_000, 50));
    const startedAt = performance.now();
    const here = `b has another range: ${OTHER_RANGE} there, ${RANGE} here`;
    const there = `a has another range: ${RANGE} there, ${OTHER_RANGE} here`;
    await eventually("a names the key", () => says(a, here), NAMED_MS, 50);
    await eventually("b names the key", () => says(b, there), NAMED_MS, 50);
    figure(`both name the key ${secondsSince(startedAt)} after the link`);
    const { stdout } = await a.weft("status");
    expect(stdout).toContain(`! ${here}`);
  }, 60_000);

  it("a machine at either site gets no offer", async () => {
    expect(await Promise.all([a, b].map(getsAddress))).toEqual([false, false]);
  }, 60_000);

  it("nor from what both ranges have", async () => {
    b = await restartedWith(cluster, b, INNER_RANGE);
    await eventually("a names it", () => says(a, `another range: ${INNER_RANGE} there`), 20_000);
    expect(await Promise.all([a, b].map(getsAddress))).toEqual([false, false]);
  }, 60_000);

  it("with equal files both do", async () => {
    b = await restartedWith(cluster, b, RANGE);
    await eventually("a is content", () => says(a, "").then((said) => !said), 20_000);
    await eventually("b has a link", () => isLinked(b), 20_000);
    expect(await Promise.all([a, b].map(getsAddress))).toEqual([true, true]);
  }, 90_000);
});

function flagsOf(range: string): readonly string[] {
  return ["--range", range, "--address", "dhcp"];
}

async function restartedWith(cluster: Cluster, agent: Agent, range: string): Promise<Agent> {
  await agent.stop();
  const again = cluster.addAgentAt(agent.site, { flags: flagsOf(range) });
  again.start();
  await again.explain(() => eventually("it has a link", () => isLinked(again), 20_000, 50));
  return again;
}

async function isLinked(agent: Agent): Promise<boolean> {
  return ((await agent.status())?.peers.length ?? 0) > 0;
}

/** @param text a part of a line about another member's file */
async function says(agent: Agent, text: string): Promise<boolean> {
  const health = (await agent.status())?.health ?? [];
  return health.some((line) => line.includes("has another") && line.includes(text));
}

/** One DHCP client on the TAP, which asks five times within ten seconds. */
async function getsAddress(agent: Agent): Promise<boolean> {
  const asks = ["-f", "-q", "-n", "-t", "5", "-T", "2"];
  const udhcpc = ["udhcpc", ...asks, "-i", TAP, "-s", "/bin/true"];
  return (await agent.site.finish(udhcpc)).status === 0;
}
