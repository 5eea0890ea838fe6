/**
 * Rings in virtual time: pure Ring machines joined by fake links. A link comes up when a three-message
 * handshake, routed over the ring like the real one, has gone through; a fake link delivers each
 * message exactly once, later when packets are lost, and reports what it could not deliver.
 */
import type { Endpoint } from "../../src/base/net.ts";
import {
  addressFromBytes,
  addressToBytes,
  nearestTo,
  type RingAddress,
} from "../../src/base/ring-address.ts";
import { SeededRng, unit } from "../../src/base/rng.ts";
import { Ring, type RingInput, type RingOutput } from "../../src/ring/ring.ts";

const HANDSHAKE = 0x22;
const PAYLOAD = 0x25;

/** What a peer without an authority shows. */
const NO_AUTHORITY = { groups: [], serial: 0n, issuers: [] };

export interface NetOptions {
  readonly seed: number;
  /** Probability that one packet is lost. */
  readonly loss?: number;
  /** Pairs that can have no link at all. */
  readonly blocked?: (a: RingAddress, b: RingAddress) => boolean;
}

interface Event {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
}

interface FakeLink {
  readonly peer: TestNode;
  readonly id: number;
}

interface Delivery {
  readonly to: RingAddress;
  readonly source: RingAddress;
  readonly payload: Uint8Array;
  readonly hops: number;
}

export class TestNode {
  readonly address: RingAddress;
  readonly ring: Ring;
  alive = true;
  group = 0;
  wakeAt = Number.POSITIVE_INFINITY;
  readonly links = new Map<number, FakeLink>();
  readonly byPeer = new Map<RingAddress, FakeLink>();
  readonly connecting = new Map<RingAddress, number>();
  readonly outputs: RingOutput[] = [];

  constructor(address: RingAddress, ring: Ring) {
    this.address = address;
    this.ring = ring;
  }
}

export class VirtualNet {
  now = 0;
  readonly nodes: TestNode[] = [];
  readonly deliveries: Delivery[] = [];
  events = 0;
  closes: string[] = [];
  pathBroken = 0;
  readonly #options: NetOptions;
  readonly #rng: SeededRng;
  #broken: readonly TestNode[] = [];
  #heap: Event[] = [];
  #order = 0;
  #nextLink = 1;
  #ringSeed = 1;

  constructor(options: NetOptions) {
    this.#options = options;
    this.#rng = new SeededRng(options.seed);
  }

