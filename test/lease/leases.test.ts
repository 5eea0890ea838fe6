import { describe, expect, it } from "vitest";
import { type Ip, subnetContains } from "../../src/base/net.ts";
import type { LeaseState } from "../../src/lease/lease-state.ts";
import { type LeasesOutput, leaseKey, parseLeaseRecord } from "../../src/lease/leases.ts";
import { type Host, makeWho, networkId, World, type WorldOptions } from "../dht/world.ts";
import { suite } from "../support/suite.ts";

const CLIENT = "0102030405060708";
const MAC = "02:00:00:00:00:01";

function want(world: World, host: Host, client = CLIENT, extra: object = {}): void {
  world.lease(host, { kind: "want", client, mac: MAC, ...extra });
}

function phase(world: World, host: Host, name: "waiting" | "alone" | "joined"): void {
  world.dht(host, { kind: "lone", lone: name === "alone" });
  world.lease(host, { kind: "phase", phase: name });
}

function joinedRing(count: number, options: WorldOptions = {}): World {
  const world = World.ring(count, options);
  for (const host of world.hosts) {
    phase(world, host, count === 1 ? "alone" : "joined");
    host.news.length = 0;
  }
  return world;
}

function bound(host: Host, client = CLIENT): LeaseState | undefined {
  return host.leases.states().find((lease) => lease.client === client);
}

function newsOf<K extends LeasesOutput["kind"]>(host: Host, kind: K) {
  return host.news.filter((one) => one.kind === kind) as Extract<LeasesOutput, { kind: K }>[];
}

/** Every host's view of the holder of an address. */
function holdersOf(world: World, ip: Ip): unknown[] {
  return world.alive().map((host) => {
    const seen = world.get(host, leaseKey(suite, networkId, ip));
    if (seen.status !== "found") return seen.status;
    const facts = parseLeaseRecord(seen.record);
    return facts.ok ? facts.value.holder : facts.reason;
  });
}

