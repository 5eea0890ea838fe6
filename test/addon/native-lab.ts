/** The contract suite's world of native engines: loopback sockets, socket pairs as TAPs, real time. */
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import {
  type AddonTap,
  loadAddon,
  type NativeEngine,
  openNativeEngine,
} from "../../src/io/engine.ts";
import { type EngineNode, type Lab, MAC1_KEY, type RawSocket } from "../engine/lab.ts";

/** How long a condition may take: engines wait up to three seconds by themselves. */
const PATIENCE_MS = 10_000;
/** Datagrams a bare socket may hold while the test thread is busy. */
const SOCKET_BUFFER_BYTES = 4 << 20;

interface Opened {
  readonly engine: NativeEngine;
  readonly node: EngineNode;
  readonly far: AddonTap;
}

export class NativeLab implements Lab {
  readonly seesTtl = false;
  readonly #opened: Opened[] = [];
  readonly #closers: (() => void)[] = [];

  async node(): Promise<EngineNode> {
    const addon = loadAddon();
    const [near, farFd] = addon.framePair();
    const far = new addon.Tap({ fd: farFd });
    const engine = openNativeEngine({
      sockets: [{ ip: "127.0.0.1", port: 0 }],
      tap: { fd: near },
      mac1Key: MAC1_KEY,
    });
    const [endpoint] = engine.boundEndpoints;
    if (endpoint === undefined) throw new Error("the engine has no socket");
    const node: EngineNode = {
      engine,
      endpoint,
      tap: [],
      upcalls: [],
      drains: true,
      tapSend: (frame) => writeWhole(far, frame),
    };
    this.#opened.push({ engine, node, far });
    return node;
  }

  async raw(): Promise<RawSocket> {
    const socket = createSocket({ type: "udp4", recvBufferSize: SOCKET_BUFFER_BYTES });
    const received: RawSocket["received"] = [];
    socket.on("message", (bytes, { address: ip, port }) =>
      received.push({ from: { ip, port }, bytes: new Uint8Array(bytes), ttl: undefined }),
    );
    socket.bind(0, "127.0.0.1");
    await once(socket, "listening");
    this.#closers.push(() => socket.close());
    const { address, port } = socket.address() as AddressInfo;
    return {
      endpoint: { ip: address, port },
      received,
      send: (to, bytes) => socket.send(bytes.slice(), to.port, to.ip),
    };
  }

  async freePort(): Promise<number> {
    const server = createServer();
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    server.close();
    await once(server, "close");
    return port;
  }

  async until(condition: () => boolean): Promise<void> {
    const end = performance.now() + PATIENCE_MS;
    for (this.#collect(); !condition(); this.#collect()) {
      if (performance.now() > end) throw new Error("the awaited thing did not happen");
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }

  async advance(ms: number): Promise<void> {
    const end = performance.now() + ms;
    await this.until(() => performance.now() >= end);
  }

  #collect(): void {
    for (const { engine, node, far } of this.#opened) {
      if (node.drains) node.upcalls.push(...engine.drain());
      for (let frame = far.read(); typeof frame !== "number"; frame = far.read()) {
        if (frame.length === 0) break;
        node.tap.push(frame);
      }
    }
  }

  async close(): Promise<void> {
    for (const { engine, far } of this.#opened) {
      engine.close();
      far.close();
    }
    for (const close of this.#closers) close();
  }
}

/** The engine's thread empties the pair within microseconds; a full one is tried again. */
function writeWhole(far: AddonTap, frame: Uint8Array): void {
  for (const end = performance.now() + PATIENCE_MS; far.write(frame) !== 0; ) {
    if (performance.now() > end) throw new Error("the engine does not read its TAP");
  }
}
