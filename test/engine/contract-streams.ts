import sodium from "libsodium-wrappers";
import { expect, it } from "vitest";
import { concat } from "../../src/base/bytes.ts";
import { ENGINE_LIMITS } from "../../src/base/engine.ts";
import type { Endpoint } from "../../src/base/net.ts";
import { numbered } from "./frames.ts";
import {
  allow,
  direct,
  droppedFor,
  type EngineNode,
  forward,
  IP_A,
  IP_B,
  type Lab,
  MAC_A,
  MAC_B,
  MAC1_KEY,
  openSession,
  upcallsOf,
} from "./lab.ts";

/** Two engines with one stream between them: `a` made it with index 5. */
interface Streamed {
  readonly a: EngineNode;
  readonly b: EngineNode;
  /** Where b listens, and where a's stream comes from. */
  readonly at: Endpoint;
  readonly from: Endpoint;
  /** b's index of the stream. */
  readonly accepted: number;
}

const INDEX = 5;

async function listening(lab: Lab, node: EngineNode): Promise<Endpoint> {
  const port = await lab.freePort();
  node.engine.apply([{ op: "stream-listen", port }]);
  await lab.until(() => upcallsOf(node, "listening").length === 1);
  expect(upcallsOf(node, "listening")).toEqual([{ kind: "listening", port }]);
  return { ip: node.endpoint.ip, port };
}

async function streamed(lab: Lab): Promise<Streamed> {
  const [a, b] = [await lab.node(), await lab.node()];
  const at = await listening(lab, b);
  a.engine.apply([{ op: "stream-open", socket: INDEX, to: at }]);
  await lab.until(() => upcallsOf(a, "socket-opened").length === 1);
  await lab.until(() => upcallsOf(b, "socket-opened").length === 1);
  const [opened, taken] = [upcallsOf(a, "socket-opened")[0], upcallsOf(b, "socket-opened")[0]];
  const from = { ip: a.endpoint.ip, port: opened?.port ?? 0 };
  expect(opened).toMatchObject({ socket: INDEX, family: 4, from: undefined });
  expect(taken).toMatchObject({ family: 4, port: at.port, from });
  const accepted = taken?.socket ?? 0;
  expect(accepted).toBeGreaterThanOrEqual(ENGINE_LIMITS.acceptedStreams);
  expect(accepted).toBeLessThan(ENGINE_LIMITS.sockets);
  return { a, b, at, from, accepted };
}

/** A session over the stream, both MACs known. */
function joinOver({ a, b, at, from, accepted }: Streamed): void {
  a.engine.apply([
    ...openSession(1, { generation: 1, side: 0 }, direct(at, INDEX)),
    allow(1, [MAC_B, IP_B]),
    forward(MAC_B, 1),
    forward(MAC_A, "local"),
  ]);
  b.engine.apply([
    ...openSession(1, { generation: 1, side: 1 }, direct(from, accepted)),
    allow(1, [MAC_A, IP_A]),
    forward(MAC_A, 1),
    forward(MAC_B, "local"),
  ]);
}

function handshake(length: number): Promise<Uint8Array> {
  return mac1Of(new Uint8Array(length).fill(192));
}

/** A handshake datagram whose mac1 is right. */
export async function mac1Of(body: Uint8Array): Promise<Uint8Array> {
  await sodium.ready;
  return concat(body, sodium.crypto_generichash(16, body, MAC1_KEY), new Uint8Array(16));
}

