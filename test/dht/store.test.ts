import { describe, expect, it } from "vitest";
import { below, SeededRng } from "../../src/base/rng.ts";
import { MemberCache } from "../../src/dht/member-cache.ts";
import { RecordCheck } from "../../src/dht/record-check.ts";
import {
  type CheckedRecord,
  compareAge,
  type RecordRules,
  VERSION_RULE,
} from "../../src/dht/record-rule.ts";
import { Store } from "../../src/dht/store.ts";
import type { DhtRecord } from "../../src/wire/record.ts";
import { suite } from "../support/suite.ts";
import { type Draft, makeWho, membership, networkId, signRecord, type Who } from "./world.ts";

/** Like leases: class, merit, hash; read off the body so that tests choose. */
const rules: RecordRules = {
  mac: VERSION_RULE,
  lease: {
    inspect: ({ body }) => ({
      ok: true,
      value: { seniority: body[0] ?? 0, renewals: body[1] ?? 0 },
    }),
    compare(a, b) {
      const byClass = b.standing.seniority - a.standing.seniority;
      if (byClass !== 0) return Math.sign(byClass) * 3;
      const byMerit = b.standing.renewals - a.standing.renewals;
      if (byMerit !== 0) return Math.sign(byMerit) * 2;
      return a.signer.address < b.signer.address ? -1 : 1;
    },
  },
};
const members = new MemberCache(suite, (bytes, wall) => membership.verify(bytes, wall));
const door = new RecordCheck({ suite, networkId, members, rules });
const people = Array.from({ length: 4 }, (_, i) => makeWho(i));

function checked(who: Who, draft: Draft): CheckedRecord {
  const outcome = door.check(signRecord(who, draft), who.bytes);
  if (!outcome.ok) throw new Error(outcome.reason);
  return outcome.value;
}

function same(a: DhtRecord, b: DhtRecord): boolean {
  return Buffer.compare(a.signature, b.signature) === 0;
}

/** The obvious store: a list of everything ever accepted, searched anew each time. */
class Model {
  #log: { one: CheckedRecord; at: number; until: number; gone: boolean }[] = [];

  live(now: number, key: bigint) {
    return this.#log.find((e) => !e.gone && e.until > now && e.one.record.key === key);
  }

  offer(now: number, one: CheckedRecord, mode: "create" | "put" | "merge", ms: number): string {
    const { key } = one.record;
    const live = this.live(now, key);
    const mine = this.#log.filter(
      (e) => e.one.record.key === key && e.one.signer.address === one.signer.address,
    );
    const newest = mine.reduce<CheckedRecord["record"] | undefined>(
      (top, e) => (top === undefined || compareAge(e.one.record, top) > 0 ? e.one.record : top),
      undefined,
    );
    const age = newest === undefined ? 1 : compareAge(one.record, newest);
    const isMine = live?.one.signer.address === one.signer.address;
    if (one.record.ttlSeconds === 0) {
      if (age <= 0) return newest && same(newest, one.record) ? "stored" : "stale";
      if (live && isMine) live.gone = true;
      this.#log.push({ one, at: now, until: now, gone: true });
      return "stored";
    }
    if (live && !isMine) {
      const order = rules[one.record.kind].compare(one, live.one);
      const needed = { create: -3, put: -2, merge: -1 }[mode];
      if (age <= 0 || order > needed) return "exists";
    } else if (age < 0 || (age === 0 && !live)) return "stale";
    else if (age === 0) {
      if (live && same(live.one.record, one.record)) return "stored";
      const wins = live && Buffer.compare(one.digest, live.one.digest) < 0;
      if (mode !== "merge" || !wins) return "stale";
    }
    if (live) live.gone = true;
    this.#log.push({ one, at: now, until: now + ms, gone: false });
    return "stored";
  }
}

