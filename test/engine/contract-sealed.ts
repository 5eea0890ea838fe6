import { expect, it } from "vitest";
import { KIND_AGGREGATE, KIND_CONTROL, KIND_FRAGMENT, KIND_FRAME } from "../../sim/datagram.ts";
import { concat } from "../../src/base/bytes.ts";
import { ENGINE_LIMITS } from "../../src/base/engine.ts";
import { numbered, numberOf } from "./frames.ts";
import {
  allow,
  direct,
  droppedFor,
  droppedTotal,
  type EngineNode,
  forward,
  IP_A,
  type Lab,
  MAC_A,
  MAC_B,
  openSession,
  upcallsOf,
} from "./lab.ts";
import { RawPeer } from "./raw-peer.ts";

interface World {
  readonly node: EngineNode;
  readonly peer: RawPeer;
}

async function world(lab: Lab): Promise<World> {
  const node = await lab.node();
  const peer = await RawPeer.make(lab, node, { generation: 1, side: 0 });
  node.engine.apply([
    ...openSession(1, { generation: 1, side: 1 }, direct(peer.socket.endpoint)),
    allow(1, [MAC_A, IP_A]),
    forward(MAC_A, 1),
    forward(MAC_B, "local"),
  ]);
  return { node, peer };
}

const frame = (number: number, length = 60) => numbered(MAC_B, MAC_A, number, length);

/** Sends one good frame and waits for it: whatever was sent before has been dealt with. */
async function settle(lab: Lab, { node, peer }: World, counter?: number): Promise<void> {
  peer.sendSealed(frame(0xffff), { kind: KIND_FRAME }, counter === undefined ? {} : { counter });
  await lab.until(() => node.tap.some((written) => numberOf(written) === 0xffff));
}

