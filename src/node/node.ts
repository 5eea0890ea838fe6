/**
 * The node: every machine of the core, joined (wiring.ts), plus what concerns all of them: the phases
 * of joining, the bootstrap, commands from outside, the state that outlives a restart.
 */

import type { DropReason } from "../base/drop-reason.ts";
import type { Upcall } from "../base/engine.ts";
import { type Machine, Outbox } from "../base/machine.ts";
import { type Endpoint, type Ip, sameEndpoint } from "../base/net.ts";
import type { RingAddress } from "../base/ring-address.ts";
import { type Millis, NEVER, TimerTable } from "../base/time.ts";
import type { SavedLease } from "../lease/leases.ts";
import { udpEndpointOf } from "../link/stream-sockets.ts";
import type { RingView } from "../ring/ring.ts";
import { parseEcho } from "../wire/echo.ts";
import { PAYLOAD_TYPES } from "../wire/message-type.ts";
import { AutoMtu } from "./auto-mtu.ts";
import { Bootstrap } from "./bootstrap.ts";
import { certificateHealth } from "./certificate-health.ts";
import { NodeCommands } from "./commands.ts";
import type { NodeConfig, NodeInput, NodeOutput, SavedPeer } from "./config.ts";
import { ForeignVersions } from "./foreign-versions.ts";
import { isIssueDatagram, isIssuePayload } from "./issuing.ts";
import { claimedIn, drainIssuing, issuersOf } from "./issuing-ties.ts";
import { buildParts, type Parts, type Tools } from "./parts.ts";
import { Phases } from "./phases.ts";
import { rememberPeers } from "./remembered-peers.ts";
import type { NodeState, NodeStatus } from "./status.ts";
import { innerMtu, reportStatus } from "./status-report.ts";
import { SteadyClock } from "./steady-clock.ts";
import { sumDrops } from "./sum-drops.ts";
import { type FixedAddress, type News, Wiring } from "./wiring.ts";

/** How peers see us; one for each family and NAT is plenty. */
const REFLEXIVE_MAX = 4;
/** Traffic counters feed idle and liveness decisions that work in tens of seconds. */
const TRAFFIC_REPORT_MS = 5_000;
/** Peers change often while joining; the state file need not follow each change. */
const SAVE_DELAY_MS = 2_000;
/** Health speaks of an unanswered bootstrap only after its retries had their chance. */
const UNANSWERED_AFTER_MS = 8_000;
/** A quorum gives an address within seconds; a search through many taken ones needs a little more. */
const ADDRESS_WITHIN_MS = 10_000;

export class Node implements Machine<NodeInput, NodeOutput> {
  readonly #config: NodeConfig;
  readonly #parts: Parts;
  readonly #wiring: Wiring;
  readonly #bootstrap: Bootstrap;
  readonly #commands: NodeCommands;
  readonly #phases = new Phases();
  readonly #timers = new TimerTable<"start" | "traffic" | "save" | "unanswered">();
  readonly #outbox = new Outbox<NodeOutput>();
  #startedAt: Millis = 0;
  #state: NodeState = "starting";
  #local: readonly Endpoint[];
  #reflexive: readonly Endpoint[] = [];
  #leases: readonly SavedLease[];
  #peers: readonly SavedPeer[];
  #unanswered = false;
  readonly #foreign = new ForeignVersions();
  #onlineAt: Millis = 0;
  readonly #clock = new SteadyClock();
  readonly #autoMtu: AutoMtu | undefined;

