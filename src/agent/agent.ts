/**
 * One agent serves one network: it joins a node and an engine to this machine's files, interface,
 * clock, sockets and people.
 *
 *     start: folder -> lock -> identity, state -> names -> engine (TAP, UDP) -> node -> sockets -> driver
 *     stop:  command `stop` -> stopped -> state written -> driver, sockets, engine closed -> lock released
 *
 * The TAP stays with its address and routes: the next start takes it up again; `weft down` removes it.
 */
import { rmSync } from "node:fs";
import { join } from "node:path";
import type { Engine, EngineCounters, Upcall } from "../base/engine.ts";
import type { CoreEvent } from "../base/event.ts";
import { type Endpoint, endpointText, familyOf, subnetText } from "../base/net.ts";
import { WallClock } from "../base/wall-clock.ts";
import { deriveClusterKeys } from "../crypto/cluster-keys.ts";
import { Driver, type HostOutput } from "../io/driver.ts";
import { type IpResult, overlappingAddress } from "../io/interface.ts";
import type { NodeCommand, NodeReply } from "../node/command.ts";
import type { NodeInput } from "../node/config.ts";
import { sumDrops } from "../node/sum-drops.ts";
import type { AgentStatus } from "./agent-status.ts";
import type { AgentNode, AgentTools, OpenedEngine } from "./agent-tools.ts";
import { resolveBootstrap, resolveHosts } from "./bootstrap-names.ts";
import { BridgedSite, type BridgePlan } from "./bridged-site.ts";
import type { Config } from "./config.ts";
import { Credentials } from "./credentials.ts";
import { messageOf, systemCodeOf, WeftError } from "./errors.ts";
import { healthLines } from "./health.ts";
import { identityFile, loadIdentity, prepareFolder } from "./identity-file.ts";
import { acquireLock, type InstanceLock } from "./instance-lock.ts";
import { Journal } from "./journal.ts";
import { LoopLag } from "./loop-lag.ts";
import { NodeCommands } from "./node-commands.ts";
import { mtuOf, planNode, portMac, socketsOf, tapMac } from "./node-plan.ts";
import { NoticeFile, noticeFile } from "./notice-file.ts";
import { ownEvent, withoutFigures } from "./own-event.ts";
import { resolveProxy } from "./proxy-route.ts";
import { planReload, type Reload } from "./reload.ts";
import { loadState, saveState, stateFile } from "./state-file.ts";
import { StateSaver } from "./state-saver.ts";
import { Surroundings } from "./surroundings.ts";
import { TrafficTotals } from "./traffic-totals.ts";
import { isOnLan } from "./underlay.ts";

export type AgentEnd =
  | { readonly kind: "stopped" }
  | { readonly kind: "left" }
  | { readonly kind: "bug"; readonly error: unknown };

const UNDERLAY_EVERY_MS = 5_000;
const NAMES_EVERY_MS = 60_000;
const WALL_EVERY_MS = 3_600_000;
/** Slewing stays far below this. */
const WALL_JUMP_SECONDS = 2;
/** Names are asked for before the node starts, but a dead resolver must not keep it from starting. */
const NAMES_AT_START_MS = 3_000;
const STOP_LIMIT_MS = 3_000;
const LEAVE_LIMIT_MS = 10_000;
/** A router takes a mapping back within milliseconds by PCP or NAT-PMP, within two seconds by UPnP. */
const GIVE_BACK_MS = 3_000;

/** `d`, the first byte of every message of the BitTorrent DHT (BEP 5). */
const BENCODE_FIRST = 0x64;

/** Everything that exists only while the agent runs. */
interface Running {
  readonly node: AgentNode;
  readonly driver: Driver;
  readonly opened: OpenedEngine;
  readonly surroundings: Surroundings;
}

export class Agent {
  #config: Config;
  readonly #tools: AgentTools;
  readonly #folder: string;
  readonly #site: BridgedSite | undefined;
  readonly journal = new Journal();
  readonly traffic = new TrafficTotals();
  readonly #lag = new LoopLag();
  readonly #wall = new WallClock();
  readonly #commands: NodeCommands;
  readonly #saver: StateSaver;
  readonly #credentials: Credentials;
  readonly #notices: NoticeFile;
  readonly #timers: NodeJS.Timeout[] = [];
  /** By what it is about; each is a `!` line of status until it is over. */
  readonly #conditions = new Map<string, string>();
  /** Health lines the journal knows of, by their text without figures. */
  #noted = new Map<string, string>();
  readonly finished: Promise<AgentEnd>;
  /** Told when the authority's shared part of the file is another one. */
  onSharedPart: () => void = () => undefined;
  #finish: (end: AgentEnd) => void = () => undefined;
  #lock: InstanceLock | undefined;
  #running: Running | undefined;
  /** The route that the node was told last, as JSON. */
  #proxyRoute: string | undefined;
  #isLookingUp = false;
  #leaving = false;
  #ended = false;

