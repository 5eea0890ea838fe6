import { afterAll, beforeAll, expect, it } from "vitest";
import type { Agent } from "../../lab/agent.ts";
import { eventually } from "../../lab/shell.ts";
import { describeWhere } from "../support/requires.ts";
import { addBridgedSite, addGuest, BRIDGE, type Guest, ringed } from "./bridged.ts";
import { Cluster, kernelNeeds, TAP } from "./cluster.ts";

const TITLE = "the bridge's own interface is one more machine of the site";
const STATIC = "10.86.0.77";
/** Lower than any MAC the kernel makes up: a bridge would take it for its own. */
const LOWEST_MAC = "02:00:00:00:00:01";

describeWhere(TITLE, kernelNeeds("udhcpc"), () => {
  let cluster: Cluster;
  let guest: Guest;
  let other: Guest;
  let agent: Agent;
  let own = "";

  beforeAll(async () => {
    cluster = await Cluster.create("bridgeown");
    agent = await addBridgedSite(cluster, "a", []);
    const { site } = await addBridgedSite(cluster, "b");
    guest = await addGuest(cluster, agent.site, "ga");
    other = await addGuest(cluster, site, "gb");
    for (const one of cluster.agents) {
      one.start();
      await ringed(one);
    }
    await cluster.settled();
    for (const one of [guest, other]) one.startDhcp();
    for (const one of [guest, other]) await one.bound();
    own = await agent.online();
  });
  afterAll(() => cluster?.remove());

  it("address: auto sets the leased address on the bridge, and serves the others", async () => {
    expect(await addressesOf(BRIDGE)).toEqual([`${own}/16`]);
    expect(await addressesOf(TAP)).toEqual([]);
    expect(await guest.reaches(own)).toBe(true);
    expect(await other.reaches(own)).toBe(true);
    expect((await agent.status())?.mac).toBe(await macOf(BRIDGE));
  });

  it("another port does not change who the bridge is", async () => {
    const before = await macOf(BRIDGE);
    await agent.site.run(["ip", "link", "add", "low0", "type", "veth", "peer", "name", "low1"]);
    await agent.site.run(["ip", "link", "set", "low0", "address", LOWEST_MAC, "master", BRIDGE]);
    expect(await macOf(BRIDGE)).toBe(before);
    expect(await other.reaches(own)).toBe(true);
  });

  it("a killed agent leaves address and port, the next one takes both up again", async () => {
    agent.kill("SIGKILL");
    await agent.exited();
    expect(await addressesOf(BRIDGE)).toEqual([`${own}/16`]);
    agent.start();
    expect(await agent.online()).toBe(own);
    await eventually("it is reached again", async () => other.reaches(own, "-W", "1"), 30_000);
  });

  it("the bridge is deleted and made again: a line meanwhile, then all is as before", async () => {
    await agent.site.run(["ip", "link", "del", BRIDGE]);
    const health = async () => ((await agent.status())?.health ?? []).join("\n");
    const isSaid = async () => (await health()).includes(`bridge ${BRIDGE} does not exist`);
    await eventually("status says that the bridge is gone", isSaid, 20_000);
    await agent.site.run(["ip", "link", "add", BRIDGE, "type", "bridge", "forward_delay", "0"]);
    await agent.site.run(["ip", "link", "set", guest.port, "master", BRIDGE]);
    await agent.site.run(["ip", "link", "set", BRIDGE, "up"]);
    const back = async () => other.reaches((await guest.address()) ?? "", "-W", "1");
    await agent.explain(() => eventually("its machines are reached again", back, 30_000));
    const isBack = async () => other.reaches(own, "-W", "1");
    await agent.explain(() => eventually("the bridge itself is reached again", isBack, 30_000));
    expect(await health()).not.toContain("bridge");
  });

  it("`weft down` takes address and port away, the bridge stays", async () => {
    expect((await agent.weft("down")).status).toBe(0);
    expect(await addressesOf(BRIDGE)).toEqual([]);
    expect((await agent.site.finish(["ip", "link", "show", "dev", TAP])).status).not.toBe(0);
  });

  it("address: static is set on the bridge, and the others are served all the same", async () => {
    const flags = ["--bridge", BRIDGE, "--address", "static", "--ip", STATIC];
    agent = cluster.addAgentAt(agent.site, { flags });
    agent.start();
    expect(await agent.online()).toBe(STATIC);
    await guest.stopDhcp();
    guest.startDhcp();
    expect(await guest.bound()).not.toBe(STATIC);
    await eventually("it is reached", async () => other.reaches(STATIC, "-W", "1"), 20_000);
    await agent.weft("down");
  });

  it.each([
    [
      "no-such",
      /^weft: bridge no-such does not exist: make it \(ip link add no-such type bridge\)/,
    ],
    ["eth0", /^weft: eth0 is no bridge \(it is veth\): name a bridge with bridge:/],
  ])("--bridge %s: one line, exit 1, nothing is left", async (bridge, line) => {
    const run = cluster.addAgentAt(agent.site, { flags: [] });
    const up = await run.weft("up", "--foreground", "--bridge", bridge);
    expect(up.status).toBe(1);
    expect(up.stderr).toMatch(line);
    expect(up.stderr.trim().split("\n")).toHaveLength(1);
    expect((await agent.site.finish(["ip", "link", "show", "dev", TAP])).status).not.toBe(0);
  });

  async function addressesOf(device: string): Promise<string[]> {
    const shown = await agent.site.run(["ip", "-o", "-4", "addr", "show", "dev", device]);
    return [...shown.matchAll(/inet (\S+)/g)].map((match) => match[1] ?? "");
  }

  async function macOf(device: string): Promise<string> {
    const shown = await agent.site.run(["ip", "-j", "link", "show", "dev", device]);
    return (JSON.parse(shown) as [{ readonly address: string }])[0].address;
  }
});
