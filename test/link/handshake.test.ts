import { describe, expect, it } from "vitest";
import { deriveClusterKeys } from "../../src/crypto/cluster-keys.ts";
import { appendMacs } from "../../src/crypto/mac.ts";
import { emitVersionRefused } from "../../src/wire/cookie.ts";
import { emitHandshake1 } from "../../src/wire/handshake.ts";
import { DATAGRAM_TYPES } from "../../src/wire/message-type.ts";
import { suite } from "../support/suite.ts";
import { DEFAULT_NETWORK, type TestNode, World } from "./world.ts";

const keys = deriveClusterKeys(suite, DEFAULT_NETWORK);

function expectOneLink(a: TestNode, b: TestNode): void {
  expect(a.of("link-up")).toHaveLength(1);
  expect(b.of("link-up")).toHaveLength(1);
  expect(a.of("link-down")).toEqual([]);
  expect(b.of("link-down")).toEqual([]);
}

/** Messages go both ways, under keys both hold. */
function expectTalk(world: World, a: TestNode, b: TestNode): void {
  const before = [a.of("message").length, b.of("message").length];
  a.say(b, Uint8Array.of(1), 0xa0);
  b.say(a, Uint8Array.of(2), 0xb0);
  world.run(4_000);
  expect(a.of("message").length - (before[0] ?? 0)).toBe(1);
  expect(b.of("message").length - (before[1] ?? 0)).toBe(1);
  expect(a.of("sent").at(-1)).toMatchObject({ token: 0xa0, ok: true });
  expect(b.of("sent").at(-1)).toMatchObject({ token: 0xb0, ok: true });
}

