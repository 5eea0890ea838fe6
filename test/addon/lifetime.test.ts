/** The addon comes and goes: Workers, every state of an engine, wrong arguments, busy ports. */
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { afterEach, describe, expect, it } from "vitest";
import type { EngineCommand } from "../../src/base/engine.ts";
import { boottimeNow } from "../../src/io/clock.ts";
import {
  EngineOpenError,
  loadAddon,
  type NativeEngine,
  openNativeEngine,
} from "../../src/io/engine.ts";
import { OsRng } from "../../src/io/os-rng.ts";
import { Tap } from "../../src/io/tap.ts";
import { direct, openSession } from "../engine/lab.ts";

const ADDON = fileURLToPath(new URL("../../build/Release/weft.node", import.meta.url));
const MAC1_KEY = new Uint8Array(32);
const LOOPBACK = { ip: "127.0.0.1", port: 0 };

const opened: NativeEngine[] = [];

function open(sockets = [LOOPBACK]): NativeEngine {
  const engine = openNativeEngine({ sockets, mac1Key: MAC1_KEY });
  opened.push(engine);
  return engine;
}

afterEach(() => {
  for (const engine of opened.splice(0)) engine.close();
});

/** An element that cannot even be looked at. */
function arrayThatThrows(): unknown[] {
  return Object.defineProperty(new Array(1), 0, {
    get: () => {
      throw new Error("not to be read");
    },
  });
}

async function runWorker(ending: "close" | "exit" | "terminate"): Promise<void> {
  const worker = new Worker(new URL("./worker-body.mjs", import.meta.url), {
    workerData: { addon: ADDON, ending },
  });
  if (ending === "terminate") {
    await once(worker, "message");
    await worker.terminate();
  } else {
    await once(worker, "exit");
  }
}

describe("Workers", () => {
  it("load and unload 100 times, in every way a Worker can end", { timeout: 60_000 }, async () => {
    const before = loadAddon().boottimeMs();
    for (let round = 0; round < 100; round++) {
      await runWorker((["close", "exit", "terminate"] as const)[round % 3] ?? "close");
    }
    expect(loadAddon().boottimeMs()).toBeGreaterThan(before);
  });

  it("run side by side", async () => {
    await Promise.all(
      Array.from({ length: 4 }, (_, i) => runWorker(i % 2 === 0 ? "close" : "terminate")),
    );
  });
});

describe("engines that come and go", () => {
  /** An engine keeps more than half a megabyte of buffers: hundreds that leak would show. */
  const ROUNDS = 300;
  const MAX_GROWTH_BYTES = 48 * 2 ** 20;

  it("leave no descriptor, no thread and no memory", { timeout: 120_000 }, () => {
    const held = () => ["fd", "task"].map((name) => readdirSync(`/proc/self/${name}`).length);
    for (let round = 0; round < 20; round++) open().close();
    const [before, bytes] = [held(), process.memoryUsage.rss()];
    for (let round = 0; round < ROUNDS; round++) {
      const engine = open();
      engine.apply([{ op: "session-open", session: 1 }]);
      engine.close();
    }
    opened.length = 0;
    expect(held()).toEqual(before);
    expect(process.memoryUsage.rss() - bytes).toBeLessThan(MAX_GROWTH_BYTES);
  });
});

