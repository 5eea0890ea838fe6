import { expect, it } from "vitest";
import { ENGINE_LIMITS, type EngineCommand } from "../../src/base/engine.ts";
import { numbered } from "./frames.ts";
import {
  allow,
  connectedPair,
  direct,
  droppedFor,
  droppedTotal,
  forward,
  keysCommand,
  type Lab,
  MAC_A,
  MAC_B,
  openSession,
  pathCommand,
  upcallsOf,
} from "./lab.ts";
import { RawPeer } from "./raw-peer.ts";

const NOWHERE = 4_242;

export function commandContract(lab: () => Lab): void {
  it("takes the commands of one batch in order", async () => {
    const node = await lab().node();
    const peer = await RawPeer.make(lab(), node, { generation: 1, side: 1 });
    node.engine.apply([
      ...openSession(1, { generation: 1, side: 0 }, direct(peer.socket.endpoint)),
      { op: "frame-to-peer", session: 1, bytes: numbered(MAC_B, MAC_A, 1) },
      { op: "control", session: 1, bytes: Uint8Array.of(7) },
      { op: "session-close", session: 1 },
      { op: "control", session: 1, bytes: Uint8Array.of(8) },
    ]);
    await lab().until(() => peer.socket.received.length === 2 && droppedTotal(node) > 0);
    expect(peer.open(peer.socket.received[0]?.bytes ?? new Uint8Array())?.[0]).toBe(0);
    expect(peer.open(peer.socket.received[1]?.bytes ?? new Uint8Array())?.[4]).toBe(7);
  });

  it("ignores and counts commands that name something unknown", async () => {
    const { a, b } = await connectedPair(lab());
    const bytes = numbered(MAC_B, MAC_A, 1);
    const strange: EngineCommand[] = [
      keysCommand(NOWHERE, { generation: 9, side: 0 }),
      { op: "session-close", session: NOWHERE },
      pathCommand(NOWHERE, direct(b.endpoint)),
      { op: "path-remove", session: NOWHERE, path: 0 },
      { op: "path-remove", session: 1, path: 5 },
      { op: "path-active", session: NOWHERE, path: 0 },
      { op: "path-active", session: 1, path: 5 },
      { op: "control", session: NOWHERE, bytes },
      { op: "control", session: 1, path: 5, bytes },
      { op: "frame-to-peer", session: NOWHERE, bytes },
      allow(NOWHERE, [MAC_B]),
      { op: "label", ingress: NOWHERE, label: 1, to: "ends-here" },
      { op: "label-remove", ingress: NOWHERE, label: 1 },
      forward("02:00:00:00:00:99", NOWHERE),
      { op: "datagram", socket: 9, to: b.endpoint, bytes },
    ];
    for (const [index, command] of strange.entries()) {
      a.engine.apply([command]);
      await lab().until(() => droppedTotal(a) >= index + 1);
    }
    a.engine.apply([{ op: "control", session: 1, bytes: Uint8Array.of(1) }]);
    await lab().until(() => upcallsOf(b, "control").length === 1);
  });

  it("refuses a path past the eighth", async () => {
    const { a, b } = await connectedPair(lab());
    const past = ENGINE_LIMITS.pathsPerSession;
    a.engine.apply([
      pathCommand(1, direct(b.endpoint), past),
      { op: "path-active", session: 1, path: past },
    ]);
    await lab().until(() => droppedTotal(a) === 2);
    a.engine.apply([{ op: "control", session: 1, bytes: Uint8Array.of(1) }]);
    await lab().until(() => upcallsOf(b, "control").length === 1);
  });

  it("refuses a session past the bound, and serves the others", async () => {
    const node = await lab().node();
    const peer = await RawPeer.make(lab(), node, { generation: 1, side: 1 });
    const opens: EngineCommand[] = [];
    for (let session = 1; session <= ENGINE_LIMITS.sessions + 3; session++) {
      opens.push({ op: "session-open", session });
    }
    node.engine.apply(opens);
    await lab().until(() => droppedFor(node, "table-full") === 3);
    const [, ...rest] = openSession(
      4_096,
      { generation: 1, side: 0 },
      direct(peer.socket.endpoint),
    );
    node.engine.apply([...rest, { op: "control", session: 4_096, bytes: Uint8Array.of(1) }]);
    await lab().until(() => peer.socket.received.length === 1);
  });

  it("refuses a label past the bound of its ingress", async () => {
    const { a } = await connectedPair(lab());
    const labels: EngineCommand[] = [];
    for (let label = 1; label <= ENGINE_LIMITS.labelsPerSession + 2; label++) {
      labels.push({ op: "label", ingress: 1, label, to: "ends-here" });
    }
    a.engine.apply(labels);
    await lab().until(() => droppedFor(a, "table-full") === 2);
  });

  it("closes a session with its keys, labels and forward entries", async () => {
    const { a, b } = await connectedPair(lab());
    a.engine.apply([{ op: "label", ingress: 1, label: 5, to: "ends-here" }]);
    a.engine.apply([{ op: "session-close", session: 1 }]);
    a.tapSend(numbered(MAC_B, MAC_A, 1));
    await lab().until(() => upcallsOf(a, "miss").length === 1);
    b.engine.apply([{ op: "control", session: 1, bytes: Uint8Array.of(1) }]);
    await lab().until(() => droppedFor(a, "unknown-receiver") === 1);
    a.engine.apply([
      ...openSession(1, { generation: 1, side: 0 }, direct(b.endpoint)),
      { op: "label-remove", ingress: 1, label: 5 },
    ]);
    await lab().until(() => droppedTotal(a) === 2);
    b.tapSend(numbered(MAC_A, MAC_B, 2));
    await lab().until(() => upcallsOf(a, "held").length === 1);
  });

  it("reports the traffic of every session", async () => {
    const { a, b } = await connectedPair(lab());
    for (let number = 0; number < 3; number++) a.tapSend(numbered(MAC_B, MAC_A, number, 100));
    a.engine.apply([{ op: "control", session: 1, bytes: new Uint8Array(40) }]);
    await lab().until(() => b.tap.length === 3 && upcallsOf(b, "control").length === 1);
    a.engine.apply([{ op: "session-open", session: 2 }, { op: "report-traffic" }]);
    b.engine.apply([{ op: "report-traffic" }]);
    await lab().until(() => upcallsOf(a, "traffic").length + upcallsOf(b, "traffic").length === 2);
    const [sent] = upcallsOf(a, "traffic").map((upcall) => upcall.sessions);
    const [received] = upcallsOf(b, "traffic").map((upcall) => upcall.sessions);
    expect(sent?.map((traffic) => traffic.session).sort()).toEqual([1, 2]);
    expect(sent?.find((traffic) => traffic.session === 1)).toEqual({
      session: 1,
      framesIn: 0,
      framesOut: 3,
      bytesIn: 0,
      bytesOut: 300,
      controlBytesIn: 0,
      controlBytesOut: 40,
      relayedBytes: 0,
      silentMs: undefined,
    });
    expect(received?.[0]).toMatchObject({ framesIn: 3, bytesIn: 300, controlBytesIn: 40 });
    expect(received?.[0]?.silentMs).toBeLessThan(10_000);
  });

  it("keeps at most 4,096 upcalls and counts the rest", async () => {
    const node = await lab().node();
    node.drains = false;
    const broadcast = numbered("ff:ff:ff:ff:ff:ff", MAC_A, 1);
    for (let batch = 1; batch <= 50; batch++) {
      for (let i = 0; i < 100; i++) node.tapSend(broadcast);
      await lab().until(() => node.engine.counters().tapFramesIn === 100 * batch);
    }
    await lab().until(() => droppedFor(node, "upcall-full") === 5_000 - ENGINE_LIMITS.upcalls);
    expect(node.engine.drain()).toHaveLength(ENGINE_LIMITS.upcalls);
    node.drains = true;
    node.tapSend(broadcast);
    await lab().until(() => node.upcalls.length === 1);
  });

  it("ignores everything after close, and closes twice", async () => {
    const { a, b } = await connectedPair(lab());
    a.engine.close();
    a.engine.close();
    a.engine.apply([{ op: "control", session: 1, bytes: Uint8Array.of(1) }]);
    expect(a.engine.drain()).toEqual([]);
    expect(a.engine.counters().datagramsOut).toBe(0);
    b.engine.apply([
      { op: "carrier", on: false },
      { op: "carrier", on: true },
    ]);
    expect(b.engine.counters().datagramsIn).toBe(0);
  });
}
