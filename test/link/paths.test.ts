import { describe, expect, it } from "vitest";
import type { Endpoint } from "../../src/base/net.ts";
import { LIVE_GAPS_MS, ProbeSchedule } from "../../src/link/probe-schedule.ts";
import { type TestNode, World } from "./world.ts";

function linked(): { world: World; a: TestNode; b: TestNode } {
  const world = new World();
  const [a, b] = [world.add("a"), world.add("b")];
  a.connect(b.endpoint);
  world.run(5_000);
  expect(a.linkTo(b)?.path.kind).toBe("direct");
  return { world, a, b };
}

function expectTalk(world: World, a: TestNode, b: TestNode): void {
  a.say(b, Uint8Array.of(1), 0xa0);
  b.say(a, Uint8Array.of(2), 0xb0);
  world.run(4_000);
  expect(a.of("sent").at(-1)).toMatchObject({ token: 0xa0, ok: true });
  expect(b.of("sent").at(-1)).toMatchObject({ token: 0xb0, ok: true });
}

describe("a peer that moves", () => {
  it("is followed once its new address answered", () => {
    const { world, a, b } = linked();
    b.endpoint = { ip: "198.51.100.77", port: 9_999 };
    const before = world.now;
    world.run(20_000, () => {
      const path = a.linkTo(b)?.path;
      return path?.kind === "direct" && path.endpoint.port === 9_999;
    });
    expect(world.now - before).toBeLessThan(6_000);
    expectTalk(world, a, b);
    expect(a.of("link-down")).toEqual([]);
  });

  it("is not followed to a forged address, however often it appears", () => {
    const { world, a, b } = linked();
    const forged: Endpoint = { ip: "203.0.113.66", port: 666 };
    const session = a.linkTo(b)?.peer.link ?? 0;
    const sentToForged: number[] = [];
    world.allows = (_from, to, bytes) => {
      if (to.ip === forged.ip) sentToForged.push(bytes.length);
      return true;
    };
    for (let i = 0; i < 100; i++) {
      const from = { ip: forged.ip, port: forged.port + i };
      a.input({ kind: "upcall", upcall: { kind: "endpoint", session, socket: 0, from } });
      world.run(250);
    }
    expect(a.linkTo(b)?.path).toMatchObject({ kind: "direct", endpoint: b.endpoint });
    expect(
      a.of("path").every(({ path }) => path.kind !== "direct" || path.endpoint.port === 4_000),
    ).toBe(true);
    // One address is asked four times at most, with probes of some 50 bytes.
    expect(sentToForged.length).toBeLessThanOrEqual(400);
    expect(Math.max(...sentToForged)).toBeLessThan(100);
    expectTalk(world, a, b);
  });
});

describe("the choice of a path", () => {
  it("prefers the faster of two direct ones", () => {
    const world = new World();
    const lan: Endpoint = { ip: "10.0.0.2", port: 4_000 };
    const [a, b] = [world.add("a"), world.add("b", { locals: [lan] })];
    // b is reached at two addresses; the outside one is slow.
    const find = world.find.bind(world);
    world.find = (endpoint) => (endpoint.ip === lan.ip ? b : find(endpoint));
    const carry = world.carry.bind(world);
    let isSlow = false;
    world.allows = (_from, to) => {
      isSlow = to.ip === b.endpoint.ip;
      return true;
    };
    world.carry = (deliver, isLossy) => {
      if (isSlow) world.after(60, deliver);
      else carry(deliver, isLossy);
    };
    a.connect(b.endpoint);
    world.run(10_000);
    expect(a.linkTo(b)?.path).toMatchObject({ kind: "direct", endpoint: lan });
    const changes = a.of("path").length;
    world.run(120_000);
    expect(a.of("path")).toHaveLength(changes);
  });

  it("takes no spare path from before its own move for one that works", () => {
    const world = new World();
    const lan: Endpoint = { ip: "10.0.0.2", port: 4_000 };
    const [a, r, b] = [world.add("a"), world.add("r"), world.add("b", { locals: [lan] })];
    const find = world.find.bind(world);
    world.find = (endpoint) => (endpoint.ip === lan.ip ? b : find(endpoint));
    for (const node of [a, b]) node.connect(r.endpoint);
    a.connect(b.endpoint);
    world.run(20_000);
    expect(a.linkTo(b)?.path.kind).toBe("direct");
    world.allows = (from, to) => from.ip === r.endpoint.ip || to.ip === r.endpoint.ip;
    const [movedAt, changes] = [world.now, a.of("path").length];
    a.input({ kind: "local-endpoints", endpoints: [{ ip: "172.20.5.2", port: 4_000 }] });
    world.run(3_000, () => a.linkTo(b)?.path.kind === "relay");
    expect(world.now - movedAt).toBeLessThan(1_000);
    expect(a.of("path").slice(changes)).not.toContainEqual(
      expect.objectContaining({ path: expect.objectContaining({ kind: "direct" }) }),
    );
  });

  it("falls back to a relay when the direct path breaks, without losing the link", () => {
    const world = new World();
    const [a, r, b] = [world.add("a"), world.add("r"), world.add("b")];
    for (const node of [a, b]) node.connect(r.endpoint);
    a.connect(b.endpoint);
    world.run(5_000);
    expect(a.linkTo(b)?.path.kind).toBe("direct");
    const direct = [a.endpoint.ip, b.endpoint.ip];
    world.allows = (from, to) => !(direct.includes(from.ip) && direct.includes(to.ip));
    const before = world.now;
    // The ring finds by indirect probes that the peer lives.
    while (world.now - before < 10_000 && a.linkTo(b)?.path.kind !== "relay") {
      world.run(100);
      for (const node of [a, b]) {
        const silent = node.of("silent").at(-1);
        if (silent !== undefined) node.input({ kind: "path-broken", link: silent.link });
      }
    }
    expect(world.now - before).toBeLessThan(7_000);
    // The peer may still trust the broken path; its acknowledgement takes the one that works.
    a.say(b, Uint8Array.of(3), 0xcc);
    world.run(300);
    expect(a.of("sent").at(-1)).toMatchObject({ token: 0xcc, ok: true });
    expectTalk(world, a, b);
    world.allows = () => true;
    world.run(70_000);
    expect(a.linkTo(b)?.path.kind).toBe("direct");
    expect(b.linkTo(a)?.path.kind).toBe("direct");
    expect([...a.of("link-down"), ...b.of("link-down")]).toEqual([]);
  });

  it("moves a steady stream from relay to direct without loss", () => {
    const world = new World();
    const [a, r, b] = [world.add("a"), world.add("r"), world.add("b")];
    for (const node of [a, b]) node.connect(r.endpoint);
    const direct = [a.endpoint.ip, b.endpoint.ip];
    const blocked = (from: Endpoint, to: Endpoint) =>
      direct.includes(from.ip) && direct.includes(to.ip);
    world.allows = (from, to) => !blocked(from, to);
    world.run(1_000);
    a.connect(b);
    world.run(5_000);
    expect(a.linkTo(b)?.path.kind).toBe("relay");
    world.allows = () => true;
    for (let token = 1; token <= 600; token++) {
      a.say(b, Uint8Array.of(token & 255), 0, false);
      world.run(100);
    }
    expect(a.linkTo(b)?.path.kind).toBe("direct");
    expect(b.of("message")).toHaveLength(600);
    // The relay is given back when the direct path has proven itself.
    expect(r.engine.counters().relayedDatagrams).toBeGreaterThan(0);
    const relayed = r.engine.counters().relayedDatagrams;
    world.run(60_000);
    expect(r.engine.counters().relayedDatagrams).toBe(relayed);
  });
});

