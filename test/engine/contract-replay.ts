/** What was recorded on the way is sent again; what was sent is changed on the way. */
import { expect, it } from "vitest";
import { KIND_CONTROL, KIND_FRAME } from "../../sim/datagram.ts";
import { concat } from "../../src/base/bytes.ts";
import type { Label } from "../../src/base/engine.ts";
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
  type RawSocket,
  upcallsOf,
} from "./lab.ts";
import { RawPeer } from "./raw-peer.ts";

const RECORDED = 10_000;
const FLIPPED = 200;
/** Fewer than the smallest buffer of a socket holds. */
const AT_ONCE = 100;
const LABEL: Label = 0x0102_0304;
/** The number of a frame has 16 bits. */
const LAST = 0xffff;

interface World {
  readonly node: EngineNode;
  readonly peer: RawPeer;
  /** Somebody else's address. */
  readonly other: RawSocket;
  /** A member that relays: LABEL leads from it to the node's session with the peer. */
  readonly relay: RawSocket;
}

async function world(lab: Lab): Promise<World> {
  const node = await lab.node();
  const peer = await RawPeer.make(lab, node, { generation: 1, side: 0 });
  const [other, relay] = [await lab.raw(), await lab.raw()];
  node.engine.apply([
    ...openSession(1, { generation: 1, side: 1 }, direct(peer.socket.endpoint)),
    allow(1, [MAC_A, IP_A]),
    forward(MAC_A, 1),
    forward(MAC_B, "local"),
    ...openSession(2, { generation: 2, side: 1 }, direct(relay.endpoint)),
    { op: "label", ingress: 2, label: LABEL, to: "ends-here" },
  ]);
  return { node, peer, other, relay };
}

/** All of them, none lost before the engine. */
async function sendAll(
  lab: Lab,
  { node }: World,
  datagrams: readonly Uint8Array[],
  send: (datagram: Uint8Array) => void,
): Promise<void> {
  for (let at = 0; at < datagrams.length; at += AT_ONCE) {
    const before = node.engine.counters().datagramsIn;
    const some = datagrams.slice(at, at + AT_ONCE);
    for (const datagram of some) send(datagram);
    await lab.until(() => node.engine.counters().datagramsIn === before + some.length);
  }
}

function shimmed(data: Uint8Array): Uint8Array {
  const head = new Uint8Array(8);
  head.set([201, 4]);
  new DataView(head.buffer).setUint32(4, LABEL, true);
  return concat(head, data);
}

export function replayContract(lab: () => Lab): void {
  it("delivers none of 10,000 recorded packets again, from wherever, and follows none", async () => {
    const w = await world(lab());
    const recorded = Array.from({ length: RECORDED }, (_, i) =>
      w.peer.seal(numbered(MAC_B, MAC_A, i), { kind: KIND_FRAME }),
    );
    await sendAll(lab(), w, recorded, (each) => w.peer.send(each));
    await lab().until(() => w.node.tap.length === RECORDED);
    await sendAll(lab(), w, recorded, (each) => w.peer.send(each));
    await sendAll(lab(), w, recorded, (each) => w.other.send(w.node.endpoint, each));
    await sendAll(lab(), w, recorded, (each) => w.relay.send(w.node.endpoint, shimmed(each)));
    w.peer.sendSealed(numbered(MAC_B, MAC_A, LAST), { kind: KIND_FRAME });
    await lab().until(() => w.node.tap.length === RECORDED + 1);
    expect(numberOf(w.node.tap[RECORDED] ?? new Uint8Array())).toBe(LAST);
    expect(droppedFor(w.node, "replayed")).toBe(3 * RECORDED);
    expect(upcallsOf(w.node, "endpoint")).toEqual([]);
  }, 120_000);

  it("delivers none of 200 packets with any one bit flipped, and the session lives", async () => {
    const w = await world(lab());
    let flips = 0;
    for (let i = 0; i < FLIPPED; i++) {
      const good = w.peer.seal(Uint8Array.of(i), { kind: KIND_CONTROL });
      const bad = Array.from({ length: 8 * good.length }, (_, bit) => {
        const copy = good.slice();
        copy[bit >> 3] = (copy[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        return copy;
      });
      await sendAll(lab(), w, [...bad, good], (each) => w.peer.send(each));
      flips += bad.length;
    }
    await lab().until(() => upcallsOf(w.node, "control").length === FLIPPED);
    expect(droppedTotal(w.node)).toBe(flips);
    expect(upcallsOf(w.node, "control").map(({ bytes }) => bytes[0])).toEqual(
      Array.from({ length: FLIPPED }, (_, i) => i & 255),
    );
    expect(upcallsOf(w.node, "endpoint")).toEqual([]);
  }, 120_000);
}
