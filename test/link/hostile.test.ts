/** What somebody on the wire, or a member that lies, can make a node do. */
import { describe, expect, it } from "vitest";
import type { Endpoint } from "../../src/base/net.ts";
import { SeededRng } from "../../src/base/rng.ts";
import { Paths } from "../../src/link/paths.ts";
import { DATAGRAM_TYPES } from "../../src/wire/message-type.ts";
import { type TestNode, World } from "./world.ts";

const VICTIM: Endpoint = { ip: "203.0.113.66", port: 666 };

/** The datagrams of one type that `run` made somebody send. */
function captured(world: World, type: number): Uint8Array[] {
  const seen: Uint8Array[] = [];
  world.allows = (_from, _to, bytes) => {
    if (bytes[0] === type) seen.push(bytes);
    return true;
  };
  return seen;
}

function expectTalk(world: World, a: TestNode, b: TestNode): void {
  a.say(b, Uint8Array.of(1), 0xa0);
  world.run(4_000);
  expect(a.of("sent").at(-1)).toMatchObject({ token: 0xa0, ok: true });
}

describe("port 0 as the source of a datagram", () => {
  it("is dropped with a replayed handshake in it", () => {
    const world = new World();
    const [a, b] = [world.add("a"), world.add("b")];
    const seen = captured(world, DATAGRAM_TYPES["handshake-1"]);
    a.connect({ ip: "192.0.2.99", port: 9 });
    world.run(300);
    const message = seen[0] as Uint8Array;
    b.receive(0, { ip: VICTIM.ip, port: 0 }, message);
    expect(b.links.drops()).toEqual({ "bad-field": 1 });
    // under load the answer would be a cookie, which is made of the address too
    for (let i = 0; i < 100; i++) b.receive(0, { ip: VICTIM.ip, port: 0 }, message);
    a.connect(b.endpoint);
    world.run(2_000);
    expectTalk(world, a, b);
  });

  it("makes no path when what it carries is genuine", () => {
    const world = new World();
    const [a, b] = [world.add("a"), world.add("b")];
    a.connect(b.endpoint);
    world.run(5_000);
    const carry = world.carry.bind(world);
    world.allows = (from, to, bytes) => {
      if (to.ip !== b.endpoint.ip) return true;
      carry(() => b.receive(0, { ip: from.ip, port: 0 }, bytes));
      return false;
    };
    world.run(20_000);
    expect(b.linkTo(a)?.path).toMatchObject({ kind: "direct", endpoint: a.endpoint });
    expectTalk(world, a, b);
  });
});

describe("a peer that answers probes it did not get", () => {
  it("cannot point its traffic at somebody else", () => {
    const rng = new SeededRng(5);
    const paths = new Paths({
      session: 1,
      rng,
      sockets: [4],
      periodMs: 3_000,
      isCaller: true,
      place: { isBehindNat: false, needsPunching: false },
    });
    paths.addCandidates(0, [{ ip: "192.0.2.1", port: 1 }], 0);
    const ids: number[] = [];
    for (let out = paths.poll(); out !== undefined; out = paths.poll()) {
      if (out.kind !== "engine" || out.command.op !== "control") continue;
      const { bytes } = out.command;
      ids.push(new DataView(bytes.buffer, bytes.byteOffset + 2).getUint32(0, true));
    }
    expect(ids).toHaveLength(1);
    paths.addCandidates(0, [VICTIM], 0);
    for (let guess = -20; guess <= 20; guess++) {
      if (guess !== 0) paths.receiveAck(10, ((ids[0] ?? 0) + guess) >>> 0);
    }
    expect(paths.worksAt(VICTIM)).toBe(false);
  });
});

describe("a handshake message that comes from elsewhere first", () => {
  it("as message 3 does not send the answerer's traffic there", () => {
    const world = new World();
    const [a, b] = [world.add("a"), world.add("b")];
    let bytesToVictim = 0;
    world.allows = (_from, to, bytes) => {
      if (to.ip === VICTIM.ip) bytesToVictim += bytes.length;
      if (bytes[0] === DATAGRAM_TYPES["handshake-3"]) {
        world.after(1, () => b.receive(0, VICTIM, bytes));
      }
      return true;
    };
    a.connect(b.endpoint);
    world.run(100);
    expect(b.linkTo(a)?.path).toMatchObject({ kind: "direct", endpoint: a.endpoint });
    expectTalk(world, a, b);
    // probes alone, fewer bytes than the one message that came from there
    expect(bytesToVictim).toBeLessThan(300);
  });

  it("as message 2 does not keep the asker from its peer", () => {
    const world = new World();
    const [a, b] = [world.add("a"), world.add("b")];
    world.allows = (_from, to, bytes) => {
      if (bytes[0] === DATAGRAM_TYPES["handshake-2"]) {
        world.after(1, () => a.receive(0, VICTIM, bytes));
      }
      return to.ip !== VICTIM.ip;
    };
    a.connect(b.endpoint);
    world.run(1_000);
    expect(a.linkTo(b)?.path).toMatchObject({ kind: "direct", endpoint: b.endpoint });
    expect(b.linkTo(a)?.path).toMatchObject({ kind: "direct", endpoint: a.endpoint });
    expectTalk(world, a, b);
  });
});
