import { expect, it } from "vitest";
import { KIND_CONTROL, RELAY_TTL, SHIM_BYTES } from "../../sim/datagram.ts";
import type { EngineCommand, Label, SessionId } from "../../src/base/engine.ts";
import { numbered, numberOf } from "./frames.ts";
import {
  allow,
  direct,
  droppedFor,
  droppedTotal,
  type EngineNode,
  forward,
  IP_A,
  IP_B,
  type Lab,
  MAC_A,
  MAC_B,
  openSession,
  type RawSocket,
  upcallsOf,
} from "./lab.ts";
import { opaqueData, RawPeer } from "./raw-peer.ts";

/** Session towards the end, over relays, at both ends. */
const END_TO_END: SessionId = 100;

const route = (
  ingress: SessionId,
  label: Label,
  session: SessionId,
  out: Label,
): EngineCommand => ({
  op: "label",
  ingress,
  label,
  to: { session, label: out },
});

/** Chains a - relays - b with sessions 1 (towards a's side) and 2 (towards b's side) at each relay. */
async function chain(lab: Lab, relays: number): Promise<EngineNode[]> {
  const nodes: EngineNode[] = [];
  for (let i = 0; i < relays + 2; i++) nodes.push(await lab.node());
  for (const [i, node] of nodes.entries()) {
    const [left, right] = [nodes[i - 1], nodes[i + 1]];
    if (left)
      node.engine.apply(openSession(1, { generation: 10 + i, side: 1 }, direct(left.endpoint)));
    if (right)
      node.engine.apply(openSession(2, { generation: 11 + i, side: 0 }, direct(right.endpoint)));
    if (left && right)
      node.engine.apply([route(1, 50 + i, 2, 51 + i), route(2, 51 + i, 1, 50 + i)]);
  }
  const [a, b] = [nodes[0], nodes[relays + 1]];
  if (a === undefined || b === undefined) throw new Error("unreachable");
  endOver(a, { side: 0, via: 2, label: 51, mac: [MAC_B, IP_B], own: MAC_A });
  endOver(b, { side: 1, via: 1, label: 51 + relays, mac: [MAC_A, IP_A], own: MAC_B });
  return nodes;
}

interface End {
  readonly side: 0 | 1;
  readonly via: SessionId;
  readonly label: Label;
  readonly mac: readonly [string, string];
  readonly own: string;
}

function endOver(node: EngineNode, { side, via, label, mac, own }: End): void {
  node.engine.apply([
    { op: "label", ingress: via, label, to: "ends-here" },
    ...openSession(END_TO_END, { generation: 1, side }, { kind: "relay", via, label }),
    allow(END_TO_END, mac),
    forward(mac[0], END_TO_END),
    forward(own, "local"),
  ]);
}

interface Relay {
  readonly relay: EngineNode;
  readonly left: RawSocket;
  readonly right: RawSocket;
}

/** One relay between two bare sockets: label 5 of the left goes on as 6 to the right. */
async function bareRelay(lab: Lab): Promise<Relay> {
  const [relay, left, right] = [await lab.node(), await lab.raw(), await lab.raw()];
  relay.engine.apply([
    ...openSession(1, { generation: 1, side: 1 }, direct(left.endpoint)),
    ...openSession(2, { generation: 2, side: 0 }, direct(right.endpoint)),
    route(1, 5, 2, 6),
  ]);
  return { relay, left, right };
}

function shimmed(label: Label, data: Uint8Array, ttl = RELAY_TTL): Uint8Array {
  const out = new Uint8Array(SHIM_BYTES + data.length);
  out.set([201, ttl, 0, 0, label & 255, (label >> 8) & 255, (label >> 16) & 255, label >>> 24]);
  out.set(data, SHIM_BYTES);
  return out;
}

/** One of 1,044 bytes in all. */
const to = (label: Label) => shimmed(label, opaqueData(1_036));

interface Flood {
  readonly sent: number;
  readonly elapsedMs: number;
}

