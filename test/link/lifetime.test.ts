import { describe, expect, it } from "vitest";
import type { SessionId } from "../../src/base/engine.ts";
import { type TestNode, World } from "./world.ts";

function linked(options: ConstructorParameters<typeof World>[0] = {}): {
  world: World;
  a: TestNode;
  b: TestNode;
} {
  const world = new World(options);
  const [a, b] = [world.add("a"), world.add("b")];
  a.connect(b.endpoint);
  world.run(2_000);
  expect(a.linkTo(b)?.path.kind).toBe("direct");
  return { world, a, b };
}

const MAC_A = "02:00:00:00:00:0a";
const MAC_B = "02:00:00:00:00:0b";
/** From b to a, of a type that nobody looks into. */
const FRAME = Uint8Array.of(
  2,
  0,
  0,
  0,
  0,
  10,
  2,
  0,
  0,
  0,
  0,
  11,
  0x88,
  0xb5,
  ...new Uint8Array(46),
);

describe("the end of a link", () => {
  it("is told by a goodbye", () => {
    const { world, a, b } = linked();
    a.say(b, Uint8Array.of(1), 4);
    a.input({ kind: "close", link: a.linkTo(b)?.peer.link ?? 0, reason: "not needed" });
    expect(a.of("sent")).toEqual([{ kind: "sent", owner: "ring", token: 4, ok: false }]);
    world.run(100);
    expect(a.of("link-down").map(({ reason }) => reason)).toEqual(["not needed"]);
    expect(b.of("link-down").map(({ reason }) => reason)).toEqual(["peer: not needed"]);
    expect(a.links.views()).toEqual([]);
    expect(b.links.views()).toEqual([]);
    world.run(600_000);
    expect(b.links.deadline()).toBe(Number.POSITIVE_INFINITY);
  });

  it("loses no frame that left the peer before the goodbye came", () => {
    const { world, a, b } = linked();
    const [atA, atB] = [a, b].map((node) => node.links.views()[0]?.peer.link ?? 0) as [
      SessionId,
      SessionId,
    ];
    a.engine.apply([
      { op: "filter", session: atA, entries: [{ mac: MAC_B, ips: [] }] },
      { op: "forward", mac: MAC_A, to: "local", ttlMs: 60_000 },
    ]);
    b.engine.apply([{ op: "forward", mac: MAC_A, to: atB, ttlMs: 60_000 }]);
    a.input({ kind: "close", link: atA, reason: "idle" });
    b.engine.receiveFrame(FRAME);
    world.run(100);
    expect(b.of("link-down")).toHaveLength(1);
    expect(a.frames).toEqual([FRAME]);
  });

  it("closes the session for good a second after the goodbye, or at once when nobody hears one", () => {
    const { world, a, b } = linked();
    const closed: number[] = [];
    const apply = a.engine.apply.bind(a.engine);
    a.engine.apply = (commands) => {
      if (commands.some(({ op }) => op === "session-close")) closed.push(world.now);
      apply(commands);
    };
    const before = world.now;
    a.input({ kind: "close", link: a.linkTo(b)?.peer.link ?? 0, reason: "idle" });
    world.run(5_000);
    expect(closed).toEqual([before + 1_000]);
    a.connect(b.endpoint);
    world.run(2_000);
    b.input({ kind: "close", link: b.linkTo(a)?.peer.link ?? 0, reason: "idle" });
    world.run(100);
    expect(closed).toHaveLength(2);
  });

  it("is found when the goodbye was lost: others reach the peer, so it is asked again", () => {
    const { world, a, b } = linked();
    world.allows = () => false;
    b.input({ kind: "close", link: b.linkTo(a)?.peer.link ?? 0, reason: "not needed" });
    world.run(100);
    world.allows = () => true;
    world.run(15_000, () => a.of("silent").length > 0);
    expect(b.links.views()).toEqual([]);
    a.input({ kind: "path-broken", link: a.linkTo(b)?.peer.link ?? 0 });
    world.run(1_000);
    expect(a.of("link-down").map(({ reason }) => reason)).toEqual(["reopened"]);
    a.say(b, Uint8Array.of(7), 9);
    world.run(1_000);
    expect(a.of("sent").at(-1)).toMatchObject({ token: 9, ok: true });
  });

  it("reports messages to a link that is gone", () => {
    const { a } = linked();
    a.input({
      kind: "send",
      link: 12345,
      bytes: Uint8Array.of(0x10),
      reliable: true,
      owner: "vnet",
      token: 8,
    });
    expect(a.of("sent")).toEqual([{ kind: "sent", owner: "vnet", token: 8, ok: false }]);
  });
});

