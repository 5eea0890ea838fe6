import { expect, it } from "vitest";
import { numbered, numberOf } from "./frames.ts";
import {
  allow,
  connectedPair,
  direct,
  droppedFor,
  droppedTotal,
  type EngineNode,
  forward,
  IP_A,
  keysCommand,
  type Lab,
  MAC_A,
  MAC_B,
  openSession,
  receiverIndex,
  upcallsOf,
} from "./lab.ts";
import { RawPeer } from "./raw-peer.ts";

/** An engine with session 1 towards a raw peer that speaks for MAC_A. */
async function nodeAndPeer(lab: Lab): Promise<{ node: EngineNode; peer: RawPeer }> {
  const node = await lab.node();
  const peer = await RawPeer.make(lab, node, { generation: 1, side: 0 });
  node.engine.apply([
    ...openSession(1, { generation: 1, side: 1 }, direct(peer.socket.endpoint)),
    allow(1, [MAC_A, IP_A]),
    forward(MAC_B, "local"),
  ]);
  return { node, peer };
}

function asGeneration(node: EngineNode, peer: RawPeer, generation: number): RawPeer {
  return new RawPeer(peer.socket, node.endpoint, { generation, side: 0 });
}

function sentWith(peer: RawPeer, generation: number): number {
  const index = receiverIndex(generation, 0);
  return peer.socket.received.filter(({ bytes }) => {
    return new DataView(bytes.buffer, bytes.byteOffset).getUint32(4, true) === index;
  }).length;
}

