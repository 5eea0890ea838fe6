import sodium from "libsodium-wrappers";
import { expect, it } from "vitest";
import { KIND_CONTROL, KIND_FRAME, SEAL_OVERHEAD } from "../../sim/datagram.ts";
import { concat } from "../../src/base/bytes.ts";
import { numbered } from "./frames.ts";
import {
  allow,
  connectedPair,
  direct,
  droppedFor,
  droppedTotal,
  forward,
  IP_A,
  type Lab,
  MAC_A,
  MAC_B,
  MAC1_KEY,
  openSession,
  pathCommand,
  upcallsOf,
} from "./lab.ts";
import { RawPeer } from "./raw-peer.ts";

const CONTROL_LENGTHS = [1, 15, 16, 17, 1_000, 8_960];

async function withMac1(type: number, length: number): Promise<Uint8Array> {
  await sodium.ready;
  const body = new Uint8Array(length).fill(type);
  return concat(body, sodium.crypto_generichash(16, body, MAC1_KEY), new Uint8Array(16));
}

export function datagramContract(lab: () => Lab): void {
  it("hands up handshakes with a right mac1 and STUN, nothing else", async () => {
    const node = await lab().node();
    const raw = await lab().raw();
    const good: Uint8Array[] = [];
    for (const type of [192, 193, 194, 195, 196, 197, 198])
      good.push(await withMac1(type, 1 + type - 190));
    const stun = Uint8Array.of(0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, ...new Array(12).fill(7));
    good.push(stun);
    for (const datagram of good) raw.send(node.endpoint, datagram);
    for (const at of [0, 5, 20]) {
      const bad = (good[2] ?? stun).slice();
      bad[at] = (bad[at] ?? 0) ^ 1;
      raw.send(node.endpoint, bad);
    }
    for (const type of [4, 64, 191, 199, 202, 208, 255]) {
      raw.send(node.endpoint, new Uint8Array(100).fill(type));
    }
    for (const length of [1, 16, 31, 32]) raw.send(node.endpoint, new Uint8Array(length).fill(192));
    raw.send(node.endpoint, stun);
    await lab().until(() => upcallsOf(node, "datagram").length === 9 && droppedTotal(node) === 14);
    expect(upcallsOf(node, "datagram").map((upcall) => upcall.bytes)).toEqual([...good, stun]);
    expect(node.upcalls[0]).toMatchObject({ socket: 0, from: raw.endpoint });
    expect(droppedFor(node, "bad-mac1")).toBeGreaterThanOrEqual(3);
    expect(droppedFor(node, "unknown-type")).toBe(7);
  });

  it("sends a datagram of no session, with its own TTL", async () => {
    const node = await lab().node();
    const raw = await lab().raw();
    const bytes = Uint8Array.of(192, 1, 2, 3);
    node.engine.apply([
      { op: "datagram", socket: 0, to: raw.endpoint, bytes, ttl: 3 },
      { op: "datagram", socket: 0, to: raw.endpoint, bytes },
    ]);
    await lab().until(() => raw.received.length === 2);
    expect(raw.received.map((datagram) => datagram.bytes)).toEqual([bytes, bytes]);
    if (lab().seesTtl) expect(raw.received.map(({ ttl }) => ttl)).toEqual([3, undefined]);
  });

  it("carries control messages with path, sender and outer length", async () => {
    const { a, b } = await connectedPair(lab());
    const messages = CONTROL_LENGTHS.map((length) => new Uint8Array(length).fill(length));
    for (const bytes of messages) a.engine.apply([{ op: "control", session: 1, bytes }]);
    await lab().until(() => upcallsOf(b, "control").length === messages.length);
    expect(upcallsOf(b, "control").map((upcall) => upcall.bytes)).toEqual(messages);
    for (const upcall of upcallsOf(b, "control")) {
      expect(upcall).toMatchObject({ session: 1, path: 0, socket: 0, from: a.endpoint });
      expect(upcall.datagramBytes).toBeGreaterThanOrEqual(SEAL_OVERHEAD + upcall.bytes.length);
    }
  });

  it("refuses a control message that is too long", async () => {
    const { a } = await connectedPair(lab());
    a.engine.apply([{ op: "control", session: 1, bytes: new Uint8Array(8_961) }]);
    await lab().until(() => droppedTotal(a) === 1);
    expect(a.engine.counters().datagramsOut).toBe(0);
  });

  it("pads a probe to the byte", async () => {
    const { a, b } = await connectedPair(lab());
    const bytes = Uint8Array.from({ length: 50 }, (_, i) => i);
    const sizes = [1_200, 1_201, 1_280, 1_452, 1_472, 8_972, 200, 90, 89, 88];
    for (const padTo of sizes) a.engine.apply([{ op: "control", session: 1, bytes, padTo }]);
    await lab().until(() => upcallsOf(b, "control").length === sizes.length);
    expect(upcallsOf(b, "control").map((upcall) => upcall.datagramBytes)).toEqual(sizes);
    expect(upcallsOf(b, "control").every((upcall) => upcall.bytes.length === 50)).toBe(true);
    expect(upcallsOf(b, "control").at(-1)?.bytes).toEqual(bytes);
  });

  it("sends control along the named path and frames along the active one", async () => {
    const node = await lab().node();
    const peer = await RawPeer.make(lab(), node, { generation: 1, side: 0 });
    const other = await lab().raw();
    node.engine.apply([
      ...openSession(1, { generation: 1, side: 1 }, direct(peer.socket.endpoint)),
      pathCommand(1, direct(other.endpoint), 7),
      { op: "control", session: 1, path: 7, bytes: Uint8Array.of(1), ttl: 4 },
    ]);
    await lab().until(() => other.received.length === 1);
    if (lab().seesTtl) expect(other.received[0]?.ttl).toBe(4);
    node.engine.apply([
      { op: "control", session: 1, bytes: Uint8Array.of(2) },
      { op: "path-active", session: 1, path: 7 },
      { op: "frame-to-peer", session: 1, bytes: numbered(MAC_A, MAC_B, 1) },
      { op: "control", session: 1, bytes: Uint8Array.of(3) },
    ]);
    await lab().until(() => peer.socket.received.length === 1 && other.received.length === 3);
    const kinds = other.received.map(({ bytes }) => (peer.open(bytes)?.[0] ?? 0) & 3);
    expect(kinds).toEqual([KIND_CONTROL, KIND_FRAME, KIND_CONTROL]);
    node.engine.apply([
      { op: "path-remove", session: 1, path: 7 },
      { op: "control", session: 1, bytes: Uint8Array.of(4) },
    ]);
    await lab().until(() => droppedTotal(node) === 1);
  });

  it("sends an empty control message when the active path is silent, and hands none up", async () => {
    const { a, b } = await connectedPair(lab());
    const peer = await RawPeer.make(lab(), a, { generation: 2, side: 0 });
    const to = direct(peer.socket.endpoint);
    a.engine.apply([
      ...openSession(2, { generation: 2, side: 1 }, to),
      { op: "path", session: 2, path: 0, to, maxDatagram: 1_200, keepaliveMs: 50 },
    ]);
    await lab().until(() => peer.socket.received.length >= 2);
    const plain = peer.open(peer.socket.received[0]?.bytes ?? new Uint8Array());
    expect((plain?.[0] ?? 0) & 3).toBe(KIND_CONTROL);
    expect(plain?.length).toBe(4 + ((plain?.[3] ?? 0) & 15));
    a.engine.apply([
      {
        op: "path",
        session: 1,
        path: 0,
        to: direct(b.endpoint),
        maxDatagram: 1_200,
        keepaliveMs: 50,
      },
    ]);
    await lab().until(() => b.engine.counters().datagramsIn >= 2);
    a.engine.apply([{ op: "control", session: 1, bytes: Uint8Array.of(1) }]);
    await lab().until(() => upcallsOf(b, "control").length > 0);
    expect(upcallsOf(b, "control").map((upcall) => upcall.bytes)).toEqual([Uint8Array.of(1)]);
  });

  it("reports a new address of an authenticated peer, rarely, and moves nothing", async () => {
    const node = await lab().node();
    const peer = await RawPeer.make(lab(), node, { generation: 1, side: 0 });
    const [moved, late] = [await lab().raw(), await lab().raw()];
    node.engine.apply([
      ...openSession(1, { generation: 1, side: 1 }, direct(peer.socket.endpoint)),
      allow(1, [MAC_A, IP_A]),
      forward(MAC_B, "local"),
    ]);
    const old = peer.seal(numbered(MAC_B, MAC_A, 1), { kind: KIND_FRAME });
    const forged = peer.seal(numbered(MAC_B, MAC_A, 2), { kind: KIND_FRAME });
    forged[30] = (forged[30] ?? 0) ^ 1;
    late.send(node.endpoint, forged);
    await lab().until(() => droppedFor(node, "bad-tag") === 1);
    for (let i = 0; i < 3; i++) {
      moved.send(node.endpoint, peer.seal(Uint8Array.of(i), { kind: KIND_CONTROL }));
    }
    await lab().until(() => upcallsOf(node, "control").length === 3);
    await lab().advance(300);
    late.send(node.endpoint, old);
    await lab().until(() => node.tap.length === 1);
    expect(upcallsOf(node, "endpoint")).toEqual([
      { kind: "endpoint", session: 1, socket: 0, from: moved.endpoint },
    ]);
    expect(upcallsOf(node, "control")[0]).toMatchObject({ path: undefined, from: moved.endpoint });
    node.engine.apply([{ op: "control", session: 1, bytes: Uint8Array.of(9) }]);
    await lab().until(() => peer.socket.received.length === 1);
    expect(moved.received).toEqual([]);
  });

  it("reports a new address again after 250 ms", async () => {
    const node = await lab().node();
    const peer = await RawPeer.make(lab(), node, { generation: 1, side: 0 });
    const moved = await lab().raw();
    node.engine.apply(openSession(1, { generation: 1, side: 1 }, direct(peer.socket.endpoint)));
    moved.send(node.endpoint, peer.seal(Uint8Array.of(1), { kind: KIND_CONTROL }));
    await lab().until(() => upcallsOf(node, "endpoint").length === 1);
    await lab().advance(300);
    moved.send(node.endpoint, peer.seal(Uint8Array.of(2), { kind: KIND_CONTROL }));
    await lab().until(() => upcallsOf(node, "endpoint").length === 2);
    node.engine.apply([pathCommand(1, direct(moved.endpoint), 1)]);
    await lab().advance(300);
    moved.send(node.endpoint, peer.seal(Uint8Array.of(3), { kind: KIND_CONTROL }));
    await lab().until(() => upcallsOf(node, "control").length === 3);
    expect(upcallsOf(node, "endpoint")).toHaveLength(2);
    expect(upcallsOf(node, "control").map((upcall) => upcall.path)).toEqual([
      undefined,
      undefined,
      1,
    ]);
  });
}
