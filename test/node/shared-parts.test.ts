/** Members whose cluster files differ: what each says of it, and that nothing is leased from it. */
import { describe, expect, it } from "vitest";
import { Cluster } from "../../sim/cluster.ts";
import { fastSuite } from "../../sim/fast-suite.ts";
import { utf8 } from "../../src/base/bytes.ts";
import type { Subnet } from "../../src/base/net.ts";
import type { PeerInfo } from "../../src/link/link-types.ts";
import type { NodeConfig } from "../../src/node/config.ts";
import { SharedParts } from "../../src/node/shared-parts.ts";
import { CAPABILITY_SHARED_PART } from "../../src/wire/shared-part.ts";

const ONE: Subnet = { first: "10.1.0.0", prefix: 16 };
const OTHER: Subnet = { first: "10.2.0.0", prefix: 16 };
const WITHIN: Subnet = { first: "10.1.0.0", prefix: 24 };

/** The shared part of a file that says this. */
function file(range: Subnet, lease = 3_600): Partial<NodeConfig> {
  const shared = [
    { key: "range", text: `${range.first}/${range.prefix}` },
    { key: "lease", text: `${lease} s` },
  ];
  const digest = fastSuite.blake2b(32, utf8(JSON.stringify(shared)));
  return { range, leaseSeconds: lease, shared, digest };
}

function clusterOf(...files: Partial<NodeConfig>[]): Cluster {
  const bootstrap = files.map((_, i) => i);
  const configOf = (i: number) => files[i] ?? {};
  return new Cluster({ seed: 5, size: files.length, bootstrap, configOf });
}

function linesOf(cluster: Cluster, i: number): string {
  return cluster.host(i).status()?.health.join("\n") ?? "";
}

/** At once and each asking the other: they are linked before one of them counts as alone. */
function startAll(cluster: Cluster): void {
  for (const host of cluster.hosts) host.start();
}

describe("different files", () => {
  it("both name the keys within 10 s, each from its own side", () => {
    const cluster = clusterOf(file(ONE), file(OTHER, 600));
    startAll(cluster);
    cluster.world.runUntil(10_000);
    const [here, there] = [0, 1].map((i) => linesOf(cluster, i));
    expect(here).toContain("n1 has another lease: 600 s there, 3600 s here");
    expect(here).toContain("another range: 10.2.0.0/16 there, 10.1.0.0/16 here");
    expect(there).toContain("n0 has another lease: 3600 s there, 600 s here");
    expect(there).toContain("another range: 10.1.0.0/16 there, 10.2.0.0/16 here");
  });

  it("equal files say nothing", () => {
    const cluster = clusterOf(file(ONE), file(ONE));
    startAll(cluster);
    cluster.world.runUntil(10_000);
    expect([0, 1].map((i) => linesOf(cluster, i))).toEqual(["", ""]);
  });

  it("a member that cannot say what differs is named all the same, and leases as before", () => {
    const old = { ...file(ONE), digest: new Uint8Array(32).fill(7) };
    const cluster = clusterOf(file(ONE), old);
    startAll(cluster);
    cluster.world.runUntil(10_000);
    expect(linesOf(cluster, 0)).toContain("n1 uses another cluster file");
    expect(cluster.host(1).ip).toBeDefined();
  });
});

describe("different ranges", () => {
  it.each([
    ["apart", OTHER],
    ["one within the other", WITHIN],
  ])("%s: two sites lease nothing, and both have addresses when the files agree", (_, range) => {
    const cluster = clusterOf(file(ONE), file(range));
    startAll(cluster);
    cluster.world.runUntil(60_000);
    expect(cluster.hosts.map((host) => host.status()?.lease)).toEqual([undefined, undefined]);
    expect(linesOf(cluster, 1)).toContain("no new address is leased: most linked members have");
    cluster.host(1).crash();
    cluster.world.runUntilHolds(() => cluster.host(0).ip !== undefined, 120_000);
    expect(cluster.host(0).status()?.lease?.ip).toMatch(/^10\.1\./);
  });

  it("a majority that agrees goes on, and the one with another file gets nothing", () => {
    const cluster = clusterOf(file(ONE), file(ONE), file(WITHIN));
    startAll(cluster);
    cluster.world.runUntil(60_000);
    expect(cluster.host(0).ip).toMatch(/^10\.1\./);
    expect(cluster.host(1).ip).toMatch(/^10\.1\./);
    expect(cluster.host(2).status()?.lease).toBeUndefined();
    expect(linesOf(cluster, 0)).not.toContain("no new address");
    expect(linesOf(cluster, 0)).toContain("n2 has another range: 10.1.0.0/24 there");
  });

  it("an address that a node leased alone is not confirmed by them, and ends with its life", () => {
    // Its address is one of the other range, too: that member would confirm it.
    const cluster = clusterOf(file(WITHIN, 60), file(ONE, 60));
    cluster.host(0).start();
    cluster.world.runUntil(5_000);
    expect(cluster.host(0).status()?.lease?.alone).toBe(true);
    cluster.host(1).start();
    cluster.world.runUntil(15_000);
    expect(cluster.host(0).status()?.lease?.alone).toBe(true);
    cluster.world.runUntil(90_000);
    expect(cluster.host(0).status()?.lease).toBeUndefined();
    expect(cluster.host(1).status()?.lease).toBeUndefined();
  });

  it("of files that differ in other keys addresses are leased", () => {
    const cluster = clusterOf(file(ONE), file(ONE, 600));
    startAll(cluster);
    cluster.world.runUntil(15_000);
    expect(cluster.hosts.every((host) => host.ip !== undefined)).toBe(true);
  });
});

describe("telling", () => {
  it("is done again while it was not heard, and no longer when the link is gone", () => {
    const { digest, shared = [] } = file(ONE);
    const parts = new SharedParts(fastSuite, {
      digest: digest ?? new Uint8Array(32),
      settings: shared,
    });
    const peer = (link: number): PeerInfo => ({
      ...{ link, address: 1n, publicKey: new Uint8Array(32), certificate: new Uint8Array(0) },
      ...{ name: `n${link}`, groups: [], serial: 0n, issuers: [], boot: 1n, minorVersion: 0 },
      ...{ capabilities: CAPABILITY_SHARED_PART, digest: new Uint8Array(32) },
      ...{ candidates: [], initiatedHere: true },
    });
    expect(parts.linkUp(peer(7))).toBeDefined();
    expect(parts.isRangeDisputed, "nobody knows yet").toBe(true);
    expect(parts.deadline()).toBe(Number.POSITIVE_INFINITY);
    parts.notHeard(1_000, 7);
    parts.notHeard(1_000, 8);
    expect(parts.deadline()).toBe(3_000);
    expect(parts.takeDue(2_999)).toEqual([]);
    expect(parts.takeDue(3_000)).toEqual([7]);
    expect(parts.messageFor(7)).toBeDefined();
    parts.notHeard(4_000, 7);
    parts.linkDown(7);
    expect(parts.takeDue(1e9)).toEqual([]);
    expect(parts.isRangeDisputed).toBe(false);
  });
});
