import { afterAll, beforeAll, expect, it } from "vitest";
import { describeWhere } from "../support/requires.ts";
import { figure, kernelNeeds } from "./cluster.ts";
import { macOf, Swarm, type SwarmSites, startSites, whoHas } from "./swarm.ts";

describeWhere("three sites with 250 clients each", kernelNeeds("python3"), () => {
  const EACH = 250;
  let sites: SwarmSites;
  const ipOf = new Map<number, string>();

  beforeAll(async () => {
    sites = await startSites("hundreds", "10.86.4.0/22", "1h");
  });
  afterAll(() => sites?.cluster.remove());

  it("all of them are bound", { timeout: 540_000 }, async () => {
    const swarms = sites.guests.map((guest, i) => new Swarm(guest, i * 1_000, EACH));
    const all = (await Promise.all(swarms.map((swarm) => swarm.allBound(480_000)))).flat();
    const last = Math.max(...all.map(({ seconds }) => seconds));
    figure(`750 clients of three sites in a /22: the last is bound after ${last.toFixed(1)} s`);
    for (const { number, ip } of all) ipOf.set(number, ip);
    expect(new Set(ipOf.values()).size).toBe(3 * EACH);
    for (const { name } of sites.cluster.agents) {
      const { known } = (await sites.cluster.agent(name).ask("lease")) as unknown as {
        readonly known: readonly { readonly own: boolean }[];
      };
      expect(known.filter(({ own }) => own).length).toBe(EACH);
    }
  });

  it("each site resolves those of the others", { timeout: 180_000 }, async () => {
    for (const [i, guest] of sites.guests.entries()) {
      const others = [...ipOf].filter(([number]) => Math.floor(number / 1_000) !== i);
      const own = { number: i * 1_000, ip: ipOf.get(i * 1_000) ?? "" };
      const found = await whoHas(
        guest,
        own,
        others.map(([, ip]) => ip),
        60,
      );
      const wrong = others.filter(([number, ip]) => found.get(ip) !== macOf(number));
      expect(wrong).toEqual([]);
    }
  });
});