describe("a peer that restarts", () => {
  it("gets a fresh link at once although the old one still stands", () => {
    const { world, a, b } = linked();
    const old = a.linkTo(b)?.peer.link;
    b.kill();
    world.run(500);
    const again = world.add("b", { seed: 2, endpoint: b.endpoint, boot: 999n });
    expect(again.address).toBe(b.address);
    again.connect(a.endpoint);
    world.run(1_000);
    expect(a.of("link-down").map(({ reason, link }) => [reason, link])).toEqual([
      ["restarted", old],
    ]);
    expect(a.of("link-up")).toHaveLength(2);
    expect(a.linkTo(again)?.peer.boot).toBe(999n);
    again.say(a, Uint8Array.of(1), 1);
    world.run(1_000);
    expect(again.of("sent")).toMatchObject([{ token: 1, ok: true }]);
  });
});

describe("a peer that forgot the link but did not restart", () => {
  it("is noticed by its tag, so that both sides start over", () => {
    const { world, a, b } = linked();
    world.allows = () => false;
    a.input({ kind: "close", link: a.linkTo(b)?.peer.link ?? 0, reason: "lost" });
    world.run(500);
    world.allows = () => true;
    a.connect(b.endpoint);
    world.run(2_000);
    expect(b.of("link-down").map(({ reason }) => reason)).toEqual(["reopened"]);
    expect(b.of("link-up")).toHaveLength(2);
    a.say(b, Uint8Array.of(1), 1);
    b.say(a, Uint8Array.of(2), 2);
    world.run(1_000);
    expect(a.of("sent").at(-1)).toMatchObject({ token: 1, ok: true });
    expect(b.of("sent").at(-1)).toMatchObject({ token: 2, ok: true });
  });
});

describe("silence", () => {
  it("is said within 5 s on a near link and then every 3 s at most", () => {
    const { world, a, b } = linked();
    b.isFrozen = true;
    const before = world.now;
    world.run(10_000, () => a.of("silent").length === 1);
    expect(world.now - before).toBeLessThan(5_000);
    world.run(9_500);
    expect(a.of("silent").length).toBeGreaterThanOrEqual(3);
    expect(a.of("silent").length).toBeLessThanOrEqual(4);
    expect(a.of("link-down")).toEqual([]);
  });

  it("is not said while loss is moderate", () => {
    for (let seed = 1; seed <= 5; seed++) {
      const { world, a, b } = linked({ seed });
      world.loss = 0.1;
      world.run(300_000);
      expect(a.of("silent").length + b.of("silent").length).toBeLessThanOrEqual(2);
      expect(a.linkTo(b)?.lossFraction).toBeGreaterThan(0);
    }
  });

  it("ends when the process goes on after 60 s (SIGSTOP)", () => {
    const { world, a, b } = linked();
    b.isFrozen = true;
    world.run(20_000);
    // The ring convicts a silent neighbour.
    a.input({ kind: "close", link: a.linkTo(b)?.peer.link ?? 0, reason: "convicted" });
    world.run(40_000);
    b.isFrozen = false;
    b.tick();
    const before = world.now;
    world.run(
      10_000,
      () => a.linkTo(b)?.path.kind === "direct" && b.linkTo(a)?.rttMs !== undefined,
    );
    expect(world.now - before).toBeLessThan(2_000);
    world.run(2_000);
    a.say(b, Uint8Array.of(1), 1);
    b.say(a, Uint8Array.of(1), 2);
    world.run(2_000);
    expect(a.of("sent").at(-1)).toMatchObject({ token: 1, ok: true });
    expect(b.of("sent").at(-1)).toMatchObject({ token: 2, ok: true });
  });
});