describe("a handshake by datagram", () => {
  it("gives both sides one link and one direct path", () => {
    const world = new World();
    const [a, b] = [world.add("a"), world.add("b")];
    a.connect(b.endpoint);
    world.run(5_000);
    expect(a.of("link-up").map(({ peer }) => peer.name)).toEqual(["b"]);
    expect(b.of("link-up").map(({ peer }) => peer.name)).toEqual(["a"]);
    expect(a.linkTo(b)?.path).toMatchObject({ kind: "direct", endpoint: b.endpoint });
    expect(b.linkTo(a)?.path).toMatchObject({ kind: "direct", endpoint: a.endpoint });
    expect(a.linkTo(b)?.peer.initiatedHere).toBe(true);
    expect(b.linkTo(a)?.peer.initiatedHere).toBe(false);
    expect(a.linkTo(b)?.rttMs).toBeCloseTo(20, 0);
    expect(a.linkTo(b)?.maxDatagram).toBe(8_972);
    expect(a.links.drops()).toEqual({});
    expect(b.links.drops()).toEqual({});
  });

  it("says link-up before its path and before any message", () => {
    const world = new World();
    const [a, b] = [world.add("a"), world.add("b")];
    a.connect(b.endpoint);
    world.run(100, () => a.linkTo(b) !== undefined);
    a.say(b, Uint8Array.of(9));
    world.run(1_000);
    const order = b.outputs.map(({ kind }) => kind);
    expect(order.indexOf("link-up")).toBeGreaterThanOrEqual(0);
    expect(order[order.indexOf("link-up") + 1]).toBe("path");
    expect(order.indexOf("message")).toBeGreaterThan(order.indexOf("path"));
  });

  it("confirms the path when the peer was heard: only then can it open what is sent", () => {
    const world = new World();
    const [a, b] = [world.add("a"), world.add("b")];
    const isHandshake = (bytes: Uint8Array): boolean => (bytes[0] ?? 0) < DATAGRAM_TYPES.data;
    world.allows = (from, _to, bytes) => from.ip === a.endpoint.ip || isHandshake(bytes);
    a.connect(b.endpoint);
    world.run(500);
    expect(a.linkTo(b)?.path.kind).toBe("direct");
    expect(a.of("path").map(({ isConfirmed }) => isConfirmed)).not.toContain(true);
    expect(b.of("path").at(-1)?.isConfirmed).toBe(true);
    world.allows = () => true;
    world.run(1_000);
    expect(a.of("path").at(-1)).toMatchObject({ path: { kind: "direct" }, isConfirmed: true });
  });

  it("settles AES only when both sides have it", () => {
    const world = new World();
    const [a, b, c] = [
      world.add("a", { hasAes: true }),
      world.add("b", { hasAes: true }),
      world.add("c"),
    ];
    a.connect(b.endpoint);
    a.connect(c.endpoint);
    world.run(1_000);
    expect([a.linkTo(b)?.cipher, b.linkTo(a)?.cipher]).toEqual(["aes256gcm", "aes256gcm"]);
    expect([a.linkTo(c)?.cipher, c.linkTo(a)?.cipher]).toEqual([
      "chacha20poly1305",
      "chacha20poly1305",
    ]);
  });

  it("tells each side how the other sees it", () => {
    const world = new World();
    const [a, b] = [world.add("a", { locals: [] }), world.add("b", { locals: [] })];
    a.connect(b.endpoint);
    world.run(1_000);
    expect(a.of("reflexive")).toEqual([{ kind: "reflexive", socket: 0, endpoint: a.endpoint }]);
    expect(b.of("reflexive")).toEqual([{ kind: "reflexive", socket: 0, endpoint: b.endpoint }]);
  });

  it("succeeds whichever single message is lost", () => {
    for (let lost = 0; lost < 12; lost++) {
      const world = new World();
      const [a, b] = [world.add("a"), world.add("b")];
      let count = 0;
      world.allows = () => count++ !== lost;
      a.connect(b.endpoint);
      world.run(3_000);
      expectOneLink(a, b);
      expectTalk(world, a, b);
    }
  });

  it("gives up after five seconds of silence", () => {
    const world = new World();
    const a = world.add("a");
    const endpoint = { ip: "198.51.100.9", port: 1 };
    a.connect(endpoint);
    world.run(4_900);
    expect(a.of("connect-failed")).toEqual([]);
    world.run(300);
    expect(a.of("connect-failed")).toEqual([
      { kind: "connect-failed", to: { kind: "endpoint", endpoint }, reason: "no answer" },
    ]);
    expect(world.datagrams).toBe(7);
    expect(a.links.deadline()).toBe(Number.POSITIVE_INFINITY);
  });

  it("gives up at its deadline, also where the sum of start and patience was rounded", () => {
    const world = new World();
    const a = world.add("a");
    world.now = 126_384 + 1 / 7;
    expect(world.now + 5_000 - world.now).toBeLessThan(5_000);
    a.connect({ ip: "198.51.100.9", port: 1 });
    world.run(5_001, () => world.datagrams > 20);
    expect(a.of("connect-failed").map(({ reason }) => reason)).toEqual(["no answer"]);
    expect(world.datagrams).toBe(7);
  });

  it("recognises itself", () => {
    const world = new World();
    const a = world.add("a");
    a.connect(a.endpoint);
    a.connect(a);
    world.run(6_000);
    expect(a.of("connect-failed").map(({ reason }) => reason)).toEqual(["self", "self"]);
    expect(a.of("link-up")).toEqual([]);
    expect(world.datagrams).toBe(1);
  });

  it("answers a foreign network with silence", () => {
    const world = new World();
    const a = world.add("a");
    const b = world.add("b", { network: new Uint8Array(32).fill(8) });
    a.connect(b.endpoint);
    const before = world.datagrams;
    world.run(6_000);
    expect(world.datagrams - before).toBe(6);
    expect(a.of("connect-failed")).toHaveLength(1);
    expect(b.outputs).toEqual([]);
  });

  it("is told by a peer of another major version which one that is", () => {
    const world = new World();
    const [a, b] = [world.add("a"), world.add("b")];
    const refuse = (message1: Uint8Array) => {
      const receiver = new DataView(message1.buffer, message1.byteOffset).getUint32(4, true);
      return appendMacs(suite, keys.mac1Key, emitVersionRefused({ receiver, major: 2 }));
    };
    world.allows = (_from, to, bytes) => {
      if (to.ip !== b.endpoint.ip) return true;
      world.after(1, () => a.receive(0, b.endpoint, refuse(bytes)));
      return false;
    };
    a.connect(b.endpoint);
    world.run(100);
    expect(a.of("connect-failed")).toEqual([
      {
        kind: "connect-failed",
        to: { kind: "endpoint", endpoint: b.endpoint },
        reason: "other version",
        major: 2,
      },
    ]);
  });

  it("refuses another major version, to holders of the network key only", () => {
    const world = new World();
    const b = world.add("b");
    const body = emitHandshake1({ sender: 77, noise: new Uint8Array(48) }, true);
    body[1] = 2;
    const from = { ip: "198.51.100.1", port: 9 };
    const sent: Uint8Array[] = [];
    world.allows = (_from, _to, bytes) => sent.push(bytes) > 0;
    b.receive(0, from, appendMacs(suite, keys.mac1Key, body));
    b.receive(0, from, appendMacs(suite, new Uint8Array(32), body));
    expect(sent.map((bytes) => [bytes.length, bytes[0], bytes[1]])).toEqual([[40, 196, 1]]);
    expect(b.links.drops()).toEqual({ "unknown-version": 1 });
  });

  it("answers no datagram with a longer one", () => {
    const world = new World({ loss: 0.2, seed: 5 });
    const [a, b] = [world.add("a"), world.add("b")];
    const bytesFrom = new Map<string, number>();
    world.allows = (from, _to, bytes) => {
      if (a.linkTo(b) === undefined) {
        bytesFrom.set(from.ip, (bytesFrom.get(from.ip) ?? 0) + bytes.length);
      }
      return true;
    };
    a.connect(b.endpoint);
    world.run(3_000);
    const [asked, answered] = [a, b].map((node) => bytesFrom.get(node.endpoint.ip) ?? 0);
    expect(asked).toBeGreaterThanOrEqual(1_200);
    expect(answered).toBeLessThanOrEqual(asked ?? 0);
  });
});

