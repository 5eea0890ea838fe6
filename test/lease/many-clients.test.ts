/** Many clients behind few members: limits, a full pool, reservations, what is offered only. */
import { describe, expect, it } from "vitest";
import type { Ip, Mac } from "../../src/base/net.ts";
import type { LeaseState } from "../../src/lease/lease-state.ts";
import { type LeasesOutput, leaseKey, parseLeaseRecord } from "../../src/lease/leases.ts";
import { type Host, networkId, World, type WorldOptions } from "../dht/world.ts";
import { suite } from "../support/suite.ts";

const SLASH_29 = { first: "10.9.0.0", prefix: 29 };
/** Host addresses of a /29 without the server's. */
const ROOM_IN_29 = 5;

const macOf = (i: number): Mac =>
  `02:00:00:00:${(i >> 8).toString(16).padStart(2, "0")}:${(i & 255).toString(16).padStart(2, "0")}`;
const clientOf = (i: number): string => `01${macOf(i).replaceAll(":", "")}`;

function ring(count: number, options: WorldOptions = {}): World {
  const world = World.ring(count, options);
  for (const host of world.hosts) {
    const phase = count === 1 ? "alone" : "joined";
    world.dht(host, { kind: "lone", lone: count === 1 });
    world.lease(host, { kind: "phase", phase });
  }
  return world;
}

function want(world: World, host: Host, i: number, extra: object = {}): void {
  world.lease(host, { kind: "want", client: clientOf(i), mac: macOf(i), ...extra });
}

function bound(host: Host, i: number): LeaseState | undefined {
  return host.leases.states().find((lease) => lease.client === clientOf(i));
}

function newsOf<K extends LeasesOutput["kind"]>(host: Host, kind: K) {
  return host.news.filter((one) => one.kind === kind) as Extract<LeasesOutput, { kind: K }>[];
}

const eventsOf = (host: Host): string[] => newsOf(host, "event").map(({ event }) => event.what);
const reasonsOf = (host: Host): string[] => newsOf(host, "refused").map((one) => one.reason);

describe("a site of hundreds", () => {
  it("three sites lease to 250 clients each in a /22, all of them found in the DHT", () => {
    const world = ring(3, { range: { first: "10.9.0.0", prefix: 22 }, latencyMs: [1, 5] });
    for (let i = 0; i < 750; i++) want(world, world.host(i % 3), i);
    world.run(20_000);
    const leases = world.hosts.flatMap((host) => host.leases.states());
    expect(leases.length).toBe(750);
    expect(new Set(leases.map((lease) => lease.ip)).size).toBe(750);
    expect(leases.every((lease) => lease.renewals > 0)).toBe(true);
    for (const lease of leases.filter((_, i) => i % 25 === 0)) {
      const found = world.get(world.host(0), leaseKey(suite, networkId, lease.ip));
      const facts = found.status === "found" ? parseLeaseRecord(found.record) : undefined;
      expect(facts?.ok && facts.value.client).toBe(lease.client);
    }
  });

  it("asks the DHT as fast as it answers, eight questions at a time", () => {
    const world = ring(3);
    const host = world.host(0);
    let asked = 0;
    const handle = host.dht.handle.bind(host.dht);
    host.dht.handle = (now, input) => {
      if (input.kind === "create") asked++;
      handle(now, input);
    };
    for (let i = 0; i < 50; i++) want(world, host, i);
    expect(asked).toBe(8);
    world.lease(host, { kind: "release", client: clientOf(40) });
    world.run(5_000);
    expect(host.leases.states().length).toBe(49);
    expect(asked).toBe(49);
  });

  it("a lone one leases to 250 clients, with nobody to vouch for them", () => {
    const world = ring(1, { range: { first: "10.9.0.0", prefix: 22 } });
    for (let i = 0; i < 250; i++) want(world, world.host(0), i);
    world.run(1_000);
    expect(world.host(0).leases.states().length).toBe(250);
  });

  it("one node serves 1,024 clients and tells why it serves no more", () => {
    const world = ring(1, { range: { first: "10.9.0.0", prefix: 16 } });
    const host = world.host(0);
    for (let i = 0; i < 1_030; i++) want(world, host, i);
    world.run(1_000);
    expect(host.leases.states().length).toBe(1_024);
    expect(reasonsOf(host)).toEqual(new Array(6).fill("site-full"));
    expect(eventsOf(host)).toEqual(["pool-full"]);
    expect(host.leases.health(world.now)).toHaveLength(1);
  });
});

