import { afterAll, beforeAll, expect, it } from "vitest";
import type { Agent } from "../../lab/agent.ts";
import { eventually, type Running } from "../../lab/shell.ts";
import { describeWhere } from "../support/requires.ts";
import { Capture } from "./capture.ts";
import { Cluster, figure, kernelNeeds, TAP } from "./cluster.ts";
import { clientsHere, startDhcpClient } from "./dhcp-clients.ts";

/** The shortest lease there is: a renewal every 10 s (T1 = half; udhcpc waits 15 s at least). */
const LEASE = "20s";
const RENEWALS = 3;
const TITLE = "real DHCP clients get, renew and keep their lease";

const here = clientsHere(TITLE);

describeWhere(TITLE, kernelNeeds("tcpdump", "tshark"), () => {
  let cluster: Cluster;
  const clients = new Map<string, Running>();
  const captures = new Map<string, Capture>();
  const addresses = new Map<string, string>();

  beforeAll(async () => {
    cluster = await Cluster.create("dhcp", { lease: LEASE, flags: ["--address", "dhcp"] });
    for (const { name } of here) await cluster.addAgent(name);
    await cluster.startAll();
    for (const { name } of here) {
      captures.set(name, await Capture.start(cluster.agent(name).site, TAP, "udp port 67"));
    }
  });
  afterAll(() => cluster?.remove());

  it.for(here)("$name gets a lease", async ({ name }) => {
    const started = performance.now();
    startClient(name);
    const ip = await settledAddress(name, 15_000);
    figure(`${name}: lease ${((performance.now() - started) / 1000).toFixed(2)} s after its start`);
    addresses.set(name, ip);
    expect(await cluster.ip(name)).toBe(ip);
  });

  it.for(here)(
    "$name renews by unicast and keeps the address",
    { timeout: 120_000 },
    async ({ name }) => {
      const renewed = async () => (await unicastAcks(name)).length >= RENEWALS;
      await eventually(`${name} renewed ${RENEWALS} times`, renewed, 90_000, 2_000);
      const acks = await unicastAcks(name);
      figure(`${name}: ${acks.length} unicast renewals acknowledged`);
      expect(new Set(acks)).toEqual(new Set([addresses.get(name)]));
      expect(await addressOf(cluster.agent(name))).toBe(addresses.get(name));
    },
  );

  it("all keep the address when their agents restart one after another", async () => {
    const before = new Map<string, number>();
    for (const { name } of here) {
      const agent = cluster.agent(name);
      const mac = (await agent.status())?.mac;
      await agent.stop();
      before.set(name, (await acks(name)).length);
      agent.start();
      await agent.explain(() => eventually("it is online", () => isOnline(agent), 20_000));
      expect((await agent.status())?.mac).toBe(mac);
    }
    for (const { name } of here) {
      const seen = before.get(name) ?? 0;
      const again = async () => (await acks(name)).length > seen;
      await eventually(`${name} is acknowledged by the new agent`, again, 40_000, 1_000);
      expect(await settledAddress(name, 15_000)).toBe(addresses.get(name));
      expect(new Set((await acks(name)).slice(seen))).toEqual(new Set([addresses.get(name)]));
    }
  }, 180_000);

  it.for(here)(
    "$name gets the same address when it starts anew",
    { timeout: 40_000 },
    async ({ name }) => {
      await clients.get(name)?.stop();
      await cluster.agent(name).site.run(["ip", "-4", "addr", "flush", "dev", TAP]);
      startClient(name);
      expect(await settledAddress(name, 20_000)).toBe(addresses.get(name));
    },
  );

  function startClient(name: string): void {
    const client = here.find((one) => one.name === name);
    if (client !== undefined)
      clients.set(name, startDhcpClient(client, cluster.agent(name).site, TAP));
  }

  /** The address on the interface once there is one. */
  function settledAddress(name: string, limitMs: number): Promise<string> {
    const address = () => addressOf(cluster.agent(name));
    return cluster.agent(name).explain(async () => {
      try {
        return await eventually(`${name} has an address`, address, limitMs);
      } catch (error) {
        throw new Error(`${(error as Error).message}: ${clients.get(name)?.output.slice(-800)}`);
      }
    });
  }

  /** Addresses that were acknowledged, each ACK one. */
  async function acks(name: string): Promise<string[]> {
    const fields = await captures.get(name)?.read("dhcp.option.dhcp == 5", ["dhcp.ip.your"]);
    return (fields ?? []).map(([ip]) => ip ?? "");
  }

  /** ACKs of a renewal: the client filled in its address (RFC 2131 4.3.6) and both ways are unicast. */
  async function unicastAcks(name: string): Promise<string[]> {
    const requests = await captures
      .get(name)
      ?.read("dhcp.option.dhcp == 3 && dhcp.ip.client != 0.0.0.0 && ip.dst != 255.255.255.255", [
        "dhcp.id",
      ]);
    const asked = new Set((requests ?? []).map(([id]) => id));
    const answers = await captures
      .get(name)
      ?.read("dhcp.option.dhcp == 5 && ip.dst != 255.255.255.255", ["dhcp.id", "dhcp.ip.your"]);
    return (answers ?? []).filter(([id]) => asked.has(id)).map(([, ip]) => ip ?? "");
  }
});

async function isOnline(agent: Agent): Promise<boolean> {
  return (await agent.status())?.state === "online";
}

async function addressOf(agent: Agent): Promise<string | undefined> {
  const { stdout } = await agent.site.finish(["ip", "-o", "-4", "addr", "show", "dev", TAP]);
  return /inet (10\.86\.\d+\.\d+)\//.exec(stdout)?.[1];
}