export function sealedContract(lab: () => Lab): void {
  it("takes every counter once", async () => {
    const w = await world(lab());
    const datagram = w.peer.seal(frame(1), { kind: KIND_FRAME });
    for (let i = 0; i < 3; i++) w.peer.send(datagram);
    await settle(lab(), w);
    expect(w.node.tap.map(numberOf)).toEqual([1, 0xffff]);
    expect(droppedFor(w.node, "replayed")).toBe(2);
  });

  it("takes counters in any order inside the window, none behind it", async () => {
    const w = await world(lab());
    const last = ENGINE_LIMITS.replayWindow + 10;
    for (const counter of [last, 9, 10, 11, last - 1, 11, 4_000, 4_000]) {
      w.peer.sendSealed(frame(counter), { kind: KIND_FRAME }, { counter });
    }
    await settle(lab(), w, last + 1);
    const written = w.node.tap.map(numberOf);
    // 10 is exactly one window behind: whether it still counts is the implementation's choice
    expect(written.filter((n) => n !== 10)).toEqual([last, 11, last - 1, 4_000, 0xffff]);
    expect(droppedFor(w.node, "replayed")).toBeGreaterThanOrEqual(3);
  });

  it("finds every flipped bit", async () => {
    const w = await world(lab());
    const good = w.peer.seal(Uint8Array.of(1, 2, 3), { kind: KIND_CONTROL });
    let flips = 0;
    for (let at = 4; at < good.length; at++) {
      for (const bit of at < 16 ? [0, 5] : [0, 7]) {
        const bad = good.slice();
        bad[at] = (bad[at] ?? 0) ^ (1 << bit);
        w.peer.send(bad);
        flips++;
      }
    }
    await lab().until(() => droppedTotal(w.node) === flips);
    w.peer.send(good);
    await lab().until(() => upcallsOf(w.node, "control").length === 1);
    expect(droppedTotal(w.node)).toBe(flips);
  });

  it("does not let a forged counter advance the window", async () => {
    const w = await world(lab());
    const forged = w.peer.seal(frame(1), { kind: KIND_FRAME }, { counter: 1_000_000 });
    forged[forged.length - 1] = (forged[forged.length - 1] ?? 0) ^ 1;
    w.peer.send(forged);
    await settle(lab(), w);
    expect(droppedFor(w.node, "bad-tag")).toBe(1);
    expect(droppedFor(w.node, "replayed")).toBe(0);
  });

  it("survives every length", async () => {
    const w = await world(lab());
    const good = w.peer.seal(frame(1), { kind: KIND_FRAME });
    for (let length = 1; length < good.length; length++) w.peer.send(good.slice(0, length));
    w.peer.send(concat(good, Uint8Array.of(0)));
    await settle(lab(), w);
    expect(w.node.tap).toHaveLength(1);
    expect(droppedTotal(w.node)).toBe(good.length);
  });

  it("survives every descriptor and pad", async () => {
    const w = await world(lab());
    for (let flags = 0; flags < 256; flags++) {
      const desc = { kind: flags & 255, index: flags, padLength: flags & 15, last: flags > 127 };
      w.peer.sendSealed(new Uint8Array(flags % 24), desc);
      if (flags % 32 === 31) {
        await lab().until(() => w.node.engine.counters().datagramsIn === flags + 1);
      }
    }
    await settle(lab(), w);
  });

  it("takes an aggregate apart, and refuses a malformed one", async () => {
    const w = await world(lab());
    const record = (bytes: Uint8Array, length = bytes.length + 4) =>
      concat(Uint8Array.of(length & 255, length >> 8, 0, 0, 0, 0), bytes);
    w.peer.sendSealed(concat(record(frame(1)), record(frame(2, 99)), record(frame(3))), {
      kind: KIND_AGGREGATE,
    });
    await lab().until(() => w.node.tap.length === 3);
    expect(w.node.tap).toEqual([frame(1), frame(2, 99), frame(3)]);
    w.peer.sendSealed(record(frame(4), 9_999), { kind: KIND_AGGREGATE });
    w.peer.sendSealed(record(frame(5), 3), { kind: KIND_AGGREGATE });
    await settle(lab(), w);
    expect(w.node.tap).toHaveLength(4);
    expect(droppedTotal(w.node)).toBe(2);
  });

  it("ignores padding", async () => {
    const w = await world(lab());
    w.peer.sendSealed(frame(1), { kind: KIND_FRAME, padLength: 15 });
    await lab().until(() => w.node.tap.length === 1);
    expect(w.node.tap[0]).toEqual(frame(1));
  });

  it("joins two fragments in either order, and keeps frames apart", async () => {
    const w = await world(lab());
    const [first, second] = [frame(1, 400), frame(2, 401)];
    const part = (id: number, bytes: Uint8Array) => concat(Uint8Array.of(id, 0, 0, 0), bytes);
    const head = { kind: KIND_FRAGMENT, index: 0 };
    const tail = { kind: KIND_FRAGMENT, index: 1, last: true };
    w.peer.sendSealed(part(7, first.slice(0, 150)), head);
    w.peer.sendSealed(part(8, second.slice(150)), tail);
    w.peer.sendSealed(part(7, first.slice(150)), tail);
    w.peer.sendSealed(part(8, second.slice(0, 150)), head);
    await lab().until(() => w.node.tap.length === 2);
    expect(w.node.tap).toEqual([first, second]);
  });

  it("sends a frame that its path cannot carry as two fragments", async () => {
    const w = await world(lab());
    const to = direct(w.peer.socket.endpoint);
    w.node.engine.apply([
      { op: "path", session: 1, path: 0, to, maxDatagram: 600, keepaliveMs: 0 },
    ]);
    const sent = numbered(MAC_A, MAC_B, 3, 1_000);
    w.node.tapSend(sent);
    await lab().until(() => w.peer.socket.received.length === 2);
    const parts = w.peer.socket.received.map(({ bytes }) => {
      expect(bytes.length).toBeLessThanOrEqual(600);
      return w.peer.open(bytes) ?? new Uint8Array();
    });
    const padOf = (plain: Uint8Array) => (plain[3] ?? 0) & 15;
    expect(parts.map((plain) => (plain[0] ?? 0) & 3)).toEqual([KIND_FRAGMENT, KIND_FRAGMENT]);
    expect(parts.map((plain) => plain[2])).toEqual([0, 1]);
    expect(parts.map((plain) => ((plain[3] ?? 0) & 16) !== 0)).toEqual([false, true]);
    expect(parts[0]?.slice(4, 8)).toEqual(parts[1]?.slice(4, 8));
    const bodies = parts.map((plain) => plain.slice(8, plain.length - padOf(plain)));
    expect(concat(...bodies)).toEqual(sent);
  });

  it("drops a frame that two fragments cannot carry", async () => {
    const w = await world(lab());
    const to = direct(w.peer.socket.endpoint);
    w.node.engine.apply([
      { op: "path", session: 1, path: 0, to, maxDatagram: 600, keepaliveMs: 0 },
    ]);
    w.node.tapSend(numbered(MAC_A, MAC_B, 3, 1_300));
    w.node.tapSend(numbered(MAC_A, MAC_B, 4, 64));
    await lab().until(() => w.peer.socket.received.length === 1);
    expect(droppedFor(w.node, "too-big")).toBe(1);
  });
}
