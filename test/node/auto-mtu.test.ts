import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { AUTO_MTU, AutoMtu, type PathMtu, WORTHWHILE_MTU } from "../../src/node/auto-mtu.ts";

const LOOK_MS = 5_000;

const path = (mtu: number, isSettled = true): PathMtu => ({ mtu, isSettled });
const JUMBO = path(8_922);

/** Looks for so long; what was done, and when. */
function lookFor(auto: AutoMtu, from: number, ms: number, paths: readonly PathMtu[]): number[] {
  const acted: number[] = [];
  for (let now = from; now <= from + ms; now += LOOK_MS) {
    if (auto.look(now, paths) !== undefined) acted.push(now - from);
  }
  return acted;
}

describe("mtu: auto", () => {
  it("is raised to the least of all paths after 30 s, and says so", () => {
    const auto = new AutoMtu();
    expect(lookFor(auto, 0, 25_000, [JUMBO, path(8_914)])).toEqual([]);
    expect(auto.look(30_000, [JUMBO, path(8_914)])).toMatchObject({
      what: "mtu-raised",
      fields: { mtu: 8_914, before: AUTO_MTU },
    });
    expect(auto.mtu).toBe(8_914);
    expect(lookFor(auto, 35_000, 600_000, [JUMBO])).toEqual([]); // eight bytes are not worth it
  });

  it("stays for a usual path, a small one, an unknown one, or nobody at all", () => {
    for (const paths of [
      [JUMBO, path(1_422)],
      [JUMBO, path(1_182)],
      [JUMBO, path(8_922, false)],
      [],
    ]) {
      const auto = new AutoMtu();
      expect(lookFor(auto, 0, 600_000, paths)).toEqual([]);
      expect(auto.mtu).toBe(AUTO_MTU);
    }
  });

  it("begins to wait anew when somebody's path is not known for a moment", () => {
    const auto = new AutoMtu();
    lookFor(auto, 0, 25_000, [JUMBO]);
    auto.look(30_000, [JUMBO, path(1_150, false)]);
    expect(lookFor(auto, 35_000, 60_000, [JUMBO])).toEqual([30_000]);
  });

  it("is lowered at the first look, never below 1,390, and each time raised later", () => {
    const auto = new AutoMtu();
    let now = 0;
    for (const holdMs of [30_000, 60_000, 120_000, 240_000]) {
      expect(lookFor(auto, now, 300_000, [JUMBO])).toEqual([holdMs]);
      now += 1_000_000;
      expect(auto.look(now, [JUMBO, path(1_182)])).toMatchObject({ what: "mtu-lowered" });
      expect(auto.mtu).toBe(AUTO_MTU);
    }
  });

  it("does not follow a path that is just being looked at, nor a member that is gone", () => {
    const auto = new AutoMtu();
    lookFor(auto, 0, 30_000, [JUMBO]);
    expect(lookFor(auto, 35_000, 600_000, [JUMBO, path(1_150, false)])).toEqual([]);
    expect(lookFor(auto, 700_000, 600_000, [])).toEqual([]);
    expect(auto.mtu).toBe(8_922);
  });

  it("is 1,390 or what every path carried, and its raises grow rare", () => {
    const path = fc.record({
      mtu: fc.integer({ min: 1_300, max: 9_000 }),
      isSettled: fc.boolean(),
    });
    const jumbo = fc.record({
      mtu: fc.integer({ min: 2_800, max: 9_000 }),
      isSettled: fc.constant(true),
    });
    const stretch = fc.record({
      paths: fc.array(fc.oneof(path, { weight: 5, arbitrary: jumbo }), { maxLength: 3 }),
      looks: fc.integer({ min: 1, max: 60 }),
    });
    fc.assert(
      fc.property(fc.array(stretch, { maxLength: 60 }), (stretches) => {
        const auto = new AutoMtu();
        let [now, raises] = [0, 0];
        for (const { paths, looks } of stretches) {
          const settled = paths.filter(({ isSettled }) => isSettled).map(({ mtu }) => mtu);
          for (let i = 0; i < looks; i++, now += LOOK_MS) {
            const before = auto.mtu;
            auto.look(now, paths);
            if (auto.mtu > before) raises++;
            if (auto.mtu === AUTO_MTU) continue;
            expect(auto.mtu).toBeLessThanOrEqual(Math.min(...settled, 8_922));
            expect(auto.mtu).toBeGreaterThanOrEqual(WORTHWHILE_MTU);
          }
        }
        // six steps of a quarter lead to the top, and each lowering doubles the wait
        expect(raises).toBeLessThanOrEqual(6 * (2 + Math.log2(1 + now / 30_000)));
      }),
    );
  });
});