  add(address: RingAddress): TestNode {
    const rng = new SeededRng(this.#options.seed, this.#ringSeed++);
    const node = new TestNode(address, new Ring({ self: address, rng }));
    this.nodes.push(node);
    return node;
  }

  randomAddress(): RingAddress {
    return addressFromBytes(this.#rng.bytes(20));
  }

  /** A link to a known endpoint of a member, as `bootstrap:` makes it. */
  bootstrap(from: TestNode, to: TestNode): void {
    this.#after(2 * this.#latency(from, to), () => this.#makeLink(from, to));
  }

  crash(node: TestNode): void {
    node.alive = false;
    for (const link of node.links.values()) this.#goSilent(link.peer, node);
  }

  /** Says goodbye on every link. */
  leave(node: TestNode): void {
    node.alive = false;
    for (const { peer } of node.links.values()) {
      this.#after(this.#latency(node, peer), () => this.#linkDown(peer, node, "peer: goodbye"));
    }
  }

  /** Nodes of different groups hear nothing of each other. */
  partition(groupOf: (node: TestNode) => number): void {
    for (const node of this.nodes) node.group = groupOf(node);
    for (const node of this.nodes) {
      for (const { peer } of node.links.values()) {
        if (peer.group !== node.group) this.#goSilent(node, peer);
      }
    }
  }

  heal(): void {
    for (const node of this.nodes) node.group = 0;
  }

  /** One link's path dies although both ends live; path-broken mends it. */
  breakPath(a: TestNode, b: TestNode): void {
    const link = a.byPeer.get(b.address);
    if (link === undefined) throw new Error("no such link");
    this.#broken = [a, b];
    this.feed(a, { kind: "silent", link: link.id, address: b.address });
  }

  run(untilMs: number): void {
    while ((this.#heap[0]?.at ?? Number.POSITIVE_INFINITY) <= untilMs) {
      const event = this.#pop();
      this.now = event.at;
      this.events++;
      event.run();
    }
    this.now = untilMs;
  }

  /** @returns how long it took, undefined when it did not come true in time */
  runUntil(fact: () => boolean, limitMs: number): number | undefined {
    const start = this.now;
    for (let at = start; at <= start + limitMs; at += 100) {
      this.run(at);
      if (fact()) return this.now - start;
    }
    return undefined;
  }

  live(): TestNode[] {
    return this.nodes.filter((node) => node.alive);
  }

  /** Every view shows exactly the nearest four a side of the sorted order of live nodes. */
  isClosed(nodes = this.live()): boolean {
    return this.faults(nodes).length === 0;
  }

  faults(nodes = this.live()): string[] {
    const order = [...nodes].sort((a, b) => (a.address < b.address ? -1 : 1));
    const out: string[] = [];
    const reach = Math.min(4, order.length - 1);
    for (const [i, node] of order.entries()) {
      const view = node.ring.view();
      for (let step = 1; step <= reach; step++) {
        const next = order[(i + step) % order.length]?.address;
        const before = order[(i - step + order.length * 4) % order.length]?.address;
        if (view.successors[step - 1] !== next) out.push(`${text(node.address)} successor ${step}`);
        if (view.predecessors[step - 1] !== before) {
          out.push(`${text(node.address)} predecessor ${step}`);
        }
      }
      if (view.successors.length !== reach) out.push(`${text(node.address)} lists too many`);
    }
    return out;
  }

  isStable(nodes = this.live()): boolean {
    return nodes.every((node) => node.ring.view().stable);
  }

  /** Share of ordered pairs whose message arrives within five seconds, exactly at the target. */
  routableShare(nodes = this.live()): { share: number; hops: number; lost: string[] } {
    this.deliveries.length = 0;
    for (const from of nodes) {
      for (const to of nodes) {
        const route = { kind: "route", to: to.address, mode: "exact" } as const;
        const payload = addressToBytes(to.address);
        this.feed(from, { ...route, payloadType: PAYLOAD, payload, excludeSelf: false });
      }
    }
    this.run(this.now + 5_000);
    const arrived = new Set<string>();
    let hops = 0;
    for (const one of this.deliveries) {
      if (addressFromBytes(one.payload) !== one.to) throw new Error("delivered to a stranger");
      arrived.add(`${one.source}>${one.to}`);
      hops += one.hops;
    }
    const lost = nodes.flatMap((a) =>
      nodes
        .filter((b) => !arrived.has(`${a.address}>${b.address}`))
        .map((b) => `${text(a.address)}>${text(b.address)}`),
    );
    const all = nodes.length ** 2;
    return { share: arrived.size / all, hops: hops / this.deliveries.length, lost };
  }

  /** Sends to random keys from random nodes; the share delivered at the true nearest member. */
  nearestShare(tries: number, nodes = this.live()): number {
    this.deliveries.length = 0;
    const keys: RingAddress[] = [];
    for (let i = 0; i < tries; i++) {
      const from = nodes[Math.floor(unit(this.#rng) * nodes.length)];
      if (from === undefined) continue;
      const key = this.randomAddress();
      keys.push(key);
      const route = { kind: "route", to: key, mode: "nearest" } as const;
      const payload = addressToBytes(key);
      this.feed(from, { ...route, payloadType: PAYLOAD, payload, excludeSelf: false });
    }
    this.run(this.now + 5_000);
    const addresses = nodes.map((node) => node.address);
    const right = this.deliveries.filter(
      (one) => nearestTo(addressFromBytes(one.payload), addresses) === one.to,
    );
    return new Set(right.map((one) => addressFromBytes(one.payload))).size / keys.length;
  }

  feed(node: TestNode, input: RingInput): void {
    if (!node.alive) return;
    node.ring.handle(this.now, input);
    for (let out = node.ring.poll(); out !== undefined; out = node.ring.poll()) {
      this.#output(node, out);
    }
    const at = Math.max(node.ring.deadline(), this.now);
    if (at < node.wakeAt) {
      node.wakeAt = at;
      this.#at(at, () => this.#wake(node, at));
    }
  }

  #wake(node: TestNode, at: number): void {
    if (node.wakeAt !== at) return;
    node.wakeAt = Number.POSITIVE_INFINITY;
    this.feed(node, { kind: "timeout" });
  }

  #output(node: TestNode, output: RingOutput): void {
    switch (output.kind) {
      case "send":
        return this.#sendOver(node, output);
      case "connect":
        return this.#connect(node, output.address);
      case "close":
        return this.#close(node, output.link, output.reason);
      case "path-broken":
        this.pathBroken++;
        this.#broken = [];
        return;
      case "deliver":
        if (output.payloadType === HANDSHAKE) return this.#handshake(node, output);
        this.deliveries.push({ to: node.address, ...output });
        return;
      default:
        node.outputs.push(output);
    }
  }

  #sendOver(node: TestNode, output: Extract<RingOutput, { kind: "send" }>): void {
    const link = node.links.get(output.link);
    const { token } = output;
    const sent = (ok: boolean): void => {
      if (token !== 0) this.feed(node, { kind: "sent", token, ok });
    };
    if (link === undefined) return this.#after(0, () => sent(false));
    let delay = this.#latency(node, link.peer);
    let tries = 1;
    while (unit(this.#rng) < (this.#options.loss ?? 0)) {
      if (tries++ === 4) return this.#after(3_000, () => sent(false));
      delay += 300;
    }
    this.#after(delay, () => {
      const there = link.peer.byPeer.get(node.address);
      const broken = this.#broken.includes(node) && this.#broken.includes(link.peer);
      if (broken || !this.#reaches(node, link.peer) || there === undefined) {
        return this.#after(3_000, () => sent(false));
      }
      const message = { kind: "message", link: there.id, address: node.address } as const;
      this.feed(link.peer, { ...message, bytes: output.bytes });
      this.#after(this.#latency(node, link.peer), () => sent(true));
    });
  }

  #connect(node: TestNode, to: RingAddress): void {
    if (node.byPeer.has(to)) return;
    const until = this.now + 5_000;
    if (node.connecting.has(to)) return;
    node.connecting.set(to, until);
    const attempt = (wait: number): void => {
      if (node.byPeer.has(to) || this.now >= until) {
        node.connecting.delete(to);
        return;
      }
      this.#route(node, to, 1);
      this.#after(wait, () => attempt(Math.min(2 * wait, 2_000)));
    };
    attempt(500);
  }

  /** Stage 1 and 3 by the initiator, 2 by the responder. */
  #handshake(node: TestNode, message: { source: RingAddress; payload: Uint8Array }): void {
    const stage = message.payload[0] ?? 0;
    const peer = this.nodes.find((one) => one.address === message.source);
    if (peer === undefined || this.#isBlocked(node.address, peer.address)) return;
    if (node.byPeer.has(peer.address) && stage < 3) return;
    if (stage === 1) this.#route(node, peer.address, 2);
    else if (stage === 2) this.#makeLink(node, peer);
  }

  #route(node: TestNode, to: RingAddress, stage: number): void {
    const route = { kind: "route", to, mode: "exact", payloadType: HANDSHAKE } as const;
    this.feed(node, { ...route, payload: Uint8Array.of(stage), excludeSelf: false });
  }

