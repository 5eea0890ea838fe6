import { afterAll, beforeAll, expect, it } from "vitest";
import type { Agent } from "../../lab/agent.ts";
import { eventually } from "../../lab/shell.ts";
import { describeWhere } from "../support/requires.ts";
import { type Cluster, figure, kernelNeeds, reaches, secondsSince } from "./cluster.ts";
import { addHome, linkOf, startInternet } from "./homes.ts";
import { StreamWatch } from "./stream-watch.ts";

const TITLE = "the only bootstrap member is gone for good: the others stay a network";
const GAP_MS = 5_000;
const REJOIN_MS = 30_000;
const RELAY_MS = 10_000;

describeWhere(TITLE, kernelNeeds("conntrack", "iperf3", "tcpdump", "ss"), () => {
  let cluster: Cluster;
  let introducer: Agent;
  let hard: Agent;
  let home: Agent;
  let open: Agent;
  let stream: StreamWatch;

  beforeAll(async () => {
    cluster = await startInternet("natorphans");
    introducer = cluster.agent("public1");
    hard = (await addHome(cluster, "hard", { kind: "symmetric" })).agent;
    home = (await addHome(cluster, "home")).agent;
    await cluster.startAll();
    // it comes last, so that the pair of homes has its relay already
    open = await cluster.addAgent("open");
    open.start();
    await open.online();
    await cluster.settled();
  });
  afterAll(async () => {
    await stream?.end();
    await cluster?.remove();
  });

  it("a member takes over relaying", async () => {
    expect(await linkOf(hard, home)).toBe("relay");
    stream = await StreamWatch.start(hard, home, await cluster.ip("home"));
    const gone = async () => {
      introducer.kill("SIGKILL");
      await introducer.exited();
    };
    const silentMs = await stream.silenceAfter(gone, RELAY_MS + 5_000);
    figure(`relay killed: ${(silentMs / 1000).toFixed(2)} s of silence until another carries on`);
    expect(silentMs).toBeLessThan(RELAY_MS);
    const peer = (await hard.status())?.peers.find(({ name }) => name === "home");
    expect(peer).toMatchObject({ link: "relay", relay: "open" });
  });

  it("a link that needs no relay loses nothing for long", async () => {
    await stream.end();
    introducer.start();
    await introducer.online();
    await cluster.settled();
    stream = await StreamWatch.start(home, open, await cluster.ip("open"));
    const gone = async () => {
      introducer.kill("SIGKILL");
      await introducer.exited();
    };
    const silentMs = await stream.silenceAfter(gone, GAP_MS + 5_000);
    figure(`bootstrap killed: ${(silentMs / 1000).toFixed(2)} s of silence on another link`);
    expect(silentMs).toBeLessThan(GAP_MS);
  });

  it("a member that restarts finds the others by the peers it remembers", async () => {
    const ip = await cluster.ip("home");
    await home.stop();
    home.start();
    const started = performance.now();
    await eventually("the others reach it", () => reaches(open, ip), REJOIN_MS, 200);
    figure(`restart without any bootstrap: reached again after ${secondsSince(started)}`);
    expect(await home.online()).toBe(ip);
  });
});
