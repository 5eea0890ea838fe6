import { describe, expect, it } from "vitest";
import { VersionMemory } from "../../src/dht/version-memory.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

describe("version memory", () => {
  it("keeps the newest version for a day after the record's end", () => {
    const memory = new VersionMemory();
    memory.remember("a", { key: 1n, epoch: 1, version: 5 }, HOUR_MS);
    expect(memory.newest(HOUR_MS + DAY_MS - 1, "a", 1n)).toMatchObject({ epoch: 1, version: 5 });
    expect(memory.newest(HOUR_MS, "b", 1n)).toBeUndefined();
    expect(memory.newest(HOUR_MS, "a", 2n)).toBeUndefined();
    expect(memory.newest(HOUR_MS + DAY_MS, "a", 1n)).toBeUndefined();
    memory.sweep(HOUR_MS + DAY_MS);
    expect(memory.newest(0, "a", 1n)).toBeUndefined();
  });

  it("one signer that writes without end pushes out nobody's versions but its own", () => {
    const memory = new VersionMemory();
    memory.remember("honest", { key: 1n, epoch: 1, version: 5 }, HOUR_MS);
    for (let key = 0n; key < 20_000n; key++) {
      memory.remember("busy", { key, epoch: 1, version: 1 }, HOUR_MS);
    }
    expect(memory.newest(0, "honest", 1n)?.version).toBe(5);
    expect(memory.newest(0, "busy", 19_999n)?.version).toBe(1);
    expect(memory.newest(0, "busy", 0n)).toBeUndefined();
  });

  it("many signers together stay within the bound, the one heard least lately gives way", () => {
    const memory = new VersionMemory();
    for (let i = 0; i < 20_000; i++) {
      memory.remember(`s${i}`, { key: 1n, epoch: 1, version: 1 }, HOUR_MS);
    }
    const kept = Array.from({ length: 20_000 }, (_, i) => memory.newest(0, `s${i}`, 1n));
    expect(kept.filter((age) => age !== undefined).length).toBe(16_384);
    expect(kept[19_999]).toBeDefined();
  });
});