  #makeLink(initiator: TestNode, responder: TestNode): void {
    if (!this.#reaches(initiator, responder)) return;
    if (initiator.byPeer.has(responder.address)) return;
    if (responder.byPeer.has(initiator.address)) return;
    const one = { peer: responder, id: this.#nextLink++ };
    const two = { peer: initiator, id: this.#nextLink++ };
    initiator.links.set(one.id, one);
    initiator.byPeer.set(responder.address, one);
    responder.links.set(two.id, two);
    responder.byPeer.set(initiator.address, two);
    this.#after(this.#latency(initiator, responder), () => {
      if (responder.links.has(two.id)) this.#linkUp(responder, two, false);
    });
    this.#linkUp(initiator, one, true);
  }

  #linkUp(node: TestNode, { peer, id }: FakeLink, initiatedHere: boolean): void {
    const endpoint: Endpoint = { ip: "192.0.2.1", port: 1 + (Number(peer.address & 0xffffn) >> 1) };
    const keys = { publicKey: new Uint8Array(32), certificate: new Uint8Array(0), ...NO_AUTHORITY };
    const versions = { boot: 1n, minorVersion: 0, capabilities: 0, digest: new Uint8Array(32) };
    this.feed(node, {
      kind: "link-up",
      peer: {
        ...{ link: id, address: peer.address, name: text(peer.address), initiatedHere },
        ...keys,
        ...versions,
        candidates: [endpoint],
      },
    });
    const rttMs = 2 * this.#latency(node, peer);
    const path = { kind: "direct", socket: 0, endpoint } as const;
    this.feed(node, { kind: "path", link: id, address: peer.address, path, rttMs });
  }

  #close(node: TestNode, id: number, reason: string): void {
    const link = node.links.get(id);
    if (link === undefined) return;
    this.closes.push(reason);
    this.#linkDown(node, link.peer, reason);
    this.#after(this.#latency(node, link.peer), () =>
      this.#linkDown(link.peer, node, "closed by peer"),
    );
  }

  #linkDown(node: TestNode, peer: TestNode, reason: string): void {
    const link = node.byPeer.get(peer.address);
    if (link === undefined) return;
    node.byPeer.delete(peer.address);
    node.links.delete(link.id);
    this.feed(node, { kind: "link-down", link: link.id, address: peer.address, reason });
  }

  /** Probes go out every three seconds, two repeats half a second apart. */
  #goSilent(node: TestNode, peer: TestNode): void {
    const link = node.byPeer.get(peer.address);
    if (link === undefined) return;
    const complain = (): void => {
      if (node.byPeer.get(peer.address) !== link || this.#reaches(node, peer)) return;
      this.feed(node, { kind: "silent", link: link.id, address: peer.address });
      this.#after(3_000, complain);
    };
    this.#after(1_000 + 3_000 * unit(this.#rng), complain);
  }

  #reaches(a: TestNode, b: TestNode): boolean {
    return a.alive && b.alive && a.group === b.group;
  }

  #isBlocked(a: RingAddress, b: RingAddress): boolean {
    return this.#options.blocked?.(a, b) ?? false;
  }

  /** 5..65 ms, fixed for a pair. */
  #latency(a: TestNode, b: TestNode): number {
    return 5 + Number((a.address ^ b.address) % 60n);
  }

  #after(delay: number, run: () => void): void {
    this.#at(this.now + delay, run);
  }

  #at(at: number, run: () => void): void {
    const heap = this.#heap;
    const event = { at, order: this.#order++, run };
    let i = heap.push(event) - 1;
    while (i > 0) {
      const up = (i - 1) >> 1;
      const parent = heap[up] as Event;
      if (!before(event, parent)) break;
      heap[i] = parent;
      i = up;
    }
    heap[i] = event;
  }

  #pop(): Event {
    const heap = this.#heap;
    const top = heap[0] as Event;
    const last = heap.pop() as Event;
    if (heap.length === 0) return top;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= heap.length) break;
      const right = heap[child + 1];
      if (right !== undefined && before(right, heap[child] as Event)) child++;
      if (!before(heap[child] as Event, last)) break;
      heap[i] = heap[child] as Event;
      i = child;
    }
    heap[i] = last;
    return top;
  }
}

export function text(address: RingAddress): string {
  return address.toString(16).padStart(40, "0").slice(0, 6);
}

/** `count` addresses evenly spread, so that an order of joins is all that differs. */
export function evenAddresses(count: number): RingAddress[] {
  return Array.from({ length: count }, (_, i) => ((1n << 160n) * BigInt(i)) / BigInt(count) + 7n);
}

function before(a: Event, b: Event): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}