describe("a full pool", () => {
  function full(): { world: World; host: Host } {
    const world = ring(2, { range: SLASH_29 });
    for (let i = 0; i < ROOM_IN_29; i++) want(world, world.host(1), i);
    world.run(2_000);
    return { world, host: world.host(0) };
  }

  it("is told in one line a minute, and as health while it lasts", () => {
    const { world, host } = full();
    expect(host.leases.health(world.now)).toEqual([]);
    for (let i = 0; i < 20; i++) {
      want(world, host, 50 + (i % 4));
      world.run(3_000);
    }
    expect(reasonsOf(host)).toEqual(new Array(20).fill("pool-full"));
    expect(eventsOf(host)).toEqual(["pool-full"]);
    const [line, ...others] = host.leases.health(world.now);
    expect(others).toEqual([]);
    expect(line).toContain("10.9.0.0/29");
    world.run(60_000);
    expect(host.leases.health(world.now)).toEqual([]);
  });

  it("clients do not all walk through it: what one found taken the others skip for a while", () => {
    const { world, host } = full();
    let asked = 0;
    const handle = host.dht.handle.bind(host.dht);
    host.dht.handle = (now, input) => {
      if (input.kind === "create") asked++;
      handle(now, input);
    };
    for (let i = 0; i < 10; i++) {
      want(world, host, 60 + i);
      world.run(500);
    }
    expect(asked).toBe(ROOM_IN_29);
  });

  it("one release: who waits has the address within a minute", () => {
    const { world, host } = full();
    want(world, host, 50);
    world.run(1_000);
    world.lease(world.host(1), { kind: "release", client: clientOf(3) });
    const releasedAt = world.now;
    while (bound(host, 50) === undefined && world.now < releasedAt + 60_000) {
      want(world, host, 50);
      world.run(3_000);
    }
    expect(bound(host, 50)).toBeDefined();
    expect(world.now - releasedAt).toBeLessThan(16_000);
  });

  it("a client that insists on another's address is refused, and nothing else is leased to it", () => {
    const world = ring(2);
    want(world, world.host(1), 1);
    world.run(1_000);
    const ip = bound(world.host(1), 1)?.ip as Ip;
    want(world, world.host(0), 2, { requested: ip, isExact: true });
    world.run(1_000);
    expect(reasonsOf(world.host(0))).toEqual(["taken"]);
    expect(world.host(0).leases.states()).toEqual([]);
    expect(eventsOf(world.host(0))).toEqual([]);
    want(world, world.host(0), 2, { requested: ip });
    world.run(1_000);
    expect(bound(world.host(0), 2)).toBeDefined();
  });
});