describe("a handshake over the ring", () => {
  it("succeeds whichever single message is lost", () => {
    for (let lost = 0; lost < 5; lost++) {
      const world = new World();
      const [a, b] = [world.add("a"), world.add("b")];
      let count = 0;
      world.routes = () => count++ !== lost;
      a.connect(b);
      world.run(3_000);
      expectOneLink(a, b);
      expectTalk(world, a, b);
    }
  });

  it("survives heavy loss, duplication and reordering", () => {
    for (let seed = 1; seed <= 20; seed++) {
      const world = new World({ seed, loss: 0.25, duplication: 0.2, jitterMs: 80 });
      const [a, b] = [world.add("a"), world.add("b")];
      a.connect(b);
      world.run(10_000, () => a.linkTo(b)?.rttMs !== undefined && b.linkTo(a)?.rttMs !== undefined);
      expectOneLink(a, b);
    }
  });

  it("does not accept another member that answers at an endpoint of the one wanted", () => {
    const world = new World();
    const [a, b, c] = [world.add("a"), world.add("b"), world.add("c")];
    const to = { kind: "address", address: b.address, endpoints: [c.endpoint] } as const;
    let routed = 0;
    world.routes = () => routed++ > 0;
    a.input({ kind: "connect", to, role: "near" });
    world.run(3_000);
    expect(a.linkTo(b)?.path.kind).toBe("direct");
    expect(a.linkTo(c)).toBeUndefined();
    expect(a.links.drops()).toMatchObject({ "not-for-us": 1 });
  });

  it("drops a forged one for its mac1", () => {
    const world = new World();
    const b = world.add("b");
    const body = emitHandshake1({ sender: 77, noise: new Uint8Array(48) }, false);
    const bytes = appendMacs(suite, new Uint8Array(32), body);
    b.input({ kind: "routed-handshake", source: 5n, bytes });
    expect(b.links.drops()).toEqual({ "bad-mac1": 1 });
  });
});

describe("two simultaneous handshakes", () => {
  it("by endpoint give one session, at every offset of the second", () => {
    for (let offsetMs = 0; offsetMs <= 60; offsetMs += 2) {
      const world = new World();
      const [a, b] = [world.add("a"), world.add("b")];
      a.connect(b.endpoint);
      world.run(offsetMs);
      b.connect(a.endpoint);
      world.run(2_000);
      expectOneLink(a, b);
      expectTalk(world, a, b);
    }
  });

  it("by address give one session, at every offset of the second", () => {
    for (let offsetMs = 0; offsetMs <= 60; offsetMs += 2) {
      for (const order of ["ab", "ba"]) {
        const world = new World();
        const nodes = [world.add("a"), world.add("b")] as const;
        const [a, b] = order === "ab" ? nodes : ([nodes[1], nodes[0]] as const);
        a.connect(b);
        world.run(offsetMs);
        b.connect(a);
        world.run(2_000);
        expectOneLink(a, b);
        expectTalk(world, a, b);
      }
    }
  });

  it("give one session in every interleaving of the first messages", () => {
    for (let seed = 1; seed <= 60; seed++) {
      const world = new World({ seed, jitterMs: 120, latencyMs: 1 });
      const [a, b] = [world.add("a"), world.add("b")];
      a.connect(b);
      a.connect(b.endpoint);
      b.connect(a.endpoint);
      b.connect(a);
      world.run(3_000);
      expectOneLink(a, b);
      expectTalk(world, a, b);
    }
  });
});
