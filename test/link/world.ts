/**
 * Several Links, each on its software engine, joined by a network of virtual time: latency, loss,
 * duplication and blocked pairs by seed. `run` jumps from deadline to deadline.
 */

import { SoftwareEngine } from "../../sim/engine.ts";
import { equalBytes } from "../../src/base/bytes.ts";
import type { EngineCommand, SocketIndex } from "../../src/base/engine.ts";
import type { Endpoint } from "../../src/base/net.ts";
import type { RingAddress } from "../../src/base/ring-address.ts";
import { below, SeededRng, unit } from "../../src/base/rng.ts";
import type { Millis } from "../../src/base/time.ts";
import { deriveClusterKeys } from "../../src/crypto/cluster-keys.ts";
import { identityFromSeed } from "../../src/crypto/identity.ts";
import { computeMac1 } from "../../src/crypto/mac.ts";
import { Membership } from "../../src/crypto/membership.ts";
import type { CryptoSuite } from "../../src/crypto/suite.ts";
import type {
  ConnectTarget,
  LinkRole,
  LinksInput,
  LinksOutput,
  LinkView,
} from "../../src/link/link-types.ts";
import { Links } from "../../src/link/links.ts";
import type { RelayPolicy } from "../../src/link/relay-policy.ts";
import type { TraversalMode } from "../../src/link/traversal-mode.ts";
import { suite as fullSuite } from "../support/suite.ts";
import type { NatBox } from "./nat-box.ts";

export interface WorldOptions {
  readonly seed?: number;
  readonly latencyMs?: Millis;
  readonly jitterMs?: Millis;
  readonly loss?: number;
  readonly duplication?: number;
  /** Routers in the middle of the net. */
  readonly hops?: number;
}

interface Datagram {
  readonly from: Endpoint;
  readonly to: Endpoint;
  readonly bytes: Uint8Array;
  readonly ttl: number;
}

interface Emitted {
  readonly socket: SocketIndex;
  readonly to: Endpoint;
  readonly bytes: Uint8Array;
  readonly ttl: number | undefined;
}

interface Flying {
  readonly at: Millis;
  readonly order: number;
  readonly deliver: () => void;
}

export const DEFAULT_NETWORK = new Uint8Array(32).fill(7);

export class World {
  now: Millis = 1_000;
  readonly rng: SeededRng;
  readonly nodes: TestNode[] = [];
  readonly boxes: NatBox[] = [];
  loss: number;
  duplication: number;
  latencyMs: Millis;
  jitterMs: Millis;
  /** Datagrams this refuses are lost. */
  allows: (from: Endpoint, to: Endpoint, bytes: Uint8Array) => boolean = () => true;
  /** Largest UDP payload that a node's own interface takes. */
  linkBytes = 65_507;
  /** Routed handshakes this refuses are lost. */
  routes: (from: TestNode, to: RingAddress, bytes: Uint8Array) => boolean = () => true;
  datagrams = 0;
  #flying: Flying[] = [];
  #order = 0;
  readonly #hops: number;

  constructor(options: WorldOptions = {}) {
    this.rng = new SeededRng(options.seed ?? 1, 77);
    this.loss = options.loss ?? 0;
    this.duplication = options.duplication ?? 0;
    this.latencyMs = options.latencyMs ?? 10;
    this.#hops = options.hops ?? MIDDLE_HOPS;
    this.jitterMs = options.jitterMs ?? 0;
  }

  add(name: string, options: Partial<NodeOptions> = {}): TestNode {
    const ip = `192.0.2.${this.nodes.length + 1}`;
    const node = new TestNode(this, { name, endpoint: { ip, port: 4_000 }, ...options });
    this.nodes.push(node);
    return node;
  }

  /** Hands over after the latency, subject to loss. */
  carry(deliver: () => void, isLossy = true): void {
    if (isLossy && unit(this.rng) < this.loss) return;
    const copies = isLossy && unit(this.rng) < this.duplication ? 2 : 1;
    for (let i = 0; i < copies; i++) {
      const jitter = this.jitterMs === 0 ? 0 : below(this.rng, this.jitterMs + 1);
      this.after(this.latencyMs + jitter, deliver);
    }
  }

  after(delayMs: Millis, deliver: () => void): void {
    this.#flying.push({ at: this.now + delayMs, order: this.#order++, deliver });
  }

  /** The machine with this address whose wire ends at `nat`; undefined = at the net itself. */
  find(endpoint: Endpoint, nat?: NatBox): TestNode | undefined {
    return this.nodes.find(
      (node) =>
        node.isAlive &&
        node.nat === nat &&
        node.endpoint.ip === endpoint.ip &&
        node.socketAt(endpoint.port) !== undefined,
    );
  }

