/**
 * One simulated machine: the production core on the software engine, a TAP with a small IP stack
 * behind it, and the power switch. The only caller of the core besides io/driver.ts.
 */

import type { EngineCommand } from "../src/base/engine.ts";
import type { CoreEvent } from "../src/base/event.ts";
import { type Endpoint, type Ip, type Mac, macFromBytes } from "../src/base/net.ts";
import { labelHash, type Rng, SeededRng } from "../src/base/rng.ts";
import { type Millis, NEVER } from "../src/base/time.ts";
import { deriveClusterKeys } from "../src/crypto/cluster-keys.ts";
import type { CryptoSuite } from "../src/crypto/suite.ts";
import type { NodeCommand, NodeReply } from "../src/node/command.ts";
import type { NodeConfig, NodeInput, NodeOutput, SavedState } from "../src/node/config.ts";
import type { Invite } from "../src/node/invites.ts";
import { Node } from "../src/node/node.ts";
import type { NodeState, NodeStatus } from "../src/node/status.ts";
import { SoftwareEngine } from "./engine.ts";
import { HostSockets } from "./host-sockets.ts";
import type { Network } from "./network.ts";
import { Stack } from "./stack.ts";
import type { World } from "./world.ts";

/** UDP payload of a 1500-byte packet: what the simulated interfaces take. */
const ETHERNET_DATAGRAM = 1_472;

export const SIM_PORT = 7117;
/** Journal kept for a failing run. */
const EVENTS_MAX = 200;

export interface HostOptions {
  readonly name: string;
  readonly ip: Ip;
  readonly suite: CryptoSuite;
  readonly seed: number;
  readonly networkKey: Uint8Array;
  readonly bootstrap: readonly Endpoint[];
  /** Read at each start. */
  readonly config?: () => Partial<NodeConfig>;
}

export class Host {
  readonly name: string;
  readonly endpoint: Endpoint;
  readonly stack: Stack;
  readonly events: { at: Millis; event: CoreEvent }[] = [];
  /** Other machines behind the TAP hear what the stack hears. */
  onTapFrame: (frame: Uint8Array) => void = () => undefined;
  /** Writes of the invites fail: a full disk. */
  isDiskFull = false;
  readonly #world: World;
  readonly #network: Network;
  readonly #options: HostOptions;
  readonly #replies = new Map<number, NodeReply>();
  readonly #mac: Mac;
  #node: Node | undefined;
  #engine: SoftwareEngine | undefined;
  #saved: SavedState | undefined;
  #invites: readonly Invite[] = [];
  #certificate: Uint8Array | undefined;
  readonly #notices = new Map<string, Uint8Array>();
  #state: NodeState = "stopped";
  #boots = 0;
  #commands = 0;
  #armedAt: Millis = NEVER;
  #assignedIp: Ip | undefined;
  #frozen = false;
  #frozenInput: (() => void)[] = [];

  constructor(world: World, network: Network, options: HostOptions) {
    this.#world = world;
    this.#network = network;
    this.#options = options;
    this.name = options.name;
    this.endpoint = { ip: options.ip, port: SIM_PORT };
    this.#mac = this.#chooseMac();
    this.stack = new Stack(
      {
        now: () => world.now,
        schedule: (at, act) => world.schedule(at, act),
        transmit: (frame) => this.transmit(frame),
      },
      this.#mac,
    );
  }

  get isUp(): boolean {
    return this.#node !== undefined;
  }

  get state(): NodeState {
    return this.#state;
  }

  get mac(): Mac {
    return this.#mac;
  }

  get ip(): Ip | undefined {
    return this.stack.ip;
  }