describe("claiming", () => {
  it("waits for the ring, then is immediate when alone", () => {
    const world = World.ring(1);
    const host = world.hosts[0] as Host;
    want(world, host);
    world.run(5_000);
    expect(bound(host)).toBeUndefined();
    phase(world, host, "alone");
    expect(bound(host)).toMatchObject({ alone: true, client: CLIENT, mac: MAC, renewals: 0 });
    expect(bound(host)?.expiresAt).toBe(world.now + 3_600_000);
  });

  it("takes one round trip in a settled ring and is vouched for in the next", () => {
    const world = joinedRing(5, { latencyMs: [20, 20] });
    const host = world.hosts[0] as Host;
    const sentAt = world.now;
    want(world, host);
    world.run(41);
    expect(bound(host)).toMatchObject({ alone: false, renewals: 0 });
    // Life counts from the question, not from the answer 40 ms later.
    expect(bound(host)?.expiresAt).toBe(sentAt + 3_600_000);
    world.run(41);
    expect(bound(host)).toMatchObject({ alone: false, renewals: 1 });
    expect(bound(host)?.expiresAt).toBe(sentAt + 40 + 3_600_000);
    expect(new Set(holdersOf(world, bound(host)?.ip as Ip))).toEqual(new Set([host.who.address]));
  });

  it("gives 24 clients of 6 members distinct addresses in a /27", () => {
    const range = { first: "10.9.0.32", prefix: 27 };
    const world = joinedRing(6, { range });
    for (let i = 0; i < 24; i++) {
      want(world, world.hosts[i % 6] as Host, i.toString(16).padStart(8, "0"));
    }
    world.run(6_000);
    const ips = world.hosts.flatMap((host) => host.leases.states().map((lease) => lease.ip));
    expect(ips).toHaveLength(24);
    expect(new Set(ips).size).toBe(24);
    for (const ip of ips) {
      expect(subnetContains(range, ip)).toBe(true);
      expect(["10.9.0.32", "10.9.0.33", "10.9.0.63"]).not.toContain(ip);
    }
  });

  it("reports a full pool after the whole search", () => {
    const world = joinedRing(3, { range: { first: "10.9.0.0", prefix: 29 } });
    for (let i = 0; i < 7; i++) want(world, world.hosts[i % 3] as Host, `0${i}`);
    world.run(6_000);
    expect(world.hosts.flatMap((host) => host.leases.states())).toHaveLength(5);
    const refused = world.hosts.flatMap((host) => newsOf(host, "refused"));
    expect(refused.map((one) => one.reason)).toEqual(["pool-full", "pool-full"]);
  });

  it("prefers the requested address, ignores one outside the range", () => {
    const world = joinedRing(3);
    const [a, b] = world.hosts as [Host, Host];
    want(world, a, "aa", { requested: "10.9.0.77" });
    want(world, b, "bb", { requested: "10.8.0.77" });
    world.run(1_000);
    expect(bound(a, "aa")?.ip).toBe("10.9.0.77");
    expect(bound(b, "bb")).toBeDefined();
  });

  it("keeps claimed addresses for those who are named", () => {
    const claims = [{ name: "node-1", ip: "10.9.0.50" }];
    const world = joinedRing(3, { claims });
    const [a, b] = world.hosts as [Host, Host];
    want(world, a, "aa", { requested: "10.9.0.50" });
    want(world, a, "ac", { fixed: "10.9.1.50" });
    want(world, b, "bb", { fixed: "10.9.0.50" });
    world.run(1_000);
    expect(bound(a, "aa")?.ip).not.toBe("10.9.0.50");
    expect(newsOf(a, "refused")).toMatchObject([{ client: "ac", reason: "outside-range" }]);
    expect(bound(b, "bb")?.ip).toBe("10.9.0.50");
  });

  it("lets the named node take its address from a squatter, who hears of it", () => {
    const claims = [{ name: "node-1", ip: "10.9.0.50" }];
    const world = joinedRing(3, { claims });
    const [a, b] = world.hosts as [Host, Host];
    want(world, a, "aa", { fixed: "10.9.0.50" });
    world.run(500);
    expect(bound(a, "aa")?.ip).toBe("10.9.0.50");
    want(world, b, "bb", { fixed: "10.9.0.50" });
    world.run(40_000);
    expect(bound(b, "bb")?.ip).toBe("10.9.0.50");
    expect(bound(a, "aa")).toBeUndefined();
    expect(newsOf(a, "lost")).toMatchObject([{ ip: "10.9.0.50", winner: b.who.address }]);
  });

  it("is idempotent, and follows a changed MAC", () => {
    const world = joinedRing(3);
    const host = world.hosts[0] as Host;
    want(world, host);
    want(world, host);
    world.run(1_000);
    const first = bound(host);
    want(world, host);
    expect(bound(host)).toEqual(first);
    world.lease(host, { kind: "want", client: CLIENT, mac: "02:00:00:00:00:99" });
    world.run(1_000);
    expect(bound(host)).toMatchObject({ ip: first?.ip, mac: "02:00:00:00:00:99" });
  });

  it("tells unavailable and goes on trying", () => {
    const world = joinedRing(3);
    const host = world.hosts[0] as Host;
    world.crash(...world.hosts.slice(1));
    want(world, host);
    world.run(20_000);
    expect(newsOf(host, "refused")).toMatchObject([{ reason: "unavailable" }]);
    for (const one of world.hosts) one.alive = true;
    world.run(10_000);
    expect(bound(host)).toBeDefined();
  });
});

