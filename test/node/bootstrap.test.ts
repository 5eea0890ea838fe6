import { describe, expect, it } from "vitest";
import type { Endpoint } from "../../src/base/net.ts";
import { SeededRng } from "../../src/base/rng.ts";
import { Bootstrap } from "../../src/node/bootstrap.ts";

const A: Endpoint = { ip: "192.0.2.1", port: 7117 };
const B: Endpoint = { ip: "192.0.2.2", port: 7117 };

function make(file: readonly Endpoint[], remembered: readonly Endpoint[] = []): Bootstrap {
  return new Bootstrap(new SeededRng(1), file, remembered);
}

function asked(bootstrap: Bootstrap): Endpoint[] {
  const out: Endpoint[] = [];
  for (let to = bootstrap.poll(); to !== undefined; to = bootstrap.poll()) {
    if (to.kind === "endpoint") out.push(to.endpoint);
  }
  return out;
}

describe("bootstrap", () => {
  it("asks file entries and remembered peers, each once", () => {
    const bootstrap = make([A, B], [B]);
    bootstrap.attempt(0, [], true);
    expect(asked(bootstrap)).toEqual([A, B]);
  });

  it("leaves out what is linked and what turned out to be ourselves", () => {
    const bootstrap = make([A, B]);
    bootstrap.markSelf(A);
    bootstrap.attempt(0, [B], false);
    expect(asked(bootstrap)).toEqual([]);
  });

  it("is empty when nobody is left to ask", () => {
    const bootstrap = make([A]);
    expect(bootstrap.isEmpty).toBe(false);
    bootstrap.markSelf(A);
    expect(bootstrap.isEmpty).toBe(true);
  });

  it("asks again soon when alone, later when linked, at once when the last link is gone", () => {
    const bootstrap = make([A, B]);
    bootstrap.attempt(0, [], true);
    const alone = bootstrap.deadline();
    bootstrap.attempt(0, [B], false);
    const linked = bootstrap.deadline();
    expect(linked).toBeGreaterThan(2 * alone);
    bootstrap.lostAll(10);
    expect(bootstrap.deadline()).toBe(10);
    expect(bootstrap.isDue(10)).toBe(true);
  });

  it("asks a bounded number of endpoints, however long the lists", () => {
    const many = Array.from({ length: 500 }, (_, i) => ({ ip: "192.0.2.9", port: 1 + i }));
    const bootstrap = make(many, many);
    bootstrap.attempt(0, [], true);
    expect(asked(bootstrap).length).toBe(32);
  });

  it("takes new names from the resolver at once", () => {
    const bootstrap = make([]);
    bootstrap.setFile(5, [A]);
    expect(bootstrap.isDue(5)).toBe(true);
    bootstrap.attempt(5, [], true);
    expect(asked(bootstrap)).toEqual([A]);
  });
});
