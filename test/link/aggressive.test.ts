import { describe, expect, it } from "vitest";
import { UNKNOWN_NAT } from "../../src/base/nat.ts";
import type { Endpoint } from "../../src/base/net.ts";
import { SeededRng } from "../../src/base/rng.ts";
import type { Millis } from "../../src/base/time.ts";
import { Birthday, birthdayPart, KNOCKS, OPENINGS } from "../../src/link/birthday.ts";
import { ExtraSockets } from "../../src/link/extra-sockets.ts";
import { predictEndpoints } from "../../src/link/port-prediction.ts";
import { FIRST_STREAM } from "../../src/link/stream-sockets.ts";
import type { TraversalMode } from "../../src/link/traversal-mode.ts";
import { NAT_KINDS, NatBox } from "./nat-box.ts";
import { introduce, natPair, type Pair, type PairKind, runUntil } from "./nat-pair.ts";
import type { TestNode } from "./world.ts";

type Kind = Exclude<PairKind, "public">;

/** A pair whose members know what their own NATs do, as surveys would tell them. */
function knownPair(kindA: Kind, kindB: Kind, seed: number, traversal: TraversalMode): Pair {
  const pair = natPair(kindA, kindB, { seed, traversal });
  introduce(pair);
  tellKind(pair.a, kindA);
  tellKind(pair.b, kindB);
  return pair;
}

function tellKind(node: TestNode, kind: Kind): void {
  const { mapping, filtering, allocation } = NAT_KINDS[kind];
  const step = allocation === "sequential" ? { step: 1 } : {};
  node.input({ kind: "nat", mapping, filtering, allocation, ...step });
}

/** When `node` sent to outside addresses of the other's NAT. */
function watch({ world, a, b }: Pair): ReadonlyMap<TestNode, Millis[]> {
  const sent = new Map<TestNode, Millis[]>([
    [a, []],
    [b, []],
  ]);
  world.allows = (from: Endpoint, to: Endpoint) => {
    for (const [node, other] of [
      [a, b],
      [b, a],
    ] as const) {
      if (from.ip === node.endpoint.ip && to.ip === other.nat?.outside) {
        sent.get(node)?.push(world.now);
      }
    }
    return true;
  };
  return sent;
}

/** The most that fell into any second. */
function busiest(times: readonly Millis[]): number {
  return Math.max(
    0,
    ...times.map((from, i) => times.slice(i).filter((at) => at < from + 1_000).length),
  );
}

const SEEDS = Array.from({ length: 20 }, (_, i) => i + 1);

describe("ports that are counted up", () => {
  for (const [kindA, kindB] of [
    ["symmetric_sequential", "portrestricted"],
    ["portrestricted", "symmetric_sequential"],
    ["symmetric_sequential", "symmetric_sequential"],
  ] as const) {
    it(`${kindA} x ${kindB} is direct in 18 of 20`, () => {
      const direct = SEEDS.filter((seed) => {
        const pair = knownPair(kindA, kindB, seed, "aggressive");
        return runUntil(pair, "direct", 15_000) !== undefined;
      });
      expect(direct.length).toBeGreaterThanOrEqual(18);
    });
  }
});

describe("random ports against one that lets in asked endpoints", () => {
  for (const [kindA, kindB] of [
    ["symmetric", "portrestricted"],
    ["portrestricted", "symmetric"],
  ] as const) {
    it(`${kindA} x ${kindB} is direct within 40 s in 18 of 20, within its bounds`, () => {
      let direct = 0;
      for (const seed of SEEDS) {
        const pair = knownPair(kindA, kindB, seed, "aggressive");
        const sent = watch(pair);
        if (runUntil(pair, "direct", 40_000) !== undefined) direct++;
        // What comes later is the upkeep of the path.
        const [ofA = [], ofB = []] = [...sent.values()].map((times) => [...times]);
        pair.world.run(30_000);
        expect(ofA.length + ofB.length).toBeLessThanOrEqual(1_200);
        expect(Math.max(busiest(ofA), busiest(ofB))).toBeLessThanOrEqual(50);
        for (const { sockets } of [pair.a, pair.b]) expect(sockets.size).toBeLessThanOrEqual(1);
      }
      expect(direct).toBeGreaterThanOrEqual(18);
    }, 60_000);
  }
});

