import { afterAll, beforeAll, expect, it } from "vitest";
import { linkLocalOf } from "../../src/base/net.ts";
import { describeWhere } from "../support/requires.ts";
import { addBridgedSite, addGuest, type Guest, ringed } from "./bridged.ts";
import { Cluster, figure, kernelNeeds, secondsSince } from "./cluster.ts";

const TITLE = "machines of other sites are found: once, quickly, and nobody else";
const RANGE = "10.86.5.0/24";
const LOOKUPS_MAX = 300;
const SCAN_MS = 60_000;

describeWhere(TITLE, kernelNeeds("udhcpc", "nmap", "fping", "arping", "ndisc6"), () => {
  let cluster: Cluster;
  const guests: Guest[] = [];
  const addresses: string[] = [];

  beforeAll(async () => {
    cluster = await Cluster.create("bridgefind", { range: RANGE });
    for (const name of ["a", "b"]) {
      const agent = await addBridgedSite(cluster, name);
      for (const number of [1, 2, 3]) {
        guests.push(await addGuest(cluster, agent.site, `${name}${number}`));
      }
    }
    for (const agent of cluster.agents) {
      agent.start();
      await ringed(agent);
    }
    await cluster.settled();
    for (const guest of guests) guest.startDhcp();
    for (const guest of guests) addresses.push(await guest.bound());
  });
  afterAll(() => cluster?.remove());

  it("nmap -sn finds every machine, in time and with few look-ups", async () => {
    const before = await lookups();
    const started = performance.now();
    const nmap = await first().site.run(["nmap", "-sn", "-n", "-oG", "-", RANGE]);
    const elapsed = performance.now() - started;
    const up = [...nmap.matchAll(/Host: (\S+) .*Status: Up/g)].map((match) => match[1]);
    const asked = (await lookups()) - before;
    figure(`nmap -sn ${RANGE}: ${secondsSince(started)}, ${asked} look-ups, ${up.length} hosts up`);
    // the server's address answers ARP everywhere
    expect(new Set(up)).toEqual(new Set([...addresses, "10.86.5.1"]));
    expect(asked).toBeLessThanOrEqual(LOOKUPS_MAX);
    expect(elapsed).toBeLessThan(SCAN_MS);
  }, 120_000);

  it("fping of the whole range is right for every address", async () => {
    const { stdout } = await first().site.finish(["fping", "-a", "-q", "-r", "1", "-g", RANGE]);
    expect(new Set(stdout.split("\n").filter((line) => line !== ""))).toEqual(new Set(addresses));
  }, 120_000);

  it("arping and ndisc6 are answered across sites, with the right MAC", async () => {
    const there = guests[3];
    const mac = (await there?.mac()) ?? "";
    // the first question is broadcast, the second goes to the MAC that answered
    const arping = ["arping", "-c", "2", "-w", "10", "-I", "eth0", addresses[3] ?? ""];
    const { stdout: replies } = await first().site.finish(arping);
    expect(
      [...replies.toLowerCase().matchAll(/unicast reply from .* \[([0-9a-f:]+)\]/g)].map(at1),
    ).toEqual([mac, mac]);
    expect(replies).toContain("(1 broadcast(s))");
    const ndisc6 = ["ndisc6", "-1", "-r", "3", linkLocalOf(mac), "eth0"];
    const { stdout, stderr } = await first().site.finish(ndisc6);
    expect(`${stdout}${stderr}`.toLowerCase()).toContain(mac);
    expect(await first().reaches(`${linkLocalOf(mac)}%eth0`)).toBe(true);
  });

  it("udhcpc -a beside all this declines nothing", async () => {
    await first().stopDhcp();
    first().startDhcp("-a");
    expect(await first().bound()).toBe(addresses[0]);
    expect(first().said).not.toMatch(/declin/i);
  });

  const at1 = (match: RegExpMatchArray) => match[1];

  function first(): Guest {
    const [guest] = guests;
    if (guest === undefined) throw new Error("no guest");
    return guest;
  }

  async function lookups(): Promise<number> {
    const { lease = 0, mac = 0 } = (await cluster.agent("a").status())?.lookups ?? {};
    return lease + mac;
  }
});
