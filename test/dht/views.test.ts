import { describe, expect, it } from "vitest";
import { below, SeededRng } from "../../src/base/rng.ts";
import type { DhtInput } from "../../src/dht/dht.ts";
import { emitRequest } from "../../src/wire/dht-messages.ts";
import { PAYLOAD_TYPES } from "../../src/wire/message-type.ts";
import type { DhtRecord } from "../../src/wire/record.ts";
import { byNearness, type Host, makeWho, randomKey, signRecord, World } from "./world.ts";

function fill(world: World, count: number, rng: SeededRng): DhtRecord[] {
  return Array.from({ length: count }, () => {
    const writer = world.alive()[below(rng, world.alive().length)] as Host;
    const record = signRecord(writer.who, { key: randomKey(rng) });
    expect(world.create(writer, record).status).toBe("stored");
    return record;
  });
}

function expectAll(world: World, records: readonly DhtRecord[]): void {
  for (const record of records) {
    for (const host of world.alive()) {
      expect(world.get(host, record.key)).toMatchObject({ status: "found", record });
    }
  }
}

describe("records outlive changes of the ring", () => {
  it("joins one by one from a lone node to 12, views arriving late", () => {
    const world = new World({ seed: 5 });
    const rng = new SeededRng(5);
    const first = world.add(makeWho(0));
    world.tellView(first);
    world.dht(first, { kind: "lone", lone: true });
    const records = fill(world, 5, rng);
    for (let i = 1; i < 11; i++) {
      world.add(makeWho(i));
      world.spreadViews(150);
      if (i === 1) world.dht(first, { kind: "lone", lone: false });
      records.push(...fill(world, 2, rng));
      if (i === 4) expectAll(world, records);
    }
    world.run(1_000);
    expectAll(world, records);
  });

  for (const count of [5, 7, 11]) {
    it(`survives two of five replicas crashing at once in a ring of ${count}`, () => {
      for (let seed = 1; seed <= 3; seed++) {
        const world = World.ring(count, { seed });
        const rng = new SeededRng(seed);
        const records = fill(world, 4, rng);
        world.crash(...[...world.hosts].sort(() => below(rng, 3) - 1).slice(0, 2));
        world.spreadViews(200);
        expectAll(world, records);
        world.run(2_000);
        world.crash(...world.alive().slice(0, count === 5 ? 1 : 2));
        world.spreadViews(200);
        expectAll(world, records);
      }
    }, 20_000);
  }

  it("crashes down to one that then is alone", () => {
    const world = World.ring(5);
    const records = fill(world, 3, new SeededRng(1));
    while (world.alive().length > 1) {
      world.crash(world.alive()[0] as Host);
      world.spreadViews(100);
      world.run(1_500);
    }
    const last = world.alive()[0] as Host;
    expect(world.get(last, (records[0] as DhtRecord).key).status).toBe("unavailable");
    world.dht(last, { kind: "lone", lone: true });
    expectAll(world, records);
  });

  it("hands over what is left of a life, not a new one", () => {
    const world = World.ring(3);
    const writer = world.hosts[0] as Host;
    world.create(writer, signRecord(writer.who, { key: 1n, ttlSeconds: 100 }));
    world.run(60_000);
    const late = world.add(makeWho(9));
    world.spreadViews();
    world.run(1_000);
    world.crash(...world.hosts.slice(0, 2));
    world.spreadViews();
    world.run(1_000);
    const seen = world.get(late, 1n);
    expect(seen.status === "found" && seen.remainingSeconds).toBeLessThanOrEqual(38);
    world.run(40_000);
    expect(world.get(late, 1n).status).toBe("absent");
  });

  it("does not bring back what was removed while a replica was cut off", () => {
    const world = World.ring(5);
    const [a, , , , away] = world.hosts as [Host, Host, Host, Host, Host];
    const record = signRecord(a.who, { key: 4n });
    world.create(a, record);
    world.run(500);
    away.side = 1;
    world.spreadViews();
    world.run(2_000);
    expect(world.remove(a, signRecord(a.who, { key: 4n, version: 2, ttlSeconds: 0 })).status).toBe(
      "stored",
    );
    away.side = 0;
    world.spreadViews();
    world.run(2_000);
    expect(world.get(a, 4n).status).toBe("absent");
    expect(away.dht.size().records).toBe(1); // the tombstone
  });
});

