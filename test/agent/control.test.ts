import { mkdirSync, statSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { connect, createServer, type Socket } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Agent } from "../../src/agent/agent.ts";
import { controlAnswers, httpPages } from "../../src/agent/agent-requests.ts";
import { callAgent } from "../../src/agent/control-client.ts";
import { MAX_REQUEST_BYTES } from "../../src/agent/control-protocol.ts";
import { ControlServer } from "../../src/agent/control-server.ts";
import { HttpServer, isLoopbackHost } from "../../src/agent/http-server.ts";
import { LineSplitter } from "../../src/agent/line-splitter.ts";
import { METRICS, Metrics } from "../../src/agent/metrics.ts";
import { EVENT, FakeMachine } from "./fake-machine.ts";

let machine = new FakeMachine();
let agent: Agent;
let control: ControlServer;
let path = "";
let metrics: Metrics;

beforeEach(async () => {
  machine = new FakeMachine();
  agent = machine.agent();
  await agent.start();
  agent.run();
  metrics = new Metrics({
    counters: () => agent.counters(),
    status: () => agent.status(),
    totals: () => agent.traffic.totals,
    journal: agent.journal,
  });
  path = join(machine.folder, "run/lab.sock");
  control = new ControlServer(path, controlAnswers(agent, "9.9.9", metrics));
  await control.listen();
});

afterEach(() => {
  control.close();
  agent.stop();
  machine.remove();
});

/** Sends bytes as they are; collects whatever comes back until the other side closes or one line came. */
function raw(bytes: string | Buffer, untilClose = false): Promise<string> {
  return new Promise((resolve, reject) => {
    let got = "";
    const socket: Socket = connect({ path }, () => socket.write(bytes));
    socket.on("data", (chunk) => {
      got += chunk.toString();
      if (!untilClose && got.includes("\n")) socket.destroy();
    });
    socket.on("error", reject);
    socket.on("close", () => resolve(got));
  });
}