describe("keeping", () => {
  it("renews at a third of the life, and counts one attested renewal each time", () => {
    const world = joinedRing(3, { leaseSeconds: 600 });
    const host = world.hosts[0] as Host;
    want(world, host);
    world.run(1_000);
    const seen: number[] = [];
    let { version, expiresAt } = bound(host) as LeaseState;
    while (seen.length < 17) {
      world.run(2_000);
      const lease = bound(host) as LeaseState;
      if (lease.version === version) continue;
      expect(lease.version).toBe(version + 1);
      // Both count from when a renewal was sent: their difference is the pause between renewals.
      expect(lease.expiresAt - expiresAt).toBeGreaterThanOrEqual(190_000);
      expect(lease.expiresAt - expiresAt).toBeLessThanOrEqual(210_000);
      ({ version, expiresAt } = lease);
      seen.push(lease.renewals);
    }
    expect(seen.slice(0, 4)).toEqual([1, 2, 3, 4]);
    expect(seen.at(-1)).toBe(16);
  });

  it("stops at the time the last answered renewal was sent plus the ttl", () => {
    const world = joinedRing(3, { leaseSeconds: 60 });
    const host = world.hosts[0] as Host;
    want(world, host);
    world.run(1_000);
    const { expiresAt, ip } = bound(host) as LeaseState;
    world.crash(...world.hosts.slice(1));
    world.run(expiresAt - world.now - 1);
    expect(bound(host)).toBeDefined();
    world.run(1);
    expect(bound(host)).toBeUndefined();
    expect(newsOf(host, "lost")).toMatchObject([{ ip }]);
  });

  it("stops before any replica forgets", () => {
    const world = joinedRing(3, { leaseSeconds: 60, latencyMs: [300, 900] });
    const [a, b] = world.hosts as [Host, Host];
    want(world, a);
    world.run(6_000);
    const { expiresAt, ip } = bound(a) as LeaseState;
    a.side = 1;
    world.run(expiresAt - world.now - 1_500);
    expect(world.get(b, leaseKey(suite, networkId, ip)).status).toBe("found");
  });

  it("gives an address back, and another gets it", () => {
    const world = joinedRing(5);
    const [a, b] = world.hosts as [Host, Host];
    want(world, a, "aa", { fixed: "10.9.0.9" });
    world.run(1_000);
    want(world, b, "bb", { fixed: "10.9.0.9" });
    world.run(1_000);
    expect(newsOf(b, "refused")).toMatchObject([{ reason: "taken" }]);
    world.lease(a, { kind: "release", client: "aa" });
    world.run(500);
    want(world, b, "bb", { fixed: "10.9.0.9" });
    world.run(500);
    expect(bound(b, "bb")?.ip).toBe("10.9.0.9");
    world.run(60_000);
    expect(bound(b, "bb")?.ip).toBe("10.9.0.9");
  });

  it("does not offer a declined address for five minutes", () => {
    const world = joinedRing(3);
    const host = world.hosts[0] as Host;
    want(world, host);
    world.run(500);
    const first = bound(host)?.ip as Ip;
    world.lease(host, { kind: "decline", client: CLIENT, ip: first });
    want(world, host);
    world.run(500);
    const second = bound(host)?.ip;
    expect(second).toBeDefined();
    expect(second).not.toBe(first);
    world.lease(host, { kind: "release", client: CLIENT });
    world.run(301_000);
    want(world, host, CLIENT, { requested: first });
    world.run(500);
    expect(bound(host)?.ip).toBe(first);
  });
});

describe("the same client again", () => {
  it("gets its address after a restart, with and without its state file", () => {
    for (const restored of [true, false]) {
      const world = joinedRing(5);
      const host = world.hosts[0] as Host;
      want(world, host, CLIENT, restored ? { requested: "10.9.0.123" } : {});
      world.run(400_000);
      const before = bound(host) as LeaseState;
      const saved = newsOf(host, "save").at(-1)?.leases ?? [];
      world.crash(host);
      world.run(1_000);
      const again = world.add(host.who, 999);
      world.spreadViews();
      if (restored) world.lease(again, { kind: "restore", leases: saved });
      phase(world, again, "joined");
      want(world, again);
      world.run(1_500);
      expect(bound(again)?.ip).toBe(before.ip);
      expect(bound(again)?.version).toBeGreaterThan(before.version);
    }
  });

  it("does not take the lease of another client of the same member", () => {
    const world = joinedRing(3);
    const host = world.hosts[0] as Host;
    want(world, host, "aa", { fixed: "10.9.0.40" });
    world.run(500);
    world.crash(host);
    const again = world.add(host.who, 77);
    world.spreadViews();
    phase(world, again, "joined");
    want(world, again, "bb", { requested: "10.9.0.40" });
    world.run(2_000);
    expect(bound(again, "bb")?.ip).not.toBe("10.9.0.40");
    expect(bound(again, "bb")).toBeDefined();
  });
});

