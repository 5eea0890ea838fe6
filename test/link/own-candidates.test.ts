import { describe, expect, it } from "vitest";
import { OwnCandidates } from "../../src/link/own-candidates.ts";

const HOST = { ip: "192.0.2.7", port: 7117 };
const at = (port: number) => ({ ip: "203.0.113.9", port });

describe("own candidates", () => {
  it("are how peers see us, then host addresses", () => {
    const own = new OwnCandidates();
    own.setLocal([HOST]);
    expect(own.noteReflexive(0, 1n, at(1))).toBe(true);
    expect(own.noteReflexive(0, 2n, at(1))).toBe(false);
    expect(own.noteReflexive(0, 3n, HOST)).toBe(false);
    expect(own.list()).toEqual([at(1), HOST]);
  });

  it("one peer's lies take one place, behind what two others agree on", () => {
    const own = new OwnCandidates();
    own.noteReflexive(0, 1n, at(1));
    own.noteReflexive(0, 2n, at(1));
    for (let port = 100; port < 200; port++) own.noteReflexive(1, 9n, at(port));
    expect(own.list()).toEqual([at(1), at(199)]);
  });

  it("are forgotten when nobody confirms them, and stay few", () => {
    const own = new OwnCandidates();
    for (let peer = 1; peer <= 40; peer++) own.noteReflexive(0, BigInt(peer), at(peer));
    expect(own.list().length).toBe(4);
    own.noteReflexive(300_000, 99n, at(99));
    expect(own.list()).toEqual([at(99)]);
  });
});
