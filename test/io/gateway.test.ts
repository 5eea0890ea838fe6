import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { afterEach, describe, expect, it } from "vitest";
import { dropped, parsed } from "../../src/base/drop-reason.ts";
import { askGateway, parseGateway } from "../../src/io/gateway.ts";

const TITLE_ROW =
  "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n";

describe("the default gateway", () => {
  it("is the one with the smallest metric, host order undone", () => {
    const table = `${TITLE_ROW}wlan0\t00000000\t0101A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0
eth0\t00000000\tFE00000A\t0003\t0\t0\t100\t00000000\t0\t0\t0
eth0\t0000000A\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0\n`;
    expect(parseGateway(table)).toEqual({ ip: "10.0.0.254", interface: "eth0" });
  });

  it("is absent without a default route that has one", () => {
    const direct = `${TITLE_ROW}ppp0\t00000000\t00000000\t0001\t0\t0\t0\t00000000\t0\t0\t0\n`;
    for (const table of ["", TITLE_ROW, direct, "garbage\n\t\t\n"]) {
      expect(parseGateway(table)).toBeUndefined();
    }
  });
});

describe("a question to the gateway", () => {
  const open: Socket[] = [];
  afterEach(() => {
    for (const socket of open.splice(0)) socket.close();
  });

  /** @returns its port */
  async function gateway(answer: (socket: Socket, from: number, count: number) => void) {
    const socket = createSocket("udp4");
    open.push(socket);
    let count = 0;
    socket.on("message", (_, from) => answer(socket, from.port, ++count));
    socket.bind(0, "127.0.0.1");
    await once(socket, "listening");
    return socket.address().port;
  }

  const accept = (bytes: Uint8Array) =>
    bytes.length === 1 ? parsed(bytes[0] ?? 0) : dropped("bad-field");
  const ask = (port: number) =>
    askGateway({ gateway: "127.0.0.1", port, request: Uint8Array.of(1), accept });

  it("is repeated until the answer comes; what is no answer is passed over", async () => {
    const port = await gateway((socket, from, count) => {
      if (count === 1) return;
      socket.send(Uint8Array.of(1, 2, 3), from, "127.0.0.1");
      socket.send(Uint8Array.of(7), from, "127.0.0.1");
    });
    expect(await ask(port)).toBe(7);
  });

  it("is not answered by anybody else", async () => {
    const stranger = createSocket("udp4");
    open.push(stranger);
    const port = await gateway((_, from) => stranger.send(Uint8Array.of(9), from, "127.0.0.1"));
    expect(await ask(port)).toBeUndefined();
  });

  it("ends when the kernel refuses to send there", async () => {
    // A broadcast address cannot be connected to without asking for it, a lost route not at all.
    const question = { gateway: "255.255.255.255", port: 5_351, request: Uint8Array.of(1), accept };
    expect(await askGateway(question)).toBeUndefined();
  });

  it("ends where nobody listens", async () => {
    const port = await gateway(() => undefined);
    for (const socket of open.splice(0)) socket.close();
    expect(await ask(port)).toBeUndefined();
  });
});
