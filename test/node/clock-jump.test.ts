/** The wall clock as the core hears of it: for the dates of certificates, and for nothing else. */
import { expect, it } from "vitest";
import { checkOnline, checkRing } from "../../sim/checkers/invariants.ts";
import { checkPings } from "../../sim/checkers/reachability.ts";
import { Cluster } from "../../sim/cluster.ts";

const DAY_SECONDS = 86_400;
const NOW_SECONDS = 1_800_000_000;

function settle(cluster: Cluster): void {
  const wrong = () => [...checkRing(cluster.up), ...checkOnline(cluster.up)];
  cluster.world.runUntilHolds(() => wrong().length === 0, 20_000);
  expect(wrong()).toEqual([]);
}

for (const days of [15 * 365, -2]) {
  it(`${days} days: no link ends, leases are renewed, a member with the right time joins`, () => {
    const cluster = new Cluster({ seed: 5, size: 5, config: { leaseSeconds: 60 } });
    const old = cluster.hosts.slice(0, 4);
    for (const host of old) host.start();
    settle(cluster);
    const facts = () => old.map((host) => [host.ip, host.status()?.lease?.epoch]);
    const before = facts();
    const wallSeconds = NOW_SECONDS + days * DAY_SECONDS;
    for (const host of old) host.input({ kind: "wall", wallSeconds });
    const linked = () =>
      old.map((host) =>
        host
          .status()
          ?.peers.map(({ name }) => name)
          .sort(),
      );
    const peers = linked();
    cluster.world.runUntil(cluster.world.now + 130_000);
    expect(facts()).toEqual(before);
    expect(linked()).toEqual(peers);
    for (const host of old) expect(host.status()?.lease?.renewals).toBeGreaterThan(2);
    cluster.host(4).start();
    settle(cluster);
    expect(checkPings(cluster)).toEqual([]);
  });
}
