import { describe, expect, it } from "vitest";
import { SeededRng, unit } from "../../src/base/rng.ts";
import { type TestNode, World } from "./world.ts";

const MINUTE_MS = 60_000;

interface Lossy {
  readonly world: World;
  readonly a: TestNode;
  readonly b: TestNode;
  /** Of what a and b send each other straight; the way through the relay loses nothing. */
  loss: number;
  /** Reports of silence that were answered. */
  readonly told: Map<TestNode, number>;
}

function lossyPair(seed: number): Lossy {
  const world = new World({ seed });
  const [a, r, b] = [world.add("a"), world.add("r"), world.add("b")];
  const pair: Lossy = { world, a, b, loss: 0, told: new Map() };
  const rng = new SeededRng(seed, 99);
  const ends = [a.endpoint.ip, b.endpoint.ip];
  world.allows = (from, to) =>
    !(ends.includes(from.ip) && ends.includes(to.ip)) || unit(rng) >= pair.loss;
  for (const node of [a, b]) node.connect(r.endpoint);
  a.connect(b.endpoint);
  world.run(5_000);
  expect(a.linkTo(b)?.path.kind).toBe("direct");
  return pair;
}

/** Runs for so long as the ring would: whoever is silent has its path broken. */
function run({ world, a, b, told }: Lossy, durationMs: number): void {
  const end = world.now + durationMs;
  while (world.now < end) {
    world.run(250);
    for (const node of [a, b]) {
      const silent = node.of("silent");
      if (silent.length > (told.get(node) ?? 0)) {
        const { link } = silent.at(-1) ?? { link: 0 };
        node.input({ kind: "path-broken", link });
      }
      told.set(node, silent.length);
    }
  }
}

/** How often each minute what a sends to b changed its class of path. */
function switches(pair: Lossy, minutes: number): number[] {
  const counts: number[] = [];
  for (let minute = 0; minute < minutes; minute++) {
    const before = pair.a.of("path").length;
    let last = pair.a.linkTo(pair.b)?.path.kind;
    run(pair, MINUTE_MS);
    const address = pair.a.linkTo(pair.b)?.peer.address;
    let count = 0;
    for (const { address: to, path } of pair.a.of("path").slice(before)) {
      if (to !== address || path.kind === last) continue;
      last = path.kind;
      count++;
    }
    counts.push(count);
  }
  return counts;
}

describe("a direct path that loses much beside a relay that loses nothing", () => {
  for (const loss of [0.3, 0.5, 0.7]) {
    it(`at ${loss * 100} % traffic changes ways twice a minute at most in the mean, after the beginning`, () => {
      for (const seed of [1, 2, 3]) {
        const pair = lossyPair(seed);
        pair.loss = loss;
        const counts = switches(pair, 15);
        expect(counts.slice(0, 2).reduce((a, b) => a + b)).toBeLessThanOrEqual(12);
        for (const count of counts.slice(2)) expect(count).toBeLessThanOrEqual(6);
        expect(counts.slice(2).reduce((a, b) => a + b)).toBeLessThanOrEqual(2 * 13);
      }
    });
  }

  it("is taken back for good once it loses nothing any more", () => {
    const pair = lossyPair(5);
    pair.loss = 0.5;
    switches(pair, 10);
    pair.loss = 0;
    run(pair, 150_000);
    expect(pair.a.linkTo(pair.b)?.path.kind).toBe("direct");
    expect(switches(pair, 5)).toEqual([0, 0, 0, 0, 0]);
  });

  it("is taken back at the first answer when it was cut once", () => {
    const pair = lossyPair(6);
    run(pair, 2 * MINUTE_MS);
    pair.loss = 1;
    run(pair, 30_000);
    expect(pair.a.linkTo(pair.b)?.path.kind).toBe("relay");
    pair.loss = 0;
    run(pair, 40_000);
    expect(pair.a.linkTo(pair.b)?.path.kind).toBe("direct");
  });
});
