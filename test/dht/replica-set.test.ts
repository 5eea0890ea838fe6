import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { nearestTo } from "../../src/base/ring-address.ts";
import { SeededRng } from "../../src/base/rng.ts";
import { ascending, quorumOf, replicasOf, windowAround } from "../../src/dht/replica-set.ts";
import { randomKey } from "./world.ts";

describe("replica sets", () => {
  it("have n = min(5, members) and a quorum above half", () => {
    expect([1, 2, 3, 4, 5].map(quorumOf)).toEqual([1, 2, 2, 3, 3]);
    const members = [10n, 20n, 30n, 40n, 50n, 60n, 70n];
    expect(replicasOf(members, 41n)).toEqual([20n, 30n, 40n, 50n, 60n]);
    expect(replicasOf(members, 11n)).toEqual([10n, 20n, 30n, 60n, 70n]);
    expect(replicasOf(members.slice(0, 3), 11n)).toEqual([10n, 20n, 30n]);
    expect(replicasOf([], 11n)).toEqual([]);
  });

  it("are the same at all their members, who see four neighbours a side, in rings of 1 to 30", () => {
    for (let count = 1; count <= 30; count++) {
      const rng = new SeededRng(count);
      const all = ascending(Array.from({ length: count }, () => randomKey(rng)));
      for (let i = 0; i < 30; i++) {
        const key = randomKey(rng);
        const truth = replicasOf(all, key);
        expect(truth).toContain(nearestTo(key, all));
        for (const self of all) {
          const seen = replicasOf(windowAround(self, all, 4), key);
          expect(seen.includes(self)).toBe(truth.includes(self));
          if (truth.includes(self)) expect(seen).toEqual(truth);
        }
      }
    }
  });

  it("share a member whenever two quorums of one set are taken", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5 }), (n) => {
        expect(2 * quorumOf(n)).toBeGreaterThan(n);
      }),
    );
  });
});
