/**
 * Streams of the native engine against what it does not control: strangers, proxies, a TLS stack
 * that is not ours.
 */
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { type AddressInfo, connect, createServer as createTcpServer, type Socket } from "node:net";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { concat } from "../../src/base/bytes.ts";
import { ENGINE_LIMITS } from "../../src/base/engine.ts";
import type { Endpoint } from "../../src/base/net.ts";
import { mac1Of } from "../engine/contract-streams.ts";
import { droppedFor, type EngineNode, upcallsOf } from "../engine/lab.ts";
import { NativeLab } from "./native-lab.ts";

const UNPROVEN_PER_SOURCE = 8;

let lab = new NativeLab();
let closers: (() => void)[] = [];

beforeEach(() => {
  lab = new NativeLab();
  closers = [];
});

afterEach(async () => {
  for (const close of closers) close();
  await lab.close();
});

async function listeningNode(): Promise<{ node: EngineNode; at: Endpoint }> {
  const node = await lab.node();
  const port = await lab.freePort();
  node.engine.apply([{ op: "stream-listen", port }]);
  await lab.until(() => upcallsOf(node, "listening").length === 1);
  return { node, at: { ip: "127.0.0.1", port } };
}

/** A TCP connection from its own loopback address; `isOver` once the other side ended it. */
function stranger(to: Endpoint, from: string): { socket: Socket; isOver: () => boolean } {
  const socket = connect({ host: to.ip, port: to.port, localAddress: from });
  let isOver = false;
  socket.on("error", () => undefined);
  socket.on("close", () => {
    isOver = true;
  });
  closers.push(() => socket.destroy());
  return { socket, isOver: () => isOver };
}

async function tlsClient(to: Endpoint, from: string): Promise<TLSSocket> {
  const { socket } = stranger(to, from);
  const client = connectTls({ socket, rejectUnauthorized: false });
  client.on("error", () => undefined);
  client.resume();
  await once(client, "secureConnect");
  return client;
}

function framed(...datagrams: Uint8Array[]): Uint8Array {
  return concat(
    ...datagrams.flatMap((each) => [Uint8Array.of(each.length, each.length >> 8), each]),
  );
}

/** Opens a stream from a new node. @returns what became of it */
async function tryStream(to: Endpoint, proxy?: Endpoint, authorization?: string): Promise<string> {
  const node = await lab.node();
  const through = authorization === undefined ? {} : { authorization };
  node.engine.apply([
    {
      op: "stream-open",
      socket: 3,
      to,
      ...(proxy === undefined ? {} : { proxy: { endpoint: proxy, ...through } }),
    },
  ]);
  const answers = () => [...upcallsOf(node, "socket-opened"), ...upcallsOf(node, "socket-failed")];
  await lab.until(() => answers().length === 1);
  const [answer] = answers();
  return answer?.kind === "socket-failed" ? answer.reason : "opened";
}

