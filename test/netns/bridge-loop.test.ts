import { afterAll, beforeAll, expect, it } from "vitest";
import type { Agent } from "../../lab/agent.ts";
import { eventually } from "../../lab/shell.ts";
import { describeWhere } from "../support/requires.ts";
import { addBridgedSite, addGuest, BRIDGE, type Guest, ringed } from "./bridged.ts";
import { Capture } from "./capture.ts";
import { Cluster, figure, kernelNeeds, secondsSince, TAP } from "./cluster.ts";
import { FORGED_PORT, ipv4Frame, sendFrames } from "./frames.ts";

const TITLE = "two members bridged onto one LAN";
const CABLE = "cross0";
/** Broadcasts from a guest that a loop would multiply without end. */
const BROADCASTS = 5;

describeWhere(TITLE, kernelNeeds("udhcpc", "tcpdump", "tshark", "python3"), () => {
  let cluster: Cluster;
  let a: Guest;
  let b: Guest;

  beforeAll(async () => {
    cluster = await Cluster.create("bridgeloop");
    for (const name of ["a", "b"]) await addBridgedSite(cluster, name);
    a = await addGuest(cluster, cluster.agent("a").site, "ga");
    b = await addGuest(cluster, cluster.agent("b").site, "gb");
    for (const agent of cluster.agents) {
      agent.start();
      await ringed(agent);
    }
    await cluster.settled();
    for (const guest of [a, b]) guest.startDhcp();
    for (const guest of [a, b]) await guest.bound();
    expect(await a.reaches((await b.address()) ?? "")).toBe(true);
  });
  afterAll(() => cluster?.remove());

  it("a cable between the two bridges: one of the two stops, both say so", async () => {
    const started = performance.now();
    await plugCable();
    await eventually("one stops bridging", async () => (await stopped()).length > 0, 30_000);
    figure(`loop cut ${secondsSince(started)} after the cable was plugged`);
    const isToldByBoth = async () => (await saidBy("bridge-loop")).length === 2;
    await eventually("both say so", isToldByBoth, 10_000);
    expect(await stopped()).toHaveLength(1);
  });

  it("a broadcast arrives once; the machines reach each other over the cable", async () => {
    await eventually("both TAPs have their carrier back", bothHaveCarrier, 10_000);
    const arriving = await Capture.start(b.site, "eth0", `udp port ${FORGED_PORT}`);
    const party = { mac: await a.mac(), ip: (await a.address()) ?? "" };
    const everybody = { mac: "ff:ff:ff:ff:ff:ff", ip: "10.86.255.255" };
    const frame = ipv4Frame(party, everybody);
    await sendFrames(
      a.site,
      "eth0",
      Array.from({ length: BROADCASTS }, () => frame),
    );
    const count = async () => (await arriving.read("udp", ["ip.src"])).length;
    await eventually("they arrive", async () => (await count()) >= BROADCASTS, 10_000);
    const to = (await b.address()) ?? "";
    const answers = async () => a.reaches(to);
    await eventually("the other guest answers over the cable", answers, 30_000);
    expect(await count()).toBe(BROADCASTS);
  });

  it("the cable is pulled: both bridge again", async () => {
    const started = performance.now();
    await cluster.agent("a").site.run(["ip", "link", "del", CABLE]);
    const isOver = async () => (await saidBy("bridge-loop-over")).length === 2;
    await eventually("both say that it is over", isOver, 30_000);
    expect(await stopped()).toEqual([]);
    const to = (await b.address()) ?? "";
    await eventually("the guests reach each other again", async () => a.reaches(to), 30_000);
    figure(`guests reach each other over the overlay ${secondsSince(started)} after it was pulled`);
  });

  /** It is off for a second, so that the bridges forget what they learned. */
  async function bothHaveCarrier(): Promise<boolean> {
    const shown = cluster.agents.map(({ site }) => site.run(["ip", "link", "show", "dev", TAP]));
    return (await Promise.all(shown)).every((text) => !text.includes("NO-CARRIER"));
  }

  async function plugCable(): Promise<void> {
    const [here, there] = [cluster.agent("a").site, cluster.agent("b").site];
    await cluster.lab.plug(here, CABLE, { namespace: there.namespace, bridge: BRIDGE });
    await here.run(["ip", "link", "set", CABLE, "master", BRIDGE]);
  }

  /** Agents that say that they do not bridge at the moment. */
  async function stopped(): Promise<Agent[]> {
    const found: Agent[] = [];
    for (const agent of cluster.agents) {
      const lines = (await agent.status())?.health ?? [];
      if (lines.some((line) => line.includes("this node stopped bridging"))) found.push(agent);
    }
    return found;
  }

  async function saidBy(what: string): Promise<Agent[]> {
    return cluster.agents.filter((agent) => agent.logLines().some((line) => line.msg === what));
  }
});
