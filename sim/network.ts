/**
 * The simulated internet: datagrams between endpoints with latency, loss, duplication and pairs that
 * cannot talk. Everything is drawn from one seed.
 */
import type { Endpoint, Ip } from "../src/base/net.ts";
import { endpointText } from "../src/base/net.ts";
import { type Rng, unit } from "../src/base/rng.ts";
import type { Millis } from "../src/base/time.ts";
import { StreamNet } from "./stream-net.ts";
import type { Trace } from "./trace.ts";
import type { World } from "./world.ts";

export interface NetworkOptions {
  readonly latencyMs: Millis;
  /** Added uniformly on top, so datagrams overtake one another. */
  readonly jitterMs: Millis;
  readonly lossFraction: number;
  readonly duplicateFraction: number;
}

export const CALM: NetworkOptions = {
  latencyMs: 5,
  jitterMs: 1,
  lossFraction: 0,
  duplicateFraction: 0,
};

type Receive = (from: Endpoint, bytes: Uint8Array) => void;

export class Network {
  readonly #world: World;
  readonly #rng: Rng;
  readonly #trace: Trace;
  readonly #receivers = new Map<string, Receive>();
  /** Ways, not pairs: a firewall may let one direction through. */
  readonly #blocked = new Set<string>();
  readonly #slow = new Map<Ip, Millis>();
  readonly #withoutUdp = new Set<Ip>();
  /** TLS streams between the same hosts: they pass where UDP is blocked. */
  readonly streams: StreamNet;
  #options: NetworkOptions;
  #partition = new Map<Ip, number>();

  constructor(world: World, rng: Rng, trace: Trace, options: NetworkOptions) {
    this.#world = world;
    this.#rng = rng;
    this.#trace = trace;
    this.#options = options;
    this.streams = new StreamNet({
      now: () => world.now,
      schedule: (at, act) => world.schedule(at, act),
      legMs: (from, to) => this.#legMs(from, to),
      passes: (from, to) => this.#connects(from, to),
    });
  }

  setOptions(options: NetworkOptions): void {
    this.#options = options;
  }

  attach(endpoint: Endpoint, receive: Receive): void {
    this.#receivers.set(endpointText(endpoint), receive);
  }

  detach(endpoint: Endpoint): void {
    this.#receivers.delete(endpointText(endpoint));
  }

  /** No datagram passes between these two hosts, either way. */
  block(a: Ip, b: Ip): void {
    this.blockWay(a, b);
    this.blockWay(b, a);
  }

  /** Nothing passes from `a` to `b`; the other direction is open. */
  blockWay(from: Ip, to: Ip): void {
    this.#blocked.add(wayOf(from, to));
  }

  unblock(a: Ip, b: Ip): void {
    this.#blocked.delete(wayOf(a, b));
    this.#blocked.delete(wayOf(b, a));
  }

  /** A firewall that lets this host's TCP pass and none of its UDP. */
  blockUdp(ip: Ip): void {
    this.#withoutUdp.add(ip);
  }

  allowUdp(ip: Ip): void {
    this.#withoutUdp.delete(ip);
  }

  /** Hosts of different groups cannot talk; hosts in no group belong to group 0. */
  partition(groups: ReadonlyMap<Ip, number>): void {
    this.#partition = new Map(groups);
  }

  heal(): void {
    this.#partition.clear();
  }

  /** A busy machine or a long line: all it sends and gets takes this much longer; 0 = as others. */
  slow(ip: Ip, extraMs: Millis): void {
    if (extraMs === 0) this.#slow.delete(ip);
    else this.#slow.set(ip, extraMs);
  }

  send(from: Endpoint, to: Endpoint, bytes: Uint8Array): void {
    const isOpen = this.#connects(from.ip, to.ip) && !this.#blocksUdp(from.ip, to.ip);
    const passes = isOpen && unit(this.#rng) >= this.#options.lossFraction;
    this.#trace.record({ at: this.#world.now, from, to, bytes, lost: !passes });
    if (!passes) return;
    this.#deliverLater(from, to, bytes);
    if (unit(this.#rng) < this.#options.duplicateFraction) this.#deliverLater(from, to, bytes);
  }

  /** From `a` to `b`. */
  #connects(a: Ip, b: Ip): boolean {
    if (this.#blocked.has(wayOf(a, b))) return false;
    return (this.#partition.get(a) ?? 0) === (this.#partition.get(b) ?? 0);
  }

  #blocksUdp(a: Ip, b: Ip): boolean {
    return this.#withoutUdp.has(a) || this.#withoutUdp.has(b);
  }

  #legMs(from: Ip, to: Ip): Millis {
    const extra = (this.#slow.get(from) ?? 0) + (this.#slow.get(to) ?? 0);
    return this.#options.latencyMs + this.#options.jitterMs * unit(this.#rng) + extra;
  }

  #deliverLater(from: Endpoint, to: Endpoint, bytes: Uint8Array): void {
    this.#world.schedule(this.#world.now + this.#legMs(from.ip, to.ip), () => {
      this.#receivers.get(endpointText(to))?.(from, bytes);
    });
  }
}

function wayOf(from: Ip, to: Ip): string {
  return `${from} ${to}`;
}