describe("closing", () => {
  it("is safe at once, twice, after commands, with upcalls waiting and while packets fly", async () => {
    open().close();
    const twice = open();
    twice.close();
    twice.close();
    const [a, b] = [open(), open()];
    const [atB] = b.boundEndpoints;
    if (atB === undefined) throw new Error("no socket");
    a.apply(openSession(1, { generation: 1, side: 0 }, direct(atB)));
    const flood: EngineCommand[] = Array.from({ length: 200 }, () => ({
      op: "datagram",
      socket: 0,
      to: atB,
      bytes: new Uint8Array(20),
    }));
    for (let i = 0; i < 20; i++) a.apply(flood);
    b.close();
    a.close();
    expect(a.drain()).toEqual([]);
    expect(a.counters().datagramsOut).toBeGreaterThanOrEqual(0);
    expect(() => a.apply(flood)).not.toThrow();
  });

  it("leaves the port free for the next engine", () => {
    const first = open();
    const [endpoint] = first.boundEndpoints;
    if (endpoint === undefined) throw new Error("no socket");
    for (let i = 0; i < 20; i++) {
      opened.at(-1)?.close();
      open([endpoint]);
    }
    expect(opened.at(-1)?.boundEndpoints).toEqual([endpoint]);
  });

  it("lets an engine that nobody closed be collected", async () => {
    for (let i = 0; i < 50; i++) openNativeEngine({ sockets: [LOOPBACK], mac1Key: MAC1_KEY });
    for (let i = 0; i < 20; i++) new Uint8Array(1 << 20).fill(i);
    await new Promise((resolve) => setImmediate(resolve));
    expect(open().boundEndpoints).toHaveLength(1);
  });
});

describe("upcalls", () => {
  it("ring once for many, and reach a callback that came late", async () => {
    const engine = open();
    const [to] = engine.boundEndpoints;
    if (to === undefined) throw new Error("no socket");
    const socket = createSocket("udp4");
    const stun = Uint8Array.of(
      0,
      1,
      0,
      0,
      0x21,
      0x12,
      0xa4,
      0x42,
      ...new Array<number>(12).fill(0),
    );
    socket.send(stun, to.port, to.ip);
    while (engine.counters().datagramsIn < 1)
      await new Promise((resolve) => setTimeout(resolve, 1));
    const first = await new Promise((resolve) => engine.onUpcalls(resolve));
    expect(first).toHaveLength(1);
    const second = new Promise((resolve) => engine.onUpcalls(resolve));
    engine.setKeepsAlive(true);
    socket.send(stun, to.port, to.ip);
    expect(await second).toHaveLength(1);
    socket.close();
  });
});

describe("wrong input", () => {
  const cases: [string, unknown][] = [
    ["commands must be an array", {}],
    ["commands[0].op must be", [{}]],
    ["commands[0].op must be", [{ op: "fly" }]],
    ["commands[0].op must be", [7]],
    ["commands[0].op must be", arrayThatThrows()],
    ["commands must be a shorter array", new Array(2 ** 32 - 1)],
    [
      "commands[0].ips must be",
      [
        {
          op: "filter",
          session: 1,
          entries: [{ mac: "02:00:00:00:00:01", ips: arrayThatThrows() }],
        },
      ],
    ],
    ["commands[1].session must be", [{ op: "report-traffic" }, { op: "session-open" }]],
    ["commands[0].session must be", [{ op: "session-open", session: -1 }]],
    ["commands[0].session must be", [{ op: "session-open", session: 2 ** 32 }]],
    ["commands[0].session must be", [{ op: "session-open", session: 1.5 }]],
    ["commands[0].session must be", [{ op: "session-open", session: "1" }]],
    ["commands[0].bytes must be", [{ op: "frame-to-tap", bytes: [1, 2] }]],
    ["commands[0].bytes must be", [{ op: "frame-to-tap", bytes: new Uint16Array(4) }]],
    ["commands[0].mac must be", [{ op: "forward-remove", mac: "02:00:00:00:00" }]],
    ["commands[0].mac must be", [{ op: "forward-remove", mac: "02:00:00:00:00:0g" }]],
    ["commands[0].to must be", [{ op: "forward", mac: "02:00:00:00:00:01", to: "up", ttlMs: 1 }]],
    [
      "commands[0].ttlMs must be",
      [{ op: "forward", mac: "02:00:00:00:00:01", to: 1, ttlMs: Number.NaN }],
    ],
    [
      "commands[0].to.ip must be",
      [{ op: "datagram", socket: 0, to: { ip: "1.2.3", port: 1 }, bytes: new Uint8Array(1) }],
    ],
    [
      "commands[0].to.port must be",
      [
        {
          op: "datagram",
          socket: 0,
          to: { ip: "1.2.3.4", port: 70_000 },
          bytes: new Uint8Array(1),
        },
      ],
    ],
    ["commands[0].entries must be", [{ op: "filter", session: 1, entries: [3] }]],
    ["commands[0].on must be", [{ op: "carrier", on: 1 }]],
  ];
  it.each(cases)("%s", (message, commands) => {
    const engine = open();
    const before = engine.counters();
    expect(() => engine.apply(commands as EngineCommand[])).toThrow(TypeError);
    expect(() => engine.apply(commands as EngineCommand[])).toThrow(message);
    expect(engine.counters()).toEqual(before);
  });

  it("refuses options of wrong types", () => {
    const bad = (options: unknown) => () => openNativeEngine(options as never);
    expect(bad({ sockets: [LOOPBACK], mac1Key: new Uint8Array(31) })).toThrow(/mac1Key/);
    expect(bad({ sockets: [{ ip: "localhost", port: 0 }], mac1Key: MAC1_KEY })).toThrow(/ip/);
    expect(bad({ sockets: 1, mac1Key: MAC1_KEY })).toThrow(/sockets/);
  });

  it("clamps what may be for ever", () => {
    const engine = open();
    const mac = "02:00:00:00:00:01";
    engine.apply([{ op: "forward", mac, to: "local", ttlMs: Number.POSITIVE_INFINITY }]);
    expect(engine.counters().dropped).toEqual({});
  });
});

