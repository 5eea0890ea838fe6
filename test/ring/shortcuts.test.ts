import { describe, expect, it } from "vitest";
import { SeededRng } from "../../src/base/rng.ts";
import { drawDistance, shortcutCount } from "../../src/ring/shortcuts.ts";

describe("shortcutCount", () => {
  it("is half the binary logarithm, rounded up", () => {
    const counts = [1, 2, 4, 5, 16, 17, 64, 1_000, 1_024, 100_000].map(shortcutCount);
    expect(counts).toEqual([0, 1, 1, 2, 2, 3, 3, 5, 5, 9]);
  });
});

describe("drawDistance", () => {
  it("is log-uniform from a gap to the whole ring", () => {
    for (const members of [10, 1_000, 4_096]) {
      const rng = new SeededRng(members);
      const draws = 20_000;
      const bins = 20;
      const seen = new Array<number>(bins).fill(0);
      for (let i = 0; i < draws; i++) {
        const distance = drawDistance(rng, members);
        expect(distance >= (1n << 160n) / BigInt(members) && distance < 1n << 160n).toBe(true);
        const share = Number(distance >> 100n) / 2 ** 60;
        const place = 1 + Math.log(share) / Math.log(members);
        const bin = Math.min(bins - 1, Math.floor(place * bins));
        seen[bin] = (seen[bin] ?? 0) + 1;
      }
      const expected = draws / bins;
      const chiSquare = seen.reduce((sum, n) => sum + (n - expected) ** 2 / expected, 0);
      // 19 degrees of freedom: 43.8 is passed by one true log-uniform source in a thousand.
      expect(chiSquare, `${members} members: ${seen.join(" ")}`).toBeLessThan(43.8);
    }
  });

  it("draws the same from the same seed on every machine", () => {
    expect(drawDistance(new SeededRng(7), 100).toString(16)).toMatchInlineSnapshot(
      `"bd80b44f055044112efe6e2e3cc4345e9777d4e0"`,
    );
  });
});
