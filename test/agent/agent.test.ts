import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { WeftError } from "../../src/agent/errors.ts";
import { healthLines } from "../../src/agent/health.ts";
import { JOURNAL_ENTRIES, Journal } from "../../src/agent/journal.ts";
import { hasAesFlag } from "../../src/agent/machine-facts.ts";
import { socketsOf, tapMac } from "../../src/agent/node-plan.ts";
import { underlayEndpoints } from "../../src/agent/underlay.ts";
import { suite } from "../support/suite.ts";
import { EVENT, FakeMachine, STATUS } from "./fake-machine.ts";

let machine = new FakeMachine();
beforeEach(() => {
  machine = new FakeMachine();
});
afterEach(() => {
  vi.useRealTimers();
  machine.remove();
});

async function started(extra = "") {
  const agent = machine.agent(extra);
  await agent.start();
  agent.run();
  return agent;
}

describe("starting", () => {
  it("opens the engine with name, MAC, MTU and sockets, then the node with what follows from the file", async () => {
    const agent = await started(
      "bootstrap: [seed.example:9, 192.0.2.7]\nnodes: {alpha: {ip: 10.117.0.10}}\n",
    );
    expect(machine.request).toMatchObject({
      sockets: [{ ip: "0.0.0.0", port: 7117 }],
      tap: { name: "weft-lab", mtu: 1390 },
    });
    expect(machine.node.config).toMatchObject({
      networkName: "lab",
      nodeName: "alpha",
      boot: 7n,
      leaseSeconds: 3600,
      addressMode: "auto",
      claims: [{ name: "alpha", ip: "10.117.0.10" }],
      mtu: 1390,
      sockets: [4],
      hasAes: true,
      bootstrap: [{ ip: "192.0.2.7", port: 7117 }],
      localEndpoints: [{ ip: "192.168.1.5", port: 7117 }],
      version: "9.9.9",
      wallSeconds: Date.UTC(2026, 0, 2) / 1_000,
    });
    expect(machine.node.config?.mac).toBe(machine.request?.tap.mac);
    expect(machine.ipCommands).toEqual(["link set dev weft-lab mtu 1390 up"]);
    expect(agent.status().health).toEqual([
      expect.stringMatching(/bootstrap name seed.example has no address \(ENOTFOUND\)/),
    ]);
    agent.stop();
  });

  it("keeps identity and MAC over a restart, and hands the saved state back", async () => {
    const first = await started();
    machine.say({
      kind: "save",
      state: {
        version: 1,
        leases: [],
        peers: [{ address: "ab".repeat(20), name: "b", endpoint: { ip: "1.2.3.4", port: 5 } }],
      },
    });
    first.stop();
    expect(await first.finished).toEqual({ kind: "stopped" });
    const before = machine.node.config;
    const second = await started();
    expect(machine.node.config?.mac).toBe(before?.mac);
    expect(machine.node.config?.identitySeed).toEqual(before?.identitySeed);
    expect(machine.node.config?.saved?.peers).toHaveLength(1);
    second.stop();
  });

  it("a damaged state file is set aside and told", async () => {
    const first = await started();
    first.stop();
    await first.finished;
    writeFileSync(join(machine.folder, "state/lab/state.json"), "{");
    const second = await started();
    expect(second.journal.last(10).map((entry) => entry.what)).toEqual(["state-damaged"]);
    second.stop();
  });

  it("refuses an overlapping network, and leaves nothing open", async () => {
    machine.addresses = [{ interface: "eth9", ip: "10.117.9.1", prefix: 24 }];
    await expect(machine.agent().start()).rejects.toThrow(
      "range 10.117.0.0/16 overlaps 10.117.9.1/24 on eth9: choose another range in every member's file",
    );
    machine.addresses = [];
    (await started()).stop();
  });

  it("passes the engine's refusal on and releases its lock", async () => {
    machine.engineFault = new WeftError("port-busy", "x: y");
    await expect(machine.agent().start()).rejects.toThrow("x: y");
    machine.engineFault = undefined;
    (await started()).stop();
  });

  it("without the ip command it refuses and closes the engine", async () => {
    machine.ipFault = { ok: false, code: "no-ip-command", detail: "the command `ip` is missing" };
    await expect(machine.agent().start()).rejects.toThrow(
      "the command `ip` is missing: install iproute2",
    );
    expect(machine.engineClosed).toBe(1);
  });

  it("a second agent for the same folder is refused", async () => {
    const first = await started();
    await expect(machine.agent().start()).rejects.toThrow(/an agent already runs for/);
    first.stop();
  });
});