/** 200 datagrams, none lost before the engine; done when each went on or was dropped. */
async function flood(lab: Lab, relay: EngineNode, send: (i: number) => void): Promise<Flood> {
  const [sent, startedAt] = [200, performance.now()];
  for (let i = 1; i <= sent; i++) {
    send(i);
    if (i % 20 === 0) await lab.until(() => relay.engine.counters().datagramsIn === i);
  }
  await lab.until(() => relay.engine.counters().relayedDatagrams + droppedTotal(relay) === sent);
  return { sent, elapsedMs: performance.now() - startedAt };
}

/** 62 datagrams fill 64 KiB; the rate adds 19 a second, however slow this machine is. */
function expectBurst(relay: EngineNode, passed: number, { sent, elapsedMs }: Flood): void {
  expect(passed).toBeGreaterThanOrEqual(62);
  expect(passed).toBeLessThanOrEqual(63 + Math.ceil((elapsedMs * 20) / 1_000));
  expect(passed + droppedTotal(relay)).toBe(sent);
}

export function relayContract(lab: () => Lab): void {
  for (const relays of [1, 2, 3]) {
    it(`carries frames and control over ${relays} hop${relays === 1 ? "" : "s"}`, async () => {
      const nodes = await chain(lab(), relays);
      const [a, b] = [nodes[0], nodes[relays + 1]];
      if (a === undefined || b === undefined) throw new Error("unreachable");
      a.tapSend(numbered(MAC_B, MAC_A, 1, 1_000));
      b.tapSend(numbered(MAC_A, MAC_B, 2, 1_000));
      await lab().until(() => a.tap.length === 1 && b.tap.length === 1);
      expect([...a.tap, ...b.tap].map(numberOf)).toEqual([2, 1]);
      a.engine.apply([{ op: "control", session: END_TO_END, bytes: Uint8Array.of(7), padTo: 700 }]);
      await lab().until(() => upcallsOf(b, "control").length === 1);
      expect(upcallsOf(b, "control")[0]).toEqual({
        kind: "control",
        session: END_TO_END,
        path: 0,
        socket: 0,
        from: undefined,
        datagramBytes: 700,
        bytes: Uint8Array.of(7),
      });
      for (const node of nodes) expect(upcallsOf(node, "endpoint")).toEqual([]);
      for (const relay of nodes.slice(1, -1)) {
        expect(relay.engine.counters().relayedDatagrams).toBe(3);
        expect(relay.upcalls).toEqual([]);
      }
    });
  }

  it("rewrites label and ttl in place and leaves the payload alone", async () => {
    const { relay, left, right } = await bareRelay(lab());
    const data = opaqueData(200);
    left.send(relay.endpoint, shimmed(5, data));
    await lab().until(() => right.received.length === 1);
    expect(right.received[0]?.bytes).toEqual(shimmed(6, data, RELAY_TTL - 1));
    relay.engine.apply([{ op: "report-traffic" }]);
    await lab().until(() => upcallsOf(relay, "traffic").length === 1);
    const [first] = upcallsOf(relay, "traffic");
    const ingress = first?.sessions.find((traffic) => traffic.session === 1);
    expect(ingress?.relayedBytes).toBe(208);
  });

  it("takes a label only from its ingress session's endpoint", async () => {
    const { relay, left, right } = await bareRelay(lab());
    const stranger = await lab().raw();
    stranger.send(relay.endpoint, shimmed(5, opaqueData(100)));
    right.send(relay.endpoint, shimmed(5, opaqueData(100)));
    await lab().until(() => droppedTotal(relay) === 2);
    expect(droppedFor(relay, "label-source")).toBeGreaterThanOrEqual(1);
    left.send(relay.endpoint, shimmed(99, opaqueData(100)));
    await lab().until(() => droppedTotal(relay) === 3);
    expect(droppedFor(relay, "unknown-label")).toBeGreaterThanOrEqual(1);
    left.send(relay.endpoint, shimmed(5, opaqueData(100)));
    await lab().until(() => right.received.length === 1);
    expect(stranger.received).toEqual([]);
  });

  it("drops a datagram whose ttl is used up", async () => {
    const { relay, left, right } = await bareRelay(lab());
    left.send(relay.endpoint, shimmed(5, opaqueData(100), 0));
    await lab().until(() => droppedFor(relay, "relay-ttl") === 1);
    left.send(relay.endpoint, shimmed(5, opaqueData(101)));
    await lab().until(() => right.received.length === 1);
    expect(right.received[0]?.bytes.length).toBe(109);
  });

  it("ends a loop of labels", async () => {
    const [x, y] = [await lab().node(), await lab().node()];
    const left = await lab().raw();
    x.engine.apply([
      ...openSession(1, { generation: 1, side: 1 }, direct(left.endpoint)),
      ...openSession(2, { generation: 2, side: 0 }, direct(y.endpoint)),
      route(1, 5, 2, 6),
      route(2, 6, 2, 6),
    ]);
    y.engine.apply([
      ...openSession(1, { generation: 2, side: 1 }, direct(x.endpoint)),
      route(1, 6, 1, 6),
    ]);
    left.send(x.endpoint, shimmed(5, opaqueData(100)));
    await lab().until(() => droppedFor(x, "relay-ttl") + droppedFor(y, "relay-ttl") === 1);
  });

  it("holds what a member sends to one rate, over all its labels", async () => {
    const { relay, left, right } = await bareRelay(lab());
    const third = await lab().raw();
    relay.engine.apply([
      ...openSession(3, { generation: 4, side: 0 }, direct(third.endpoint)),
      route(1, 7, 3, 8),
      { op: "relay-limit", perSession: 20_000, inAll: 0 },
    ]);
    const burst = await flood(lab(), relay, (i) => left.send(relay.endpoint, to(i % 2 ? 5 : 7)));
    // a burst of 64 KiB passes for both labels together, then 20 datagrams a second
    expectBurst(relay, right.received.length + third.received.length, burst);
    expect(third.received.length).toBeGreaterThan(0);
    expect(droppedFor(relay, "relay-member-rate")).toBeGreaterThan(50);
    const before = left.received.length;
    relay.engine.apply([route(2, 6, 1, 5)]);
    right.send(relay.endpoint, to(6));
    await lab().until(() => left.received.length === before + 1); // the way back is not used up
  });

  it("holds what a member receives to the same rate, from all members", async () => {
    const { relay, left, right } = await bareRelay(lab());
    const third = await lab().raw();
    relay.engine.apply([
      ...openSession(3, { generation: 4, side: 1 }, direct(third.endpoint)),
      route(3, 5, 2, 9),
      route(3, 7, 1, 9),
      { op: "relay-limit", perSession: 20_000, inAll: 0 },
    ]);
    const burst = await flood(lab(), relay, (i) =>
      (i % 2 ? left : third).send(relay.endpoint, to(5)),
    );
    expectBurst(relay, right.received.length, burst);
    third.send(relay.endpoint, to(7)); // half of its own rate is left, for somebody else
    await lab().until(() => left.received.length === 1);
  });

  it("holds all of it together to a rate of its own", async () => {
    const { relay, left, right } = await bareRelay(lab());
    relay.engine.apply([
      route(2, 6, 1, 5),
      { op: "relay-limit", perSession: 1_000_000, inAll: 20_000 },
    ]);
    const burst = await flood(lab(), relay, (i) =>
      i % 2 ? left.send(relay.endpoint, to(5)) : right.send(relay.endpoint, to(6)),
    );
    expectBurst(relay, right.received.length + left.received.length, burst);
    expect(droppedFor(relay, "relay-member-rate")).toBe(0);
    expect(droppedFor(relay, "relay-total-rate")).toBeGreaterThan(50);
    relay.engine.apply([{ op: "relay-limit", perSession: 0, inAll: 0 }]);
    const before = right.received.length;
    left.send(relay.endpoint, to(5));
    await lab().until(() => right.received.length === before + 1);
  });

  it("forgets a label that is removed and drops one whose next session has gone", async () => {
    const { relay, left } = await bareRelay(lab());
    relay.engine.apply([{ op: "session-close", session: 2 }]);
    left.send(relay.endpoint, shimmed(5, opaqueData(100)));
    await lab().until(() => droppedTotal(relay) === 1);
    relay.engine.apply([{ op: "label-remove", ingress: 1, label: 5 }]);
    left.send(relay.endpoint, shimmed(5, opaqueData(100)));
    await lab().until(() => relay.engine.counters().datagramsIn === 2);
    await lab().until(() => droppedFor(relay, "unknown-label") >= 1);
    expect(relay.engine.counters().relayedDatagrams).toBe(0);
  });

  it("forgets the labels of an ingress session that is closed", async () => {
    const { relay, left, right } = await bareRelay(lab());
    relay.engine.apply([{ op: "session-close", session: 1 }]);
    left.send(relay.endpoint, shimmed(5, opaqueData(100)));
    await lab().until(() => droppedFor(relay, "unknown-label") === 1);
    expect(right.received).toEqual([]);
  });

  it("counts the shim against what a path may carry", async () => {
    const [node, via] = [await lab().node(), await lab().raw()];
    const to = { kind: "relay", via: 1, label: 9 } as const;
    node.engine.apply([
      ...openSession(1, { generation: 3, side: 1 }, direct(via.endpoint)),
      ...openSession(2, { generation: 1, side: 1 }, to),
      { op: "path", session: 2, path: 0, to, maxDatagram: 600, keepaliveMs: 0 },
      { op: "frame-to-peer", session: 2, bytes: numbered(MAC_B, MAC_A, 1, 600 - 44) },
      { op: "frame-to-peer", session: 2, bytes: numbered(MAC_B, MAC_A, 2, 600 - 43) },
    ]);
    await lab().until(() => via.received.length === 3);
    for (const { bytes } of via.received) expect(bytes.length).toBeLessThanOrEqual(600);
  });

  it("survives every length of a relayed datagram", async () => {
    const { relay, left, right } = await bareRelay(lab());
    const whole = shimmed(5, opaqueData(60));
    for (let length = 1; length < 44; length++) left.send(relay.endpoint, whole.slice(0, length));
    await lab().until(() => droppedTotal(relay) === 43);
    left.send(relay.endpoint, whole);
    await lab().until(() => right.received.length === 1);
  });

  it("knows no path for what came behind another label, and never a new endpoint", async () => {
    const node = await lab().node();
    const peer = await RawPeer.make(lab(), node, { generation: 1, side: 0 });
    const via = peer.socket.endpoint;
    node.engine.apply([
      ...openSession(1, { generation: 3, side: 1 }, direct(via)),
      { op: "label", ingress: 1, label: 8, to: "ends-here" },
      ...openSession(2, { generation: 1, side: 1 }, { kind: "relay", via: 1, label: 9 }),
    ]);
    peer.sendSealed(Uint8Array.of(4), { kind: KIND_CONTROL }, { label: 8 });
    await lab().until(() => upcallsOf(node, "control").length === 1);
    expect(upcallsOf(node, "control")[0]).toMatchObject({
      session: 2,
      path: undefined,
      from: undefined,
    });
    expect(upcallsOf(node, "endpoint")).toEqual([]);
  });

  it("drops what would leave by a relay session without a direct active path", async () => {
    const [a] = await chain(lab(), 1);
    if (a === undefined) throw new Error("unreachable");
    a.engine.apply([
      { op: "path-remove", session: 2, path: 0 },
      { op: "control", session: END_TO_END, bytes: Uint8Array.of(1) },
    ]);
    await lab().until(() => droppedTotal(a) === 1);
    expect(a.engine.counters().datagramsOut).toBe(0);
  });
}
