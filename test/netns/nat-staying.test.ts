import { afterAll, beforeAll, expect, it } from "vitest";
import type { Agent } from "../../lab/agent.ts";
import { NatBox } from "../../lab/nat-box.ts";
import { type Running, run } from "../../lab/shell.ts";
import { describeWhere } from "../support/requires.ts";
import { type Cluster, figure, kernelNeeds, secondsSince } from "./cluster.ts";
import { addHome, linkOf, startInternet, untilDirect } from "./homes.ts";
import { lastTick, openSession, startSshServer, ticks, ticksPast } from "./ssh-session.ts";
import { StreamWatch } from "./stream-watch.ts";

/** The promise is 100 ms; a processor shared with everything else of this test may take some more. */
const UPGRADE_GAP_MS = 250;
const TITLE = "two homes stay connected while their networks change";

describeWhere(TITLE, kernelNeeds("conntrack", "iperf3", "ssh", "sshd", "tcpdump", "ss"), () => {
  let cluster: Cluster;
  let homes: readonly [NatBox, NatBox];
  let a: Agent;
  let b: Agent;
  let stream: StreamWatch;
  let session: Running;

  beforeAll(async () => {
    cluster = await startInternet("natstaying");
    const [homeA, homeB] = [await addHome(cluster, "a"), await addHome(cluster, "b")];
    homes = [homeA.box, homeB.box];
    [a, b] = [homeA.agent, homeB.agent];
    await homes[1].addRules(dropAt("closed", `ip saddr ${homes[0].outside}`));
    await cluster.startAll();
    const ip = await cluster.ip("b");
    const key = await startSshServer(b, ip);
    session = openSession(a, key, ip);
    await ticksPast(session, 2);
    stream = await StreamWatch.start(a, b, ip);
  });
  afterAll(async () => {
    await stream?.end();
    await cluster?.remove();
  });

  it("from relay to direct: no gap worth the name", async () => {
    expect(await linkOf(a, b)).toBe("relay");
    const upgrade = async () => {
      await homes[1].addRules("delete table ip closed\n");
      await untilDirect(a, b);
    };
    const silentMs = await stream.silenceAfter(upgrade, 60_000);
    figure(`relay to direct: ${silentMs.toFixed(0)} ms of silence in a 10 Mbit/s stream`);
    expect(silentMs).toBeLessThan(UPGRADE_GAP_MS);
    await countsOn("relay to direct");
  });

  it("a NAT restarts and hands out other ports: at most 15 s of silence", async () => {
    await silence("NAT reboot", () => homes[0].reboot({ firstPort: 10_000 }), 15_000);
  });

  it("half of the path breaks: at most 10 s of silence", async () => {
    const deaf = () => homes[1].addRules(dropAt("deaf", `ip saddr ${homes[0].outside}`));
    await silence("half-open path", deaf, 10_000);
    const dropped = await homes[1].machine.run(["nft", "list", "table", "ip", "deaf"]);
    expect(Number(/packets (\d+)/.exec(dropped)?.[1])).toBeGreaterThan(0);
    await homes[1].addRules("delete table ip deaf\n");
  });

  it("the provider renumbers a home and nobody is told: at most 15 s of silence", async () => {
    await silence("unnoticed change of network", () => homes[0].renumber(), 15_000);
  });

  it("a moves to another network and notices: at most 2 s of silence", async () => {
    const other = await NatBox.create(cluster.lab, "a-other", {
      kind: "portrestricted",
      lan: "172.20.5",
    });
    const move = async () => {
      await run(["ip", "-n", a.site.namespace, "link", "del", "eth0"]);
      await other.connect(a.site);
    };
    await silence("noticed change of network", move, 2_000);
  });

  /** The ssh session of the beginning goes on: it is past where it was, and left nothing out. */
  async function countsOn(what: string): Promise<void> {
    const changedMs = performance.now();
    await ticksPast(session, lastTick(session));
    figure(`${what}: the ssh session counts on after ${secondsSince(changedMs)}`);
    expect(session.isRunning).toBe(true);
    expect(ticks(session)).toEqual(Array.from({ length: ticks(session).length }, (_, i) => i));
  }

  /** What happened, and for how long nothing of a 10 Mbit/s stream arrived. */
  async function silence(what: string, event: () => Promise<unknown>, limitMs: number) {
    await untilDirect(a, b);
    const silentMs = await stream.silenceAfter(event, limitMs + 5_000);
    figure(`${what}: ${(silentMs / 1000).toFixed(2)} s of silence in a 10 Mbit/s stream`);
    expect(silentMs).toBeLessThan(limitMs);
    await countsOn(what);
  }
});

/** A table of a router that drops UDP which `matches`. */
function dropAt(table: string, matches: string): string {
  return `table ip ${table} {
  chain forward {
    type filter hook forward priority 0; policy accept;
    ${matches} meta l4proto udp counter drop
  }
}
`;
}