  /** Switches the machine on; a later start keeps identity, MAC and, unless wiped, the state file. */
  start(): void {
    if (this.#node !== undefined) return;
    this.#boots++;
    const rng = new SeededRng(this.#options.seed, labelHash(`${this.name}#${this.#boots}`));
    this.#engine = this.#makeEngine();
    this.#node = new Node(this.#makeConfig(rng), { suite: this.#options.suite, rng });
    this.#network.attach(this.endpoint, (from, bytes) =>
      this.#turn(() => this.#engine?.receiveDatagram(0, from, bytes)),
    );
    this.input({ kind: "timeout" });
  }

  /** Power failure: nothing is said, memory is gone, the state file stays. */
  crash(): void {
    this.#network.detach(this.endpoint);
    this.#engine?.close();
    this.#engine = undefined;
    this.#node = undefined;
    this.#state = "stopped";
    // The wake-up of this boot is still scheduled: the next boot must not wait for it.
    this.#armedAt = NEVER;
    this.#assignedIp = undefined;
    this.#frozen = false;
    this.#frozenInput = [];
  }

  wipe(): void {
    this.#saved = undefined;
    this.#notices.clear();
  }

  /** Suspends the process (SIGSTOP): datagrams pile up in the socket, up to a bound, then are lost. */
  freeze(): void {
    this.#frozen = true;
  }

  thaw(): void {
    if (!this.#frozen) return;
    this.#frozen = false;
    const piled = this.#frozenInput;
    this.#frozenInput = [];
    for (const act of piled) this.#turn(act);
    this.#turn(() => undefined);
  }

  /** A frame of another machine behind the TAP. */
  transmit(frame: Uint8Array): void {
    this.#turn(() => this.#engine?.receiveFrame(frame));
  }

  input(input: NodeInput): void {
    this.#turn(() => this.#handle(input));
  }

  /** @returns a number for `reply` */
  command(command: NodeCommand): number {
    const id = ++this.#commands;
    this.input({ kind: "command", id, command });
    return id;
  }

  reply(id: number): NodeReply | undefined {
    return this.#replies.get(id);
  }

  status(): NodeStatus | undefined {
    return this.#node?.status(this.#world.now);
  }

  /** What the node of this boot set on the interface. */
  get assignedIp(): Ip | undefined {
    return this.#assignedIp;
  }

  get isFrozen(): boolean {
    return this.#frozen;
  }

  get node(): Node | undefined {
    return this.#node;
  }

  get engine(): SoftwareEngine | undefined {
    return this.#engine;
  }

  #turn(act: () => void): void {
    if (this.#frozen) {
      if (this.#frozenInput.length < 256) this.#frozenInput.push(act);
      return;
    }
    act();
    this.#drainUpcalls();
    this.#arm();
  }

  #drainUpcalls(): void {
    while (this.#engine?.hasUpcalls() === true) {
      for (const upcall of this.#engine.drain()) this.#handle({ kind: "upcall", upcall });
    }
  }

  #handle(input: NodeInput): void {
    const node = this.#node;
    if (node === undefined) return;
    node.handle(this.#world.now, input);
    const commands: EngineCommand[] = [];
    for (let output = node.poll(); output !== undefined; output = node.poll()) {
      if (output.kind === "engine") commands.push(output.command);
      else this.#take(output);
    }
    if (commands.length > 0) this.#engine?.apply(commands);
  }

  #take(output: Exclude<NodeOutput, { kind: "engine" }>): void {
    switch (output.kind) {
      case "interface":
        this.#assignedIp = output.ip;
        return this.stack.configure(output.ip);
      case "interface-clear":
        this.#assignedIp = undefined;
        return this.stack.configure(undefined);
      case "state":
        this.#state = output.state;
        return;
      case "reply":
        this.#replies.set(output.id, output.reply);
        return;
      case "save":
        this.#saved = output.state;
        return;
      case "keep-invites":
        return this.#keep(output);
      case "certificate":
        this.#certificate = output.bytes;
        return;
      case "notice":
        this.#notices.set(output.notice, output.bytes);
        return;
      case "event":
        this.events.push({ at: this.#world.now, event: output.event });
        if (this.events.length > EVENTS_MAX) this.events.shift();
        return;
      case "stopped":
        this.#world.schedule(this.#world.now, () => this.crash());
    }
  }

  #keep({ keeping, invites }: Extract<NodeOutput, { kind: "keep-invites" }>): void {
    const ok = !this.isDiskFull;
    if (ok) this.#invites = invites;
    this.#world.schedule(this.#world.now, () => this.input({ kind: "kept", keeping, ok }));
  }

  /** One wake-up at the earlier of both deadlines; one that an earlier wake-up replaced does nothing. */
  #arm(): void {
    const at = Math.min(this.#node?.deadline() ?? NEVER, this.#engine?.deadline() ?? NEVER);
    if (at === NEVER || at >= this.#armedAt) return;
    this.#armedAt = at;
    const boot = this.#boots;
    this.#world.schedule(at, () => {
      if (boot !== this.#boots || at !== this.#armedAt) return;
      this.#armedAt = NEVER;
      this.#wake();
    });
  }

  #wake(): void {
    this.#turn(() => {
      const now = this.#world.now;
      if ((this.#engine?.deadline() ?? NEVER) <= now) this.#engine?.tick();
      if ((this.#node?.deadline() ?? NEVER) <= now) this.#handle({ kind: "timeout" });
    });
  }

  #makeEngine(): SoftwareEngine {
    const { suite, networkKey } = this.#options;
    const boot = this.#boots;
    const nets = { packets: this.#network, streams: this.#network.streams };
    const sockets = new HostSockets(this.endpoint.ip, nets, (act) => {
      if (boot === this.#boots) this.#turn(() => this.#engine !== undefined && act(this.#engine));
    });
    return new SoftwareEngine({
      sockets: 1,
      mac1Key: deriveClusterKeys(suite, networkKey).mac1Key,
      host: {
        now: () => this.#world.now,
        send: (socket, to, bytes) =>
          this.#network.send(sockets.endpointOf(socket) ?? this.endpoint, to, bytes),
        sockets,
        tapWrite: (frame) => {
          this.stack.receive(frame);
          this.onTapFrame(frame);
        },
        largestDatagram: () => ETHERNET_DATAGRAM,
      },
    });
  }

  #makeConfig(rng: Rng): NodeConfig {
    const identity = new SeededRng(labelHash(this.name, this.#options.seed));
    return {
      networkName: "sim",
      networkKey: this.#options.networkKey,
      identitySeed: identity.bytes(32),
      nodeName: this.name,
      boot: (BigInt(rng.u32()) << 32n) | BigInt(rng.u32()),
      digest: new Uint8Array(32),
      range: { first: "10.99.0.0", prefix: 24 },
      leaseSeconds: 3_600,
      addressMode: "auto",
      claims: [],
      mac: this.#mac,
      mtu: 1_390,
      sockets: [4],
      bound: [this.endpoint],
      stun: "members",
      hasAes: true,
      bootstrap: this.#options.bootstrap,
      localEndpoints: [this.endpoint],
      version: "sim",
      wallSeconds: 1_800_000_000,
      ...(this.#saved === undefined ? {} : { saved: this.#saved }),
      notices: [...this.#notices.values()],
      ...this.#options.config?.(),
      invites: this.#invites,
      ...(this.#certificate === undefined ? {} : { certificate: this.#certificate }),
    };
  }

  #chooseMac(): Mac {
    const bytes = new SeededRng(labelHash(`${this.name}/mac`, this.#options.seed)).bytes(6);
    bytes[0] = ((bytes[0] ?? 0) & 0xfc) | 0x02;
    return macFromBytes(bytes);
  }
}
