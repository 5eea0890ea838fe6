import { describe, expect, it } from "vitest";
import { World } from "./world.ts";

describe("a handshake by datagram", () => {
  it("gives both sides one link and one direct path", () => {
    const world = new World();
    const [a, b] = [world.add("a"), world.add("b")];
    a.connect(b.endpoint);
    world.run(5_000);
    expect(a.of("link-up").map(({ peer }) => peer.name)).toEqual(["b"]);
    expect(b.of("link-up").map(({ peer }) => peer.name)).toEqual(["a"]);
    expect(a.linkTo(b)?.path).toEqual({ kind: "direct", endpoint: b.endpoint });
    expect(b.linkTo(a)?.path).toEqual({ kind: "direct", endpoint: a.endpoint });
    expect(a.linkTo(b)?.peer.initiatedHere).toBe(true);
    expect(b.linkTo(a)?.peer.initiatedHere).toBe(false);
    expect(a.linkTo(b)?.rttMs).toBeCloseTo(20, 0);
    expect(a.links.drops()).toEqual({});
    expect(b.links.drops()).toEqual({});
  });

  it("carries messages both ways and reports each", () => {
    const world = new World();
    const [a, b] = [world.add("a"), world.add("b")];
    a.connect(b.endpoint);
    world.run(1_000);
    a.say(b, Uint8Array.of(1, 2, 3), 5);
    b.say(a, new Uint8Array(65_000), 6);
    world.run(1_000);
    expect(b.of("message").map(({ bytes }) => [...bytes])).toEqual([[0x10, 1, 2, 3]]);
    expect(a.of("message").map(({ bytes }) => bytes.length)).toEqual([65_001]);
    expect(a.of("sent")).toEqual([{ kind: "sent", owner: "ring", token: 5, ok: true }]);
    expect(b.of("sent")).toEqual([{ kind: "sent", owner: "ring", token: 6, ok: true }]);
  });
});