describe("streams and strangers", () => {
  it("speaks TLS 1.3 that others understand, behind a self-signed P-256 certificate", async () => {
    const { node, at } = await listeningNode();
    const client = await tlsClient(at, "127.0.0.1");
    expect(client.getProtocol()).toBe("TLSv1.3");
    expect(client.getPeerCertificate()).toMatchObject({
      nistCurve: "P-256",
      subject: { CN: "www.example.com" },
    });
    const good = await mac1Of(Uint8Array.of(192, 1, 2));
    client.write(framed(good, Uint8Array.of(199), good).subarray(0, 50));
    await lab.until(() => upcallsOf(node, "datagram").length === 1);
    client.write(framed(good, Uint8Array.of(199), good).subarray(50));
    await lab.until(() => upcallsOf(node, "datagram").length === 2);
    expect(upcallsOf(node, "datagram")[1]?.bytes).toEqual(good);
    expect(droppedFor(node, "unknown-type")).toBe(1);
  });

  it("ends a stream whose lengths make no sense, and serves the next one", async () => {
    const { node, at } = await listeningNode();
    for (const lengths of [
      [0, 0],
      [1, 40],
      [255, 255],
    ]) {
      const client = await tlsClient(at, "127.0.0.1");
      const over = once(client, "close");
      client.write(Uint8Array.from(lengths));
      await over;
    }
    await lab.until(() => upcallsOf(node, "socket-closed").length === 3);
    expect(droppedFor(node, "bad-field")).toBe(3);
    expect(await tryStream(at)).toBe("opened");
  });

  it("lets silent connections hold little, and only for five seconds", async () => {
    const { node, at } = await listeningNode();
    const begun = performance.now();
    const silent = Array.from({ length: UNPROVEN_PER_SOURCE + 4 }, () => stranger(at, "127.0.0.2"));
    await lab.until(() => silent.filter(({ isOver }) => isOver()).length === 4);
    expect(await tryStream(at)).toBe("opened");
    await lab.until(() => silent.every(({ isOver }) => isOver()));
    const lastedMs = performance.now() - begun;
    expect(lastedMs).toBeGreaterThan(4_900);
    expect(upcallsOf(node, "socket-opened")).toHaveLength(1);
    expect(upcallsOf(node, "socket-closed")).toHaveLength(0);
  });

  it("takes one byte at a time, and does not wait for whoever sends so", async () => {
    const { node, at } = await listeningNode();
    const slow = await tlsClient(at, "127.0.0.2");
    const good = await mac1Of(Uint8Array.of(192, 7));
    for (const byte of framed(good)) slow.write(Uint8Array.of(byte));
    expect(await tryStream(at)).toBe("opened");
    await lab.until(() => upcallsOf(node, "datagram").length === 1);
  });

  it("makes way for newcomers when many sources hold connections", async () => {
    const { node, at } = await listeningNode();
    const first = stranger(at, "127.1.0.0");
    await once(first.socket, "connect");
    for (let source = 1; source <= 64; source++) {
      await once(stranger(at, `127.1.1.${source}`).socket, "connect");
    }
    await lab.until(first.isOver);
    expect(await tryStream(at)).toBe("opened");
    expect(droppedFor(node, "stream-full")).toBe(0);
  });

  it("ends what carries nothing authentic", async () => {
    const { node, at } = await listeningNode();
    const client = await tlsClient(at, "127.0.0.1");
    client.write(framed(await mac1Of(Uint8Array.of(192))));
    const over = once(client, "close");
    await lab.until(() => upcallsOf(node, "datagram").length === 1);
    await over;
    await lab.until(() => upcallsOf(node, "socket-closed").length === 1);
  }, 15_000);

  it("keeps a bounded buffer for a peer that does not read", async () => {
    const { node, at } = await listeningNode();
    const client = await tlsClient(at, "127.0.0.1");
    client.pause();
    await lab.until(() => upcallsOf(node, "socket-opened").length === 1);
    const [opened] = upcallsOf(node, "socket-opened");
    const bytes = new Uint8Array(ENGINE_LIMITS.streamDatagramBytes).fill(192);
    const command = {
      op: "datagram",
      socket: opened?.socket ?? 0,
      to: opened?.from ?? at,
      bytes,
    } as const;
    const full = (): boolean => {
      node.engine.apply(new Array(100).fill(command));
      return droppedFor(node, "stream-full") > 1_000;
    };
    await lab.until(full);
    client.resume();
    await once(client, "data");
    const before = node.engine.counters().datagramsOut;
    await lab.until(() => {
      node.engine.apply([command]);
      return node.engine.counters().datagramsOut > before;
    });
  });
});

describe("streams and the way there", () => {
  it("says when the other side speaks no TLS, or nothing at all", async () => {
    const rude = createTcpServer((socket) => {
      socket.on("error", () => undefined);
      socket.end("SSH-2.0-rude\r\n");
    });
    const mute = createTcpServer((socket) => socket.on("error", () => undefined));
    const [rudeAt, muteAt] = [await listenOn(rude), await listenOn(mute)];
    expect(await tryStream(rudeAt)).toBe("tls");
    const begun = performance.now();
    expect(await tryStream(muteAt)).toBe("timed-out");
    expect(performance.now() - begun).toBeGreaterThan(4_900);
  });

  it("goes through an HTTP proxy, with authorization where it is asked for", async () => {
    const { at } = await listeningNode();
    const proxy = await listenOn(connectProxy("Basic dXNlcjpwYXNz"));
    expect(await tryStream(at, proxy, "Basic dXNlcjpwYXNz")).toBe("opened");
    expect(await tryStream(at, proxy)).toBe("proxy-authorization");
    const nowhere = { ip: "127.0.0.1", port: await lab.freePort() };
    expect(await tryStream(nowhere, proxy, "Basic dXNlcjpwYXNz")).toBe("proxy-refused");
    expect(await tryStream(at, nowhere)).toBe("refused");
    const rude = createTcpServer((socket) => {
      socket.on("error", () => undefined);
      socket.end("no HTTP\r\n\r\n");
    });
    expect(await tryStream(at, await listenOn(rude))).toBe("proxy-refused");
  });
});

async function listenOn(server: Server | ReturnType<typeof createTcpServer>): Promise<Endpoint> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  closers.push(() => server.close());
  return { ip: "127.0.0.1", port: (server.address() as AddressInfo).port };
}

function connectProxy(authorization: string): Server {
  const server = createServer();
  server.on("connect", (request, near: Socket) => {
    near.on("error", () => undefined);
    if (request.headers["proxy-authorization"] !== authorization) {
      near.end("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n");
      return;
    }
    const [host = "", port = ""] = (request.url ?? "").split(":");
    const far = connect(Number(port), host);
    closers.push(() => far.destroy());
    far.on("connect", () => {
      near.write("HTTP/1.1 200 Connection established\r\n\r\n");
      near.pipe(far).pipe(near);
    });
    far.on("error", () => near.end("HTTP/1.1 502 Bad Gateway\r\n\r\n"));
  });
  return server;
}