export function streamContract(lab: () => Lab): void {
  it("carries handshakes whose mac1 is right, both ways, borders kept", async () => {
    const { a, b, at, from, accepted } = await streamed(lab());
    const good = [await handshake(1), await handshake(1_200), await handshake(10_000)];
    const bad = good[1]?.slice() ?? new Uint8Array();
    bad[7] = 0;
    for (const bytes of [bad, ...good]) {
      a.engine.apply([{ op: "datagram", socket: INDEX, to: at, bytes }]);
    }
    await lab().until(() => upcallsOf(b, "datagram").length === good.length);
    expect(upcallsOf(b, "datagram")).toEqual(
      good.map((bytes) => ({ kind: "datagram", socket: accepted, from, bytes })),
    );
    expect(droppedFor(b, "bad-mac1")).toBe(1);
    const [answer = bad] = good;
    b.engine.apply([{ op: "datagram", socket: accepted, to: from, bytes: answer }]);
    await lab().until(() => upcallsOf(a, "datagram").length === 1);
    expect(upcallsOf(a, "datagram")[0]).toEqual({
      kind: "datagram",
      socket: INDEX,
      from: at,
      bytes: answer,
    });
  });

  it("carries sessions: control by path, frames in order", async () => {
    const pair = await streamed(lab());
    const { a, b, at, from, accepted } = pair;
    joinOver(pair);
    a.engine.apply([{ op: "control", session: 1, bytes: Uint8Array.of(1), padTo: 9_000, ttl: 3 }]);
    await lab().until(() => upcallsOf(b, "control").length === 1);
    expect(upcallsOf(b, "control")[0]).toMatchObject({
      path: 0,
      socket: accepted,
      from,
      datagramBytes: 9_000,
    });
    b.engine.apply([{ op: "control", session: 1, bytes: Uint8Array.of(2) }]);
    await lab().until(() => upcallsOf(a, "control").length === 1);
    expect(upcallsOf(a, "control")[0]).toMatchObject({ path: 0, socket: INDEX, from: at });
    const frames = Array.from({ length: 100 }, (_, i) => numbered(MAC_B, MAC_A, i));
    for (const frame of frames) a.tapSend(frame);
    await lab().until(() => b.tap.length === frames.length);
    expect(b.tap).toEqual(frames);
    expect(upcallsOf(b, "endpoint")).toEqual([]);
  });

  it("sends nothing to another address, before the stream is there, or too long", async () => {
    const { a, at } = await streamed(lab());
    const bytes = await handshake(10);
    const elsewhere = { ...at, port: at.port === 1 ? 2 : 1 };
    a.engine.apply([
      { op: "datagram", socket: INDEX, to: elsewhere, bytes },
      { op: "stream-open", socket: 6, to: at },
      { op: "datagram", socket: 6, to: at, bytes },
    ]);
    await lab().until(() => droppedFor(a, "no-socket") === 2);
    const large = await handshake(ENGINE_LIMITS.streamDatagramBytes);
    a.engine.apply([{ op: "datagram", socket: INDEX, to: at, bytes: large }]);
    await lab().until(() => droppedFor(a, "too-long") === 1);
  });

  it("tells why a stream cannot be made", async () => {
    const node = await lab().node();
    const to = { ip: node.endpoint.ip, port: await lab().freePort() };
    node.engine.apply([
      { op: "stream-open", socket: 1, to },
      { op: "stream-open", socket: 1, to },
      { op: "stream-open", socket: 0, to },
      { op: "stream-open", socket: ENGINE_LIMITS.acceptedStreams, to },
      { op: "stream-open", socket: 2, to, proxy: { endpoint: to, authorization: "a\r\nb" } },
      { op: "stream-open", socket: 2, to, proxy: { endpoint: to, authorization: "a".repeat(513) } },
    ]);
    await lab().until(() => upcallsOf(node, "socket-failed").length === 2);
    // Which of the two is found first is the kernel's choice; or the first had ended by the second.
    const failed = upcallsOf(node, "socket-failed").map(({ socket, reason }) => [socket, reason]);
    expect(failed).toContainEqual([1, "refused"]);
    for (const [socket, reason] of failed) {
      expect([socket, ["refused", "in-use"].includes(`${reason}`)]).toEqual([1, true]);
    }
    await lab().until(() => droppedFor(node, "bad-field") === 4);
    node.engine.apply([{ op: "stream-open", socket: 1, to }]);
    await lab().until(() => upcallsOf(node, "socket-failed").length === 3);
  });

  it("tells the other side when a stream is closed, and uses the index again", async () => {
    const pair = await streamed(lab());
    const { a, b, at, accepted } = pair;
    joinOver(pair);
    a.engine.apply([{ op: "socket-close", socket: INDEX }]);
    await lab().until(() => upcallsOf(b, "socket-closed").length === 1);
    expect(upcallsOf(b, "socket-closed")).toEqual([{ kind: "socket-closed", socket: accepted }]);
    b.engine.apply([{ op: "control", session: 1, bytes: Uint8Array.of(1) }]);
    await lab().until(() => droppedFor(b, "no-socket") === 1);
    a.engine.apply([{ op: "stream-open", socket: INDEX, to: at }]);
    await lab().until(() => upcallsOf(b, "socket-opened").length === 2);
    const second = upcallsOf(b, "socket-opened")[1]?.socket ?? 0;
    expect(second).not.toBe(accepted);
    b.engine.apply([{ op: "socket-close", socket: second }]);
    await lab().until(() => upcallsOf(a, "socket-closed").length === 1);
    expect(upcallsOf(a, "socket-closed")).toEqual([{ kind: "socket-closed", socket: INDEX }]);
  });

  it("stops listening, and keeps the streams that are there", async () => {
    const pair = await streamed(lab());
    const { a, b, at } = pair;
    joinOver(pair);
    b.engine.apply([{ op: "stream-listen", port: 0 }]);
    b.engine.apply([{ op: "control", session: 1, bytes: Uint8Array.of(1) }]);
    await lab().until(() => upcallsOf(a, "control").length === 1);
    a.engine.apply([{ op: "stream-open", socket: 6, to: at }]);
    await lab().until(() => upcallsOf(a, "socket-failed").length === 1);
    expect(upcallsOf(a, "socket-failed")[0]?.reason).toBe("refused");
    a.engine.apply([{ op: "control", session: 1, bytes: Uint8Array.of(2) }]);
    await lab().until(() => upcallsOf(b, "control").length === 1);
  });

  it("tells when a port cannot be listened on", async () => {
    const node = await lab().node();
    const { port } = await listening(lab(), node);
    const other = await lab().node();
    other.engine.apply([{ op: "stream-listen", port }]);
    if (other.endpoint.ip !== node.endpoint.ip) return;
    await lab().until(() => upcallsOf(other, "listen-failed").length === 1);
    expect(upcallsOf(other, "listen-failed")).toEqual([
      { kind: "listen-failed", port, reason: "in-use" },
    ]);
  });
}
