import { describe, expect, it } from "vitest";
import { GUESSED_ROUNDS, GuessBudget } from "../../src/link/guess-budget.ts";

const [PEER, OTHER] = [7n, 8n];
const [TEN_MINUTES, DAY] = [600_000, 86_400_000];

describe("the guesses of a pair", () => {
  it("are so many rounds, or one search, in a day", () => {
    const budget = new GuessBudget();
    for (let round = 0; round < GUESSED_ROUNDS; round++) {
      expect(budget.hasLeft(round, PEER, 1)).toBe(true);
      budget.spend(round, PEER, 1);
    }
    expect(budget.hasLeft(DAY - 1, PEER, 1)).toBe(false);
    expect(budget.hasLeft(DAY - 1, OTHER, 1)).toBe(true);
    expect(budget.hasLeft(DAY, PEER, 1)).toBe(true);
    budget.spend(DAY, PEER, GUESSED_ROUNDS);
    expect(budget.hasLeft(DAY, PEER, 1)).toBe(false);
  });

  it("leave no search where ports were foretold before", () => {
    const budget = new GuessBudget();
    expect(budget.hasLeft(0, PEER, GUESSED_ROUNDS)).toBe(true);
    budget.spend(0, PEER, 1);
    expect(budget.hasLeft(1, PEER, GUESSED_ROUNDS)).toBe(false);
    expect(budget.hasLeft(1, PEER, GUESSED_ROUNDS - 1)).toBe(true);
  });

  it("may begin again after ten minutes where they found a path", () => {
    const budget = new GuessBudget();
    budget.spend(0, PEER, GUESSED_ROUNDS);
    budget.found(PEER);
    expect(budget.hasLeft(TEN_MINUTES - 1, PEER, 1)).toBe(false);
    expect(budget.hasLeft(TEN_MINUTES, PEER, 1)).toBe(true);
    budget.spend(TEN_MINUTES, PEER, GUESSED_ROUNDS);
    expect(budget.hasLeft(3 * TEN_MINUTES, PEER, 1)).toBe(false);
  });

  it("are remembered of 256 peers, the latest", () => {
    const budget = new GuessBudget();
    for (let i = 0; i < 257; i++) budget.spend(i, BigInt(i), GUESSED_ROUNDS);
    expect(budget.hasLeft(300, 0n, 1)).toBe(true);
    expect(budget.hasLeft(300, 1n, 1)).toBe(false);
    expect(budget.hasLeft(300, 256n, 1)).toBe(false);
  });
});