export function keysContract(lab: () => Lab): void {
  for (const cipher of ["aes256gcm", "chacha20poly1305"] as const) {
    it(`carries frames both ways with ${cipher}`, async () => {
      const { a, b } = await connectedPair(lab(), cipher);
      a.tapSend(numbered(MAC_B, MAC_A, 1));
      b.tapSend(numbered(MAC_A, MAC_B, 2));
      await lab().until(() => b.tap.length === 1 && a.tap.length === 1);
      expect([...a.tap, ...b.tap].map(numberOf)).toEqual([2, 1]);
    });
  }

  it("seals under confirmed keys only after the first packet that opens under them", async () => {
    const { node, peer } = await nodeAndPeer(lab());
    const rekeyed = asGeneration(node, peer, 2);
    node.engine.apply([
      keysCommand(1, { generation: 2, side: 1, use: "confirmed" }),
      { op: "control", session: 1, bytes: Uint8Array.of(1) },
    ]);
    await lab().until(() => sentWith(peer, 1) === 1);
    rekeyed.sendSealed(numbered(MAC_B, MAC_A, 1), { kind: 0 });
    await lab().until(() => node.tap.length === 1);
    await lab().until(() => upcallsOf(node, "keys-confirmed").length === 1);
    expect(upcallsOf(node, "keys-confirmed")).toEqual([
      { kind: "keys-confirmed", session: 1, receive: receiverIndex(2, 1) },
    ]);
    node.engine.apply([{ op: "control", session: 1, bytes: Uint8Array.of(2) }]);
    await lab().until(() => sentWith(peer, 2) === 1);
    rekeyed.sendSealed(numbered(MAC_B, MAC_A, 2), { kind: 0 });
    await lab().until(() => node.tap.length === 2);
    expect(upcallsOf(node, "keys-confirmed")).toHaveLength(1);
  });

  it("is not confirmed by a packet with a wrong tag", async () => {
    const { node, peer } = await nodeAndPeer(lab());
    const rekeyed = asGeneration(node, peer, 2);
    node.engine.apply([keysCommand(1, { generation: 2, side: 1, use: "confirmed" })]);
    const forged = rekeyed.seal(Uint8Array.of(1), { kind: 1 });
    forged[20] = (forged[20] ?? 0) ^ 1;
    peer.send(forged);
    await lab().until(() => droppedFor(node, "bad-tag") === 1);
    node.engine.apply([{ op: "control", session: 1, bytes: Uint8Array.of(1) }]);
    await lab().until(() => sentWith(peer, 1) === 1);
    expect(upcallsOf(node, "keys-confirmed")).toEqual([]);
  });

  it("has nothing to seal with before the first keys are confirmed", async () => {
    const node = await lab().node();
    const peer = await RawPeer.make(lab(), node, { generation: 1, side: 0 });
    const keys = { generation: 1, side: 1, use: "confirmed" } as const;
    node.engine.apply([
      ...openSession(1, keys, direct(peer.socket.endpoint)),
      { op: "control", session: 1, bytes: Uint8Array.of(1) },
    ]);
    await lab().until(() => droppedTotal(node) === 1);
    peer.sendSealed(Uint8Array.of(2), { kind: 1 });
    await lab().until(() => upcallsOf(node, "keys-confirmed").length === 1);
    node.engine.apply([{ op: "control", session: 1, bytes: Uint8Array.of(3) }]);
    await lab().until(() => peer.socket.received.length === 1);
    expect(peer.open(peer.socket.received[0]?.bytes ?? new Uint8Array())?.[4]).toBe(3);
  });

  it("opens with the two pairs of keys before, and forgets older ones", async () => {
    const { node, peer } = await nodeAndPeer(lab());
    node.engine.apply([keysCommand(1, { generation: 2, side: 1 })]);
    peer.sendSealed(numbered(MAC_B, MAC_A, 1), { kind: 0 });
    await lab().until(() => node.tap.length === 1);
    node.engine.apply([{ op: "control", session: 1, bytes: Uint8Array.of(1) }]);
    await lab().until(() => sentWith(peer, 2) === 1);
    // two handshakes crossed and a rekey came: the peer may still seal with the first pair
    node.engine.apply([keysCommand(1, { generation: 3, side: 1 })]);
    peer.sendSealed(numbered(MAC_B, MAC_A, 2), { kind: 0 });
    await lab().until(() => node.tap.length === 2);
    node.engine.apply([keysCommand(1, { generation: 4, side: 1 })]);
    peer.sendSealed(numbered(MAC_B, MAC_A, 3), { kind: 0 });
    await lab().until(() => droppedFor(node, "unknown-receiver") === 1);
    asGeneration(node, peer, 2).sendSealed(numbered(MAC_B, MAC_A, 4), { kind: 0 });
    await lab().until(() => node.tap.length === 3);
  });

  it("neither seals nor opens after rejectAfterMs", async () => {
    const node = await lab().node();
    const peer = await RawPeer.make(lab(), node, { generation: 1, side: 0 });
    const keys = { generation: 1, side: 1, rejectAfterMs: 40 } as const;
    node.engine.apply(openSession(1, keys, direct(peer.socket.endpoint)));
    await lab().advance(80);
    peer.sendSealed(Uint8Array.of(1), { kind: 1 });
    await lab().until(() => droppedFor(node, "expired-keys") >= 1);
    const before = droppedTotal(node);
    node.engine.apply([{ op: "control", session: 1, bytes: Uint8Array.of(1) }]);
    await lab().until(() => droppedTotal(node) === before + 1);
    node.engine.apply([
      keysCommand(1, { generation: 2, side: 1 }),
      { op: "control", session: 1, bytes: Uint8Array.of(2) },
    ]);
    await lab().until(() => peer.socket.received.length === 1);
    expect(sentWith(peer, 2)).toBe(1);
  });

  it("refuses keys of a wrong length", async () => {
    const { node, peer } = await nodeAndPeer(lab());
    const good = keysCommand(1, { generation: 2, side: 1 });
    if (good.op !== "keys") throw new Error("unreachable");
    const short = { key: new Uint8Array(31), salt: new Uint8Array(4) };
    node.engine.apply([
      { ...good, sealing: short },
      { ...good, opening: short },
    ]);
    await lab().until(() => droppedTotal(node) === 2);
    node.engine.apply([{ op: "control", session: 1, bytes: Uint8Array.of(2) }]);
    await lab().until(() => sentWith(peer, 1) === 1);
  });
}