describe("the control socket", () => {
  it("is 0660 in a folder for its owner, and gone after close", () => {
    expect(statSync(path).mode & 0o777).toBe(0o660);
    expect(statSync(join(machine.folder, "run")).mode & 0o007).toBe(0);
    control.close();
    expect(() => statSync(path)).toThrow();
  });

  it("answers every method", async () => {
    expect(await callAgent(path, "status")).toMatchObject({
      network: "lab",
      interface: "weft-lab",
      agentVersion: "9.9.9",
    });
    expect((await callAgent(path, "peers"))["peers"]).toHaveLength(2);
    expect(await callAgent(path, "lease")).toMatchObject({
      lease: { ip: "10.117.0.10" },
      known: [
        { ip: "10.117.0.10", holder: "alpha", own: true },
        { ip: "10.117.0.12", client: "ff07", holder: "alpha", own: true },
        { ip: "10.117.0.11", holder: "beta", own: false },
      ],
    });
    expect(await callAgent(path, "ring")).toMatchObject({
      names: { [`${"b0".repeat(20)}`]: "beta" },
    });
    expect(await callAgent(path, "version")).toMatchObject({ weft: "9.9.9" });
    expect(await callAgent(path, "ping", { params: { target: "beta" } })).toMatchObject({
      peer: "beta",
      via: "relay gamma",
    });
    expect(machine.node.inputs.at(-1)).toMatchObject({
      command: { name: "ping", target: "beta", size: 56 },
    });
    expect((await callAgent(path, "metrics"))["text"]).toContain('weft_peers{link="relay"} 1');
    machine.say({ kind: "event", event: EVENT });
    expect((await callAgent(path, "journal", { params: { limit: 1 } }))["entries"]).toHaveLength(1);
    await expect(
      callAgent(path, "resolve", { params: { ip: "10.117.0.77" } }),
    ).rejects.toMatchObject({ code: "unknown-peer", exitCode: 7 });
    await expect(
      callAgent(path, "dht-get", { params: { key: "00".repeat(20) } }),
    ).rejects.toMatchObject({ code: "unknown-peer" });
  });

  it("stop answers first, then ends the agent", async () => {
    expect(await callAgent(path, "stop")).toMatchObject({ stopping: true });
    expect(await agent.finished).toEqual({ kind: "stopped" });
  });

  it("leave gives up the identity", async () => {
    await callAgent(path, "leave");
    expect(await agent.finished).toEqual({ kind: "left" });
  });

  it.each([
    ["not json\n", "bad-request"],
    ["{}\n", "bad-request"],
    ['{"id":1,"method":"status","more":1}\n', "bad-request"],
    ['{"id":-1,"method":"status"}\n', "bad-request"],
    ['{"id":1,"method":"toString"}\n', "unknown-method"],
    ['{"id":1,"method":"__proto__"}\n', "unknown-method"],
    ['{"id":1,"method":"ping"}\n', "bad-argument"],
    ['{"id":1,"method":"ping","params":{"target":"b","size":99999}}\n', "bad-argument"],
    ['{"id":1,"method":"dht-get","params":{"key":"xx"}}\n', "bad-argument"],
    ['{"id":1,"method":"status","params":{"a":1}}\n', "bad-argument"],
    // An invite that lasts longer than 30 days, or less than a minute.
    ['{"id":1,"method":"invite","params":{"name":"b","seconds":2592001}}\n', "bad-argument"],
    ['{"id":1,"method":"invite","params":{"name":"b","seconds":59}}\n', "bad-argument"],
    // Within both: it gets as far as this machine's engine, which knows nothing.
    ['{"id":1,"method":"invite","params":{"name":"b","seconds":2592000}}\n', "unknown-peer"],
  ])("%j is answered with %s", async (line, code) => {
    expect(JSON.parse(await raw(line))).toMatchObject({ error: { code } });
  });

  it("a request over the limit is refused and the connection closed", async () => {
    const answer = await raw(Buffer.alloc(MAX_REQUEST_BYTES + 2, 97), true);
    expect(JSON.parse(answer)).toMatchObject({ error: { code: "too-large" } });
  });

  it("takes many requests of one connection in pieces", async () => {
    const lines = Array.from(
      { length: 5 },
      (_, i) => `${JSON.stringify({ id: i, method: "version" })}\n`,
    ).join("");
    const got = await new Promise<string>((resolve) => {
      let text = "";
      const socket = connect({ path }, async () => {
        for (const piece of lines.match(/.{1,7}/gs) ?? []) socket.write(piece);
      });
      socket.on("data", (chunk) => {
        text += chunk.toString();
        if (text.split("\n").length === 6) socket.end(() => resolve(text));
      });
    });
    expect(
      got
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line).id),
    ).toEqual([0, 1, 2, 3, 4]);
  });

  it("caps connections", async () => {
    const open: Socket[] = [];
    for (let i = 0; i < 32; i++) {
      await new Promise<void>((resolve) => open.push(connect({ path }, resolve)));
    }
    await callAgent(path, "version").then(
      () => expect.unreachable("a 33rd connection was served"),
      (error: unknown) => expect(error).toMatchObject({ code: "too-many-connections" }),
    );
    for (const socket of open) socket.destroy();
  });

  it("takes the place of a dead socket file but not of a living agent", async () => {
    const second = new ControlServer(path, async () => ({}));
    await expect(second.listen()).rejects.toMatchObject({ code: "socket-busy" });
    const stale = join(machine.folder, "run/stale.sock");
    writeFileSync(stale, "");
    const third = new ControlServer(stale, async () => ({ fine: true }));
    await third.listen();
    expect(await callAgent(stale, "version")).toEqual({ fine: true });
    third.close();
  });

  it("a path that no socket can have is named", async () => {
    await expect(
      new ControlServer(`/tmp/${"x".repeat(110)}`, async () => ({})).listen(),
    ).rejects.toMatchObject({ code: "bad-option" });
  });
});

describe("asking when nobody is there", () => {
  it("no file, a file without listener, silence, nonsense, an end", async () => {
    const at = (name: string): string => join(machine.folder, name);
    await expect(callAgent(at("none"), "status")).rejects.toMatchObject({
      code: "agent-not-running",
      exitCode: 3,
    });
    mkdirSync(at("folder"));
    await expect(callAgent(at("folder"), "status")).rejects.toMatchObject({
      code: "agent-not-running",
    });
    const mute = createServer(() => undefined).listen(at("mute"));
    await expect(callAgent(at("mute"), "status", { timeoutMs: 50 })).rejects.toMatchObject({
      code: "agent-silent",
      exitCode: 6,
    });
    const silly = createServer((socket) => socket.write("<html>\n")).listen(at("silly"));
    await expect(callAgent(at("silly"), "status")).rejects.toThrow(/speaks another protocol/);
    const gone = createServer((socket) => socket.end()).listen(at("gone"));
    await expect(callAgent(at("gone"), "status")).rejects.toMatchObject({
      code: "agent-not-running",
    });
    for (const server of [mute, silly, gone]) server.close();
  });
});

describe("lines", () => {
  it("are cut whatever the pieces", () => {
    const lines = new LineSplitter(10);
    expect(lines.push(Buffer.from("ab"))).toEqual([]);
    expect(lines.push(Buffer.from("c\n\nde\nf"))).toEqual(["abc", "", "de"]);
    expect(lines.push(Buffer.from("\n"))).toEqual(["f"]);
    expect(lines.push(Buffer.from("0123456789\n"))).toEqual(["0123456789"]);
    expect(lines.push(Buffer.from("01234567890"))).toBeUndefined();
  });
});