describe("a replica that does not know its range", () => {
  it("never answers absent: sync messages lost, every record still found", () => {
    const world = World.ring(4, { seed: 3 });
    const records = fill(world, 6, new SeededRng(3));
    world.settings.loss = 0.3;
    const late = world.add(makeWho(40));
    world.spreadViews(100);
    for (let round = 0; round < 12; round++) {
      for (const record of records) {
        const seen = world.get(late, record.key);
        expect(["found", "unavailable"]).toContain(seen.status);
      }
    }
    world.settings.loss = 0;
    world.run(2_000);
    expectAll(world, records);
  });

  it("stays silent, and disturbs nobody, until its view is stable", () => {
    const world = World.ring(12, { seed: 2 });
    const records = fill(world, 8, new SeededRng(2));
    const late = world.add(makeWho(77));
    const self = late.who.address;
    const only = [world.host(0).who.address];
    const view = { self, predecessors: only, successors: only, sizeEstimate: 2, stable: false };
    world.dht(late, { kind: "view", view });
    world.run(300);
    for (const { key } of records) {
      expect(world.get(late, key).status).not.toBe("absent");
      expect(world.get(world.host(0), key).status).toBe("found");
    }
    world.spreadViews(100);
    world.run(1_000);
    expectAll(world, records);
  });

  /** What `asker` would say to `to` in this round, seeing these members. */
  function question(asker: Host, round: number, members: readonly Host[]): DhtInput {
    const payload = emitRequest({
      op: "sync",
      passes: 0,
      request: round,
      requester: asker.who.address,
      key: 0n,
      members: members.map((one) => one.who.address).sort((a, b) => (a < b ? -1 : 1)),
      digest: new Uint8Array(8),
    });
    const payloadType = PAYLOAD_TYPES["dht-request"];
    return { kind: "deliver", source: asker.who.address, payloadType, payload };
  }

  it("takes no question for news that was asked before the last one", () => {
    const world = World.ring(12, { seed: 4 });
    const [key = 0n] = fill(world, 1, new SeededRng(4)).map((record) => record.key);
    const [owner, asker] = byNearness(world, key) as [Host, Host];
    const around = byNearness(world, asker.who.address).slice(0, 9);
    for (const host of world.alive()) {
      if (host === asker) continue;
      world.dht(host, question(asker, 900_001, around));
      world.dht(host, question(asker, 900_000, [asker, owner]));
    }
    const startedAt = world.now;
    expect(world.get(asker, key).status).toBe("found");
    expect(world.now - startedAt).toBeLessThan(500);
  });

  it("takes no late question for news behind one that was none", () => {
    const world = World.ring(6, { seed: 4 });
    const [key = 0n] = fill(world, 1, new SeededRng(4)).map((record) => record.key);
    const [, asker] = byNearness(world, key) as [Host, Host];
    for (const host of world.alive()) {
      if (host === asker) continue;
      world.dht(host, question(asker, 900_001, world.hosts));
      world.dht(host, question(asker, 900_000, world.hosts.slice(0, 5)));
    }
    const startedAt = world.now;
    expect(world.get(asker, key).status).toBe("found");
    expect(world.now - startedAt).toBeLessThan(500);
  });

  it("tells those it no longer sees as neighbours, so that they speak again at once", () => {
    const world = World.ring(14, { seed: 2 });
    const records = fill(world, 8, new SeededRng(2));
    const late = world.add(makeWho(77));
    const self = late.who.address;
    const far = byNearness(world, self).slice(-4);
    const seen = far.map((host) => host.who.address);
    const view = { self, predecessors: seen, successors: seen, sizeEstimate: 5, stable: true };
    world.dht(late, { kind: "view", view });
    world.run(100);
    world.spreadViews(50);
    world.run(150);
    const startedAt = world.now;
    for (const { key } of records) expect(world.get(far[0] as Host, key).status).toBe("found");
    expect(world.now - startedAt).toBeLessThan(2_000);
  });

  it("takes over a range of many pages", () => {
    const world = World.ring(3, { seed: 6 });
    const records = Array.from({ length: 90 }, (_, i) => {
      const body = new Uint8Array(i % 3 === 0 ? 900 : 300).fill(i);
      return signRecord(world.host(i % 3).who, { key: randomKey(world.rng), body });
    });
    records.forEach((record, i) => {
      world.start(world.host(i % 3), "create", record);
    });
    world.run(1_000);
    expect(world.host(0).dht.size().records).toBe(90);
    const late = world.add(makeWho(60));
    world.spreadViews(50);
    world.run(1_500);
    expect(late.dht.size().records).toBe(90);
  });

  it("keeps create exclusive while the ring grows under it", () => {
    for (let seed = 1; seed <= 30; seed++) {
      const world = World.ring(1 + (seed % 7), { seed });
      world.settings.loss = (seed % 3) * 0.1;
      if (world.hosts.length === 1) world.dht(world.host(0), { kind: "lone", lone: true });
      const key = randomKey(new SeededRng(seed));
      const news = [20, 21, 22].map((n) => world.add(makeWho(n)));
      world.plan(30, () => world.dht(world.host(0), { kind: "lone", lone: false }));
      const asked: { host: Host; request: number }[] = [];
      for (const host of [world.hosts[0] as Host, ...news]) {
        world.plan(below(world.rng, 300), () => {
          asked.push({ host, request: world.start(host, "create", signRecord(host.who, { key })) });
        });
      }
      world.spreadViews(300);
      world.run(5_000);
      world.settings.loss = 0;
      const wins = asked.filter((one) => one.host.results.get(one.request)?.status === "stored");
      expect(wins.length, `seed ${seed}`).toBeLessThanOrEqual(1);
      if (wins.length === 0) continue;
      const seen = world.get(news[1] as Host, key);
      const signer = wins[0]?.host.who.identity.signing.publicKey;
      expect(seen.status === "found" && seen.record.signer, `seed ${seed}`).toEqual(signer);
    }
  });
});

describe("two partitions heal", () => {
  it("and every replica settles on one record", () => {
    const world = World.ring(6);
    world.hosts.forEach((host, i) => {
      host.side = i % 2;
    });
    world.spreadViews();
    world.run(2_000);
    const [a, b] = world.hosts as [Host, Host];
    expect(world.create(a, signRecord(a.who, { key: 8n, version: 3 })).status).toBe("stored");
    expect(world.create(b, signRecord(b.who, { key: 8n, version: 4 })).status).toBe("stored");
    for (const host of world.hosts) host.side = 0;
    world.spreadViews(200);
    world.run(3_000);
    for (const host of world.hosts) {
      const seen = world.get(host, 8n);
      expect(seen.status === "found" && seen.record.version).toBe(4);
    }
    const loser = world.put(a, signRecord(a.who, { key: 8n, version: 5 }));
    expect(loser.status).toBe("exists");
    const clashes = world.hosts.flatMap((host) => host.events);
    expect(clashes.length).toBeGreaterThan(0);
  });
});
