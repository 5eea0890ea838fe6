import { afterAll, beforeAll, expect, it } from "vitest";
import { eventually } from "../../lab/shell.ts";
import { describeWhere } from "../support/requires.ts";
import { Cluster, figure, kernelNeeds, LongPing, reaches, secondsSince } from "./cluster.ts";

const TITLE =
  "all bootstrap members die: links go on, restarted members come back by peers they know";
const SITES = ["boot1", "boot2", "a", "b", "c"];
const BOOTSTRAPS = 2;
const REJOINED_MS = 30_000;
/** Ten pings a second: what five seconds of silence would cost. */
const LOST_MAX = 50;

describeWhere(TITLE, kernelNeeds(), () => {
  let cluster: Cluster;

  beforeAll(async () => {
    cluster = await Cluster.start("cached", SITES, { bootstraps: BOOTSTRAPS, extra: "lan: off" });
  });
  afterAll(() => cluster?.remove());

  it("a link between others loses next to nothing", async () => {
    const [a, b] = [cluster.agent("a"), cluster.agent("b")];
    const ping = new LongPing(a, await cluster.ip("b"));
    await ping.answering();
    for (const name of SITES.slice(0, BOOTSTRAPS)) cluster.agent(name).kill("SIGKILL");
    for (const name of SITES.slice(0, BOOTSTRAPS)) await cluster.agent(name).exited();
    const alone = async () => {
      const peers = (await b.status())?.peers.map(({ name }) => name).sort();
      return peers?.join() === "a,c";
    };
    await eventually("the dead are gone from the ring", alone, 60_000, 200);
    const report = await ping.end();
    figure(`bootstrap members killed: ${report.lost.length} of ${report.sent} pings lost`);
    expect(report.lost.length).toBeLessThan(LOST_MAX);
  });

  it("a member that stops and one that is killed are back within 30 s", async () => {
    const ips = new Map([
      ["a", await cluster.ip("a")],
      ["b", await cluster.ip("b")],
    ]);
    await cluster.agent("a").stop();
    cluster.agent("b").kill("SIGKILL");
    await cluster.agent("b").exited();
    const c = cluster.agent("c");
    for (const [name, ip] of ips) {
      const startedMs = performance.now();
      cluster.agent(name).start();
      await cluster
        .agent(name)
        .explain(() => eventually(`${name} answers`, () => reaches(c, ip), REJOINED_MS, 100));
      figure(`cached peers: ${name} answers ${secondsSince(startedMs)} after \`weft up\``);
    }
  });

  it("all members restarted at once find each other by their files alone", async () => {
    const members = ["a", "b", "c"].map((name) => cluster.agent(name));
    await Promise.all(members.map((member) => member.stop()));
    const startedMs = performance.now();
    for (const member of members) member.start();
    await eventually(
      "three members, each linked to the others",
      async () => {
        const all = await Promise.all(members.map((member) => member.status()));
        return all.every((status) => status?.peers.length === 2 && status.ring.stable);
      },
      REJOINED_MS,
      200,
    );
    figure(`cached peers: three members meet again ${secondsSince(startedMs)} after \`weft up\``);
  });
});