describe("HTTP on loopback", () => {
  let http: HttpServer;
  let port = 0;
  beforeEach(async () => {
    http = new HttpServer(httpPages(agent, metrics));
    port = await http.listen(0);
  });
  afterEach(() => http.close());

  function get(
    page: string,
    headers: Record<string, string> = {},
    method = "GET",
  ): Promise<{ status: number; body: string }> {
    return new Promise((resolve, reject) => {
      const asked = request(
        { host: "127.0.0.1", port, path: page, headers, method },
        (response) => {
          let body = "";
          response.on("data", (chunk: Buffer) => {
            body += chunk.toString();
          });
          response.on("end", () => resolve({ status: response.statusCode ?? 0, body }));
        },
      );
      asked.on("error", reject);
      asked.end();
    });
  }

  it("serves its pages", async () => {
    expect(await get("/healthz")).toEqual({ status: 200, body: "ok\n" });
    expect(await get("/readyz?x=1")).toEqual({ status: 200, body: "online\n" });
    expect(JSON.parse((await get("/status")).body)).toMatchObject({ name: "alpha" });
    expect((await get("/metrics")).body).toContain('weft_state{state="online"} 1');
    machine.node.current = { ...machine.node.current, state: "joining" };
    expect((await get("/readyz")).status).toBe(503);
  });

  it("is deaf to web pages, other names and other methods", async () => {
    expect((await get("/status", { host: "evil.example" })).status).toBe(403);
    expect((await get("/status", { host: "localhost.evil.example:1" })).status).toBe(403);
    expect((await get("/status", { origin: "http://evil.example" })).status).toBe(403);
    expect((await get("/status", {}, "POST")).status).toBe(405);
    expect((await get("/etc/passwd")).status).toBe(404);
    expect((await get("/constructor")).status).toBe(404);
    expect(["localhost", "LOCALHOST:1", "127.0.0.1:7118", "[::1]:1"].every(isLoopbackHost)).toBe(
      true,
    );
    expect([undefined, "", "127.0.0.1.x", "localhost:x", "0.0.0.0"].some(isLoopbackHost)).toBe(
      false,
    );
  });

  it("says when its port is taken", async () => {
    await expect(new HttpServer({}).listen(port)).rejects.toMatchObject({ code: "metrics-busy" });
  });
});

describe("metrics", () => {
  it("every name of the table appears, with totals that do not grow by scraping", async () => {
    machine.counters = { ...machine.counters, dropped: { "bad-mac1": 3 } };
    machine.say({ kind: "event", event: EVENT });
    const traffic = {
      session: 1,
      framesIn: 0,
      framesOut: 0,
      bytesIn: 100,
      bytesOut: 50,
      controlBytesIn: 7,
      controlBytesOut: 8,
      relayedBytes: 9,
      silentMs: 0,
    };
    machine.request?.onUpcalls([{ kind: "traffic", sessions: [traffic] }]);
    machine.request?.onUpcalls([{ kind: "traffic", sessions: [{ ...traffic, bytesIn: 130 }] }]);
    machine.request?.onUpcalls([{ kind: "traffic", sessions: [] }]);
    machine.request?.onUpcalls([{ kind: "traffic", sessions: [{ ...traffic, bytesIn: 5 }] }]);
    await metrics.text();
    const text = await metrics.text();
    for (const name of Object.keys(METRICS))
      expect(text, name).toMatch(new RegExp(`^${name}(\\{.*\\})? `, "m"));
    expect(text).toContain('weft_dropped_total{reason="bad-mac1"} 3');
    expect(text).toContain('weft_dropped_total{reason="no-path"} 2');
    expect(text).toContain('weft_data_bytes_total{direction="in"} 135');
    expect(text).toContain('weft_control_bytes_total{direction="out"} 16');
    expect(text).toContain('weft_events_total{area="link",what="link-opened"} 1');
    expect(text).toContain('weft_peer_rtt_seconds{peer="beta"} 0.012345');
  });

  it("two peers of one name are two series", async () => {
    const [gamma, beta] = machine.node.current.peers;
    if (gamma === undefined || beta === undefined) throw new Error("the fixture has two peers");
    machine.node.current = { ...machine.node.current, peers: [beta, { ...gamma, name: "beta" }] };
    expect(await metrics.text()).toContain('weft_peer_loss_ratio{peer="beta@c0c0c0c0"}');
  });
});
