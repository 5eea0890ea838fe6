import { afterAll, afterEach, expect, it } from "vitest";
import type { Agent } from "../../lab/agent.ts";
import { eventually } from "../../lab/shell.ts";
import { describeWhere } from "../support/requires.ts";
import { Cluster, figure, kernelNeeds, LongPing, secondsSince } from "./cluster.ts";

const TITLE = "a pair over a relay moves to another one when its relay dies or drops";

/** Forty looks: a path that flaps shows it within a few. */
const STAYS_MS = 10_000;

describeWhere(TITLE, kernelNeeds(), () => {
  let cluster: Cluster | undefined;
  afterEach(() => cluster?.remove());
  afterAll(() => cluster?.remove());

  it("kill -9 of the relay under traffic: another member carries within 10 s", async () => {
    cluster = await relayedPair("dead");
    const [a, b] = [cluster.agent("a"), cluster.agent("b")];
    const ping = new LongPing(a, await cluster.ip("b"));
    await ping.answering();
    const used = await relayOf(a, b);
    const started = performance.now();
    cluster.agent(used).kill("SIGKILL");
    await eventually(
      "another relay",
      async () => ![used, ""].includes(await relayOf(a, b)),
      15_000,
    );
    const seconds = secondsSince(started);
    expect(performance.now() - started).toBeLessThan(10_000);
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    const { lost, sent } = await ping.end();
    figure(`relay killed: another one after ${seconds}, ${lost.length} of ${sent} pings lost`);
    expect(lost.length).toBeLessThan(100);
  });

  it("a relay that drops a fifth towards one of them is replaced, and stays so", async () => {
    cluster = await relayedPair("drops");
    const [a, b] = [cluster.agent("a"), cluster.agent("b")];
    const used = await relayOf(a, b);
    const started = performance.now();
    await dropsFifth(cluster.agent(used), b);
    // two losses in a row make it change at once, and perhaps back: then it is judged by ten percent of many
    let elsewhereSince = performance.now();
    const isElsewhere = async () => {
      const relays = [await relayOf(a, b), await relayOf(b, a)];
      if (relays.includes(used) || relays.includes("")) elsewhereSince = performance.now();
      return performance.now() - elsewhereSince > STAYS_MS;
    };
    await eventually("both ends use another relay, and go on to", isElsewhere, 180_000, 250);
    figure(`relay that drops 20 %: left for good after ${secondsSince(started)}`);
  }, 240_000);
});

/** a and b reach c, d and e, but not each other. */
async function relayedPair(name: string): Promise<Cluster> {
  const cluster = await Cluster.create(name, { bootstraps: 3 });
  for (const site of ["c", "d", "e", "a", "b"]) await cluster.addAgent(site);
  const [a, b] = [cluster.agent("a"), cluster.agent("b")];
  await cluster.lab.block(a.site, b.site);
  await cluster.startAll();
  await eventually("a relay carries", async () => (await relayOf(a, b)) !== "", 20_000);
  // until the second one is warm
  await new Promise((resolve) => setTimeout(resolve, 3_000));
  return cluster;
}

/** Name of the member through which `from` sends to `to`; empty when none. */
async function relayOf(from: Agent, to: Agent): Promise<string> {
  const peers = (await from.status())?.peers ?? [];
  return peers.find((peer) => peer.name === to.name)?.relay ?? "";
}

async function dropsFifth(relay: Agent, to: Agent): Promise<void> {
  const rules = `add table ip loss
add chain ip loss out { type filter hook output priority 0; policy accept; }
add rule ip loss out ip daddr ${to.site.ip} udp dport 7117 numgen random mod 100 < 20 drop
`;
  await relay.site.run(["nft", "-f", "-"], { input: rules });
}
