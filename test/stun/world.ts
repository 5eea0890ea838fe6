/** STUN machines on a small internet in virtual time: hosts, some of them behind NAT models. */
import type { EngineCommand, SocketIndex } from "../../src/base/engine.ts";
import { type Endpoint, endpointText } from "../../src/base/net.ts";
import { below, SeededRng } from "../../src/base/rng.ts";
import {
  type BoundSocket,
  Stun,
  type StunInput,
  type StunMode,
  type StunOutput,
} from "../../src/stun/stun.ts";
import { type NatKind, NatModel } from "./nat-model.ts";

export const KEY = new Uint8Array(32).fill(7);
const LATENCY_MS = 20;
/** Loops of a test that went wrong. */
const MAX_STEPS = 100_000;

export interface HostOptions {
  readonly ip: string;
  readonly ports?: readonly number[];
  readonly ips?: readonly string[];
  readonly mode?: StunMode;
  readonly key?: Uint8Array;
  readonly nat?: NatModel;
  /** The engine opens no sockets by command. */
  readonly isPoor?: boolean;
}

export interface Datagram {
  readonly from: Endpoint;
  readonly to: Endpoint;
  readonly bytes: Uint8Array;
}

export class World {
  now = 0;
  readonly rng = new SeededRng(11);
  readonly hosts: Host[] = [];
  /** Everything that crossed the internet. */
  readonly wire: Datagram[] = [];
  /** Drops what it returns true for. */
  loses: (datagram: Datagram) => boolean = () => false;
  #events: { at: number; run: () => void }[] = [];

  nat(ip: string, kind: NatKind, lifeMs = Number.POSITIVE_INFINITY): NatModel {
    const clock = { lifeMs, now: () => this.now };
    return new NatModel(ip, kind, (limit) => below(this.rng, limit), clock);
  }

  host(options: HostOptions): Host {
    const host = new Host(this, options);
    this.hosts.push(host);
    host.input({ kind: "local-endpoints", endpoints: host.local });
    return host;
  }

  later(ms: number, run: () => void): void {
    this.#events.push({ at: this.now + ms, run });
  }

  send(host: Host, from: Endpoint, datagram: { to: Endpoint; bytes: Uint8Array }): void {
    const { to, bytes } = datagram;
    const nat = host.options.nat;
    const outside = nat === undefined ? from : nat.send(from, to);
    const sent = { from: outside, to, bytes };
    this.wire.push(sent);
    if (this.loses(sent)) return;
    this.later(LATENCY_MS, () => this.#arrive(host, sent));
  }

  /** Runs until `ms` have passed. */
  run(ms: number): void {
    const end = this.now + ms;
    for (let steps = 0; steps < MAX_STEPS; steps++) {
      const next = Math.min(...this.#events.map(({ at }) => at), ...this.hosts.map((h) => h.due));
      if (next > end) break;
      this.now = Math.max(this.now, next);
      const due = this.#events.filter(({ at }) => at <= this.now);
      this.#events = this.#events.filter(({ at }) => at > this.now);
      for (const { run } of due) run();
      for (const host of this.hosts) if (host.due <= this.now) host.input({ kind: "timeout" });
    }
    this.now = end;
  }

  #arrive(sender: Host, { from, to, bytes }: Datagram): void {
    for (const host of this.hosts) {
      const { nat } = host.options;
      if (nat === undefined) host.deliver(from, to, bytes);
      else if (nat.ip === to.ip && (sender.options.nat !== nat || nat.kind.hairpin)) {
        const inside = nat.receive(from, to.port);
        if (inside !== undefined) host.deliver(from, inside, bytes);
      }
    }
  }
}

export class Host {
  readonly options: HostOptions;
  readonly stun: Stun;
  readonly outputs: StunOutput[] = [];
  readonly #world: World;
  readonly #sockets = new Map<SocketIndex, Endpoint>();
  #nextPort = 50_000;

  constructor(world: World, options: HostOptions) {
    this.#world = world;
    this.options = options;
    const { ip, ips = [ip], ports = [7117] } = options;
    const bound: BoundSocket[] = ips
      .flatMap((one) => ports.map((port) => ({ ip: one, port })))
      .map((endpoint, socket) => ({ socket, endpoint }));
    for (const { socket, endpoint } of bound) this.#sockets.set(socket, endpoint);
    this.stun = new Stun({
      mode: options.mode ?? "members",
      key: options.key ?? KEY,
      rng: new SeededRng(world.rng.u32()),
      sockets: bound,
    });
  }

  get local(): Endpoint[] {
    return [...this.#sockets.values()];
  }

  get due(): number {
    return this.stun.deadline();
  }

  get endpoint(): Endpoint {
    return { ip: this.options.ip, port: this.options.ports?.[0] ?? 7117 };
  }

  input(input: StunInput): void {
    this.stun.handle(this.#world.now, input);
    for (let out = this.stun.poll(); out !== undefined; out = this.stun.poll()) {
      if (out.kind === "engine") this.#apply(out.command);
      else this.outputs.push(out);
    }
  }

  /** A link reaches this member directly. */
  meet(other: Endpoint, link: number): void {
    this.input({ kind: "member", link, endpoint: other });
  }

  deliver(from: Endpoint, to: Endpoint, bytes: Uint8Array): void {
    for (const [socket, endpoint] of this.#sockets) {
      if (endpointText(endpoint) !== endpointText(to)) continue;
      this.input({ kind: "upcall", upcall: { kind: "datagram", socket, from, bytes } });
    }
  }

  get openSockets(): number {
    return this.#sockets.size;
  }

  #apply(command: EngineCommand): void {
    switch (command.op) {
      case "datagram": {
        const from = this.#sockets.get(command.socket);
        if (from !== undefined) this.#world.send(this, from, command);
        return;
      }
      case "socket-open": {
        if (this.options.isPoor === true) return;
        const { socket, family } = command;
        const port = this.#nextPort++;
        this.#sockets.set(socket, { ip: this.options.ip, port });
        const upcall = { kind: "socket-opened", socket, family, port, from: undefined } as const;
        return this.#world.later(0, () => this.input({ kind: "upcall", upcall }));
      }
      case "socket-close":
        this.#sockets.delete(command.socket);
        return;
      default:
        throw new Error(`not STUN's: ${command.op}`);
    }
  }
}
