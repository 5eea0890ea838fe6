import { afterAll, beforeAll, expect, it } from "vitest";
import { eventually } from "../../lab/shell.ts";
import { describeWhere } from "../support/requires.ts";
import type { Guest } from "./bridged.ts";
import { figure, kernelNeeds } from "./cluster.ts";
import { macOf, Swarm, type SwarmSites, startSites, whoHas } from "./swarm.ts";

describeWhere("24 clients of three sites in a /27", kernelNeeds("python3"), () => {
  let sites: SwarmSites;
  const swarms: Swarm[] = [];
  /** Who comes when all is taken. */
  let late: Swarm;

  beforeAll(async () => {
    sites = await startSites("pool", "10.86.5.32/27", "10m");
  });
  afterAll(() => sites?.cluster.remove());

  it("start within a second and have 24 addresses within half a minute", async () => {
    for (const [i, guest] of sites.guests.entries()) swarms.push(new Swarm(guest, i * 100, 8));
    const bound = (await Promise.all(swarms.map((swarm) => swarm.allBound(120_000)))).flat();
    const last = Math.max(...bound.map(({ seconds }) => seconds));
    figure(`24 clients of three sites in a /27: the last is bound after ${last.toFixed(2)} s`);
    expect(new Set(bound.map(({ ip }) => ip)).size).toBe(24);
    expect(last).toBeLessThanOrEqual(30);
    expect(swarms.map((swarm) => swarm.count("nak"))).toEqual([0, 0, 0]);
  });

  it("each of them is known at the other sites", async () => {
    const bound = swarms.flatMap((swarm) => swarm.bound);
    for (const [i, guest] of sites.guests.entries()) {
      const own = bound.find(({ number }) => Math.floor(number / 100) === i);
      if (own === undefined) throw new Error(`no client at site ${i}`);
      const others = bound.filter(({ number }) => Math.floor(number / 100) !== i);
      const ips = others.map(({ ip }) => ip);
      const found = await whoHas(guest, own, ips, 90);
      expect(others.filter(({ number, ip }) => found.get(ip) !== macOf(number))).toEqual([]);
    }
  });

  it("the pool is full: the next one is offered nothing, and the agent says why", async () => {
    const filling = new Swarm(at(1), 1_000, 5);
    swarms.push(filling);
    await filling.allBound(120_000);
    late = new Swarm(at(0), 2_000, 1);
    const agent = agentOf("a");
    const lines = () => agent.logLines().filter(({ msg }) => msg === "pool-full");
    await eventually("the log says that the pool is full", async () => lines().length > 0, 120_000);
    figure(`full pool: "${lines()[0]?.["condition"]}"`);
    expect(String(lines()[0]?.["condition"])).toContain("10.86.5.32/27");
    const health = (await agent.status())?.health ?? [];
    expect(health.join("\n")).toContain("the pool is full");
    expect(late.count("offer")).toBe(0);
  });

  it("one release, and who waited has the address within a minute", async () => {
    const began = performance.now();
    const ip = await (swarms[2] as Swarm).releaseFirst();
    const [bound] = await late.allBound(120_000);
    const seconds = (performance.now() - began) / 1_000;
    figure(`full pool: who waits is bound ${seconds.toFixed(1)} s after another's release`);
    expect(bound?.ip).toBe(ip);
    expect(
      agentOf("a")
        .logLines()
        .filter(({ msg }) => msg === "pool-full").length,
    ).toBeLessThan(4);
  });

  function at(index: number): Guest {
    return sites.guests[index] as Guest;
  }

  function agentOf(name: string) {
    return sites.cluster.agent(name);
  }
});