describe("a link without any path", () => {
  it("queues messages and sends them when a path appears", () => {
    const world = new World();
    const [a, b] = [world.add("a"), world.add("b")];
    world.allows = () => false;
    a.connect(b);
    world.run(1_000);
    expect(a.linkTo(b)?.path).toEqual({ kind: "none" });
    a.say(b, Uint8Array.of(7), 3);
    world.run(5_000);
    expect(a.of("sent")).toEqual([]);
    world.allows = () => true;
    world.run(10_000);
    expect(a.of("sent")).toMatchObject([{ token: 3, ok: true }]);
    expect(b.of("message")).toHaveLength(1);
  });

  it("is given up after 30 s", () => {
    const world = new World();
    const [a, b] = [world.add("a"), world.add("b")];
    world.allows = () => false;
    a.connect(b);
    world.run(40_000);
    expect(a.of("link-down").map(({ reason }) => reason)).toEqual(["no path"]);
    expect(b.of("link-down").map(({ reason }) => reason)).toEqual(["no path"]);
  });
});

describe("the schedule of probes", () => {
  it("is one series of three and a pause, until answered", () => {
    const schedule = new ProbeSchedule(0, LIVE_GAPS_MS, 3_000);
    const seen: [number, string][] = [];
    for (let now = 0; now <= 4_000; now += 100) {
      const what = schedule.take(now, 0);
      if (what !== undefined) seen.push([now, what]);
    }
    expect(seen).toEqual([
      [0, "probe"],
      [500, "probe"],
      [1_000, "probe"],
      [1_500, "exhausted"],
      [3_000, "probe"],
      [3_500, "probe"],
      [4_000, "probe"],
    ]);
    schedule.answered(4_100);
    expect(schedule.deadline()).toBe(7_100);
  });
});

describe("a probe of the peer", () => {
  it("draws one of ours at once, within a series and once more at its end", () => {
    const schedule = new ProbeSchedule(0, [100, 1_000], 3_000);
    expect([schedule.take(0, 0), schedule.take(100, 0)]).toEqual(["probe", "probe"]);
    expect(schedule.take(300, 0)).toBeUndefined();
    schedule.draw(300);
    expect(schedule.take(300, 0)).toBe("probe");
    schedule.draw(310);
    expect(schedule.take(310, 0)).toBeUndefined();
    expect(schedule.take(350, 0)).toBe("probe");
    expect(schedule.take(1_349, 0)).toBeUndefined();
    expect(schedule.take(1_350, 0)).toBe("exhausted");
  });
});

describe("a repeated connect", () => {
  it("to an endpoint of a working link sends nothing; elsewhere it does not disturb the path", () => {
    const world = new World();
    const lan: Endpoint = { ip: "10.0.0.2", port: 4_000 };
    const outside: Endpoint = { ip: "198.51.100.2", port: 4_000 };
    const [a, b] = [world.add("a"), world.add("b", { endpoint: lan })];
    const find = world.find.bind(world);
    world.find = (endpoint) => (endpoint.ip === outside.ip ? b : find(endpoint));
    a.connect(lan);
    world.run(10_000);
    const paths = a.of("path").length;
    const datagrams = world.datagrams;
    a.connect(lan);
    expect(world.datagrams).toBe(datagrams);
    for (let i = 0; i < 20; i++) {
      a.connect(outside);
      world.run(15_000);
    }
    expect(a.of("path")).toHaveLength(paths);
    expect(a.of("link-up")).toHaveLength(1);
    expect(b.of("link-up")).toHaveLength(1);
    expectTalk(world, a, b);
  });
});
