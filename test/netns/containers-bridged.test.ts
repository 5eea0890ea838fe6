import { expect, it } from "vitest";
import { eventually } from "../../lab/shell.ts";
import { describeWhere } from "../support/requires.ts";
import { figure, secondsSince } from "./cluster.ts";
import type { Compose } from "./compose.ts";
import { containerNeeds, useContainers } from "./containers.ts";
import { type Podman, processFact } from "./podman.ts";

const TITLE = "docker/compose-bridged.yml: applications are machines of their site's LAN";
const TEST_MS = 180_000;
const UP_MS = 60_000;
const SITES = ["a", "b"] as const;
/** What a container of podman has and nobody gave it: no CAP_NET_ADMIN (12), no CAP_NET_RAW (13). */
const NETWORK_RIGHTS = (1n << 12n) | (1n << 13n);

describeWhere(TITLE, await containerNeeds(), () => {
  let podman: Podman;
  let compose: Compose;
  const addresses: Record<string, string> = {};

  useContainers("bridgedapps", "docker/compose-bridged.yml", TEST_MS, (made) => {
    ({ podman, compose } = made);
  });

  it(
    "each has an address by weft's DHCP, and reaches the other one by it",
    async () => {
      const started = performance.now();
      await compose.up();
      for (const site of SITES)
        addresses[site] = await eventually(`app-${site} is bound`, () => leased(site), UP_MS);
      expect(new Set(Object.values(addresses)).size).toBe(SITES.length);
      await eventually("a to b", async () => (await curl("a", "b")) === said("b"), UP_MS);
      await eventually("b to a", async () => (await curl("b", "a")) === said("a"), UP_MS);
      figure(
        `containers: curl between two LANs ${secondsSince(started)} after the first container`,
      );
    },
    TEST_MS,
  );

  it(
    "the agent of its site holds the lease, and the application has no right over the network",
    async () => {
      for (const site of SITES) {
        const listed = await podman.exec(`agent-${site}`, "weft", "lease", "list", "--json");
        const { leases } = JSON.parse(listed.stdout) as { leases: { ip: string; own: boolean }[] };
        const own = leases.filter((lease) => lease.own).map(({ ip }) => ip);
        expect(own).toContain(addresses[site]);
        const rights = BigInt(`0x${processFact(await podman.pidOf(`app-${site}`), "CapEff")}`);
        expect(rights & NETWORK_RIGHTS).toBe(0n);
      }
    },
    TEST_MS,
  );

  it(
    "an agent that is killed comes back to the bridge: the applications keep their addresses",
    async () => {
      const started = performance.now();
      await podman.run(["kill", "--signal", "KILL", "agent-b"]);
      await podman.finish(["start", "agent-b"]);
      await eventually("a to b", async () => (await curl("a", "b")) === said("b"), UP_MS);
      figure(`containers: curl to a bridged application ${secondsSince(started)} after the kill`);
      expect(await leased("b")).toBe(addresses["b"]);
    },
    TEST_MS,
  );

  /** What its container beside it was given; undefined until then. */
  async function leased(site: string): Promise<string | undefined> {
    const words = ["ip", "-o", "-4", "addr", "show", "dev", "eth0"];
    const { stdout } = await podman.exec(`dhcp-${site}`, ...words);
    return /inet (10\.117\.\d+\.\d+)\//.exec(stdout)?.[1];
  }

  async function curl(from: string, to: string): Promise<string> {
    const words = ["curl", "-s", "--max-time", "2", `http://${addresses[to]}:8080/`];
    return (await podman.exec(`app-${from}`, ...words)).stdout;
  }
});

function said(site: string): string {
  return `this is site ${site}\n`;
}
