import { expect, it } from "vitest";
import { sumDrops } from "../../src/node/sum-drops.ts";

it("adds up equal reasons and keeps the others", () => {
  expect(sumDrops([])).toEqual({});
  expect(sumDrops([{ quota: 1, "no-path": 2 }, {}, { "no-path": 3 }])).toEqual({
    quota: 1,
    "no-path": 5,
  });
});