describe("alone, then not", () => {
  function twoLoneNodes(clash: boolean): { world: World; a: Host; b: Host } {
    const world = new World({ seed: 4 });
    const [a, b] = [world.add(makeWho(0)), world.add(makeWho(1))];
    a.side = 1;
    b.side = 2;
    for (const host of [a, b]) {
      world.tellView(host);
      phase(world, host, "alone");
      want(world, host, host === a ? "aa" : "bb", {
        requested: clash || host === a ? "10.9.0.60" : "10.9.0.61",
      });
    }
    a.side = b.side = 0;
    for (const host of [a, b]) {
      world.tellView(host);
      phase(world, host, "joined");
    }
    world.run(4_500);
    return { world, a, b };
  }

  it("keeps both leases when they differ, now by quorum", () => {
    const { a, b } = twoLoneNodes(false);
    expect(bound(a, "aa")).toMatchObject({ ip: "10.9.0.60", alone: false, renewals: 1 });
    expect(bound(b, "bb")).toMatchObject({ ip: "10.9.0.61", alone: false, renewals: 1 });
  });

  it("leaves exactly one holder when they clash, and the other hears who it is", () => {
    const { world, a, b } = twoLoneNodes(true);
    const winners = [a, b].filter((host) => host.leases.states().length === 1);
    expect(winners).toHaveLength(1);
    const winner = winners[0] as Host;
    const loser = winner === a ? b : a;
    expect(winner.leases.states()[0]).toMatchObject({ ip: "10.9.0.60", alone: false });
    expect(newsOf(loser, "lost")).toMatchObject([{ ip: "10.9.0.60", winner: winner.who.address }]);
    expect(new Set(holdersOf(world, "10.9.0.60"))).toEqual(new Set([winner.who.address]));
  });

  it("loses to a ring that holds the address", () => {
    const world = joinedRing(3);
    const old = world.hosts[0] as Host;
    want(world, old, "aa", { requested: "10.9.0.60" });
    world.run(1_000);
    const late = world.add(makeWho(9));
    late.side = 1;
    world.tellView(late);
    phase(world, late, "alone");
    want(world, late, "bb", { requested: "10.9.0.60" });
    expect(bound(late, "bb")?.alone).toBe(true);
    late.side = 0;
    world.spreadViews(100);
    phase(world, late, "joined");
    world.run(3_000);
    expect(bound(late, "bb")).toBeUndefined();
    expect(newsOf(late, "lost")).toMatchObject([{ winner: old.who.address }]);
    expect(bound(old, "aa")?.ip).toBe("10.9.0.60");
  });
});

describe("a partition that heals", () => {
  it("leaves one holder, the one renewed more often, within 40 s", () => {
    const world = joinedRing(7, { leaseSeconds: 120 });
    const [a, b] = world.hosts as [Host, Host];
    world.hosts.forEach((host, i) => {
      host.side = i % 2;
    });
    world.spreadViews();
    world.run(1_000);
    want(world, a, "aa", { requested: "10.9.0.99" });
    world.run(100_000);
    want(world, b, "bb", { requested: "10.9.0.99" });
    world.run(2_000);
    expect(bound(a, "aa")?.ip).toBe("10.9.0.99");
    expect(bound(b, "bb")?.ip).toBe("10.9.0.99");
    for (const host of world.hosts) host.side = 0;
    world.spreadViews(300);
    world.run(40_000);
    expect(bound(a, "aa")?.ip).toBe("10.9.0.99");
    expect(bound(b, "bb")).toBeUndefined();
    expect(newsOf(b, "lost")).toMatchObject([{ ip: "10.9.0.99", winner: a.who.address }]);
    expect(new Set(holdersOf(world, "10.9.0.99"))).toEqual(new Set([a.who.address]));
  });
});
