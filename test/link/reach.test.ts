import { describe, expect, it } from "vitest";
import { World } from "./world.ts";

describe("a handshake over the ring", () => {
  it("finds the direct path through the candidates", () => {
    const world = new World();
    const [a, b] = [world.add("a"), world.add("b")];
    a.connect(b);
    world.run(2_000);
    expect(a.linkTo(b)?.path).toMatchObject({ kind: "direct", endpoint: b.endpoint });
    expect(b.linkTo(a)?.path).toMatchObject({ kind: "direct", endpoint: a.endpoint });
  });

  it("takes a relay when no direct path exists, and the direct path once it opens", () => {
    const world = new World();
    const [a, r, b] = [world.add("a"), world.add("r"), world.add("b")];
    const isPair = (x: string, y: string) =>
      [a.endpoint.ip, b.endpoint.ip].sort().join() === [x, y].sort().join();
    let isBlocked = true;
    world.allows = (from, to) => !(isBlocked && isPair(from.ip, to.ip));
    a.connect(r.endpoint);
    b.connect(r.endpoint);
    world.run(1_000);
    a.connect(b);
    const before = world.now;
    world.run(
      2_000,
      () => a.linkTo(b)?.path.kind === "relay" && b.linkTo(a)?.path.kind === "relay",
    );
    expect(a.linkTo(b)?.path).toEqual({ kind: "relay", via: r.address });
    expect(b.linkTo(a)?.path).toEqual({ kind: "relay", via: r.address });
    expect(world.now - before).toBeLessThan(600);
    a.say(b, Uint8Array.of(1), 1);
    world.run(20_000);
    expect(b.of("message")).toHaveLength(1);
    expect(a.linkTo(b)?.path.kind).toBe("relay");
    isBlocked = false;
    world.run(40_000);
    expect(a.linkTo(b)?.path).toMatchObject({ kind: "direct", endpoint: b.endpoint });
    expect(b.linkTo(a)?.path).toMatchObject({ kind: "direct", endpoint: a.endpoint });
    a.say(b, Uint8Array.of(2), 2);
    world.run(60_000);
    expect(a.of("sent").map(({ ok }) => ok)).toEqual([true, true]);
    expect(a.of("link-down")).toEqual([]);
    expect(b.of("link-down")).toEqual([]);
  });

  it("finds a way over two relays, and reports when a relay dies", () => {
    const world = new World();
    const [a, r, s, b] = [world.add("a"), world.add("r"), world.add("s"), world.add("b")];
    const chain = [a, r, s, b].map((node) => node.endpoint.ip);
    world.allows = (from, to) => Math.abs(chain.indexOf(from.ip) - chain.indexOf(to.ip)) === 1;
    a.connect(r.endpoint);
    r.connect(s.endpoint);
    s.connect(b.endpoint);
    world.run(1_000);
    a.connect(b);
    world.run(3_000);
    expect(a.linkTo(b)?.path).toEqual({ kind: "relay", via: r.address });
    expect(b.linkTo(a)?.path).toEqual({ kind: "relay", via: s.address });
    // Longer than a circuit lives: it is refreshed while in use.
    for (let i = 1; i <= 10; i++) {
      a.say(b, Uint8Array.of(i), i);
      world.run(10_000);
    }
    expect(a.of("sent").map(({ ok }) => ok)).toEqual(new Array(10).fill(true));
    const kinds = a.of("path").filter(({ address }) => address === b.address);
    expect(new Set(kinds.slice(1).map(({ path }) => path.kind))).toEqual(new Set(["relay"]));
    r.input({ kind: "close", link: r.linkTo(s)?.peer.link ?? 0, reason: "test" });
    world.run(1_000);
    expect(a.linkTo(b)?.path).toEqual({ kind: "none" });
    expect(b.linkTo(a)?.path).toEqual({ kind: "none" });
  });
});
