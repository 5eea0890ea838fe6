import { readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Agent } from "../../lab/agent.ts";
import { describeWhere } from "../support/requires.ts";
import { addBridgedSite, addGuest, GUEST_DEVICE, type Guest, ringed } from "./bridged.ts";
import { Cluster, figure, kernelNeeds, secondsSince } from "./cluster.ts";
import { type Storm, stormOfClients, stormOfRelayAgent } from "./perfdhcp.ts";

const TITLE = "perfdhcp behind a bridge harms nobody";
/** A few seconds here; a minute with `npm run test:nat`. */
const IS_FULL = process.env["WEFT_NAT"] === "full";
const STORM: Storm = { clients: 500, perSecond: 50, seconds: IS_FULL ? 60 : 8 };
/** The others renew within a long storm, and five hundred clients do not renew all at once. */
const LEASE = "60s";
const STORM_IP = "10.86.250.1";
/** What an agent may have more afterwards: 500 leases and their records are less than 10 MB. */
const GROWTH_MAX_KB = 80_000;
/** Hundreds of leases are still renewed then; where processor time is short this takes its time. */
const LATE_MS = 120_000;
/** Lines of log of a whole storm: each condition is told once a minute. */
const LINES_MAX = 20;

describeWhere(TITLE, kernelNeeds("perfdhcp"), () => {
  let cluster: Cluster;
  let here: Guest;
  let there: Guest;
  let storm: Guest;
  const addresses: string[] = [];

  beforeAll(async () => {
    cluster = await Cluster.create("bridgestorm", { lease: LEASE });
    for (const name of ["a", "b", "c"]) {
      const agent = await addBridgedSite(cluster, name);
      agent.start();
      await ringed(agent);
    }
    await cluster.settled();
    [here, there, storm] = [await guestAt("a"), await guestAt("b"), await guestAt("a", "storm")];
    for (const guest of [here, there]) {
      guest.startDhcp();
      addresses.push(await guest.bound());
    }
    await storm.site.run(["ip", "addr", "add", `${STORM_IP}/16`, "dev", GUEST_DEVICE]);
  });
  afterAll(() => cluster?.remove());

  it("as a relay agent it gets no answer", { timeout: 240_000 }, async () => {
    await unharmed(async () => {
      const report = await stormOfRelayAgent(storm.site, GUEST_DEVICE, { ...STORM, seconds: 3 });
      expect(report.discovers).toBeGreaterThan(0);
      expect(report.offers).toBe(0);
    });
  });

  it(`as ${STORM.clients} clients, ${STORM.perSecond} exchanges a second`, {
    timeout: 360_000,
  }, async () => {
    await unharmed(async () => {
      const to = { device: GUEST_DEVICE, ip: STORM_IP };
      const { discovers, offers, requests, acks } = await stormOfClients(storm.site, to, STORM);
      figure(
        `perfdhcp: ${discovers} DISCOVER, ${offers} OFFER, ${requests} REQUEST, ${acks} ACK in ${STORM.seconds} s`,
      );
      expect(acks).toBeGreaterThan(0);
    });
  });

  /** The others keep their addresses and go on renewing them, the agent stays small and quiet. */
  async function unharmed(during: () => Promise<void>): Promise<void> {
    const agent = cluster.agent("a");
    const [before, lines] = [residentKb(agent), agent.logLines().length];
    await during();
    const grown = residentKb(agent) - before;
    const told = agent.logLines().slice(lines);
    const words = [...new Set(told.map(({ msg }) => msg))];
    figure(`perfdhcp: the agent has ${grown} kB more, and said ${told.length} lines: ${words}`);
    expect(grown).toBeLessThan(GROWTH_MAX_KB);
    expect(told.length).toBeLessThan(LINES_MAX);
    // it may say that this machine is short of processor time
    expect((await agent.status())?.state).toMatch(/^(online|degraded)$/);
    expect([await here.address(), await there.address()]).toEqual(addresses);
    expect(await here.reaches(addresses[1] ?? "")).toBe(true);
    expect(await there.reaches(addresses[0] ?? "")).toBe(true);
    const late = await guestAt("a");
    late.startDhcp();
    const asked = performance.now();
    await late.bound(LATE_MS);
    figure(`perfdhcp: the next machine is bound after ${secondsSince(asked)}`);
  }

  let guests = 0;
  function guestAt(site: string, name = `guest${++guests}`): Promise<Guest> {
    return addGuest(cluster, cluster.agent(site).site, name);
  }
});

function residentKb(agent: Agent): number {
  const status = readFileSync(`/proc/${agent.pid}/status`, "utf8");
  return Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1]);
}