  constructor(config: NodeConfig, tools: Tools) {
    this.#config = config;
    this.#parts = buildParts(config, tools);
    this.#wiring = new Wiring(
      this.#parts,
      fixedAddressOf(config, claimedIn(config, this.#parts.own)),
    );
    this.#local = config.localEndpoints;
    this.#leases = config.saved?.leases ?? [];
    this.#peers = config.saved?.peers ?? [];
    const remembered = this.#peers.map((peer) => peer.endpoint);
    this.#bootstrap = new Bootstrap(tools.rng.fork("bootstrap"), config.bootstrap, remembered);
    this.#commands = new NodeCommands(this.#parts, config, tools.rng.fork("commands"));
    this.#autoMtu = config.raisesMtu === true ? new AutoMtu() : undefined;
    this.#timers.set("start", 0);
  }

  handle(now: Millis, input: NodeInput): void {
    if (this.#state === "stopped") return;
    if (this.#timers.isSet("start")) this.#start(now);
    this.#take(now, input);
    this.#settle(now);
  }

  poll(): NodeOutput | undefined {
    return this.#outbox.poll();
  }

  deadline(): Millis {
    if (this.#state === "stopped") return NEVER;
    return Math.min(
      this.#timers.deadline(),
      this.#wiring.deadline(),
      this.#phases.deadline(),
      this.#bootstrap.deadline(),
      this.#commands.deadline(),
      this.#parts.issuing?.deadline() ?? NEVER,
    );
  }

  get address(): RingAddress {
    return this.#parts.self;
  }

  /** A snapshot for people and programs. Pure: changes nothing. */
  status(now: Millis): NodeStatus {
    return reportStatus(now, {
      config: this.#config,
      parts: this.#parts,
      state: this.#state,
      startedAt: this.#startedAt,
      health: this.#health(now),
      mtu: this.#mtu,
    });
  }

  /** What the core dropped since its start; the engine counts its own. */
  drops(): Partial<Record<DropReason, number>> {
    const { links, stun, ring, vnet } = this.#parts;
    return sumDrops([
      links.drops(),
      stun.drops(),
      this.#parts.issuing?.drops() ?? {},
      Object.fromEntries(ring.drops()),
      Object.fromEntries(vnet.drops()),
      Object.fromEntries(this.#wiring.drops()),
    ]);
  }

  #start(now: Millis): void {
    this.#timers.clear("start");
    this.#timers.set("traffic", now + TRAFFIC_REPORT_MS);
    this.#startedAt = now;
    const { leases, notices } = this.#parts;
    notices.restore(this.#config.notices ?? []);
    this.#tellWall(now, this.#config.wallSeconds);
    this.#tellEndpoints(now);
    leases.handle(now, { kind: "restore", leases: this.#leases });
    leases.handle(now, { kind: "phase", phase: "waiting" });
    this.#parts.vnet.handle(now, { kind: "restore", leases: this.#leases });
    this.#parts.vnet.handle(now, { kind: "timeout" });
    const search = this.#config.searchesNearby === true;
    this.#parts.issuing?.start(now);
    this.#phases.start(now, { endpoints: !this.#bootstrap.isEmpty, search });
    if (!this.#bootstrap.isEmpty) this.#timers.set("unanswered", now + UNANSWERED_AFTER_MS);
    this.#ask(now);
    this.#become("joining");
  }

  #take(now: Millis, input: NodeInput): void {
    switch (input.kind) {
      case "upcall":
        return this.#upcall(now, input.upcall);
      case "kept":
        return this.#parts.issuing?.kept(input.keeping, input.ok);
      case "timeout":
        return this.#timeout(now);
      case "wall":
        return this.#tellWall(now, input.wallSeconds);
      case "bootstrap":
        this.#bootstrap.setFile(now, input.endpoints);
        if (!this.#bootstrap.isEmpty) this.#phases.somebodyFound(now);
        return;
      case "local-endpoints":
        this.#local = input.endpoints;
        return this.#tellEndpoints(now);
      case "stun-servers":
        return this.#parts.stun.handle(now, { kind: "servers", endpoints: input.endpoints });
      case "proxy":
        return this.#parts.streams.handle(now, input);
      case "command":
        return this.#commands.run(
          now,
          { id: input.id, wallSeconds: this.#clock.at(now) },
          input.command,
        );
    }
  }

  #upcall(now: Millis, upcall: Upcall): void {
    const { issuing } = this.#parts;
    const isQuestion = upcall.kind === "datagram" && isIssueDatagram(upcall.bytes);
    if (!isQuestion || issuing === undefined) return this.#wiring.upcall(now, upcall);
    issuing.datagram(now, this.#clock.at(now), upcall);
  }

  #timeout(now: Millis): void {
    for (const name of this.#timers.takeExpired(now)) {
      if (name === "traffic") {
        this.#reportTraffic(now);
        this.#lookAtMtu(now);
      } else if (name === "save") this.#save();
      else if (name === "unanswered") this.#unanswered = this.#parts.links.views().length === 0;
    }
    this.#wiring.timeout(now);
    if (this.#phases.timeout(now)) this.#phaseChanged(now);
    if (this.#bootstrap.isDue(now)) this.#ask(now);
    this.#commands.timeout(now);
    this.#parts.issuing?.timeout(now, this.#clock.at(now), () => issuersOf(this.#parts));
  }

  /** Everything that one input set off, until the node is quiet again. */
  #settle(now: Millis): void {
    for (let busy = true; busy; ) {
      busy = false;
      this.#wiring.pump(now);
      for (let news = this.#wiring.poll(); news !== undefined; news = this.#wiring.poll()) {
        this.#takeNews(now, news);
        busy = true;
      }
      for (let to = this.#bootstrap.poll(); to !== undefined; to = this.#bootstrap.poll()) {
        this.#parts.links.handle(now, { kind: "connect", to, role: "leaf" });
        busy = true;
      }
      busy ||= drainIssuing(now, this.#parts, (output) => this.#outbox.push(output));
      busy ||= this.#commands.settle(now, this.#wiring.isReleasing);
    }
    for (let out = this.#commands.poll(); out !== undefined; out = this.#commands.poll()) {
      this.#outbox.push(out);
      if (out.kind === "stopped") this.#become("stopped");
    }
  }

  #takeNews(now: Millis, news: News): void {
    switch (news.kind) {
      case "engine":
        // The ring would greet again whom we just said goodbye to.
        if (this.#commands.isStopped && news.command.op === "datagram") return;
        return this.#outbox.push(news);
      case "event":
      case "interface-clear":
      case "notice":
        return this.#outbox.push(news);
      case "interface":
        return this.#outbox.push({ ...news, mtu: this.#mtu });
      case "link-up":
        this.#unanswered = false;
        return this.#linksChanged(now);
      case "handshake":
        return this.#linkedUnder(now);
      case "link-down":
        return this.#linksChanged(now);
      case "connect-failed":
        if (news.major !== undefined) this.#foreign.refused(now, news.to, news.major);
        if (news.reason === "self" && news.to.kind === "endpoint") {
          this.#bootstrap.markSelf(news.to.endpoint);
          this.#tellAsked(now);
          if (this.#bootstrap.isEmpty) this.#phases.nobodyLeft(now);
        }
        return;
      case "reflexive":
        return this.#seenAs(now, news.endpoint);
      case "view":
        return this.#viewChanged(now, news.view);
      case "leases":
        this.#leases = news.leases;
        return this.#save();
      case "echo":
        return this.#echo(now, news);
      case "dht-result":
        return this.#commands.dhtResult(news.request, news.result);
      case "resolved":
        return this.#commands.resolved(now, news.token, news.answer);
    }
  }

  #linksChanged(now: Millis): void {
    const links = this.#parts.links.views().length;
    if (links === 0) this.#lostAll(now);
    if (this.#phases.linksChanged(now, links)) this.#phaseChanged(now);
    this.#timers.setEarlier("save", now + SAVE_DELAY_MS);
  }

  #lostAll(now: Millis): void {
    this.#bootstrap.lostAll(now);
    if (!this.#bootstrap.isEmpty) this.#timers.set("unanswered", now + UNANSWERED_AFTER_MS);
  }

  /** In mode dhcp a machine on the TAP has to ask first. */
  #lacksAddress(now: Millis): boolean {
    const asks = this.#config.addressMode !== "dhcp" && this.#phases.phase !== "joining";
    const isTold = this.#parts.shared.isRangeDisputed;
    if (!asks || isTold || this.#parts.leases.states().length > 0) return false;
    return now >= this.#onlineAt + ADDRESS_WITHIN_MS;
  }

  #viewChanged(now: Millis, view: RingView): void {
    if (this.#phases.ringStable(view.stable)) this.#phaseChanged(now);
  }

  #phaseChanged(now: Millis): void {
    const { phase } = this.#phases;
    this.#onlineAt = now;
    if (phase === "joining") return this.#become("joining");
    this.#parts.dht.handle(now, { kind: "lone", lone: phase === "alone" });
    this.#parts.leases.handle(now, { kind: "phase", phase });
    this.#become("online");
  }

  #become(state: NodeState): void {
    if (this.#state === state) return;
    this.#state = state;
    this.#outbox.push({ kind: "state", state });
  }

  #echo(now: Millis, news: Extract<News, { kind: "echo" }>): void {
    if (isIssuePayload(news.payloadType)) {
      return this.#parts.issuing?.routed(now, this.#clock.at(now), news);
    }
    const echo = parseEcho(news.payload);
    if (!echo.ok) return;
    if (news.payloadType === PAYLOAD_TYPES["echo-reply"]) {
      this.#commands.echoed(now, echo.value.nonce, news.source);
    } else if (news.payloadType === PAYLOAD_TYPES["echo-request"]) {
      this.#parts.ring.handle(now, {
        kind: "route",
        to: news.source,
        mode: "exact",
        payloadType: PAYLOAD_TYPES["echo-reply"],
        payload: news.payload,
        excludeSelf: true,
      });
    }
  }

  #seenAs(now: Millis, endpoint: Endpoint): void {
    const known = [...this.#local, ...this.#reflexive];
    if (known.some((other) => sameEndpoint(other, endpoint))) return;
    this.#reflexive = [endpoint, ...this.#reflexive].slice(0, REFLEXIVE_MAX);
    this.#tellEndpoints(now);
  }

  #tellWall(now: Millis, wallSeconds: number): void {
    this.#parts.links.handle(now, { kind: "wall", wallSeconds });
    this.#judgeBy(now, this.#clock.tell(now, wallSeconds));
  }

  /** A handshake was made under the clock as it is: it is right, whatever was believed before. */
  #linkedUnder(now: Millis): void {
    const wallSeconds = this.#clock.linked(now);
    if (wallSeconds !== undefined) this.#judgeBy(now, wallSeconds);
  }

  #judgeBy(now: Millis, wallSeconds: number): void {
    this.#parts.dht.handle(now, { kind: "wall", wallSeconds });
    this.#parts.vnet.handle(now, { kind: "wall", wallSeconds });
  }

  #tellEndpoints(now: Millis): void {
    const local = { kind: "local-endpoints", endpoints: this.#local } as const;
    this.#parts.links.handle(now, local);
    this.#parts.stun.handle(now, local);
    const endpoints = [...this.#local, ...this.#reflexive];
    this.#parts.ring.handle(now, { kind: "local-endpoints", endpoints });
  }

  #reportTraffic(now: Millis): void {
    this.#outbox.push({ kind: "engine", command: { op: "report-traffic" } });
    this.#timers.set("traffic", now + TRAFFIC_REPORT_MS);
  }

  get #mtu(): number {
    return this.#autoMtu?.mtu ?? this.#config.mtu;
  }

  #lookAtMtu(now: Millis): void {
    const paths = this.#parts.links.views().flatMap((view) => {
      const mtu = innerMtu(view);
      return mtu === undefined ? [] : [{ mtu, isSettled: view.isSizeSettled }];
    });
    const event = this.#autoMtu?.look(now, paths);
    if (event === undefined) return;
    this.#outbox.push({ kind: "mtu", mtu: this.#mtu });
    this.#outbox.push({ kind: "event", event });
  }

  #ask(now: Millis): void {
    const paths = this.#parts.links.views().map((view) => view.path);
    const linked = paths.map(udpEndpointOf).filter((endpoint) => endpoint !== undefined);
    const isAlone = paths.every((path) => path.kind !== "direct");
    if (paths.every(({ kind }) => kind === "none")) {
      this.#bootstrap.remember(this.#peers.map(({ endpoint }) => endpoint));
    }
    this.#bootstrap.attempt(now, linked, isAlone);
    this.#tellAsked(now);
  }

  #tellAsked(now: Millis): void {
    const { targets } = this.#bootstrap;
    this.#parts.streams.handle(now, { kind: "asked", endpoints: targets });
  }

  #save(): void {
    this.#timers.clear("save");
    this.#peers = rememberPeers(this.#parts.links.views(), this.#peers);
    const state = { version: 1, leases: this.#leases, peers: this.#peers } as const;
    this.#outbox.push({ kind: "save", state });
  }

  #health(now: Millis): string[] {
    const lines = this.#foreign.health(now);
    if (this.#unanswered && lines.length === 0) {
      lines.push(
        "no bootstrap endpoint answers: check that it runs, that UDP reaches it, and that both files hold the same secret",
      );
    }
    if (this.#lacksAddress(now)) {
      lines.push("no address: the pool is full, the address is taken, or no quorum answers");
    }
    const { isShutOut, leases, notices, shared, vnet } = this.#parts;
    if (isShutOut()) {
      lines.push(
        "the authority revoked this node: every member refuses it; ask for a new certificate, for a new key",
      );
    }
    lines.push(...certificateHealth(now, this.#parts, this.#clock.at(now)));
    lines.push(...leases.health(now), ...vnet.health());
    return [...lines, ...notices.lines(), ...shared.lines()];
  }
}

/** @param certified an address that the node's certificate claims */
function fixedAddressOf(config: NodeConfig, certified: Ip | undefined): FixedAddress | undefined {
  const claimed = config.claims.find((claim) => claim.name === config.nodeName)?.ip;
  const ip = config.staticIp ?? claimed ?? certified;
  return ip === undefined ? undefined : { ip, mac: config.mac };
}
