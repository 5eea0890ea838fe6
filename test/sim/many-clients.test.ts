import { expect, it } from "vitest";
import { Cluster } from "../../sim/cluster.ts";
import { DhcpSwarm, swarmMac } from "../../sim/dhcp-swarm.ts";
import type { Host } from "../../sim/host.ts";
import type { Ip } from "../../src/base/net.ts";

const SITES = 3;
const EACH = 250;
/** As after a power cut: all begin within a second. */
const START_MS = 1_000;

it(`${SITES} sites with ${EACH} DHCP clients each: all are bound, and known at the other sites`, () => {
  const config = {
    range: { first: "10.99.4.0", prefix: 22 },
    addressMode: "dhcp",
    bridged: true,
  } as const;
  const cluster = new Cluster({ seed: 3, size: SITES, config });
  const { world, hosts } = cluster;
  for (const host of hosts) host.start();
  // A bridged site listens for other DHCP servers first.
  world.runUntil(15_000);
  const swarms = hosts.map((host, i) => {
    return new DhcpSwarm(world, host, { first: 1_000 * (i + 1), count: EACH, startMs: START_MS });
  });
  const began = world.now;
  const isWhole = () => swarms.every((swarm) => swarm.bound.size === EACH);
  expect(world.runUntilHolds(isWhole, 30_000, 250)).toBe(true);
  console.log(`figure: ${SITES * EACH} clients bound within ${(world.now - began) / 1_000} s`);
  const leases = swarms.flatMap((swarm) => [...swarm.bound]);
  expect(new Set(leases.map(([, ip]) => ip)).size).toBe(SITES * EACH);

  const macOf = new Map(leases.map(([number, ip]) => [ip, swarmMac(number)]));
  const areKnown = () => hosts.every((host) => isSame(knownAt(host), macOf));
  expect(world.runUntilHolds(areKnown, 60_000, 1_000)).toBe(true);
}, 180_000);

/** MAC by address, of the node's own clients and of those its peers were confirmed for. */
function knownAt(host: Host): Map<Ip, string> {
  const reply = host.reply(host.command({ name: "leases" }));
  const rows = reply?.kind === "leases" ? reply.leases : [];
  return new Map(rows.map(({ ip, mac }) => [ip, mac]));
}

function isSame(a: ReadonlyMap<Ip, string>, b: ReadonlyMap<Ip, string>): boolean {
  return a.size === b.size && [...b].every(([ip, mac]) => a.get(ip) === mac);
}
