/**
 * The virtual network of one node: what its host sees on the TAP beyond plain unicast.
 *
 *      TAP ── frame, miss ──> inside ──> arp, neighbours, dhcp, forwarding, floods
 *      links ── own-records, held ──> fence        flood ──> floods
 *      leases ── bound, lost ──> host (forward local, carrier, interface), dhcp, announcer, fence
 *      dht ── answers ──> resolver ──> whoever waits
 *
 * This file only dispatches.
 */
import type { DropReason } from "../base/drop-reason.ts";
import type { FilterEntry, Upcall } from "../base/engine.ts";
import type { Machine } from "../base/machine.ts";
import type { Ip } from "../base/net.ts";
import type { RingAddress } from "../base/ring-address.ts";
import type { Millis } from "../base/time.ts";
import { type LinkId, type PeerInfo, REOPENED } from "../link/link-types.ts";
import { MESSAGE_TYPES } from "../wire/message-type.ts";
import { Access } from "./access.ts";
import { AddressQueries } from "./address-queries.ts";
import { Announcer } from "./announcer.ts";
import { ArpResponder } from "./arp-responder.ts";
import { Confirmer } from "./confirmer.ts";
import { VnetContext } from "./context.ts";
import { DhcpGuard } from "./dhcp-guard.ts";
import { DhcpServer } from "./dhcp-server.ts";
import { Fence } from "./fence.ts";
import { Floods } from "./floods.ts";
import { Forwarding } from "./forwarding.ts";
import { Host } from "./host.ts";
import { Inside } from "./inside.ts";
import { LoopGuard } from "./loop-guard.ts";
import { NeighbourResponder } from "./neighbour-responder.ts";
import { Outsiders } from "./outsiders.ts";
import { Peers } from "./peers.ts";
import { type Lookups, Resolver } from "./resolver.ts";
import type { VnetInput, VnetOptions, VnetOutput } from "./vnet-messages.ts";

export type { DhcpMode } from "./dhcp-guard.ts";
export type { Lookups } from "./resolver.ts";
export type { AddressMode, VnetInput, VnetOptions, VnetOutput } from "./vnet-messages.ts";

export class Vnet implements Machine<VnetInput, VnetOutput> {
  readonly #context: VnetContext;
  readonly #peers = new Peers();
  readonly #host: Host;
  readonly #resolver: Resolver;
  readonly #forwarding: Forwarding;
  readonly #arp: ArpResponder;
  readonly #neighbours: NeighbourResponder;
  readonly #dhcp: DhcpServer;
  readonly #guard: DhcpGuard;
  readonly #announcer: Announcer;
  readonly #fence: Fence;
  readonly #access: Access;
  readonly #floods: Floods;
  readonly #queries: AddressQueries;
  readonly #loops: LoopGuard;
  readonly #inside: Inside;

  /** The deadline since the last input; undefined = to be found again. */
  #wakeAt: Millis | undefined;

