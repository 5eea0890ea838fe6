import { afterAll, beforeAll, expect, it } from "vitest";
import type { Agent } from "../../lab/agent.ts";
import { eventually } from "../../lab/shell.ts";
import { describeWhere } from "../support/requires.ts";
import { Cluster, figure, kernelNeeds, LongPing, secondsSince } from "./cluster.ts";

/** Longer than the gap after which an agent that slept renews every link by a handshake. */
const ASLEEP_MS = 6_000;
/** Handshake and first rekey of a renewed link take three round trips. */
const RENEWING_MS = 2_000;
const TITLE = "links mix X-Wing in right after they open, direct or over a relay";

describeWhere(TITLE, kernelNeeds(), () => {
  let cluster: Cluster;
  let agents: readonly [Agent, Agent, Agent];

  beforeAll(async () => {
    cluster = await Cluster.create("pq");
    const [a, b, c] = [
      await cluster.addAgent("a"),
      await cluster.addAgent("b"),
      await cluster.addAgent("c"),
    ];
    agents = [a, b, c];
    await cluster.lab.block(b.site, c.site);
    await cluster.startAll();
  });
  afterAll(() => cluster?.remove());

  it("status and peers say it at all ends", async () => {
    const [, b] = agents;
    const started = performance.now();
    await eventually("every link is post-quantum", () => allMixed(agents), 60_000, 20);
    figure(`post-quantum: three links ${secondsSince(started)} after the ring was closed`);
    expect((await b.status())?.peers.map(({ link }) => link).sort()).toEqual(["direct", "relay"]);
    expect((await b.weft("status")).stdout).toMatch(/^Post-quantum: +2 of 2 links$/m);
    const wide = (await b.weft("peers", "-o", "wide")).stdout;
    expect(wide.split("\n")[0]).toMatch(/ CIPHER +PQ +ADDRESS/);
  });

  it("renewed by handshakes and mixed again after sleep, while pings pass and none is lost", async () => {
    const [a, b] = agents;
    b.kill("SIGSTOP");
    await new Promise((resolve) => setTimeout(resolve, ASLEEP_MS));
    b.kill("SIGCONT");
    const ping = new LongPing(a, await cluster.ip("b"), 0.02);
    await ping.answering();
    await eventually("b renews its links", async () => b.log.includes("woke-up"), 60_000, 20);
    await new Promise((resolve) => setTimeout(resolve, RENEWING_MS));
    await eventually("every link is post-quantum", () => allMixed(agents), 60_000, 20);
    const report = await ping.end();
    figure(`post-quantum: ${report.lost.length} of ${report.sent} pings lost in renewed links`);
    expect(report.lost).toEqual([]);
    for (const agent of agents) expect((await agent.drops()).get("bad-tag") ?? 0).toBe(0);
  });
});

async function allMixed(agents: readonly Agent[]): Promise<boolean> {
  const all = await Promise.all(agents.map((agent) => agent.status()));
  return all.every((status) => {
    const peers = status?.peers ?? [];
    return peers.length === agents.length - 1 && peers.every(({ postQuantum }) => postQuantum);
  });
}