describe("open errors", () => {
  const codeOf = (act: () => unknown): string => {
    try {
      act();
    } catch (error) {
      if (error instanceof EngineOpenError) return error.code;
      throw error;
    }
    return "none";
  };

  it("name what is in the way", () => {
    const [busy] = open().boundEndpoints;
    if (busy === undefined) throw new Error("no socket");
    expect(codeOf(() => open([busy]))).toBe("port-busy");
    expect(codeOf(() => open([{ ip: "192.0.2.1", port: 0 }]))).toBe("bad-option");
    expect(codeOf(() => open([]))).toBe("bad-option");
    expect(codeOf(() => Tap.open({ name: "a-name-too-long-for-linux" }))).toBe("bad-option");
    expect(codeOf(() => Tap.open({ mtu: 20 }))).toBe("bad-option");
  });
});

describe("Tap over a pair of descriptors", () => {
  it("reads what the other end wrote, in order, and ends when closed", async () => {
    const [near, far] = loadAddon().framePair();
    const [a, b] = [Tap.adopt(near), Tap.adopt(far)];
    const waiting = a.read();
    b.write(Uint8Array.of(1));
    b.write(Uint8Array.of(2, 2));
    expect(await waiting).toEqual(Uint8Array.of(1));
    expect(await a.read()).toEqual(Uint8Array.of(2, 2));
    expect(a.tryRead()).toBeUndefined();
    expect([a.mtu, a.mac]).toEqual([undefined, undefined]);
    const last = a.read();
    a.close();
    a.close();
    expect(await last).toBeUndefined();
    expect(await a.read()).toBeUndefined();
    expect(() => a.write(Uint8Array.of(1))).toThrow(/EBADF/);
    b.close();
  });
});

describe("clock and randomness", () => {
  it("boot time goes on and is whole", () => {
    const first = boottimeNow();
    expect(Number.isInteger(first)).toBe(true);
    expect(boottimeNow()).toBeGreaterThanOrEqual(first);
  });

  it("draws differ and cover the range", () => {
    const rng = new OsRng();
    const draws = Array.from({ length: 3_000 }, () => rng.u32());
    expect(new Set(draws).size).toBeGreaterThan(2_990);
    expect(Math.max(...draws)).toBeGreaterThan(2 ** 31);
    expect(draws.every((draw) => Number.isInteger(draw) && draw >= 0 && draw < 2 ** 32)).toBe(true);
    expect(rng.bytes(33)).toHaveLength(33);
    expect(rng.fork("x").bytes(16)).not.toEqual(rng.fork("x").bytes(16));
  });
});
