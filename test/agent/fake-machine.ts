/** An agent's machine without a machine: a node and an engine the test plays, an `ip` that remembers. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll } from "vitest";
import { Agent } from "../../src/agent/agent.ts";
import type { AgentTools, EngineRequest } from "../../src/agent/agent-tools.ts";
import type { SrvRecord } from "../../src/agent/bootstrap-names.ts";
import { type Config, loadConfig } from "../../src/agent/config.ts";
import type { WeftError } from "../../src/agent/errors.ts";
import type { MappingClients } from "../../src/agent/port-mapper.ts";
import type { DropReason } from "../../src/base/drop-reason.ts";
import type { EngineCommand, EngineCounters } from "../../src/base/engine.ts";
import type { CoreEvent } from "../../src/base/event.ts";
import type { Endpoint } from "../../src/base/net.ts";
import { SeededRng } from "../../src/base/rng.ts";
import { NEVER } from "../../src/base/time.ts";
import { HostBridge } from "../../src/io/bridge.ts";
import type { Gateway } from "../../src/io/gateway.ts";
import type { HostAddress } from "../../src/io/interface.ts";
import { HostInterface, type IpResult } from "../../src/io/interface.ts";
import type { LanSocketOptions } from "../../src/io/lan-socket.ts";
import type { MainlineOptions } from "../../src/io/mainline-dht.ts";
import type { NodeConfig, NodeInput, NodeOutput } from "../../src/node/config.ts";
import type { Explained } from "../../src/node/explain.ts";
import type { LeaseRow } from "../../src/node/lease-report.ts";
import type { NodeStatus, PeerStatus } from "../../src/node/status.ts";
import { suite } from "../support/suite.ts";

export const KEY = Buffer.from(Array.from({ length: 32 }, (_, i) => (i * 37 + 201) % 256)).toString(
  "base64",
);

export const BETA: PeerStatus = {
  name: "beta",
  address: "b0".repeat(20),
  ip: "10.117.0.11",
  link: "direct",
  transport: "udp",
  relay: undefined,
  role: "near",
  endpoint: "192.0.2.11:7117",
  rttMs: 12.345,
  lossFraction: 0.015,
  bytesIn: 1_536,
  bytesOut: 20,
  maxDatagram: 1_472,
  mtu: 1_422,
  cipher: "aes256gcm",
  postQuantum: true,
  nat: "port-restricted",
  seenMsAgo: 2_000,
  version: "0.1",
};

export const GAMMA: PeerStatus = {
  ...BETA,
  name: "gamma",
  address: "c0".repeat(20),
  ip: undefined,
  link: "relay",
  transport: undefined,
  relay: "beta",
  endpoint: undefined,
  mtu: 1_414,
  rttMs: 140.2,
  role: "onDemand",
  postQuantum: false,
  nat: undefined,
  seenMsAgo: 120,
};

export const STATUS: NodeStatus = {
  network: "lab",
  name: "alpha",
  address: "a0".repeat(20),
  state: "online",
  health: [],
  mac: "02:00:00:00:00:0a",
  mtu: 1_390,
  lease: {
    ip: "10.117.0.10",
    prefix: 16,
    expiresInSeconds: 3_541,
    epoch: 1,
    renewals: 2,
    alone: false,
  },
  ring: {
    predecessors: [BETA.address],
    successors: [GAMMA.address],
    sizeEstimate: 3.2,
    stable: true,
  },
  peers: [GAMMA, BETA],
  nat: {
    mapping: "endpoint-independent",
    filtering: "address-and-port",
    allocation: "preserved",
    hairpin: false,
    kind: "port-restricted",
    local: ["192.168.1.2:7117"],
    reflexive: ["203.0.113.10:7117"],
    udp: "works",
    asked: 2,
    isLooking: false,
    mappingLife: { state: "known", aliveSeconds: 120, goneSeconds: 180 },
  },
  lookups: { lease: 12, mac: 3 },
  records: { count: 7, bytes: 2_100 },
  uptimeMs: 65_000,
  security: "secret",
  certificate: undefined,
  notices: { revocations: 0, revokedKeys: 0, revokedSerials: 0, shared: 0 },
};

export const EVENT: CoreEvent = {
  area: "link",
  what: "link-opened",
  condition: "a handshake finished",
  action: "opened a session",
  effect: "",
  coolDownMs: 0,
  fields: { peer: "beta" },
};

const EXPLAINED: Explained = {
  verdict: "both-symmetric",
  reason: "a reason",
  cure: "a cure",
  link: "relay",
  relay: "beta",
  endpoint: undefined,
  rttMs: 140.2,
  lossFraction: 0,
  from: {
    name: "alpha",
    nat: "symmetric",
    candidates: [{ endpoint: "203.0.113.10:7117", result: "told", rttMs: undefined }],
  },
  to: {
    name: "gamma",
    nat: undefined,
    candidates: [{ endpoint: "203.0.113.20:4000", result: "silent", rttMs: undefined }],
  },
};

const GUEST: LeaseRow = {
  ip: "10.117.0.12",
  mac: "52:54:00:12:34:56",
  client: "ff07",
  holder: "alpha",
  own: true,
  expiresInSeconds: 1_800,
};

const LEASES: readonly LeaseRow[] = [
  {
    ...{ ip: "10.117.0.10", mac: "02:00:00:00:00:0a", client: "0102000000000a" },
    ...{ holder: "alpha", own: true, expiresInSeconds: 3_541 },
  },
  GUEST,
  { ip: "10.117.0.11", mac: "02:00:00:00:00:0b", holder: "beta", own: false },
];

export class FakeNode {
  readonly inputs: NodeInput[] = [];
  readonly outputs: NodeOutput[] = [];
  current: NodeStatus = STATUS;
  config: NodeConfig | undefined;

  handle(_now: number, input: NodeInput): void {
    this.inputs.push(input);
    if (input.kind !== "command") return;
    const { id, command } = input;
    if (command.name === "stop" || command.name === "leave") this.outputs.push({ kind: "stopped" });
    else if (command.name === "ping" && command.target === "beta") {
      this.outputs.push({
        kind: "reply",
        id,
        reply: { kind: "pong", peer: "beta", rttMs: 1.5, via: "relay gamma" },
      });
    } else if (command.name === "leases") {
      this.outputs.push({ kind: "reply", id, reply: { kind: "leases", leases: LEASES } });
    } else if (command.name === "resolve" && command.ip === "10.117.0.12") {
      this.outputs.push({ kind: "reply", id, reply: { kind: "lease", lease: GUEST } });
    } else if (command.name === "release" && command.target === "ff07") {
      this.outputs.push({ kind: "reply", id, reply: { kind: "done" } });
    } else if (command.name === "survey") {
      this.outputs.push({ kind: "reply", id, reply: { kind: "done" } });
    } else if (command.name === "explain" && command.to === "gamma") {
      this.outputs.push({ kind: "reply", id, reply: { kind: "explained", explained: EXPLAINED } });
    } else {
      this.outputs.push({
        kind: "reply",
        id,
        reply: { kind: "failed", code: "unknown-peer", detail: "nobody has that name" },
      });
    }
  }

  poll(): NodeOutput | undefined {
    return this.outputs.shift();
  }

  deadline(): number {
    return NEVER;
  }

  status(): NodeStatus {
    return this.current;
  }

  drops(): Partial<Record<DropReason, number>> {
    return { "no-path": 2 };
  }
}

const folders: string[] = [];
// Registered by importing this file: whatever a test forgets is gone when its file ends.
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

function makeFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "weft-agent-"));
  folders.push(folder);
  return folder;
}

export class FakeMachine {
  readonly folder = makeFolder();
  readonly node = new FakeNode();
  readonly applied: EngineCommand[] = [];
  readonly ipCommands: string[] = [];
  readonly logged: { message: string; fields: object }[] = [];
  counters: EngineCounters = {
    dropped: {},
    datagramsIn: 5,
    datagramsOut: 6,
    bytesIn: 700,
    bytesOut: 800,
    tapFramesIn: 9,
    tapFramesOut: 10,
    relayedDatagrams: 11,
  };
  wallMs = Date.UTC(2026, 0, 2);
  addresses: HostAddress[] = [{ interface: "eth0", ip: "192.168.1.5", prefix: 24 }];
  names: Readonly<Record<string, readonly string[]>> = {};
  readonly lan: LanSocketOptions[] = [];
  readonly announced: { readonly name: string; readonly bytes: Uint8Array }[] = [];
  lanClosed = 0;
  mappingClients: MappingClients = [];
  gateway: Gateway | undefined;
  mainline: MainlineOptions | undefined;
  /** What every look-up of the BitTorrent DHT finds. */
  mainlinePeers: readonly Endpoint[] = [];
  /** From whom datagrams came for it. */
  readonly foreign: Endpoint[] = [];
  networkChanged: () => void = () => undefined;
  watchClosed = 0;
  services: Readonly<Record<string, readonly SrvRecord[]>> = {};
  request: EngineRequest | undefined;
  engineFault: WeftError | undefined;
  ipFault: IpResult | undefined;
  /** What `ip -j -d link show dev br0` says. */
  bridgeShown: IpResult = { ok: true, stdout: shownBridge({}) };
  engineClosed = 0;

  config(extra = ""): Config {
    const file = join(this.folder, "lab.yaml");
    writeFileSync(
      file,
      `secret: ${KEY}\nstate_dir: ${this.folder}/state\nrun_dir: ${this.folder}/run\n${extra}`,
      { mode: 0o600 },
    );
    return loadConfig({ file, flags: {}, env: {}, uid: 0, nodeName: "alpha" });
  }

  agent(extra = ""): Agent {
    const bridge = extra.includes("bridge: br0") ? this.bridgeTools() : {};
    return new Agent(this.config(extra), { ...this.tools(), ...bridge });
  }

  /** With `bridge: br0` in the file. */
  bridgeTools(): Pick<AgentTools, "bridge"> {
    const run = async (args: readonly string[]) => this.#ip(args);
    return { bridge: { port: new HostBridge("br0", run), own: new HostInterface("br0", run) } };
  }

  tools(): AgentTools {
    const log = (fields: object, message: string): void =>
      void this.logged.push({ message, fields });
    return {
      suite,
      rng: new SeededRng(1),
      log: { level: "info", debug: log, info: log, warn: log, error: log },
      version: "9.9.9",
      hasAes: true,
      hasIpv6: false,
      now: () => performance.now(),
      wallMs: () => this.wallMs,
      drawBoot: () => 7n,
      openEngine: (request) => this.#open(request),
      createNode: (config) => {
        this.node.config = config;
        return this.node;
      },
      hostInterface: new HostInterface("weft-lab", async (args) => this.#ip(args)),
      hostAddresses: () => this.addresses,
      mappingClients: this.mappingClients,
      defaultGateway: () => this.gateway,
      openMainline: async (options) => {
        this.mainline = options;
        return {
          lookup: async () => this.mainlinePeers,
          announce: async () => undefined,
          receive: (from) => void this.foreign.push(from),
          close: () => undefined,
        };
      },
      watchNetwork: (onChange) => {
        this.networkChanged = onChange;
        return { close: () => void this.watchClosed++ };
      },
      openLanSocket: async (options) => {
        this.lan.push(options);
        return {
          announce: (name, bytes) => void this.announced.push({ name, bytes }),
          answer: () => undefined,
          close: () => void this.lanClosed++,
        };
      },
      resolver: {
        addresses: async (host) => this.names[host] ?? noSuchName(),
        services: async (name) => this.services[name] ?? noSuchName(),
      },
    };
  }

  /** Lets the node say something, as if an upcall had made it. */
  say(...outputs: readonly NodeOutput[]): void {
    this.node.outputs.push(...outputs);
    this.request?.onUpcalls([{ kind: "rekey-due", session: 1 }]);
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }

  #open(request: EngineRequest) {
    if (this.engineFault !== undefined) throw this.engineFault;
    this.request = request;
    const engine = {
      apply: (commands: readonly EngineCommand[]) => void this.applied.push(...commands),
      drain: () => [],
      counters: () => this.counters,
      close: () => void this.engineClosed++,
    };
    return {
      engine,
      endpoints: request.sockets.map(({ ip, port }) => ({ ip, port: port === 0 ? 40_000 : port })),
    };
  }

  #ip(args: readonly string[]): IpResult {
    if (this.ipFault !== undefined) return this.ipFault;
    if (args.includes("-d")) return this.bridgeShown;
    if (!args.includes("show")) this.ipCommands.push(args.join(" "));
    return { ok: true, stdout: "" };
  }
}

export function shownBridge(other: object): string {
  const linkinfo = { info_kind: "bridge" };
  const link = { ifname: "br0", ifindex: 7, flags: ["BROADCAST", "UP"], mtu: 1_500, linkinfo };
  return JSON.stringify([{ ...link, address: "aa:00:00:00:00:01", ...other }]);
}

function noSuchName(): never {
  throw Object.assign(new Error("no"), { code: "ENOTFOUND" });
}
