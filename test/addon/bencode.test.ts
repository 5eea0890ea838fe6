import { createSocket } from "node:dgram";
import { once } from "node:events";
import { describe, expect, it } from "vitest";
import { eventually } from "../../lab/shell.ts";
import type { Upcall } from "../../src/base/engine.ts";
import { openNativeEngine } from "../../src/io/engine.ts";

/** A reply of the BitTorrent DHT, and the same with another first byte. */
const REPLY = Buffer.from("d1:rd2:id20:abcdefghij0123456789e1:t2:aa1:y1:re");
const OTHER = Buffer.from("e1:rd2:id20:abcdefghij0123456789e1:t2:aa1:y1:re");

async function sentUp(bencode: boolean) {
  const engine = openNativeEngine({
    sockets: [{ ip: "127.0.0.1", port: 0 }],
    mac1Key: new Uint8Array(32),
    bencode,
  });
  const upcalls: Upcall[] = [];
  engine.onUpcalls((drained) => void upcalls.push(...drained));
  const socket = createSocket("udp4");
  try {
    const to = engine.boundEndpoints[0];
    for (const bytes of [OTHER, REPLY, OTHER]) socket.send(bytes, to?.port ?? 0, "127.0.0.1");
    await once(socket, "listening");
    const arrived = async () => engine.counters().datagramsIn === 3;
    await eventually("three datagrams arrived", arrived, 10_000, 10);
    const wanted = bencode ? 1 : 0;
    await eventually("they came up", async () => upcalls.length >= wanted, 10_000, 10);
    const dropped = engine.counters().dropped["unknown-type"] ?? 0;
    return { upcalls, dropped, port: socket.address().port };
  } finally {
    socket.close();
    engine.close();
  }
}

describe("datagrams of the BitTorrent DHT", () => {
  it("come up when asked for, with socket and source; nothing else does", async () => {
    const { upcalls, dropped, port } = await sentUp(true);
    const from = { ip: "127.0.0.1", port };
    expect(upcalls).toEqual([{ kind: "datagram", socket: 0, from, bytes: new Uint8Array(REPLY) }]);
    expect(dropped).toBe(2);
  });

  it("are dropped otherwise, as everything unknown", async () => {
    const { upcalls, dropped } = await sentUp(false);
    expect(upcalls).toEqual([]);
    expect(dropped).toBe(3);
  });
});
