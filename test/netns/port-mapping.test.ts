import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { Agent } from "../../lab/agent.ts";
import type { Site } from "../../lab/lab.ts";
import { NatBox } from "../../lab/nat-box.ts";
import { eventually, run } from "../../lab/shell.ts";
import { describeWhere } from "../support/requires.ts";
import { Cluster, figure, kernelNeeds, reaches, writeClusterFile } from "./cluster.ts";

const TITLE = "a router that maps ports lets peers in from outside";
/** The gateway refuses reserved addresses; these are AMPRNet's for tests, and stay in the lab. */
const OUTSIDE = "44.128.0.1";
const PEER = "44.128.0.2";
const ROUTER = {
  pcp: "enable_natpmp=yes\nenable_upnp=no",
  upnp: "enable_natpmp=no\nenable_upnp=yes",
};

describeWhere(TITLE, kernelNeeds("miniupnpd"), () => {
  let cluster: Cluster;
  let box: NatBox;
  let inside: Site;
  let peer: Agent;

  beforeAll(async () => {
    cluster = await Cluster.create("mapping", { bootstraps: 0, extra: "lan: off" });
    const { lab } = cluster;
    box = await NatBox.create(lab, "box", { kind: "symmetric" });
    inside = await box.addSite("a");
    await box.machine.run(["ip", "addr", "add", `${OUTSIDE}/24`, "dev", "wan"]);
    await box.addRules(CHAINS);
    // the peer knows nothing but the router's outside address
    peer = await cluster.addAgent("b", { flags: ["--bootstrap", `${OUTSIDE}:7117`] });
    await peer.site.run(["ip", "addr", "add", `${PEER}/24`, "dev", "eth0"]);
  });
  // The next test begins without remembered peers: they would be asked from the inside.
  afterEach(async () => {
    await Promise.all([inside.stopAll(), peer.stop(), box.machine.stopAll()]);
    for (const site of [inside, peer.site])
      rmSync(join(site.folder, "state/kernel/state.json"), { force: true });
  });
  afterAll(() => cluster?.remove());

  for (const protocol of ["pcp", "upnp"] as const) {
    it(`by ${protocol}: mapped, reached from outside, gone after the end`, async () => {
      const router = await startRouter(box.machine, cluster.lab.folder, ROUTER[protocol]);
      const a = new Agent(inside, cluster.file);
      a.start();
      await a.online();
      const mapped = async () => (await a.status())?.portMapping.state === "mapped";
      const started = performance.now();
      await a.explain(() => eventually("the port is mapped", mapped, 60_000));
      figure(`port mapping: ${protocol} after ${Math.round(performance.now() - started)} ms`);
      expect((await a.status())?.portMapping).toEqual({
        state: "mapped",
        protocol,
        external: `${OUTSIDE}:7117`,
      });
      const rule = `dnat ip to ${inside.ip}:7117`;
      const isThere = async () => (await rules(box.machine)).includes(rule);
      await eventually("the router has its rule", isThere, 20_000);

      peer.start();
      await peer.online();
      // It knows the mapped port alone, and nobody inside knows it: a link was made by that port. What it
      // goes on with may be any address and port that the NAT gave to an answer.
      const joined = async () => (await peer.status())?.peers[0]?.link === "direct";
      await peer.explain(() => eventually("the peer came in", joined, 60_000));
      const ip = (await a.status())?.lease?.ip ?? "";
      await eventually("a ping from outside", () => reaches(peer, ip), 30_000);
      await peer.stop();

      await a.stop();
      const isGone = async () => !(await rules(box.machine)).includes("dnat ip to");
      await eventually("the router has taken it away", isGone, 20_000);
      await router.stop();
    });
  }

  it("without such a router: no mapping, the reason, and no word above debug", async () => {
    const a = new Agent(inside, cluster.file);
    a.start();
    await a.online();
    const told = async () => {
      const mapping = (await a.status())?.portMapping;
      return mapping?.state === "none" && mapping.reason.startsWith("upnp: ") && mapping;
    };
    const mapping = await eventually("all three were tried", told, 60_000);
    expect(mapping).toEqual({ state: "none", reason: expect.stringMatching(/^upnp: /) });
    expect(a.log).not.toMatch(/port map/);
    expect((await a.status())?.health).toEqual([]);
    await a.stop();
  });

  it("port_mapping: off asks nobody", async () => {
    const file = join(cluster.lab.folder, "off.yaml");
    writeClusterFile(file, { bootstraps: 0, extra: "lan: off\nport_mapping: off" });
    const a = new Agent(inside, file);
    a.start();
    await a.online();
    expect((await a.status())?.portMapping).toEqual({ state: "off" });
    await a.stop();
  });
});

/** What the router's program fills: its chains, hooked in before those of the NAT kind. */
const CHAINS = `table inet miniupnpd {
  chain forward { type filter hook forward priority -1; policy accept; jump miniupnpd; }
  chain miniupnpd { }
  chain prerouting { type nat hook prerouting priority -101; policy accept; jump pre_miniupnpd; }
  chain postrouting { type nat hook postrouting priority 99; policy accept; jump post_miniupnpd; }
  chain pre_miniupnpd { }
  chain post_miniupnpd { }
}
`;

async function startRouter(machine: Site, folder: string, protocols: string) {
  const file = join(folder, "miniupnpd.conf");
  const config = `ext_ifname=wan
ext_ip=${OUTSIDE}
listening_ip=lan
port=0
${protocols}
min_lifetime=120
max_lifetime=86400
upnp_table_name=miniupnpd
upnp_nat_table_name=miniupnpd
upnp_forward_chain=miniupnpd
upnp_nat_chain=pre_miniupnpd
upnp_nat_postrouting_chain=post_miniupnpd
uuid=00000000-0000-4000-8000-00000000000a
secure_mode=yes
allow 1024-65535 192.168.1.0/24 1024-65535
deny 0-65535 0.0.0.0/0 0-65535
`;
  writeFileSync(file, config);
  const router = machine.start(["miniupnpd", "-d", "-f", file, "-P", join(folder, "upnp.pid")]);
  const listens = async () => /listening/i.test(router.output);
  await eventually("miniupnpd listens", listens, 10_000).catch((error: Error) => {
    throw new Error(`${error.message}: ${router.output}`);
  });
  return router;
}

function rules(machine: Site): Promise<string> {
  return run(["ip", "netns", "exec", machine.namespace, "nft", "list", "ruleset"]);
}