describe("two members that want a search of the same third one at the same time", () => {
  it("have one after the other, in 9 of 10", () => {
    const both = SEEDS.slice(0, 10).filter((seed) => {
      const pair = natPair("symmetric", "portrestricted", { seed, traversal: "aggressive" });
      const { world, introducer, a, b } = pair;
      const c = addStrict(pair);
      tellKind(a, "symmetric");
      for (const node of [b, c]) {
        introduce({ world, introducer, a, b: node });
        tellKind(node, "portrestricted");
      }
      const isDirect = (node: TestNode) =>
        [a.linkTo(node), node.linkTo(a)].every((link) => link?.path.kind === "direct");
      return world.run(150_000, () => isDirect(b) && isDirect(c));
    });
    expect(both.length).toBeGreaterThanOrEqual(9);
  });
});

/** One more member behind a port-restricted NAT of its own. */
function addStrict({ world, introducer }: Pair): TestNode {
  const nat = new NatBox({
    ...NAT_KINDS.portrestricted,
    outside: "198.51.100.13",
    rng: world.rng.fork("third"),
    now: () => world.now,
    guard: true,
    hairpin: false,
  });
  world.boxes.push(nat);
  const endpoint = { ip: "192.168.1.4", port: 4_000 };
  const node = world.add("c", { endpoint, nat, traversal: "aggressive" });
  node.connect(introducer.endpoint);
  world.run(3_000);
  return node;
}

/** Nothing of either end arrives at the other. */
function cut({ world, a, b }: Pair): void {
  const note = world.allows;
  const isOutside = (ip: string) => ip === a.nat?.outside || ip === b.nat?.outside;
  const isInside = (ip: string) => ip === a.endpoint.ip || ip === b.endpoint.ip;
  world.allows = (from, to, bytes) =>
    note(from, to, bytes) && !(isInside(from.ip) && isOutside(to.ip));
}

describe("ports foretold in vain", () => {
  it("are given up within the bounds of a pair, for a day", () => {
    const pair = knownPair("symmetric_sequential", "symmetric_sequential", 1, "aggressive");
    const sent = watch(pair);
    cut(pair);
    const count = () => [...sent.values()].map(({ length }) => length);
    pair.world.run(3_600_000);
    const [ofA = 0, ofB = 0] = count();
    expect(ofA).toBeGreaterThanOrEqual(100);
    expect(ofA + ofB).toBeLessThanOrEqual(1_200);
    for (const times of sent.values()) expect(busiest(times)).toBeLessThanOrEqual(50);
    pair.world.run(3_600_000);
    expect(count()).toEqual([ofA, ofB]);
    expect(pair.a.linkTo(pair.b)?.path.kind).toBe("relay");
  }, 60_000);
});

