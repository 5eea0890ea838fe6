import { expect, it } from "vitest";
import { ENGINE_LIMITS } from "../../src/base/engine.ts";
import {
  connectedPair,
  direct,
  droppedFor,
  type EngineNode,
  type Lab,
  openSession,
  pathCommand,
  upcallsOf,
} from "./lab.ts";
import { RawPeer } from "./raw-peer.ts";

const STUN = Uint8Array.of(0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, ...new Array(12).fill(7));

/** Opens an IPv4 socket on any port. @returns the port */
async function openUdp(lab: Lab, node: EngineNode, socket: number): Promise<number> {
  const before = upcallsOf(node, "socket-opened").length;
  node.engine.apply([{ op: "socket-open", socket, family: 4, port: 0 }]);
  await lab.until(() => upcallsOf(node, "socket-opened").length > before);
  const opened = upcallsOf(node, "socket-opened").at(-1);
  expect(opened).toEqual({
    kind: "socket-opened",
    socket,
    family: 4,
    port: expect.any(Number),
    from: undefined,
  });
  return opened?.port ?? 0;
}

export function socketContract(lab: () => Lab): void {
  it("sends and receives through a socket opened by command", async () => {
    const node = await lab().node();
    const raw = await lab().raw();
    const port = await openUdp(lab(), node, 1);
    const last = ENGINE_LIMITS.acceptedStreams - 1;
    expect(await openUdp(lab(), node, last)).not.toBe(port);
    const bytes = Uint8Array.of(192, 1, 2, 3);
    node.engine.apply([
      { op: "datagram", socket: 1, to: raw.endpoint, bytes, ttl: 5 },
      { op: "datagram", socket: 0, to: raw.endpoint, bytes },
    ]);
    await lab().until(() => raw.received.length === 2);
    const ports = raw.received.map(({ from }) => from.port);
    expect(new Set(ports)).toEqual(new Set([port, node.endpoint.port]));
    const ours = raw.received.find(({ from }) => from.port === port);
    if (lab().seesTtl) expect(ours?.ttl).toBe(5);
    raw.send({ ip: node.endpoint.ip, port }, STUN);
    await lab().until(() => upcallsOf(node, "datagram").length === 1);
    expect(upcallsOf(node, "datagram")[0]).toMatchObject({ socket: 1, from: raw.endpoint });
  });

  it("takes commands for a socket in the batch that opens it", async () => {
    const node = await lab().node();
    const raw = await lab().raw();
    const bytes = Uint8Array.of(192, 9);
    node.engine.apply([
      { op: "socket-open", socket: 7, family: 4, port: 0 },
      { op: "datagram", socket: 7, to: raw.endpoint, bytes },
    ]);
    await lab().until(() => raw.received.length === 1);
    expect(raw.received[0]?.from.port).toBe(upcallsOf(node, "socket-opened")[0]?.port);
  });

  it("refuses indexes that are not the core's, and a taken index or port", async () => {
    const node = await lab().node();
    const port = await openUdp(lab(), node, 1);
    for (const socket of [0, ENGINE_LIMITS.acceptedStreams, ENGINE_LIMITS.sockets, 65_535]) {
      node.engine.apply([{ op: "socket-open", socket, family: 4, port: 0 }]);
    }
    await lab().until(() => droppedFor(node, "bad-field") === 4);
    node.engine.apply([
      { op: "socket-open", socket: 1, family: 4, port: 0 },
      { op: "socket-open", socket: 2, family: 4, port },
    ]);
    await lab().until(() => upcallsOf(node, "socket-failed").length === 2);
    expect(upcallsOf(node, "socket-failed")).toEqual([
      { kind: "socket-failed", socket: 1, reason: "in-use" },
      { kind: "socket-failed", socket: 2, reason: "in-use" },
    ]);
  });

  it("carries paths over such a socket, and tells which one a message came in on", async () => {
    const { a, b } = await connectedPair(lab());
    const port = await openUdp(lab(), a, 3);
    const from = { ip: a.endpoint.ip, port };
    a.engine.apply([
      pathCommand(1, direct(b.endpoint, 3), 4),
      { op: "control", session: 1, path: 4, bytes: Uint8Array.of(1) },
    ]);
    await lab().until(() => upcallsOf(b, "control").length === 1);
    expect(upcallsOf(b, "control")[0]).toMatchObject({ path: undefined, socket: 0, from });
    expect(upcallsOf(b, "endpoint")).toEqual([{ kind: "endpoint", session: 1, socket: 0, from }]);
    b.engine.apply([
      pathCommand(1, direct(from), 2),
      { op: "control", session: 1, path: 2, bytes: Uint8Array.of(2) },
    ]);
    await lab().until(() => upcallsOf(a, "control").length === 1);
    expect(upcallsOf(a, "control")[0]).toMatchObject({ path: 4, socket: 3, from: b.endpoint });
  });

  it("sends nothing over a closed socket, and takes the index again", async () => {
    const node = await lab().node();
    const peer = await RawPeer.make(lab(), node, { generation: 1, side: 0 });
    const port = await openUdp(lab(), node, 1);
    node.engine.apply([
      ...openSession(1, { generation: 1, side: 1 }, direct(peer.socket.endpoint, 1)),
      { op: "control", session: 1, bytes: Uint8Array.of(1) },
      { op: "socket-close", socket: 1 },
      { op: "control", session: 1, bytes: Uint8Array.of(2) },
      { op: "datagram", socket: 1, to: peer.socket.endpoint, bytes: STUN },
      { op: "datagram", socket: 600, to: peer.socket.endpoint, bytes: STUN },
    ]);
    await lab().until(() => droppedFor(node, "no-socket") === 3);
    node.engine.apply([{ op: "socket-close", socket: 1 }]);
    await lab().until(() => droppedFor(node, "no-socket") === 4);
    node.engine.apply([{ op: "socket-close", socket: 0 }]);
    await lab().until(() => droppedFor(node, "no-socket") === 5);
    // Another port: the old one is free only when the last thread has let go of it.
    node.engine.apply([{ op: "socket-open", socket: 1, family: 4, port: 0 }]);
    await lab().until(() => upcallsOf(node, "socket-opened").length === 2);
    const again = upcallsOf(node, "socket-opened").at(-1)?.port;
    node.engine.apply([{ op: "control", session: 1, bytes: Uint8Array.of(3) }]);
    await lab().until(() => peer.socket.received.length === 2);
    expect(peer.socket.received.map(({ from }) => from.port)).toEqual([port, again]);
  });

  it("opens every index it has", async () => {
    const node = await lab().node();
    const raw = await lab().raw();
    const indexes = Array.from({ length: ENGINE_LIMITS.acceptedStreams - 1 }, (_, i) => i + 1);
    node.engine.apply(indexes.map((socket) => ({ op: "socket-open", socket, family: 4, port: 0 })));
    await lab().until(() => upcallsOf(node, "socket-opened").length === indexes.length);
    const ports = upcallsOf(node, "socket-opened").map(({ port }) => port);
    expect(new Set(ports).size).toBe(indexes.length);
    for (const port of ports) raw.send({ ip: node.endpoint.ip, port }, STUN);
    await lab().until(() => upcallsOf(node, "datagram").length === indexes.length);
    const seen = upcallsOf(node, "datagram").map(({ socket }) => socket);
    expect(new Set(seen)).toEqual(new Set(indexes));
    node.engine.apply(indexes.map((socket) => ({ op: "socket-close", socket })));
  });
}