  constructor(config: Config, tools: AgentTools) {
    this.#config = config;
    this.#tools = tools;
    this.#folder = join(config.stateDir, config.name);
    this.#site = tools.bridge && new BridgedSite(tools.bridge, config);
    this.finished = new Promise((resolve) => {
      this.#finish = resolve;
    });
    this.#commands = new NodeCommands((id, command) =>
      this.#input({ kind: "command", id, command }),
    );
    const place = { suite: tools.suite, config, folder: this.#folder };
    this.#credentials = new Credentials(place, (line) => this.#condition("credentials", line));
    this.#saver = new StateSaver((state) => this.#writeState(state));
    this.#notices = new NoticeFile({
      folder: this.#folder,
      onDamaged: (movedTo) => this.#noteDamage("the file of notices", movedTo),
      onCondition: (line) => this.#condition("notices", line),
    });
  }

  /** Everything up to the node's first step. @throws WeftError; nothing is left open then */
  async start(): Promise<void> {
    prepareFolder(this.#folder);
    this.#lock = await acquireLock(this.#folder);
    try {
      await this.#open();
    } catch (error) {
      void this.#close();
      throw error;
    }
    this.#every(UNDERLAY_EVERY_MS, () => this.#lookAtUnderlay());
    this.#every(NAMES_EVERY_MS, () => void this.lookUpNames());
    this.#every(WALL_EVERY_MS, () => this.#tellWall());
    this.#lag.start();
  }

  /** Lets the node act. Apart from `start`, so that sockets can be bound in between. */
  run(): void {
    this.#running?.driver.start();
    void this.#lookUpServers();
    void this.#lookUpProxy();
    this.#running?.surroundings.start();
  }

  status(): AgentStatus {
    const { node, opened, surroundings } = this.#need();
    const status = node.status(this.#tools.now());
    const peers = status.peers.length;
    const { dropped } = this.counters();
    const loopLagMs = this.#lag.worstMs;
    const own = healthLines({
      peers,
      dropped,
      loopLagMs,
      conditions: [...this.#conditions.values()],
    });
    return {
      ...status,
      peers: status.peers.map((peer) => ({ ...peer, lan: this.#isOnLan(peer.endpoint) })),
      state: status.state === "online" && own.length > 0 ? "degraded" : status.state,
      health: [...status.health, ...own],
      interface: this.#config.interfaceName,
      bridge: this.#config.bridge,
      range: subnetText(this.#config.range),
      addressMode: this.#config.addressMode,
      listen: opened.endpoints.map(endpointText),
      portMapping: surroundings.portMapping,
      agentVersion: this.#tools.version,
      pid: process.pid,
      loopLagMs,
    };
  }

  #isOnLan(endpoint: string | undefined): boolean {
    return endpoint !== undefined && isOnLan(endpoint, this.#tools.hostAddresses());
  }

  /** The engine's counters; what was dropped counts the core's share too. */
  counters(): EngineCounters {
    const { node, opened, surroundings } = this.#need();
    const counters = opened.engine.counters();
    const dropped = sumDrops([counters.dropped, node.drops(), surroundings.drops()]);
    return { ...counters, dropped };
  }

  ask(command: NodeCommand): Promise<Exclude<NodeReply, { kind: "failed" }>> {
    this.#need();
    return this.#commands.run(command);
  }

  /** Gives this node another key at its next start. @throws WeftError */
  rotate(): Promise<void> {
    return this.#credentials.rotate((command) => this.ask(command));
  }

  /** Takes over what a changed file may change in a running agent. */
  reload(fresh: Config): Reload {
    const reload = planReload(this.#config, fresh);
    this.#config = reload.config;
    this.#tools.log.level = reload.config.log;
    this.#condition("config", undefined);
    void this.lookUpNames();
    return reload;
  }

  /** What is to be done about the authority's shared part, if anything is. */
  saySharedPart(line: string | undefined): void {
    this.#condition("shared", line);
  }

  /** The file was changed into one that cannot be used: the agent goes on with what it has. */
  refuseReload(problem: string): void {
    this.#condition("config", `not reloaded: ${problem.split("\n")[0] ?? ""}`);
    void this.lookUpNames();
  }

  /** Says goodbye, keeps the lease. Ends in `finished`. */
  stop(): void {
    this.#sayGoodbye("stop", STOP_LIMIT_MS);
  }

  /** Gives the lease back and forgets the identity. */
  leave(): void {
    this.#leaving = true;
    this.#sayGoodbye("leave", LEAVE_LIMIT_MS);
  }

  /** Asks DNS for the bootstrap names now. */
  async lookUpNames(): Promise<void> {
    if (this.#isLookingUp) return;
    this.#isLookingUp = true;
    this.#running?.surroundings.setNames(await this.#resolve());
    await Promise.all([this.#lookUpServers(), this.#lookUpProxy()]);
    this.#isLookingUp = false;
  }

  async #open(): Promise<void> {
    const { suite, hasAes, version } = this.#tools;
    const seed = loadIdentity(this.#folder);
    const credentials = this.#credentials.load(seed);
    const saved = this.#loadState();
    const notices = this.#notices.load();
    this.#refuseOverlap();
    const bootstrap = await Promise.race([
      this.#resolve(),
      afterMs<Endpoint[]>(NAMES_AT_START_MS, []),
    ]);
    const bridged = await this.#site?.plan(mtuOf(this.#config));
    const opened = this.#openEngine(seed, bridged);
    const boot = this.#tools.drawBoot();
    const surroundings = this.#createSurroundings(opened, boot, bootstrap);
    try {
      this.#refuse(await this.#setUp(bridged));
      const facts = { credentials, seed, boot, saved, notices, hasAes, version, bootstrap };
      const rest = {
        localEndpoints: surroundings.local,
        wallSeconds: this.#wallSeconds(),
        bound: opened.endpoints,
        ...(bridged === undefined ? {} : { bridgeMac: bridged.mac }),
      };
      this.#wall.tell(this.#tools.now(), rest.wallSeconds);
      const node = this.#tools.createNode(planNode(this.#config, suite, { ...facts, ...rest }));
      const driver = this.#createDriver(node, opened.engine);
      this.#running = { node, opened, surroundings, driver };
    } catch (error) {
      opened.engine.close();
      throw error;
    }
  }

  async #setUp(bridged: BridgePlan | undefined): Promise<IpResult> {
    const mtu = bridged?.mtu ?? mtuOf(this.#config);
    const up = await this.#tools.hostInterface.setUp(mtu);
    return up.ok && this.#site !== undefined ? this.#site.join() : up;
  }

  #openEngine(seed: Uint8Array, bridged: BridgePlan | undefined): OpenedEngine {
    const { suite, hasIpv6, openEngine } = this.#tools;
    const mac = bridged === undefined ? tapMac(suite, seed) : portMac(suite, seed);
    const mtu = bridged?.mtu ?? mtuOf(this.#config);
    return openEngine({
      sockets: socketsOf(this.#config, hasIpv6),
      tap: { name: this.#config.interfaceName, mac, mtu },
      bencode: this.#config.bootstrap.some(({ kind }) => kind === "mainline"),
      mac1Key: deriveClusterKeys(suite, this.#config.networkKey).mac1Key,
      onUpcalls: (upcalls) => this.#running?.driver.deliver(upcalls),
    });
  }

  #createSurroundings(
    opened: OpenedEngine,
    boot: bigint,
    names: readonly Endpoint[],
  ): Surroundings {
    return new Surroundings({
      config: this.#config,
      tools: this.#tools,
      bound: opened.endpoints,
      boot,
      names,
      send: (to, bytes) => {
        const socket = opened.endpoints.findIndex(({ ip }) => familyOf(ip) === 4);
        if (socket >= 0) opened.engine.apply([{ op: "datagram", socket, to, bytes }]);
      },
      hasPeers: () => (this.#running?.node.status(this.#tools.now()).peers.length ?? 0) > 0,
      onLocal: (endpoints) => {
        if (this.#ended) return;
        this.#input({ kind: "local-endpoints", endpoints });
        // Another network may have another resolver, and members that did not answer may do so from here.
        void this.lookUpNames();
      },
      onFound: (endpoints) => this.#input({ kind: "bootstrap", endpoints }),
    });
  }

  #createDriver(node: AgentNode, engine: Engine): Driver {
    return new Driver({
      node,
      engine,
      now: this.#tools.now,
      onOutput: (output) => this.#take(output),
      onUpcall: (upcall) => this.#takeUpcall(upcall),
      onBug: (error) => this.#end({ kind: "bug", error }),
    });
  }

  /** @returns whether it was for the guest in the BitTorrent DHT */
  #takeUpcall(upcall: Upcall): boolean {
    if (upcall.kind === "traffic") this.traffic.take(upcall.sessions);
    if (upcall.kind !== "datagram" || upcall.bytes[0] !== BENCODE_FIRST) return false;
    this.#running?.surroundings.receiveForeign(upcall.from, upcall.bytes);
    return true;
  }

  #take(output: HostOutput): void {
    switch (output.kind) {
      case "interface":
        return void this.#settle(
          "address",
          this.#site?.setAddress(output.ip) ??
            this.#tools.hostInterface.setAddress(output.ip, this.#config.range),
        );
      case "mtu":
        return void this.#settle("mtu", this.#tools.hostInterface.setMtu(output.mtu));
      case "interface-clear":
        return void this.#settle(
          "address",
          (this.#site ?? this.#tools.hostInterface).clearAddress(output.ip),
        );
      case "state":
        return this.#tools.log.info({ state: output.state }, "state");
      case "event":
        return this.#note(output.event);
      case "reply":
        return this.#commands.take(output.id, output.reply);
      case "save":
        return this.#saver.save(output.state);
      case "keep-invites": {
        const { keeping, invites } = output;
        const ok = this.#credentials.keepInvites(invites);
        return this.#input({ kind: "kept", keeping, ok });
      }
      case "certificate":
        return this.#credentials.wear(output.bytes);
      case "notice":
        this.#notices.save(output.notice, output.bytes);
        return output.notice === "shared" ? this.onSharedPart() : undefined;
      case "stopped":
        return this.#end({ kind: this.#leaving ? "left" : "stopped" });
    }
  }

  async #settle(about: string, step: Promise<IpResult>): Promise<void> {
    const result = await step;
    this.#condition(
      about,
      result.ok ? undefined : `${result.detail}: set the address by hand, or correct what it names`,
    );
  }

  /** Status says it as long as it lasts, journal and log when it begins and ends. */
  #condition(about: string, line: string | undefined): void {
    if (this.#conditions.get(about) === line) return;
    if (line === undefined) this.#conditions.delete(about);
    else this.#conditions.set(about, line);
    this.#noteHealth();
  }

  /** Lines of the protocol come and go without an event of their own: they are compared here. */
  #noteHealth(): void {
    if (this.#running === undefined) return;
    const now = new Map(this.status().health.map((line) => [withoutFigures(line), line]));
    for (const [key, line] of now) {
      if (!this.#noted.has(key)) this.#note(ownEvent("condition", line, {}));
    }
    for (const [key, line] of this.#noted) {
      if (!now.has(key)) this.#note(ownEvent("condition-over", line, {}));
    }
    this.#noted = now;
  }

  #note(event: CoreEvent): void {
    const { number } = this.journal.add(this.#tools.wallMs(), event);
    const { fields, coolDownMs, ...said } = event;
    this.#tools.log.info({ ...fields, number, ...said }, event.what);
  }

  #noteDamage(file: string, movedTo: string): void {
    this.#note(ownEvent("state-damaged", `${file} was damaged and is now ${movedTo}`, {}));
  }

  #loadState(): ReturnType<typeof savedOf> {
    try {
      const loaded = loadState(this.#folder);
      if (loaded.kind === "damaged") this.#noteDamage("the state file", loaded.movedTo);
      return savedOf(loaded);
    } catch (error) {
      throw new WeftError(
        "state-unwritable",
        `${stateFile(this.#folder)} cannot be read (${systemCodeOf(error) ?? messageOf(error)}): run as its owner`,
      );
    }
  }

  #writeState(state: Parameters<typeof saveState>[1]): void {
    try {
      saveState(this.#folder, state);
      this.#condition("state", undefined);
    } catch (error) {
      const why = systemCodeOf(error) ?? messageOf(error);
      this.#condition(
        "state",
        `${stateFile(this.#folder)} cannot be written (${why}): free space or correct its owner`,
      );
    }
  }

  #refuse(result: IpResult): void {
    if (result.ok) return;
    const cure = {
      "no-ip-command": "install iproute2",
      "no-capability": "run as root or give CAP_NET_ADMIN",
      "interface-failed": "correct what it names",
    };
    throw new WeftError(result.code, `${result.detail}: ${cure[result.code]}`);
  }

  #overlap(): string | undefined {
    const { range, bridge, interfaceName } = this.#config;
    const found = overlappingAddress(range, bridge ?? interfaceName, this.#tools.hostAddresses());
    if (found === undefined) return undefined;
    return `range ${subnetText(range)} overlaps ${found.ip}/${found.prefix} on ${found.interface}: choose another range in every member's file`;
  }

  #refuseOverlap(): void {
    const line = this.#overlap();
    if (line !== undefined) throw new WeftError("overlapping-subnet", line);
  }

  #tellWall(): void {
    const wallSeconds = this.#wallSeconds();
    this.#wall.tell(this.#tools.now(), wallSeconds);
    this.#input({ kind: "wall", wallSeconds });
  }

  #lookAtUnderlay(): void {
    if (this.#hasJumped()) this.#tellWall();
    this.#condition("overlap", this.#overlap());
    void this.#lookAtBridge();
    this.#noteHealth();
    this.#running?.surroundings.look();
  }

  async #lookAtBridge(): Promise<void> {
    if (this.#site === undefined) return;
    const line = await this.#site.look();
    if (!this.#ended) this.#condition("bridge", line);
  }

  async #resolve(): Promise<Endpoint[]> {
    const { endpoints, problems } = await resolveBootstrap(
      this.#config.bootstrap,
      this.#tools.resolver,
    );
    this.#condition("names", problems.length === 0 ? undefined : problems.join("; "));
    return [...endpoints];
  }

  async #lookUpServers(): Promise<void> {
    const { stunServers } = this.#config;
    if (stunServers.length === 0) return;
    const { endpoints, problems } = await resolveHosts(
      stunServers,
      this.#tools.resolver,
      "stun_servers",
    );
    this.#condition("stun", problems.length === 0 ? undefined : problems.join("; "));
    this.#input({ kind: "stun-servers", endpoints });
  }

  async #lookUpProxy(): Promise<void> {
    const { proxy, bootstrap } = this.#config;
    if (proxy === undefined) return;
    const { route, problems } = await resolveProxy(proxy, bootstrap, this.#tools.resolver);
    this.#condition("proxy", problems.length === 0 ? undefined : problems.join("; "));
    const text = JSON.stringify(route);
    if (route === undefined || text === this.#proxyRoute) return;
    this.#proxyRoute = text;
    this.#input({ kind: "proxy", route });
  }

  #sayGoodbye(name: "stop" | "leave", limitMs: number): void {
    if (this.#running === undefined) return this.#end({ kind: "stopped" });
    const kind = this.#leaving ? "left" : "stopped";
    // Before the command: a node that stops at once clears it.
    this.#timers.push(setTimeout(() => this.#end({ kind }), limitMs));
    this.#input({ kind: "command", id: 0, command: { name } });
  }

  #end(end: AgentEnd): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#saver.flush();
    if (end.kind === "left") this.#forget();
    // A router that does not answer is not waited for: the mapping ends by itself.
    const told = this.#close();
    void Promise.race([told, afterMs(GIVE_BACK_MS, undefined)]).then(() => this.#finish(end));
  }

  /** `leave` makes this machine a stranger again. */
  #forget(): void {
    const files = [stateFile, identityFile, noticeFile];
    for (const file of files) rmSync(file(this.#folder), { force: true });
    this.#credentials.forget();
  }

  #close(): Promise<void> {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#lag.stop();
    this.#commands.close();
    this.#running?.driver.close();
    this.#running?.opened.engine.close();
    this.#lock?.release();
    return this.#running?.surroundings.close() ?? Promise.resolve();
  }

  #input(input: NodeInput): void {
    if (!this.#ended) this.#running?.driver.input(input);
  }

  #every(ms: number, step: () => void): void {
    this.#timers.push(setInterval(step, ms));
  }

  /** Somebody set the clock since the node was told. */
  #hasJumped(): boolean {
    return Math.abs(this.#wallSeconds() - this.#wall.at(this.#tools.now())) > WALL_JUMP_SECONDS;
  }

  #wallSeconds(): number {
    return Math.floor(this.#tools.wallMs() / 1_000);
  }

  #need(): Running {
    if (this.#running === undefined)
      throw new WeftError("unavailable", "the agent is still starting: ask again");
    return this.#running;
  }
}

function savedOf(loaded: ReturnType<typeof loadState>) {
  return loaded.kind === "loaded" ? loaded.state : undefined;
}

function afterMs<T>(ms: number, value: T): Promise<T> {
  return new Promise((resolve) => {
    setTimeout(() => resolve(value), ms).unref();
  });
}