  /** A datagram on the wire of `nat`, or on the net itself: to a neighbour, else out. */
  dispatch(datagram: Datagram, nat: NatBox | undefined): void {
    const { from, to, bytes, ttl } = datagram;
    const neighbour = this.find(to, nat);
    if (neighbour !== undefined || nat === undefined) return this.#arrive(datagram, nat);
    if (ttl <= 1) return;
    const outside = nat.send(from, to);
    const isOwn = to.ip === nat.outside;
    if (isOwn && !nat.hairpin) return;
    const out: Datagram = { from: outside, to, bytes, ttl: ttl - 1 };
    if (isOwn) this.#enter(out, nat);
    else this.dispatch(out, nat.behind);
  }

  #arrive(datagram: Datagram, nat: NatBox | undefined): void {
    const { to, ttl } = datagram;
    if (nat === undefined && ttl <= this.#hops) return;
    this.carry(() => {
      const box = this.boxes.find((other) => other.behind === nat && other.outside === to.ip);
      if (box !== undefined) this.#enter(datagram, box);
      else this.#deliver(datagram, this.find(to, nat));
    });
  }

  #enter({ from, to, bytes, ttl }: Datagram, box: NatBox): void {
    const inside = box.receive(from, to.port);
    if (inside === undefined) return;
    const datagram = { from, to: inside, bytes, ttl };
    const inner = this.boxes.find((other) => other.behind === box && other.outside === inside.ip);
    if (inner !== undefined) this.#enter(datagram, inner);
    else this.#deliver(datagram, this.find(inside, box));
  }

  #deliver({ from, to, bytes }: Datagram, node: TestNode | undefined): void {
    const socket = node?.socketAt(to.port);
    if (socket !== undefined) node?.receive(socket, from, bytes);
  }

  /** Runs until nothing is due before `until`, or until `isDone`. */
  run(durationMs: Millis, isDone: () => boolean = () => false): boolean {
    const until = this.now + durationMs;
    for (let steps = 0; steps < 400_000; steps++) {
      if (isDone()) return true;
      const next = this.#nextAt();
      if (next > until) {
        this.now = until;
        return isDone();
      }
      this.now = Math.max(this.now, next);
      this.#step();
    }
    throw new Error("the world does not come to rest");
  }

  #nextAt(): Millis {
    let next = Number.POSITIVE_INFINITY;
    for (const { at } of this.#flying) next = Math.min(next, at);
    for (const node of this.nodes) next = Math.min(next, node.deadline());
    return next;
  }

  #step(): void {
    const due = this.#flying
      .filter(({ at }) => at <= this.now)
      .sort((a, b) => a.at - b.at || a.order - b.order);
    this.#flying = this.#flying.filter(({ at }) => at > this.now);
    for (const { deliver } of due) deliver();
    for (const node of this.nodes) node.tick();
  }
}

export interface NodeOptions {
  readonly name: string;
  endpoint: Endpoint;
  readonly seed?: number;
  readonly boot?: bigint;
  readonly network?: Uint8Array;
  readonly locals?: readonly Endpoint[];
  readonly hasAes?: boolean;
  readonly relay?: RelayPolicy;
  readonly traversal?: TraversalMode;
  /** Default: the production suite. */
  readonly suite?: CryptoSuite;
  /** The router it is behind; its own addresses are inside ones then. */
  nat?: NatBox;
}

/** Where sockets that the core opens are bound. */
const FIRST_EPHEMERAL = 50_000;
/** Routers between two NATs, besides these, unless a test says otherwise. */
const MIDDLE_HOPS = 6;
const USUAL_TTL = 64;

export class TestNode {
  readonly name: string;
  readonly address: RingAddress;
  readonly links: Links;
  readonly engine: SoftwareEngine;
  /** What its engine wrote into the TAP. */
  readonly frames: Uint8Array[] = [];
  readonly outputs: LinksOutput[] = [];
  endpoint: Endpoint;
  isAlive = true;
  /** Stopped like a process by SIGSTOP: nothing moves, the engine's sockets fill up. */
  isFrozen = false;
  readonly #world: World;
  nat: NatBox | undefined;
  /** Its engine opens sockets by command. */
  canOpen = true;
  /** Ports of the sockets that the core opened. */
  readonly sockets = new Map<SocketIndex, number>();
  opened = 0;
  /** How many `silent` outputs were answered. */
  saidSilent = 0;

