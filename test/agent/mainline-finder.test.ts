import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { MainlineFinder } from "../../src/agent/mainline-finder.ts";
import { toHex } from "../../src/base/bytes.ts";
import type { Endpoint } from "../../src/base/net.ts";
import { mainlineInfohash } from "../../src/crypto/mainline-infohash.ts";
import { suite } from "../support/suite.ts";

const KEY = new Uint8Array(32).fill(7);
const DAY = 20_000;
const A = { ip: "203.0.113.1", port: 7117 };
const B = { ip: "203.0.113.2", port: 7117 };

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

class World {
  readonly calls: string[] = [];
  readonly told: (readonly Endpoint[])[] = [];
  found: readonly Endpoint[] = [];
  peers = false;
  readonly finder = new MainlineFinder({
    suite,
    networkKey: KEY,
    mainline: {
      lookup: async (infohash) => {
        this.calls.push(`lookup ${this.#day(infohash)}`);
        return this.found;
      },
      announce: async (infohash) => void this.calls.push(`announce ${this.#day(infohash)}`),
      close: () => void this.calls.push("close"),
    },
    wallMs: () => DAY * 86_400_000 + 5,
    hasPeers: () => this.peers,
    log: { debug() {}, info() {}, warn() {}, error() {} },
    onFound: (endpoints) => void this.told.push(endpoints),
  });

  #day(infohash: Uint8Array): number | undefined {
    const days = [DAY - 1, DAY, DAY + 1];
    return days.find((day) => toHex(mainlineInfohash(suite, KEY, day)) === toHex(infohash));
  }

  async advance(ms: number): Promise<string[]> {
    const before = this.calls.length;
    await vi.advanceTimersByTimeAsync(ms);
    return this.calls.slice(before);
  }
}

describe("meeting in the BitTorrent DHT", () => {
  it("looks up three days and announces under today's, every five seconds while alone", async () => {
    const world = new World();
    setTimeout(() => world.finder.start(), 0);
    const round = ["lookup 20000", "lookup 19999", "lookup 20001", "announce 20000"];
    expect(await world.advance(0)).toEqual(round);
    expect(await world.advance(4_999)).toEqual([]);
    expect(await world.advance(1)).toEqual(round);
    world.finder.close();
  });

  it("with peers looks up today alone, twice a minute", async () => {
    const world = new World();
    world.peers = true;
    world.finder.start();
    await world.advance(0);
    expect(await world.advance(60_000)).toEqual([
      "lookup 20000",
      "announce 20000",
      "lookup 20000",
      "announce 20000",
    ]);
    world.finder.close();
  });

  it("tells what is new, and forgets what three rounds did not find", async () => {
    const world = new World();
    world.found = [A, B];
    world.finder.start();
    await world.advance(0);
    expect(world.told).toEqual([[A, B]]);
    await world.advance(5_000);
    expect(world.told.length).toBe(1);
    world.found = [A];
    await world.advance(10_000);
    expect(world.told.length).toBe(1);
    await world.advance(5_000);
    expect(world.told.at(-1)).toEqual([A]);
    world.finder.close();
  });

  it("takes a bounded number, however many are announced", async () => {
    const world = new World();
    world.found = Array.from({ length: 500 }, (_, i) => ({ ip: "203.0.113.9", port: i + 1 }));
    world.finder.start();
    await world.advance(0);
    expect(world.told[0]?.length).toBe(16);
    world.finder.close();
  });

  it("asks nothing after its end", async () => {
    const world = new World();
    world.finder.start();
    world.finder.close();
    expect(await world.advance(60_000)).toEqual([]);
    expect(world.calls).toEqual(["lookup 20000", "close"]);
  });
});