describe("rekeying", () => {
  it("goes on for an hour under traffic without losing a message", () => {
    const { world, a, b } = linked({ loss: 0 });
    let token = 0;
    for (let second = 0; second < 3_600; second += 20) {
      token++;
      a.say(b, new Uint8Array(3_000), token);
      b.say(a, new Uint8Array(300), token);
      world.run(20_000);
    }
    expect(a.of("sent").filter(({ ok }) => ok)).toHaveLength(token);
    expect(b.of("sent").filter(({ ok }) => ok)).toHaveLength(token);
    expect(a.of("link-down")).toEqual([]);
    expect(a.links.drops()).toEqual({});
  });

  it("survives loss", () => {
    const { world, a, b } = linked({ seed: 3 });
    world.loss = 0.2;
    world.run(1_200_000);
    expect(a.of("link-down")).toEqual([]);
    expect(b.of("link-down")).toEqual([]);
  });

  it("begins when the engine asks for it", () => {
    const { world, a, b } = linked();
    const session = a.linkTo(b)?.peer.link ?? 0;
    const before = world.datagrams;
    a.input({ kind: "upcall", upcall: { kind: "rekey-due", session } });
    world.run(500);
    expect(world.datagrams - before).toBeGreaterThanOrEqual(6);
    a.say(b, Uint8Array.of(1), 1);
    world.run(500);
    expect(a.of("sent")).toMatchObject([{ ok: true }]);
  });

  it("may be begun by both sides at once", () => {
    for (let offsetMs = 0; offsetMs <= 40; offsetMs += 5) {
      const { world, a, b } = linked();
      for (let round = 0; round < 3; round++) {
        for (const [node, peer] of [
          [a, b],
          [b, a],
        ] as const) {
          const session = node.linkTo(peer)?.peer.link ?? 0;
          node.input({ kind: "upcall", upcall: { kind: "rekey-due", session } });
          world.run(offsetMs);
        }
        world.run(5_000);
      }
      for (let token = 1; token <= 20; token++) {
        a.say(b, Uint8Array.of(1), token);
        b.say(a, Uint8Array.of(1), token);
        world.run(20_000);
      }
      expect(a.of("sent").filter(({ ok }) => ok)).toHaveLength(20);
      expect(b.of("sent").filter(({ ok }) => ok)).toHaveLength(20);
      expect([...a.of("link-down"), ...b.of("link-down")]).toEqual([]);
    }
  });

  it("gives up a link whose keys ran out", () => {
    const { world, a } = linked();
    world.allows = () => false;
    world.routes = () => false;
    world.run(200_000);
    expect(a.of("link-down").map(({ reason }) => reason)).toEqual(["keys expired"]);
  });
});

describe("a renewal", () => {
  it("whose last message is lost again and again is repeated until both hold its keys", () => {
    const { world, a, b } = linked();
    world.run(20_000);
    let lost = 0;
    const passes = (bytes: Uint8Array) => bytes[0] !== 194 || lost++ >= 7;
    world.allows = (_from, _to, bytes) => passes(bytes);
    world.routes = (_from, _to, bytes) => passes(bytes);
    // A gap in time makes a renew the link.
    a.isFrozen = true;
    world.run(16_000);
    a.isFrozen = false;
    a.tick();
    world.run(15_000);
    expect(lost).toBeGreaterThanOrEqual(8);
    a.say(b, Uint8Array.of(1), 1);
    b.say(a, Uint8Array.of(1), 2);
    world.run(2_000);
    expect(a.of("sent").at(-1)).toMatchObject({ token: 1, ok: true });
    expect(b.of("sent").at(-1)).toMatchObject({ token: 2, ok: true });
    expect([...a.of("link-down"), ...b.of("link-down")]).toEqual([]);
  });
});

describe("waking up", () => {
  it("renews every link at once by its last endpoints", () => {
    const { world, a, b } = linked();
    a.isFrozen = true;
    b.isFrozen = true;
    world.run(1_000_000);
    a.isFrozen = false;
    b.isFrozen = false;
    const before = world.now;
    a.tick();
    expect(a.of("event").some(({ event }) => event.what === "woke-up")).toBe(true);
    world.run(3_000, () => a.linkTo(b)?.rttMs !== undefined && b.linkTo(a)?.rttMs !== undefined);
    expect(world.now - before).toBeLessThan(3_000);
    world.run(1_000);
    a.say(b, Uint8Array.of(1), 1);
    world.run(1_000);
    expect(a.of("sent").at(-1)).toMatchObject({ token: 1, ok: true });
  });
});