  constructor(world: World, options: NodeOptions) {
    const { name, endpoint, suite = fullSuite } = options;
    this.#world = world;
    this.nat = options.nat;
    this.name = name;
    this.endpoint = endpoint;
    const keys = deriveClusterKeys(suite, options.network ?? DEFAULT_NETWORK);
    const seed = options.seed ?? world.nodes.length + 1;
    const identity = identityFromSeed(suite, new Uint8Array(32).fill(seed));
    const membership = new Membership(suite, keys);
    const own = membership.issueOwn(identity, name);
    this.address = own.address;
    this.engine = new SoftwareEngine({
      host: {
        now: () => world.now,
        send: (socket, to, bytes, ttl) => this.#emit({ socket, to, bytes, ttl }),
        tapWrite: (frame) => this.frames.push(frame),
        largestDatagram: () => world.linkBytes,
        sockets: {
          open: (socket) => {
            if (!this.canOpen) return "limit";
            const port = FIRST_EPHEMERAL + this.opened++;
            this.sockets.set(socket, port);
            return port;
          },
          close: (socket) => this.sockets.delete(socket),
          connect: () => {},
          sendStream: () => false,
          listen: () => "unsupported",
        },
      },
      sockets: 1,
      mac1Key: keys.mac1Key,
      checkMac1: (key, covered, mac1) => equalBytes(computeMac1(suite, key, covered), mac1),
    });
    this.links = new Links({
      suite,
      rng: new SeededRng(world.rng.u32(), seed),
      membership,
      keys,
      identity,
      certificate: own.bytes,
      address: own.address,
      name,
      boot: options.boot ?? BigInt(world.rng.u32()),
      digest: new Uint8Array(32),
      sockets: [4],
      hasAes: options.hasAes ?? false,
      ...(options.relay && { relay: options.relay }),
      ...(options.traversal && { traversal: options.traversal }),
    });
    this.input({ kind: "wall", wallSeconds: 1_800_000_000 });
    this.input({ kind: "local-endpoints", endpoints: options.locals ?? [endpoint] });
  }

  input(input: LinksInput): void {
    if (this.isFrozen || !this.isAlive) return;
    this.links.handle(this.#world.now, input);
    this.#drain();
  }

  connect(to: TestNode | Endpoint, role: LinkRole = "near"): void {
    const target: ConnectTarget =
      to instanceof TestNode
        ? { kind: "address", address: to.address, endpoints: [] }
        : { kind: "endpoint", endpoint: to };
    this.input({ kind: "connect", to: target, role });
  }

  linkTo(other: TestNode): LinkView | undefined {
    return this.links.byAddress(other.address);
  }

  /** Sends `text` to the peer; type byte 0x10 in front. */
  say(to: TestNode, text: Uint8Array, token = 0, reliable = true): void {
    const link = this.linkTo(to)?.peer.link;
    if (link === undefined) throw new Error(`${this.name} has no link to ${to.name}`);
    const bytes = new Uint8Array(text.length + 1);
    bytes[0] = 0x10;
    bytes.set(text, 1);
    this.input({ kind: "send", link, bytes, reliable, owner: "ring", token });
  }

  of<K extends LinksOutput["kind"]>(kind: K): Extract<LinksOutput, { kind: K }>[] {
    return this.outputs.filter((out) => out.kind === kind) as Extract<LinksOutput, { kind: K }>[];
  }

  kill(): void {
    this.isAlive = false;
    this.engine.close();
  }

  deadline(): Millis {
    if (!this.isAlive || this.isFrozen) return Number.POSITIVE_INFINITY;
    return Math.min(this.links.deadline(), this.engine.deadline());
  }

  tick(): void {
    if (!this.isAlive || this.isFrozen) return;
    this.engine.tick();
    this.#drain();
    if (this.links.deadline() <= this.#world.now) this.input({ kind: "timeout" });
  }

  receive(socket: SocketIndex, from: Endpoint, bytes: Uint8Array): void {
    if (!this.isAlive || this.isFrozen) return;
    this.engine.receiveDatagram(socket, from, bytes);
    this.#drain();
  }

  #emit({ socket, to, bytes, ttl }: Emitted): void {
    const world = this.#world;
    const port = socket === 0 ? this.endpoint.port : this.sockets.get(socket);
    if (port === undefined) return;
    const from = { ip: this.endpoint.ip, port };
    world.datagrams++;
    if (!world.allows(from, to, bytes)) return;
    world.dispatch({ from, to, bytes, ttl: ttl ?? USUAL_TTL }, this.nat);
  }

  /** The socket bound to this port. */
  socketAt(port: number): SocketIndex | undefined {
    if (port === this.endpoint.port) return 0;
    for (const [socket, bound] of this.sockets) if (bound === port) return socket;
    return undefined;
  }

  #drain(): void {
    for (;;) {
      const commands: EngineCommand[] = [];
      for (let out = this.links.poll(); out !== undefined; out = this.links.poll()) {
        if (out.kind === "engine") commands.push(out.command);
        else this.outputs.push(out);
        if (out.kind === "route-handshake") this.#route(out.to, out.bytes);
      }
      this.engine.apply(commands);
      const upcalls = this.engine.drain();
      for (const upcall of upcalls) {
        this.links.handle(this.#world.now, { kind: "upcall", upcall });
      }
      if (commands.length === 0 && upcalls.length === 0) return;
    }
  }

  #route(to: RingAddress, bytes: Uint8Array): void {
    const world = this.#world;
    if (!world.routes(this, to, bytes)) return;
    const source = this.address;
    world.carry(() => {
      const node = world.nodes.find((other) => other.isAlive && other.address === to);
      node?.input({ kind: "routed-handshake", source, bytes });
    });
  }
}