describe("Store", () => {
  it("does what the obvious store does, whatever comes", () => {
    for (let seed = 1; seed <= 30; seed++) {
      const rng = new SeededRng(seed);
      const store = new Store(rules);
      const model = new Model();
      const pool: CheckedRecord[] = [];
      let now = 0;
      for (let step = 0; step < 80; step++) {
        now += below(rng, 4_000);
        const fresh = checked(people[below(rng, 3)] as Who, {
          key: BigInt(below(rng, 2)),
          kind: "lease",
          version: 1 + below(rng, 6),
          ttlSeconds: below(rng, 5) === 0 ? 0 : 1 + below(rng, 20),
          body: Uint8Array.of(below(rng, 2), below(rng, 2)),
        });
        pool.push(fresh);
        const one = below(rng, 3) === 0 ? (pool[below(rng, pool.length)] as CheckedRecord) : fresh;
        const mode = (["create", "put", "merge"] as const)[below(rng, 3)] ?? "put";
        const ms = one.record.ttlSeconds * (mode === "merge" ? below(rng, 1001) : 1000);
        const label = `seed ${seed} step ${step}`;
        expect(store.offer(now, one, mode, ms).status, label).toBe(model.offer(now, one, mode, ms));
        for (const key of [0n, 1n]) {
          expect(store.live(now, key)?.record, label).toEqual(model.live(now, key)?.one.record);
        }
      }
      store.sweep(now + 90_000_000);
      expect(store.size()).toEqual({ records: 0, bytes: 0 });
    }
  });

  it("holds 64 KiB of one signer, and 2 KiB more with each attested lease", () => {
    const store = new Store(rules);
    const body = new Uint8Array(1_000);
    let stored = 0;
    for (let i = 0; i < 100; i++) {
      const one = checked(people[0] as Who, { key: BigInt(i), body });
      if (store.offer(0, one, "create", 1_000).status === "stored") stored++;
    }
    expect(store.size().bytes).toBeLessThanOrEqual(65_536);
    expect(stored).toBeGreaterThan(40);
    for (let i = 0; i < 300; i++) {
      const lease = checked(people[0] as Who, {
        key: BigInt(1_000 + i),
        kind: "lease",
        body: new Uint8Array(1_000).fill(1, 1, 2),
      });
      expect(store.offer(0, lease, "put", 1_000).status).toBe("stored");
    }
    expect(store.size().bytes).toBeLessThanOrEqual(65_536 + 300 * 2_048);
  });

  it("has no such limit for this node's own records", () => {
    const own = people[0] as Who;
    const store = new Store(rules, own.identity.signing.publicKey);
    const body = new Uint8Array(1_000);
    const statusOf = (who: Who, i: number): string =>
      store.offer(0, checked(who, { key: BigInt(i), body }), "create", 1_000).status;
    const statuses = Array.from({ length: 200 }, (_, i) => statusOf(own, i));
    expect(new Set(statuses)).toEqual(new Set(["stored"]));
    const others = Array.from({ length: 200 }, (_, i) => statusOf(people[1] as Who, 1_000 + i));
    expect(others).toContain("refused");
  });

  it("counts tombstones apart: who gave much back may still write", () => {
    const store = new Store(rules);
    const [who] = people as [Who];
    for (let i = 0; i < 1_000; i++) {
      const key = BigInt(i);
      expect(store.offer(0, checked(who, { key }), "create", 1_000).status).toBe("stored");
      const grave = checked(who, { key, version: 2, ttlSeconds: 0 });
      expect(store.offer(0, grave, "put", 0).status).toBe("stored");
    }
    expect(store.size().bytes).toBeGreaterThan(65_536);
    expect(store.size().bytes).toBeLessThanOrEqual(524_288);
  });

  it("takes no older version for news when the signer wrote too much to be remembered", () => {
    const store = new Store(rules);
    const [who] = people as [Who];
    store.offer(0, checked(who, { key: 0n, version: 5 }), "create", 1_000_000);
    for (let i = 1; i <= 2_100; i++) {
      const grave = checked(who, { key: BigInt(i), ttlSeconds: 0 });
      store.offer(0, grave, "put", 0);
    }
    const old = checked(who, { key: 0n, version: 4 });
    expect(store.offer(0, old, "merge", 1_000_000).status).toBe("stale");
    const removal = checked(who, { key: 0n, version: 4, ttlSeconds: 0 });
    expect(store.offer(0, removal, "put", 0).status).toBe("stale");
    expect(store.live(0, 0n)?.record.version).toBe(5);
  });

  it("gives back the bytes of what expires, is replaced, removed or dropped", () => {
    const store = new Store(rules);
    const [who] = people as [Who];
    store.offer(0, checked(who, { key: 1n, body: new Uint8Array(100) }), "put", 1_000);
    store.offer(0, checked(who, { key: 1n, version: 2, body: new Uint8Array(50) }), "put", 1_000);
    store.offer(0, checked(who, { key: 2n }), "put", 1_000);
    expect(store.size().records).toBe(2);
    store.drop(2n);
    store.offer(0, checked(who, { key: 1n, version: 3, ttlSeconds: 0 }), "put", 0);
    expect(store.size().records).toBe(1);
    store.sweep(3_600_000);
    expect(store.size()).toEqual({ records: 0, bytes: 0 });
  });

  it("stays within its bound under 100,000 records of ever new signers (WEFT_ATTACK=full: a million)", () => {
    // Signatures are the door's business (record-check.test.ts): here only the bookkeeping counts.
    const store = new Store(rules);
    const base = checked(people[0] as Who, { key: 0n, body: new Uint8Array(200) });
    const count = process.env["WEFT_ATTACK"] === "full" ? 1_000_000 : 100_000;
    for (let i = 0; i < count; i++) {
      const signer = new Uint8Array(32);
      new DataView(signer.buffer).setUint32(0, i);
      const record = { ...base.record, key: BigInt(i), signer };
      store.offer(i, { ...base, record }, "create", 3_600_000);
    }
    expect(store.size().bytes).toBeLessThanOrEqual(8_388_608);
    expect(store.size().records).toBeGreaterThan(10_000);
    const lease = { ...base.record, kind: "lease" as const, key: 1n << 100n };
    const attested = { ...base, record: lease, standing: { seniority: 1, renewals: 1 } };
    expect(store.offer(count, attested, "create", 1_000).status).toBe("stored");
  });

  it("counts lives on its own clock, whatever the ttl field says", () => {
    const store = new Store(rules);
    const [who] = people as [Who];
    for (const [i, ttlSeconds] of [-5, Number.NaN, 2 ** 53, Number.POSITIVE_INFINITY].entries()) {
      const one = checked(who, { key: BigInt(i), ttlSeconds });
      expect(one).toBeDefined();
    }
    store.offer(0, checked(who, { key: 9n, ttlSeconds: 86_400 }), "put", -1);
    expect(store.live(0, 9n)).toBeUndefined();
  });
});
