import { afterAll, beforeAll, expect, it } from "vitest";
import type { Agent, LogLine } from "../../lab/agent.ts";
import { eventually, type Running } from "../../lab/shell.ts";
import { describeWhere } from "../support/requires.ts";
import { addBridgedSite, addGuest, BRIDGE, type Guest, ringed } from "./bridged.ts";
import { Capture } from "./capture.ts";
import { Cluster, figure, kernelNeeds, secondsSince } from "./cluster.ts";

const TITLE = "a bridged site that has a DHCP server of its own";
/** The server's own network; weft's is 10.86.0.0/16. */
const OTHER = "192.168.77";
const WEFT_SERVER = "10.86.0.1";

describeWhere(TITLE, kernelNeeds("dnsmasq", "udhcpc", "tcpdump", "tshark"), () => {
  let cluster: Cluster;
  let agent: Agent;
  let router: Guest;
  let dnsmasq: Running;
  let replies: Capture;

  beforeAll(async () => {
    cluster = await Cluster.create("bridgedhcp");
    agent = await addBridgedSite(cluster, "a");
    router = await addGuest(cluster, agent.site, "router");
    await router.site.run(["ip", "addr", "add", `${OTHER}.1/24`, "dev", "eth0"]);
    replies = await Capture.start(agent.site, BRIDGE, "udp src port 67");
  });
  afterAll(() => cluster?.remove());

  it("dnsmasq is there first: machines are bound by it, weft makes no OFFER and says why", async () => {
    await startDnsmasq();
    agent.start();
    const guest = await addGuest(cluster, agent.site, "g1");
    guest.startDhcp();
    expect(await guest.bound()).toMatch(new RegExp(`^${OTHER}\\.`));
    await said(1);
    const lines = await health();
    expect(lines.filter((line) => line.includes("DHCP server"))).toHaveLength(1);
    expect(lines.join()).toContain(`${OTHER}.1`);
    const later = await addGuest(cluster, agent.site, "g2");
    later.startDhcp();
    expect(await later.bound()).toMatch(new RegExp(`^${OTHER}\\.`));
    expect(await offersOf(`${OTHER}.1`)).toBeGreaterThan(1);
    expect(await offersOf(WEFT_SERVER)).toBe(0);
    expect(events()).toHaveLength(1);
  });

  it("dhcp: force answers all the same", async () => {
    await dnsmasq.stop();
    await agent.stop();
    agent = cluster.addAgentAt(agent.site, {
      flags: ["--bridge", BRIDGE, "--address", "dhcp", "--dhcp", "force"],
    });
    await startDnsmasq();
    agent.start();
    await ringed(agent);
    const guest = await addGuest(cluster, agent.site, "g3");
    guest.startDhcp();
    await eventually("weft offers", async () => (await offersOf(WEFT_SERVER)) > 0, 20_000);
    expect(await health()).toEqual([]);
    await agent.stop();
    await dnsmasq.stop();
  });

  it("dnsmasq comes later: weft offers until it is heard, then no more; who has an address keeps it", async () => {
    agent = cluster.addAgentAt(agent.site, { flags: ["--bridge", BRIDGE, "--address", "dhcp"] });
    const guest = await addGuest(cluster, agent.site, "g4");
    const started = performance.now();
    agent.start();
    guest.startDhcp();
    expect(await guest.bound()).toMatch(/^10\.86\./);
    figure(
      `a lone bridged node and its machine start together: bound after ${secondsSince(started)}`,
    );
    await startDnsmasq();
    const chooser = await addGuest(cluster, agent.site, "g5");
    const offers = await offersOf(WEFT_SERVER);
    // a machine that had an address of that server asks for it again
    chooser.startDhcp("-r", `${OTHER}.50`);
    await chooser.bound();
    await said(1);
    expect((await health()).join()).toContain(`${OTHER}.1`);
    const after = await addGuest(cluster, agent.site, "g6");
    after.startDhcp();
    expect(await after.bound()).toMatch(new RegExp(`^${OTHER}\\.`));
    expect(await offersOf(WEFT_SERVER)).toBeLessThanOrEqual(offers + 1);
    expect(await guest.address()).toMatch(/^10\.86\./);
  });

  async function startDnsmasq(): Promise<void> {
    dnsmasq = router.site.start([
      ...["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--port=0", "--user=root"],
      ...["--dhcp-authoritative", "--interface=eth0", "--bind-interfaces", "--log-dhcp"],
      ...["--log-facility=-", `--dhcp-leasefile=${router.site.folder}/leases`, "--pid-file="],
      `--dhcp-range=${OTHER}.20,${OTHER}.99,255.255.255.0,1h`,
    ]);
    const isThere = async () => dnsmasq.output.includes("DHCP, IP range");
    await eventually("dnsmasq is there", isThere, 10_000).catch((error: Error) => {
      throw new Error(`${error.message}: ${dnsmasq.output}`);
    });
  }

  /** Replies of that server that offer an address, all so far. */
  async function offersOf(server: string): Promise<number> {
    const option = `dhcp.option.dhcp == 2 && dhcp.option.dhcp_server_id == ${server}`;
    return (await replies.read(option, ["dhcp.ip.your"])).length;
  }

  function events(): LogLine[] {
    return agent.logLines().filter((line) => line.msg === "foreign-dhcp");
  }

  async function said(count: number): Promise<void> {
    const isSaid = async () => events().length >= count;
    await agent.explain(() => eventually("weft says that it yields", isSaid, 20_000));
  }

  async function health(): Promise<readonly string[]> {
    return (await agent.status())?.health ?? [];
  }
});
