import { afterAll, expect, it } from "vitest";
import type { Agent } from "../../lab/agent.ts";
import { eventually } from "../../lab/shell.ts";
import { describeWhere } from "../support/requires.ts";
import { type Cluster, figure, kernelNeeds, LongPing, readPing, secondsSince } from "./cluster.ts";
import { addHome, startInternet } from "./homes.ts";

const TITLE = "a site whose firewall lets only TCP 80 and 443 out";
/** A ping each 0.2 s, from the moment that the address is there. */
const FIRST_PING = ["ping", "-n", "-c", "25", "-i", "0.2", "-W", "1"];

async function transportOf(from: Agent, to: string): Promise<string | undefined> {
  return (await from.status())?.peers.find((peer) => peer.name === to)?.transport;
}

describeWhere(TITLE, kernelNeeds("conntrack"), () => {
  let cluster: Cluster;
  afterAll(() => cluster?.remove());

  it("joins over TLS, is reached by members behind NATs, and goes back to UDP", async () => {
    cluster = await startInternet("udpblocked");
    const { agent: other } = await addHome(cluster, "other");
    await cluster.startAll();
    const { agent: blocked, box } = await addHome(cluster, "blocked", { kind: "udp_blocked" });
    const begunMs = performance.now();
    blocked.start();
    await blocked.online();
    figure(`online over TLS after ${secondsSince(begunMs)}`);
    expect(await transportOf(blocked, "public1")).toBe("tls");
    expect((await blocked.weft("peers")).stdout).toMatch(/public1 .* tls /);
    const ip = await cluster.ip("blocked");
    for (const from of [other, cluster.agents[0] as Agent]) {
      const { stdout } = await from.site.finish([...FIRST_PING, ip]);
      expect(readPing(stdout).answered.length).toBeGreaterThan(20);
    }

    const ping = new LongPing(other, ip);
    await ping.answering();
    expect(await transportOf(blocked, "public1")).toBe("tls");
    await box.machine.run(["nft", "flush", "chain", "ip", "guard", "forward"]);
    const allowedMs = performance.now();
    const isBack = async () => (await transportOf(blocked, "public1")) === "udp";
    await eventually("UDP is used again", isBack, 90_000);
    figure(`back on UDP after ${secondsSince(allowedMs)}`);
    expect((await ping.end()).lost).toEqual([]);
  }, 240_000);
});