  constructor(options: VnetOptions) {
    const context = new VnetContext(options);
    this.#context = context;
    this.#host = new Host(context);
    this.#resolver = new Resolver(context);
    const confirmer = new Confirmer(this.#resolver);
    this.#forwarding = new Forwarding(context, this.#host, this.#peers, this.#resolver);
    this.#arp = new ArpResponder(context, {
      host: this.#host,
      outsiders: new Outsiders(context, this.#host),
      resolver: this.#resolver,
      forwarding: this.#forwarding,
    });
    this.#neighbours = new NeighbourResponder(
      context,
      this.#host,
      this.#resolver,
      this.#forwarding,
    );
    this.#dhcp = new DhcpServer(context, this.#host);
    this.#guard = new DhcpGuard(context, this.#host, this.#dhcp);
    this.#announcer = new Announcer(context);
    this.#fence = new Fence(context, this.#host, this.#peers, confirmer);
    this.#access = new Access(context, this.#peers);
    const floodParts = { host: this.#host, peers: this.#peers, confirmer, access: this.#access };
    this.#floods = new Floods(context, floodParts);
    this.#queries = new AddressQueries(context, this.#host, this.#resolver);
    this.#loops = new LoopGuard(context, this.#peers);
    this.#inside = new Inside(context, {
      arp: this.#arp,
      neighbours: this.#neighbours,
      dhcp: this.#guard,
      floods: this.#floods,
      forwarding: this.#forwarding,
      loops: this.#loops,
    });
  }

  handle(now: Millis, input: VnetInput): void {
    this.#wakeAt = undefined;
    this.#take(now, input);
    if (this.#loops.takeChanged()) this.#bridgingChanged(now);
    if (this.#host.takeChanged()) this.#claimsChanged(now);
  }

  poll(): VnetOutput | undefined {
    return this.#context.outbox.poll();
  }

  deadline(): Millis {
    this.#wakeAt ??= Math.min(...this.#timed().map((part) => part.deadline()));
    return this.#wakeAt;
  }

  /** The virtual address of a linked peer, once its claim was confirmed. */
  ipOf(address: RingAddress): Ip | undefined {
    return this.#fence.ipOf(address);
  }

  /** What a person has to decide about the site, a line each; empty when all is well. */
  health(): string[] {
    return [...this.#guard.health(), ...this.#loops.health()];
  }

  /** Questions put to the DHT so far: who holds an address, who has a MAC. */
  lookups(): Lookups {
    return this.#resolver.lookups();
  }

  /** The MACs and addresses that a linked peer may speak for. */
  claimsOf(address: RingAddress): readonly FilterEntry[] {
    return this.#fence.claimsOf(address);
  }

  /** How many frames and messages were dropped, by reason. */
  drops(): ReadonlyMap<DropReason, number> {
    return this.#context.drops();
  }

  #take(now: Millis, input: VnetInput): void {
    switch (input.kind) {
      case "timeout":
        for (const part of this.#timed()) part.timeout(now);
        return;
      case "upcall":
        return this.#upcall(now, input.upcall);
      case "link-up":
        return this.#linkUp(now, input.peer);
      case "link-down":
        return this.#linkDown(input);
      case "path":
        return this.#path(now, input.link, input.usable);
      case "message":
        return this.#message(now, input);
      case "sent":
        if (!this.#floods.sent(input.token, input.ok)) this.#fence.sent(input.token, input.ok);
        return;
      case "give-back":
        return this.#dhcp.giveBack(input.client);
      case "restore":
        return this.#dhcp.restore(now, input.leases);
      case "bound":
        return this.#dhcp.bound(now, input.lease);
      case "refused":
        this.#dhcp.refused(now, input.client, input.reason);
        return this.#host.refused(now, input.client);
      case "lost":
        this.#dhcp.lost(input.client);
        return this.#host.lost(now, input.client);
      case "dht-result":
        return this.#dhtResult(now, input);
      case "resolve":
        return this.#queries.ask(now, input.token, input.ip);
      case "wall":
        return this.#floods.setWall(input.wallSeconds);
      case "certificate":
        return this.#access.selfChanged();
      case "revoked":
        return this.#floods.revoked();
      case "view":
        // Links tell all that floods and forwarding need; the ring's view is for the DHT.
        return;
    }
  }

  #timed(): readonly { timeout(now: Millis): void; deadline(): Millis }[] {
    return [
      this.#host,
      this.#dhcp,
      this.#guard,
      this.#loops,
      this.#announcer,
      this.#forwarding,
      this.#fence,
      this.#floods,
    ];
  }

  #upcall(now: Millis, upcall: Upcall): void {
    if (upcall.kind === "frame") this.#inside.frame(now, upcall.bytes);
    else if (upcall.kind === "miss") this.#inside.miss(now, upcall.mac, upcall.head);
    else if (upcall.kind === "held") {
      this.#fence.held(now, upcall.session, { mac: upcall.mac, ip: upcall.ip });
    }
  }

  #linkUp(now: Millis, peer: PeerInfo): void {
    this.#peers.add(peer);
    this.#access.linkUp(peer);
    this.#fence.linkUp(now, peer);
  }

  /** Frames wait in the engine until a path is there: only then may they go to the peer. */
  #path(now: Millis, link: LinkId, usable: boolean): void {
    const peer = this.#peers.setUsable(link, usable);
    if (peer !== undefined) this.#forwarding.peerReachable(now, peer);
  }

  #linkDown(input: Extract<VnetInput, { kind: "link-down" }>): void {
    this.#peers.remove(input.link);
    this.#fence.linkDown(input.link, input.reason === REOPENED);
    this.#forwarding.linkDown(input.link);
    this.#floods.linkDown(input.link);
  }

  #message(now: Millis, input: Extract<VnetInput, { kind: "message" }>): void {
    const { link, bytes } = input;
    if (this.#peers.byLink(link) === undefined) return this.#context.drop("not-for-us");
    const type = bytes[0];
    if (type === MESSAGE_TYPES.flood) this.#floods.received(now, link, bytes);
    else if (type === MESSAGE_TYPES["own-records"]) this.#fence.received(now, link, bytes);
    else this.#context.drop("unknown-type");
  }

  #dhtResult(now: Millis, input: Extract<VnetInput, { kind: "dht-result" }>): void {
    const settled = this.#resolver.settle(now, input.request, input.result);
    if (settled === undefined) return this.#announcer.settle(now, input.request, input.result);
    const { question, answer } = settled;
    this.#arp.answered(now, question, answer);
    this.#neighbours.answered(now, question, answer);
    this.#queries.answered(question, answer);
    this.#forwarding.answered(now, question, answer);
    this.#fence.answered(now, question);
    this.#floods.answered(now, question);
  }

  #bridgingChanged(now: Millis): void {
    this.#forwarding.forgetAll();
    this.#host.bridgingChanged(now);
  }

  #claimsChanged(now: Millis): void {
    this.#announcer.keep(now, new Set(this.#host.entries().map((entry) => entry.mac)));
    this.#fence.claimsChanged();
  }
}