describe("an offer", () => {
  it("is neither saved nor proven before the client takes it", () => {
    const world = ring(3);
    const host = world.host(0);
    want(world, host, 1, { isOffer: true });
    world.run(5_000);
    expect(bound(host, 1)?.renewals).toBe(0);
    expect(newsOf(host, "save")).toEqual([]);
    world.lease(host, { kind: "confirm", client: clientOf(1) });
    world.run(1_000);
    expect(bound(host, 1)?.renewals).toBe(1);
    expect(
      newsOf(host, "save")
        .at(-1)
        ?.leases.map((lease) => lease.client),
    ).toEqual([clientOf(1)]);
  });

  it("given back is free for a client of another site at once", () => {
    const world = ring(3, { latencyMs: [1, 2] });
    const [a, b] = [world.host(0), world.host(1)];
    want(world, a, 1, { isOffer: true });
    world.run(500);
    const ip = bound(a, 1)?.ip as Ip;
    world.lease(a, { kind: "release", client: clientOf(1) });
    world.run(50);
    want(world, b, 2, { requested: ip, isExact: true });
    world.run(50);
    expect(bound(b, 2)?.ip).toBe(ip);
  });

  it("given back by the thousand, it leaves room for leases", () => {
    const world = ring(3, { range: { first: "10.9.0.0", prefix: 16 }, latencyMs: [1, 2] });
    const host = world.host(0);
    for (let i = 0; i < 1_000; i++) {
      want(world, host, i, { isOffer: true });
      world.run(10);
      world.lease(host, { kind: "release", client: clientOf(i) });
    }
    want(world, host, 2_000);
    world.run(1_000);
    expect(bound(host, 2_000)).toMatchObject({ alone: false, renewals: 1 });
  });
});

describe("reservations", () => {
  const RESERVED = "10.9.0.60";
  const byMac = [{ ip: RESERVED, by: { kind: "mac", mac: macOf(7) } }] as const;
  const byName = [{ ip: RESERVED, by: { kind: "name", name: "printer" } }] as const;

  it("go to the machine named, at any site, and to nobody else", () => {
    const world = ring(3, { reservations: byMac, range: { first: "10.9.0.56", prefix: 29 } });
    for (let i = 10; i < 18; i++) want(world, world.host(0), i, { requested: RESERVED });
    world.run(3_000);
    const ips = world
      .host(0)
      .leases.states()
      .map((lease) => lease.ip);
    expect(ips.length).toBe(4);
    expect(ips).not.toContain(RESERVED);
    want(world, world.host(2), 7, { requested: "10.9.0.61" });
    world.run(1_000);
    expect(bound(world.host(2), 7)?.ip).toBe(RESERVED);
  });

  it("displace who took the address by another file", () => {
    const world = ring(2, { reservations: byMac });
    const squatter = world.host(0);
    want(world, squatter, 3, { fixed: RESERVED });
    world.run(1_000);
    expect(bound(squatter, 3)?.ip).toBe(RESERVED);
    want(world, world.host(1), 7);
    world.run(40_000);
    expect(bound(world.host(1), 7)?.ip).toBe(RESERVED);
    expect(bound(squatter, 3)).toBeUndefined();
  });

  it("by client identifier beat those by MAC", () => {
    const both = [
      ...byMac,
      { ip: "10.9.0.61", by: { kind: "client", client: clientOf(7) } },
    ] as const;
    const world = ring(2, { reservations: both });
    want(world, world.host(0), 7);
    world.run(1_000);
    expect(bound(world.host(0), 7)?.ip).toBe("10.9.0.61");
  });

  it("by name stay with the client whose later messages carry none, and over a restart", () => {
    const world = ring(3, { reservations: byName });
    const host = world.host(0);
    want(world, host, 1, { name: "printer" });
    world.run(1_000);
    want(world, host, 1);
    world.run(1_000);
    expect(bound(host, 1)?.ip).toBe(RESERVED);
    const saved = newsOf(host, "save").at(-1)?.leases ?? [];
    world.crash(host);
    const again = world.add(host.who, 999);
    world.spreadViews();
    world.dht(again, { kind: "lone", lone: false });
    world.lease(again, { kind: "restore", leases: saved });
    world.lease(again, { kind: "phase", phase: "joined" });
    want(world, again, 1, { requested: RESERVED, isExact: true });
    want(world, again, 2, { requested: RESERVED, isExact: true });
    world.run(2_000);
    expect(bound(again, 1)?.ip).toBe(RESERVED);
    expect(bound(again, 2)).toBeUndefined();
  });
});
