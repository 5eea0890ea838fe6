import { describe, expect, it } from "vitest";
import type { Millis } from "../../src/base/time.ts";
import { introduce, natPair, type Pair, type PairKind, runUntil } from "./nat-pair.ts";
import type { TestNode } from "./world.ts";

function directPair(kindA: PairKind, kindB: PairKind): Pair {
  const pair = natPair(kindA, kindB);
  introduce(pair);
  expect(runUntil(pair, "direct", 10_000)).toBeDefined();
  pair.world.run(15_000);
  return pair;
}

/** Both send all the time. @returns the longest silence at either end, and what was lost in all */
function stream({ world, a, b }: Pair, durationMs: Millis): { gapMs: Millis; lost: number } {
  const heard = new Map<TestNode, Millis>([a, b].map((node) => [node, world.now]));
  const counts = new Map<TestNode, number>([a, b].map((node) => [node, node.of("message").length]));
  let [gapMs, lost] = [0, 0];
  for (let at = 0; at < durationMs; at += 20) {
    for (const [from, to] of [
      [a, b],
      [b, a],
    ] as const) {
      if (from.linkTo(to) === undefined) continue;
      lost++;
      from.say(to, Uint8Array.of(1), 0, false);
    }
    world.run(20);
    for (const node of [a, b]) {
      const count = node.of("message").length;
      if (count !== counts.get(node)) heard.set(node, world.now);
      lost -= count - (counts.get(node) ?? 0);
      counts.set(node, count);
      gapMs = Math.max(gapMs, world.now - (heard.get(node) ?? 0));
    }
    // As the ring does when others reach the silent one.
    for (const node of [a, b]) {
      for (const { link } of node.of("silent").slice(node.saidSilent)) {
        node.saidSilent++;
        node.input({ kind: "path-broken", link });
      }
    }
  }
  return { gapMs, lost };
}

describe("a pair of NATs under a stream", () => {
  it("goes on after a router came back with another address", () => {
    for (const kind of ["portrestricted", "symmetric"] as const) {
      const pair = directPair(kind, kind === "symmetric" ? "restricted" : "portrestricted");
      const box = pair.a.nat;
      if (box !== undefined) box.outside = "198.51.100.77";
      box?.reboot();
      const { gapMs } = stream(pair, 30_000);
      expect(gapMs).toBeLessThan(15_000);
    }
  });

  it("goes on when one direction of the path dies", () => {
    const pair = directPair("portrestricted", "portrestricted");
    pair.world.allows = (from, to) =>
      !(from.ip === pair.a.endpoint.ip && to.ip === "198.51.100.12");
    const { gapMs } = stream(pair, 30_000);
    expect(gapMs).toBeLessThan(10_000);
  });

  for (const isNoticed of [false, true]) {
    it(`goes on after a change of network, ${isNoticed ? "noticed" : "unnoticed"}`, () => {
      const pair = directPair("public", "portrestricted");
      const { a } = pair;
      a.endpoint = { ip: "203.0.113.200", port: 4_000 };
      if (isNoticed) a.input({ kind: "local-endpoints", endpoints: [a.endpoint] });
      const { gapMs } = stream(pair, 30_000);
      expect(gapMs).toBeLessThan(isNoticed ? 2_000 : 15_000);
    });
  }

  it("is reached at the first packet after five idle minutes, with timers of 9 s", () => {
    const pair = natPair("portrestricted", "portrestricted", { lifeMs: 9_000 });
    introduce(pair);
    const { world, a, b } = pair;
    expect(runUntil(pair, "direct", 10_000)).toBeDefined();
    // Links that are not near are probed each 10 s, too rarely for these NATs.
    for (const [from, to] of [
      [a, b],
      [b, a],
    ] as const) {
      from.input({ kind: "set-role", link: from.linkTo(to)?.peer.link ?? 0, role: "onDemand" });
    }
    world.run(300_000);
    b.say(a, Uint8Array.of(1), 0, false);
    world.run(100);
    expect(a.of("message")).toHaveLength(1);
    expect(a.linkTo(b)?.path.kind).toBe("direct");
  });

  it("says something each eight seconds behind a NAT, each 20 to 25 s elsewhere", () => {
    const pair = natPair("public", "portrestricted");
    const told = new Map<TestNode, number>();
    for (const node of [pair.a, pair.b]) {
      const apply = node.engine.apply.bind(node.engine);
      node.engine.apply = (commands) => {
        for (const one of commands) if (one.op === "path") told.set(node, one.keepaliveMs);
        apply(commands);
      };
    }
    introduce(pair);
    pair.world.run(10_000);
    expect(told.get(pair.a)).toBeGreaterThanOrEqual(20_000);
    expect(told.get(pair.b)).toBeGreaterThanOrEqual(7_000);
    expect(told.get(pair.b)).toBeLessThanOrEqual(8_751);
    // Seven tenths of what a NAT with short timers was found to keep.
    for (const [aliveMs, keepaliveMs] of [
      [4_000, 2_800],
      [0, 1_000],
    ] as const) {
      for (const node of [pair.a, pair.b]) node.input({ kind: "mapping-life", aliveMs });
      expect(told.get(pair.b)).toBe(keepaliveMs);
      expect(told.get(pair.a), "no NAT").toBeGreaterThanOrEqual(20_000);
    }
    pair.b.input({ kind: "mapping-life", aliveMs: 120_000 });
    expect(told.get(pair.b)).toBeGreaterThanOrEqual(7_000);
    pair.b.input({ kind: "mapping-life", aliveMs: undefined });
    expect(told.get(pair.b)).toBeLessThanOrEqual(8_751);
  });

  it("changes from the relay to the direct path without loss", () => {
    const pair = natPair("portrestricted", "portrestricted");
    introduce(pair);
    expect(runUntil(pair, "relay", 1_000)).toBeDefined();
    expect(stream(pair, 20_000).lost).toBeLessThanOrEqual(16);
    expect(pair.a.linkTo(pair.b)?.path.kind).toBe("direct");
  });

  it("changes without loss when one side was through just after the other's last probe", () => {
    const lossy: number[] = [];
    // One side of this seed is ahead of the other by more than a trip lasts.
    const ahead = { latencyMs: 1, jitterMs: 20, seed: 2 };
    for (let closedMs = 1_600; closedMs < 2_400; closedMs += 20) {
      const pair = natPair("portrestricted", "portrestricted", ahead);
      const [inside, middle] = [pair.b.endpoint.ip, pair.introducer.endpoint.ip];
      pair.world.allows = (from, to) => from.ip !== inside || to.ip === middle;
      introduce(pair);
      expect(runUntil(pair, "relay", 1_000)).toBeDefined();
      pair.world.run(closedMs);
      pair.world.allows = () => true;
      if (stream(pair, 6_000).lost > 2) lossy.push(closedMs);
    }
    expect(lossy).toEqual([]);
  });
});