describe("running", () => {
  it("sets and clears the address the node says", async () => {
    const agent = await started();
    machine.say({ kind: "interface", ip: "10.117.0.9", prefix: 16, mtu: 1390 });
    await vi.waitFor(() =>
      expect(machine.ipCommands).toContain("addr replace 10.117.0.9/16 brd + dev weft-lab"),
    );
    agent.stop();
  });

  it("gives the interface the MTU that the node says", async () => {
    const agent = await started();
    machine.say({ kind: "mtu", mtu: 8_922 });
    await vi.waitFor(() => expect(machine.ipCommands).toContain("link set dev weft-lab mtu 8922"));
    agent.stop();
  });

  it("an interface that cannot be set is a line of status until it can", async () => {
    const agent = await started();
    machine.ipFault = { ok: false, code: "interface-failed", detail: "ip addr: no" };
    machine.say({ kind: "interface", ip: "10.117.0.9", prefix: 16, mtu: 1390 });
    await vi.waitFor(() =>
      expect(agent.status().health).toEqual([expect.stringMatching(/^ip addr: no: /)]),
    );
    expect(agent.status().state).toBe("degraded");
    machine.ipFault = undefined;
    machine.say({ kind: "interface", ip: "10.117.0.9", prefix: 16, mtu: 1390 });
    await vi.waitFor(() => expect(agent.status().health).toEqual([]));
    expect(agent.journal.last(9).map((entry) => entry.what)).toEqual([
      "condition",
      "condition-over",
    ]);
    agent.stop();
  });

  it("writes events into journal and log", async () => {
    const agent = await started();
    machine.say({ kind: "event", event: EVENT });
    expect(agent.journal.last(1)).toEqual([
      { number: 1, at: "2026-01-02T00:00:00.000Z", ...EVENT },
    ]);
    expect(machine.logged.at(-1)).toEqual({
      message: "link-opened",
      fields: {
        peer: "beta",
        number: 1,
        area: "link",
        what: "link-opened",
        condition: "a handshake finished",
        action: "opened a session",
        effect: "",
      },
    });
    agent.stop();
  });

  it("tells the node of new addresses, and looks at names and clock in their own time", async () => {
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
    const agent = await started();
    const kinds = (): string[] => machine.node.inputs.map((input) => input.kind);
    vi.advanceTimersByTime(5_000);
    expect(kinds()).toEqual(["timeout"]);
    machine.addresses = [{ interface: "eth0", ip: "192.168.1.6", prefix: 24 }];
    vi.advanceTimersByTime(5_000);
    expect(machine.node.inputs.at(-1)).toEqual({
      kind: "local-endpoints",
      endpoints: [{ ip: "192.168.1.6", port: 7117 }],
    });
    vi.advanceTimersByTime(3_600_000);
    await vi.waitFor(() => expect(kinds()).toContain("bootstrap"));
    expect(kinds()).toContain("wall");
    agent.stop();
  });

  it("tells the node within seconds when somebody sets the clock, and only then", async () => {
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
    const agent = await started();
    const told = () => machine.node.inputs.filter((input) => input.kind === "wall");
    vi.advanceTimersByTime(10_000);
    expect(told()).toEqual([]);
    machine.wallMs += 15 * 365 * 86_400_000;
    vi.advanceTimersByTime(10_000);
    expect(told()).toEqual([{ kind: "wall", wallSeconds: Math.floor(machine.wallMs / 1_000) }]);
    agent.stop();
  });

  it("takes up changes of addresses when the kernel says so, each once", async () => {
    const agent = await started();
    const told = () => machine.node.inputs.filter((input) => input.kind === "local-endpoints");
    machine.networkChanged();
    expect(told()).toEqual([]);
    machine.addresses = [
      { interface: "eth0", ip: "192.168.1.5", prefix: 24 },
      { interface: "weft-lab", ip: "10.117.0.9", prefix: 16 },
      { interface: "wlan0", ip: "192.168.7.5", prefix: 24 },
    ];
    machine.networkChanged();
    machine.networkChanged();
    const endpoints = ["192.168.1.5", "192.168.7.5"].map((ip) => ({ ip, port: 7117 }));
    expect(told()).toEqual([{ kind: "local-endpoints", endpoints }]);
    agent.stop();
    expect(machine.watchClosed).toBe(1);
  });

  it("mainline: its datagrams are not the node's, what it finds is asked for a link", async () => {
    const found = { ip: "203.0.113.9", port: 7117 };
    machine.mainlinePeers = [found];
    const agent = await started("bootstrap: [mainline]\nmainline_nodes: [dht.example]\n");
    expect(machine.request?.bencode).toBe(true);
    expect(machine.mainline?.nodes).toEqual(["dht.example:6881"]);
    const asked = () => machine.node.inputs.findLast((input) => input.kind === "bootstrap");
    await vi.waitFor(() => expect(asked()).toEqual({ kind: "bootstrap", endpoints: [found] }));
    const from = { ip: "203.0.113.1", port: 6881 };
    const datagram = { kind: "datagram", socket: 0, from } as const;
    machine.request?.onUpcalls([
      { ...datagram, bytes: Uint8Array.of(0x64, 0x65) },
      { ...datagram, bytes: Uint8Array.of(192) },
    ]);
    expect(machine.foreign).toEqual([from]);
    const seen = machine.node.inputs.flatMap((input) =>
      input.kind === "upcall" && input.upcall.kind === "datagram" ? [input.upcall.bytes[0]] : [],
    );
    expect(seen).toEqual([192]);
    machine.mainline?.send(from, Uint8Array.of(1));
    expect(machine.applied).toContainEqual({
      op: "datagram",
      socket: 0,
      to: from,
      bytes: Uint8Array.of(1),
    });
    agent.stop();
    await agent.finished;
    (await started()).stop();
    expect(machine.request?.bencode).toBe(false);
  });

  it("searches on each interface but its own TAP, anew when they change, not when lan is off", async () => {
    const agent = await started();
    await vi.waitFor(() => expect(machine.announced.map(({ name }) => name)).toEqual(["eth0"]));
    machine.addresses = [
      { interface: "eth0", ip: "192.168.1.5", prefix: 24 },
      { interface: "weft-lab", ip: "10.117.0.9", prefix: 16 },
      { interface: "eth1", ip: "fe80::1", prefix: 64 },
      { interface: "eth2", ip: "2001:db8::1", prefix: 64 },
    ];
    machine.networkChanged();
    const names = () => machine.lan.at(-1)?.interfaces.map(({ name }) => name);
    await vi.waitFor(() => expect(names()).toEqual(["eth0"]));
    expect(machine.lanClosed).toBe(0);
    machine.addresses = machine.addresses.with(0, {
      interface: "eth0",
      ip: "192.168.1.6",
      prefix: 24,
    });
    machine.networkChanged();
    await vi.waitFor(() => expect(machine.lanClosed).toBe(1));
    agent.stop();
    await agent.finished;
    const before = machine.lan.length;
    (await started("lan: off\n")).stop();
    expect(machine.lan.length).toBe(before);
  });

  it("opens no more sockets on a host with hundreds of interfaces", async () => {
    machine.addresses = Array.from({ length: 300 }, (_, i) => ({
      interface: `veth${i}`,
      ip: `172.20.${i % 250}.${1 + Math.floor(i / 250)}`,
      prefix: 24,
    }));
    const agent = await started();
    await vi.waitFor(() => expect(machine.lan.length).toBe(1));
    expect(machine.lan[0]?.interfaces.length).toBe(16);
    agent.stop();
    await agent.finished;
  });

  it("a wrong key of others becomes one journal entry although its count grows", async () => {
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
    const agent = await started();
    machine.node.current = { ...STATUS, peers: [] };
    for (const count of [9, 10, 11]) {
      machine.counters = { ...machine.counters, dropped: { "bad-mac1": count } };
      vi.advanceTimersByTime(5_000);
    }
    expect(agent.journal.last(9).map(({ what, condition }) => `${what}: ${condition}`)).toEqual([
      expect.stringMatching(/^condition: 9 handshakes under another network key/),
    ]);
    agent.stop();
  });

  it("a bug ends it with the error", async () => {
    const agent = await started();
    vi.spyOn(machine.node, "handle").mockImplementation(() => {
      throw new Error("assertion");
    });
    machine.say();
    expect(await agent.finished).toEqual({ kind: "bug", error: new Error("assertion") });
    expect(machine.engineClosed).toBe(1);
  });

  it("leave forgets identity and state, stop does not", async () => {
    const agent = await started();
    machine.say({ kind: "save", state: { version: 1, leases: [], peers: [] } });
    const identity = join(machine.folder, "state/lab/identity.key");
    expect(readFileSync(identity, "utf8")).toMatch(/^weft identity 1\n/);
    agent.leave();
    expect(await agent.finished).toEqual({ kind: "left" });
    expect([
      existsSync(identity),
      existsSync(join(machine.folder, "state/lab/state.json")),
    ]).toEqual([false, false]);
  });

  it("a node that never says goodbye does not keep it from stopping", async () => {
    const agent = await started();
    vi.useFakeTimers();
    vi.spyOn(machine.node, "handle").mockImplementation(() => undefined);
    agent.stop();
    vi.advanceTimersByTime(3_000);
    expect(await agent.finished).toEqual({ kind: "stopped" });
  });
});

