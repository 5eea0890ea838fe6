import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Endpoint } from "../../src/base/net.ts";
import { MainlineDht } from "../../src/io/mainline-dht.ts";

const INFOHASH = new Uint8Array(20).fill(0x57);

/** A member's data port, and its guest in the DHT. */
class Member {
  readonly socket: Socket = createSocket("udp4");
  readonly dht: MainlineDht;
  sent = 0;

  constructor(nodes: readonly string[], now: () => number) {
    this.dht = new MainlineDht({
      nodes,
      now,
      send: (to: Endpoint, bytes) => {
        this.sent++;
        this.socket.send(bytes, to.port, to.ip);
      },
    });
    this.socket.on("message", (bytes, { address, port }) =>
      this.dht.receive({ ip: address, port }, new Uint8Array(bytes)),
    );
  }

  async open(): Promise<number> {
    this.socket.bind(0, "127.0.0.1");
    await once(this.socket, "listening");
    return this.socket.address().port;
  }

  close(): void {
    this.dht.close();
    this.socket.close();
  }
}

describe("a guest in the BitTorrent DHT", () => {
  // The package's own client, bound to a port, is a plain node.
  let node: {
    listen(port: number, host: string, done: () => void): void;
    address(): { port: number };
    destroy(): void;
  };
  let nodes: readonly string[];
  const members: Member[] = [];

  beforeAll(async () => {
    const { Client } = await import("bittorrent-dht");
    node = new Client({ bootstrap: [] }) as unknown as typeof node;
    await new Promise<void>((resolve) => node.listen(0, "127.0.0.1", resolve));
    nodes = [`127.0.0.1:${node.address().port}`];
  });
  afterAll(() => {
    for (const member of members) member.close();
    node.destroy();
  });

  async function member(
    now = () => performance.now(),
  ): Promise<{ dht: MainlineDht; port: number; made: Member }> {
    const made = new Member(nodes, now);
    members.push(made);
    return { dht: made.dht, port: await made.open(), made };
  }

  it("leaves the port its datagrams come from, and another one finds it", async () => {
    const [a, b] = [await member(), await member()];
    await a.dht.announce(INFOHASH);
    expect(await b.dht.lookup(INFOHASH)).toEqual([{ ip: "127.0.0.1", port: a.port }]);
    expect(await b.dht.lookup(new Uint8Array(20))).toEqual([]);
  });

  it("listens to nobody it did not ask, and no bytes end it", async () => {
    const { dht, made } = await member();
    await dht.lookup(INFOHASH);
    const before = made.sent;
    const ping = Buffer.from("d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe");
    dht.receive({ ip: "127.0.0.9", port: 9 }, new Uint8Array(ping));
    expect(made.sent).toBe(before);
    const [host = "", port = ""] = (nodes[0] ?? "").split(":");
    const from = { ip: host, port: Number(port) };
    const query = Buffer.from(
      "d1:ad2:id20:abcdefghij01234567896:target1:xe1:q9:find_node1:t2:aa1:y1:qe",
    );
    dht.receive(from, new Uint8Array(query));
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        dht.receive(from, bytes);
        dht.receive(from, Uint8Array.of(0x64, ...bytes));
      }),
    );
  });

  it("asks at a bounded rate: its burst while no time passes", async () => {
    const { dht, made } = await member(() => 5);
    for (let i = 0; i < 200; i++) void dht.announce(new Uint8Array(20).fill(i));
    for (let i = 0; i < 200; i++) {
      void dht.lookup(new Uint8Array(20).fill(i));
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(made.sent).toBeGreaterThan(0);
    expect(made.sent).toBeLessThanOrEqual(60);
  });
});
