import { describe, expect, it } from "vitest";
import { SeededRng } from "../../src/base/rng.ts";
import { byNearness, makeWho, randomKey, signRecord, World } from "./world.ts";

describe("get, create, put, remove", () => {
  for (const count of [1, 2, 3, 4, 5, 6, 9, 10, 14]) {
    it(`works in a ring of ${count}`, () => {
      const world = World.ring(count);
      const rng = new SeededRng(count);
      if (count === 1)
        for (const host of world.hosts) world.dht(host, { kind: "lone", lone: true });
      for (let i = 0; i < 6; i++) {
        const key = randomKey(rng);
        const writer = world.host(i % count);
        const other = world.host((i + 1) % count);
        expect(world.get(other, key).status).toBe("absent");
        const record = signRecord(writer.who, { key });
        const stored = world.create(writer, record);
        expect(stored).toMatchObject({ status: "stored", alone: count === 1 });
        expect(world.get(other, key)).toMatchObject({ status: "found", record });
        const newer = signRecord(writer.who, { key, version: 2 });
        expect(world.put(writer, newer).status).toBe("stored");
        expect(world.put(writer, record)).toMatchObject({ status: "stale", record: newer });
        if (count > 1) {
          const rival = signRecord(other.who, { key, epoch: 9 });
          expect(world.create(other, rival)).toMatchObject({ status: "exists", record: newer });
          expect(world.put(other, rival)).toMatchObject({ status: "exists", record: newer });
          world.run(600);
        }
        const gone = signRecord(writer.who, { key, version: 3, ttlSeconds: 0 });
        expect(world.remove(writer, gone).status).toBe("stored");
        expect(world.get(other, key).status).toBe("absent");
        expect(world.create(writer, newer).status).toBe("stale");
        const next = signRecord(other.who, { key, epoch: count > 1 ? 1 : 2 });
        expect(world.create(other, next).status).toBe("stored");
      }
    });
  }

  it("keeps exactly five copies in a ring of 14", () => {
    const world = World.ring(14);
    const key = randomKey(new SeededRng(3));
    world.create(world.host(0), signRecord(world.host(0).who, { key }));
    world.run(1_000);
    expect(world.hosts.filter((host) => host.dht.size().records === 1)).toHaveLength(5);
    expect(byNearness(world, key)[0]?.dht.size().records).toBe(1);
  });

  it("says unavailable, not absent, before it has seen a ring", () => {
    const world = new World();
    const host = world.add(makeWho(0));
    expect(world.get(host, 5n).status).toBe("unavailable");
    expect(world.create(host, signRecord(host.who, { key: 5n })).status).toBe("unavailable");
  });

  it("is unavailable without a quorum", () => {
    const world = World.ring(5);
    world.crash(...world.hosts.slice(2));
    const started = world.now;
    expect(world.get(world.host(0), 77n).status).toBe("unavailable");
    expect(world.now - started).toBeGreaterThan(2_900);
    expect(world.now - started).toBeLessThan(3_200);
  });

  it("refuses a record that its certificate's key did not sign", () => {
    const world = World.ring(3);
    const record = signRecord(world.host(1).who, { key: 5n });
    expect(world.create(world.host(0), record).status).toBe("unavailable");
    const forged = { ...signRecord(world.host(0).who, { key: 5n }), version: 2 };
    expect(world.create(world.host(0), forged).status).toBe("unavailable");
  });

  it("lets a record expire everywhere and the next take its place", () => {
    const world = World.ring(5);
    const [a, b] = [world.host(0), world.host(1)];
    const first = signRecord(a.who, { key: 9n, ttlSeconds: 10 });
    world.create(a, first);
    world.run(5_000);
    expect(world.get(b, 9n)).toMatchObject({ status: "found", remainingSeconds: 5 });
    world.run(5_000);
    expect(world.get(b, 9n).status).toBe("absent");
    expect(world.create(a, first).status).toBe("stale");
    expect(world.create(b, signRecord(b.who, { key: 9n })).status).toBe("stored");
  });
});

describe("two creates at once", () => {
  it("store exactly one, whoever wins, under loss and in every ring size", () => {
    let stored = 0;
    for (let seed = 1; seed <= 40; seed++) {
      const count = 2 + (seed % 7);
      const world = World.ring(count, { seed });
      world.settings.loss = (seed % 4) * 0.08;
      const key = randomKey(new SeededRng(seed));
      const rivals = world.hosts.slice(0, Math.min(3, count));
      const asked = rivals.map((host) => {
        return { host, request: world.start(host, "create", signRecord(host.who, { key })) };
      });
      world.run(4_000);
      const wins = asked.filter(
        ({ host, request }) => host.results.get(request)?.status === "stored",
      );
      expect(wins.length).toBeLessThanOrEqual(1);
      stored += wins.length;
      world.settings.loss = 0;
      if (wins.length === 1) {
        for (const host of world.hosts) {
          const seen = world.get(host, key);
          expect(seen.status).toBe("found");
          if (seen.status !== "found") continue;
          expect(seen.record.signer).toEqual(wins[0]?.host.who.identity.signing.publicKey);
        }
      }
    }
    expect(stored).toBeGreaterThan(35);
  });
});