describe("a search by birthday", () => {
  it("that finds nothing closes its sockets and is not repeated for a day", () => {
    const pair = knownPair("symmetric", "portrestricted", 1, "aggressive");
    const sent = watch(pair);
    const { world, a, b } = pair;
    cut(pair);
    world.run(40_000);
    const count = () => [...sent.values()].map(({ length }) => length);
    const [ofA = 0, ofB = 0] = count();
    expect(ofA).toBeGreaterThanOrEqual(OPENINGS);
    expect(ofB).toBeGreaterThanOrEqual(KNOCKS);
    expect(ofA + ofB).toBeLessThanOrEqual(1_200);
    expect([a.sockets.size, b.sockets.size]).toEqual([0, 0]);
    expect(a.linkTo(b)?.path.kind).toBe("relay");
    world.run(3_600_000);
    expect(count()).toEqual([ofA, ofB]);
  });

  it("is not made by one end alone", () => {
    const pair = natPair("symmetric", "portrestricted", { traversalOfA: "aggressive" });
    introduce(pair);
    tellKind(pair.a, "symmetric");
    tellKind(pair.b, "portrestricted");
    const sent = watch(pair);
    pair.world.run(40_000);
    expect(busiest(sent.get(pair.a) ?? [])).toBeLessThan(35);
    expect(pair.a.opened).toBeLessThan(40);
  });

  it("closes no socket that the engine could not open: its index is another one's by then", () => {
    const sockets = new ExtraSockets<number>(1);
    const search = new Birthday(sockets, new SeededRng(1));
    const peer = { ip: "198.51.100.1", port: 4_000 };
    search.begin(0, { link: 7, part: "opener", peer, socket: 0 });
    search.timeout(0);
    const [failed = 0, ...others] = sockets.ownedBy(7);
    expect(others).toHaveLength(3);
    sockets.lost(failed);
    search.lost(failed);
    for (let i = 0; i < FIRST_STREAM && sockets.ownerOf(failed) === undefined; i++) sockets.take(8);
    while (search.poll() !== undefined);
    search.end(7, undefined);
    const closed = [];
    for (let out = search.poll(); out !== undefined; out = search.poll()) closed.push(out);
    expect(closed).toHaveLength(3);
    expect(sockets.ownerOf(failed)).toBe(8);
  });

  it("is not for NATs that a round opens, nor for two that both draw ports", () => {
    const { symmetric, portrestricted, restricted, symmetric_sequential } = NAT_KINDS;
    expect(birthdayPart(symmetric, portrestricted)).toBe("opener");
    expect(birthdayPart(portrestricted, symmetric)).toBe("knocker");
    expect(birthdayPart(symmetric, restricted)).toBeUndefined();
    expect(birthdayPart(symmetric, symmetric)).toBeUndefined();
    const unsure = { ...portrestricted, mapping: "unknown" } as const;
    expect(birthdayPart(symmetric, unsure)).toBe("opener");
    expect(birthdayPart(symmetric, UNKNOWN_NAT)).toBeUndefined();
    expect(birthdayPart(symmetric_sequential, portrestricted)).toBeUndefined();
  });
});

describe("predicted ports", () => {
  const nat = { ...NAT_KINDS.symmetric_sequential, step: 2 };
  const at = (port: number) => ({ ip: "192.0.2.1", port });
  const ports = (seen: readonly number[]) => predictEndpoints(nat, seen.map(at)).map((e) => e.port);

  it("follow the last one seen, also after the sequence began again", () => {
    expect(ports([40_002, 40_000])).toEqual([40_004, 40_006, 40_008, 40_010, 40_012]);
    expect(ports([65_534, 1_024])).toEqual([1_026, 1_028, 1_030, 1_032, 1_034]);
    expect(ports([65_533])).toEqual([65_535]);
    expect(ports([])).toEqual([]);
  });

  it("are what was seen where nothing is counted up", () => {
    expect(predictEndpoints(NAT_KINDS.symmetric, [at(5)])).toEqual([at(5)]);
  });
});

describe("the other modes", () => {
  it("standard leaves hard pairs to the relay", () => {
    for (const kind of ["symmetric", "symmetric_sequential"] as const) {
      const pair = knownPair(kind, "portrestricted", 1, "standard");
      expect(runUntil(pair, "direct", 45_000)).toBeUndefined();
    }
  });

  it("off opens no socket, and connects where an address answers by itself", () => {
    const hard = knownPair("portrestricted", "symmetric", 1, "off");
    expect(runUntil(hard, "direct", 45_000)).toBeUndefined();
    expect([hard.a.opened, hard.b.opened]).toEqual([0, 0]);
    const easy = knownPair("symmetric", "fullcone", 1, "off");
    expect(runUntil(easy, "direct", 10_000)).toBeDefined();
    expect([easy.a.opened, easy.b.opened]).toEqual([0, 0]);
  });
});