describe("health", () => {
  const fine = { peers: 0, dropped: {}, loopLagMs: 3, conditions: [] };
  it("says that others use another key", () => {
    expect(healthLines(fine)).toEqual([]);
    expect(healthLines({ ...fine, dropped: { "bad-mac1": 4 } })).toEqual([]);
    expect(healthLines({ ...fine, dropped: { "bad-mac1": 9 } })).toEqual([
      "9 handshakes under another network key arrived and no peer answers: compare the secret in the cluster files",
    ]);
    expect(healthLines({ ...fine, peers: 1, dropped: { "bad-mac1": 9 } })).toEqual([]);
  });

  it("says that the machine is too slow", () => {
    expect(healthLines({ ...fine, loopLagMs: 900.4 })).toEqual([
      "the agent runs 900 ms late: this machine is short of processor time",
    ]);
  });
});

describe("small parts", () => {
  it("the journal is bounded, numbered and counts", () => {
    const journal = new Journal();
    for (let i = 0; i < JOURNAL_ENTRIES + 5; i++) journal.add(0, EVENT);
    expect(journal.last(5_000)).toHaveLength(JOURNAL_ENTRIES);
    expect(journal.last(1)[0]?.number).toBe(JOURNAL_ENTRIES + 5);
    expect(journal.last(0)).toEqual([]);
    expect([...journal.counts()]).toEqual([
      { area: "link", what: "link-opened", count: JOURNAL_ENTRIES + 5 },
    ]);
  });

  it("the TAP's MAC is local, no group, and the identity's own", () => {
    const macs = [1, 2, 3].map((n) => tapMac(suite, new Uint8Array(32).fill(n)));
    for (const mac of macs) expect(Number.parseInt(mac.slice(0, 2), 16) & 3).toBe(2);
    expect(new Set(macs).size).toBe(3);
  });

  it("a port without address takes both families where the kernel has them", () => {
    const config = machine.config("listen: [7, 192.0.2.1:8]\n");
    expect(socketsOf(config, true)).toEqual([
      { ip: "0.0.0.0", port: 7 },
      { ip: "::", port: 7 },
      { ip: "192.0.2.1", port: 8 },
    ]);
    expect(socketsOf(config, false)).toHaveLength(2);
  });

  it("underlay endpoints: public first, never the TAP, link-local or the range; at most eight", () => {
    const on = (ip: string, name = "eth0") => ({ interface: name, ip, prefix: 24 });
    const addresses = [
      on("fd00::1"),
      on("2001:db8::1"),
      on("192.168.1.1"),
      on("203.0.113.1"),
      on("169.254.1.1"),
      on("fe80::1"),
      on("10.117.0.2"),
      on("203.0.113.9", "weft-lab"),
    ];
    const bound = [
      { ip: "0.0.0.0", port: 1 },
      { ip: "::", port: 2 },
    ];
    const range = { first: "10.117.0.0", prefix: 16 };
    expect(underlayEndpoints(addresses, { tap: "weft-lab", range, bound })).toEqual([
      { ip: "203.0.113.1", port: 1 },
      { ip: "192.168.1.1", port: 1 },
      { ip: "2001:db8::1", port: 2 },
      { ip: "fd00::1", port: 2 },
    ]);
    const many = Array.from({ length: 20 }, (_, i) => on(`203.0.113.${i}`));
    expect(underlayEndpoints(many, { tap: "t", range, bound })).toHaveLength(8);
    expect(
      underlayEndpoints([on("203.0.113.1")], {
        tap: "t",
        range,
        bound: [{ ip: "127.0.0.1", port: 1 }],
      }),
    ).toEqual([]);
  });

  it("knows AES from /proc/cpuinfo", () => {
    expect(hasAesFlag("processor : 0\nflags\t\t: fpu aes avx\n")).toBe(true);
    expect(hasAesFlag("Features\t: fp asimd aes pmull\n")).toBe(true);
    expect(hasAesFlag("flags\t\t: fpu vaes\nmodel name : aes\n")).toBe(false);
  });

  it("status carries what only the agent knows", async () => {
    const agent = await started("listen: 0\n");
    expect(agent.status()).toMatchObject({
      ...STATUS,
      interface: "weft-lab",
      range: "10.117.0.0/16",
      addressMode: "auto",
      listen: ["0.0.0.0:40000"],
      agentVersion: "9.9.9",
    });
    agent.stop();
  });
});
