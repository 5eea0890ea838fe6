import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { eventually, type Running } from "../../lab/shell.ts";
import { describeWhere } from "../support/requires.ts";
import { addBridgedSite, addGuest, BRIDGE, type Guest, ringed } from "./bridged.ts";
import { Capture } from "./capture.ts";
import { Cluster, figure, kernelNeeds } from "./cluster.ts";
import { clientsHere, secondsToAck, startDhcpClient } from "./dhcp-clients.ts";

const TITLE = "real DHCP clients behind a bridge";
/** The shortest lease there is: a renewal every 10 s (udhcpc waits 15 s at least). */
const LEASE = "20s";
const RENEWALS = 3;
const BOUND_SECONDS = 10;
const DEVICE = "eth0";
const SERVER = "10.86.0.1";
/** Of another network: nobody may use it here. */
const FOREIGN = "192.168.44.44";

const here = clientsHere(TITLE);

describeWhere(TITLE, kernelNeeds("tcpdump", "tshark"), () => {
  let cluster: Cluster;
  let capture: Capture;
  const guests = new Map<string, Guest>();
  const running = new Map<string, Running>();
  const addresses = new Map<string, string>();

  beforeAll(async () => {
    cluster = await Cluster.create("bridgeclients", { lease: LEASE });
    for (const name of ["a", "b"]) {
      const agent = await addBridgedSite(cluster, name);
      agent.start();
      await ringed(agent);
    }
    await cluster.settled();
    const { site } = cluster.agent("a");
    for (const { name } of here) guests.set(name, await addGuest(cluster, site, name));
    capture = await Capture.start(site, BRIDGE, "udp port 67");
  });
  afterAll(() => cluster?.remove());

  it.for(here)("$name is bound within 10 s", { timeout: 60_000 }, async ({ name }) => {
    startClient(name);
    addresses.set(name, await guest(name).bound());
    const seconds = await secondsToAck(capture, await guest(name).mac());
    figure(`${name} behind a bridge: ACK ${seconds.toFixed(2)} s after its first question`);
    expect(seconds).toBeLessThanOrEqual(BOUND_SECONDS);
  });

  it("all have addresses of their own, known at the other site", async () => {
    expect(new Set(addresses.values()).size).toBe(here.length);
    const other = await addGuest(cluster, cluster.agent("b").site, "other");
    other.startDhcp();
    await other.bound();
    for (const ip of addresses.values()) expect(await other.reaches(ip), ip).toBe(true);
  });

  it.for(here)("$name renews by unicast", { timeout: 120_000 }, async ({ name }) => {
    const renewed = async () => (await renewals(name)).length >= RENEWALS;
    await eventually(`${name} renewed ${RENEWALS} times`, renewed, 90_000, 2_000);
    expect(new Set(await renewals(name))).toEqual(new Set([addresses.get(name)]));
  });

  it.for(here)("$name: stop and start keep the address", { timeout: 60_000 }, async ({ name }) => {
    await running.get(name)?.stop();
    await guest(name).site.run(["ip", "-4", "addr", "flush", "dev", DEVICE]);
    startClient(name);
    expect(await guest(name).bound()).toBe(addresses.get(name));
  });

  it.skipIf(!here.some(({ name }) => name === "dhclient"))(
    "a machine that brings an address of another network gets NAK, then one of its own",
    { timeout: 60_000 },
    async () => {
      const roamer = await addGuest(cluster, cluster.agent("a").site, "roamer");
      writeFileSync(join(roamer.site.folder, "dhclient.leases"), leaseOf(FOREIGN));
      const mac = await roamer.mac();
      const client = here.find(({ name }) => name === "dhclient");
      if (client !== undefined) startDhcpClient(client, roamer.site, DEVICE);
      expect(await roamer.bound()).toMatch(/^10\.86\./);
      const asked = `dhcp.option.dhcp == 3 && dhcp.option.requested_ip_address == ${FOREIGN}`;
      expect(
        (await capture.read(`${asked} && dhcp.hw.mac_addr == ${mac}`, ["dhcp.id"])).length,
      ).toBeGreaterThan(0);
      const refused = `dhcp.option.dhcp == 6 && dhcp.hw.mac_addr == ${mac}`;
      expect((await capture.read(refused, ["dhcp.id"])).length).toBeGreaterThan(0);
    },
  );

  it("RELEASE frees the address", { timeout: 60_000 }, async () => {
    const leaver = await addGuest(cluster, cluster.agent("a").site, "leaver");
    leaver.startDhcp("-R");
    const ip = await leaver.bound();
    const isHeld = async () => (await cluster.agent("b").weft("lease", "show", ip)).status === 0;
    expect(await isHeld()).toBe(true);
    await leaver.releaseDhcp();
    await eventually("nobody holds it", async () => !(await isHeld()), 20_000, 500);
  });

  it("nobody ever declined an address", async () => {
    expect(await capture.read("dhcp.option.dhcp == 4", ["dhcp.hw.mac_addr"])).toEqual([]);
  });

  function startClient(name: string): void {
    const client = here.find((one) => one.name === name);
    if (client === undefined) throw new Error(`no client ${name}`);
    running.set(name, startDhcpClient(client, guest(name).site, DEVICE));
  }

  function guest(name: string): Guest {
    const found = guests.get(name);
    if (found === undefined) throw new Error(`no guest ${name}`);
    return found;
  }

  /** Addresses acknowledged to a unicast renewal (RFC 2131, 4.3.6), by unicast. */
  async function renewals(name: string): Promise<string[]> {
    const own = `dhcp.hw.mac_addr == ${await guest(name).mac()}`;
    const asked = `dhcp.option.dhcp == 3 && dhcp.ip.client != 0.0.0.0 && ip.dst == ${SERVER}`;
    const ids = (await capture.read(`${own} && ${asked}`, ["dhcp.id"])).map(([id]) => id);
    const granted = `${own} && dhcp.option.dhcp == 5 && ip.dst != 255.255.255.255`;
    const acks = await capture.read(granted, ["dhcp.id", "dhcp.ip.your"]);
    return acks.filter(([id]) => ids.includes(id)).map(([, ip]) => ip ?? "");
  }
});

/** What dhclient remembers of a lease that still holds. */
function leaseOf(ip: string): string {
  return `lease {
  interface "${DEVICE}";
  fixed-address ${ip};
  option subnet-mask 255.255.255.0;
  option dhcp-lease-time 3600;
  option dhcp-message-type 5;
  option dhcp-server-identifier 192.168.44.1;
  renew 6 2037/12/31 00:00:00;
  rebind 6 2037/12/31 00:00:00;
  expire 6 2037/12/31 00:00:00;
}
`;
}
