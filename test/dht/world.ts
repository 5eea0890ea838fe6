/**
 * N members with a real Dht (and Leases) each, on a router that knows every place on the ring.
 * Virtual time; latency, loss and the delay of views come from one seed.
 */

import type { Subnet } from "../../src/base/net.ts";
import { compareNearness, nearestTo, type RingAddress } from "../../src/base/ring-address.ts";
import { below, SeededRng, unit } from "../../src/base/rng.ts";
import { deriveClusterKeys } from "../../src/crypto/cluster-keys.ts";
import { type Identity, identityFromSeed } from "../../src/crypto/identity.ts";
import { Membership } from "../../src/crypto/membership.ts";
import { Dht, type DhtInput, type DhtOutput, type DhtResult } from "../../src/dht/dht.ts";
import {
  Leases,
  type LeasesInput,
  type LeasesOutput,
  type Reservation,
} from "../../src/lease/leases.ts";
import { type Claim, leaseRule } from "../../src/lease/winner.ts";
import { type DhtRecord, type RecordKind, signedBytes } from "../../src/wire/record.ts";
import { suite } from "../support/suite.ts";

export const keys = deriveClusterKeys(suite, new Uint8Array(32).fill(7));
export const membership = new Membership(suite, keys);
export const networkId = keys.networkId;

export interface Who {
  readonly identity: Identity;
  readonly address: RingAddress;
  readonly bytes: Uint8Array;
  readonly name: string;
}

export function makeWho(n: number): Who {
  const seed = new Uint8Array(32);
  new DataView(seed.buffer).setUint32(0, n + 1);
  const identity = identityFromSeed(suite, seed);
  const name = `node-${n}`;
  const own = membership.issueOwn(identity, name);
  return { identity, address: own.address, bytes: own.bytes, name };
}

export interface Draft {
  key: RingAddress;
  kind?: RecordKind;
  epoch?: number;
  version?: number;
  ttlSeconds?: number;
  body?: Uint8Array;
}

export function signRecord(who: Who, draft: Draft): DhtRecord {
  const plain = {
    kind: "mac" as const,
    epoch: 1,
    version: 1,
    ttlSeconds: 3600,
    body: Uint8Array.of(1, 2, 3),
    ...draft,
    signer: who.identity.signing.publicKey,
  };
  const signature = suite.sign(who.identity.signing.secretKey, signedBytes(networkId, plain));
  return { ...plain, signature };
}

interface Mail {
  at: number;
  to: RingAddress;
  source: RingAddress;
  payloadType: number;
  payload: Uint8Array;
}

export interface WorldOptions {
  seed?: number;
  loss?: number;
  latencyMs?: [number, number];
  range?: Subnet;
  leaseSeconds?: number;
  claims?: readonly Claim[];
  reservations?: readonly Reservation[];
}

export class Host {
  readonly who: Who;
  readonly dht: Dht;
  readonly leases: Leases;
  readonly results = new Map<number, DhtResult>();
  readonly news: LeasesOutput[] = [];
  readonly events: DhtOutput[] = [];
  alive = true;
  side = 0;
  constructor(world: World, who: Who, seed: number) {
    const { range, leaseSeconds, claims, reservations } = world.settings;
    this.who = who;
    const common = { suite, identity: who.identity, networkId, self: who.address };
    const rule = leaseRule({ suite, networkId, membership, range, claims, reservations });
    this.dht = new Dht({
      ...common,
      membership,
      rng: new SeededRng(seed, 1),
      certificate: who.bytes,
      rules: { lease: rule },
    });
    const server = range.first.replace(/\d+$/, (last) => String(Number(last) + 1));
    this.leases = new Leases({
      ...common,
      rng: new SeededRng(seed, 2),
      name: who.name,
      range,
      leaseSeconds,
      reserved: [server],
      claims,
      reservations,
    });
  }
}

export class World {
  now = 1_000;
  readonly hosts: Host[] = [];
  readonly rng: SeededRng;
  readonly settings: Required<WorldOptions>;
  #mail: Mail[] = [];
  #requests = 1_000_000;
  #plans: { at: number; act: () => void }[] = [];

  constructor(options: WorldOptions = {}) {
    this.settings = {
      seed: 1,
      loss: 0,
      latencyMs: [5, 40],
      range: { first: "10.9.0.0", prefix: 24 },
      leaseSeconds: 3600,
      claims: [],
      reservations: [],
      ...options,
    };
    this.rng = new SeededRng(this.settings.seed);
  }

  add(who: Who, seed = this.hosts.length + this.settings.seed * 1000): Host {
    const host = new Host(this, who, seed);
    this.hosts.push(host);
    return host;
  }

  host(index: number): Host {
    return this.hosts[index] as Host;
  }

  /** Everybody present from the start, in one stable ring. */
  static ring(count: number, options: WorldOptions = {}): World {
    const world = new World(options);
    for (let i = 0; i < count; i++) world.add(makeWho(i));
    world.spreadViews();
    world.run(2_000);
    return world;
  }

  alive(side?: number): Host[] {
    return this.hosts.filter((host) => host.alive && (side === undefined || host.side === side));
  }

  /** Tells every living host its true view, each after its own delay. */
  spreadViews(maxDelayMs = 0): void {
    for (const host of this.alive()) {
      const delay = maxDelayMs === 0 ? 0 : below(this.rng, maxDelayMs);
      this.plan(delay, () => this.tellView(host));
    }
    this.run(0);
  }

  tellView(host: Host, stable = true): void {
    if (!host.alive) return;
    const self = host.who.address;
    const others = this.alive(host.side)
      .map((one) => one.who.address)
      .filter((one) => one !== self);
    const up = [...others].sort((a, b) => (wrap(a - self) < wrap(b - self) ? -1 : 1));
    const view = {
      self,
      successors: up.slice(0, 4),
      predecessors: [...up].reverse().slice(0, 4),
      sizeEstimate: others.length + 1,
      stable,
    };
    this.dht(host, { kind: "view", view });
  }

  plan(delayMs: number, act: () => void): void {
    this.#plans.push({ at: this.now + delayMs, act });
  }

  dht(host: Host, input: DhtInput): void {
    host.dht.handle(this.now, input);
    this.#drain(host);
  }

  lease(host: Host, input: LeasesInput): void {
    host.leases.handle(this.now, input);
    this.#drain(host);
  }

  /** Starts an operation; the result is in `host.results` later. */
  start(host: Host, op: "get", key: RingAddress): number;
  start(host: Host, op: "create" | "put" | "remove", record: DhtRecord): number;
  start(
    host: Host,
    op: "get" | "create" | "put" | "remove",
    what: RingAddress | DhtRecord,
  ): number {
    const request = ++this.#requests;
    if (typeof what === "bigint") {
      this.dht(host, { kind: "get", owner: "node", request, key: what });
    } else if (op !== "get") {
      this.dht(host, { kind: op, owner: "node", request, record: what });
    }
    return request;
  }

  /** Runs until the result is there. */
  await(host: Host, request: number): DhtResult {
    const end = this.now + 4_000;
    while (!host.results.has(request) && this.now < end) this.run(10);
    const result = host.results.get(request);
    if (result === undefined) throw new Error("no result");
    return result;
  }

  get(host: Host, key: RingAddress): DhtResult {
    return this.await(host, this.start(host, "get", key));
  }

  create(host: Host, record: DhtRecord): DhtResult {
    return this.await(host, this.start(host, "create", record));
  }

  put(host: Host, record: DhtRecord): DhtResult {
    return this.await(host, this.start(host, "put", record));
  }

  remove(host: Host, record: DhtRecord): DhtResult {
    return this.await(host, this.start(host, "remove", record));
  }

  crash(...gone: Host[]): void {
    for (const host of gone) host.alive = false;
  }

  run(ms: number): void {
    const end = this.now + ms;
    for (;;) {
      const next = this.#nextAt();
      if (next > end) break;
      this.now = Math.max(this.now, next);
      this.#step();
    }
    this.now = end;
  }

  #nextAt(): number {
    let next = Number.POSITIVE_INFINITY;
    for (const mail of this.#mail) next = Math.min(next, mail.at);
    for (const plan of this.#plans) next = Math.min(next, plan.at);
    for (const host of this.alive()) {
      next = Math.min(next, host.dht.deadline(), host.leases.deadline());
    }
    return next;
  }

  #step(): void {
    const plans = this.#plans.filter((plan) => plan.at <= this.now);
    this.#plans = this.#plans.filter((plan) => plan.at > this.now);
    for (const plan of plans) plan.act();
    const due = this.#mail.filter((mail) => mail.at <= this.now).sort((a, b) => a.at - b.at);
    this.#mail = this.#mail.filter((mail) => mail.at > this.now);
    for (const mail of due) {
      const host = this.hosts.find((one) => one.alive && one.who.address === mail.to);
      if (host) this.dht(host, { kind: "deliver", ...mail });
    }
    for (const host of this.alive()) {
      if (host.dht.deadline() <= this.now) this.dht(host, { kind: "timeout" });
      if (host.leases.deadline() <= this.now) this.lease(host, { kind: "timeout" });
    }
  }

  #drain(host: Host): void {
    for (;;) {
      const output = host.dht.poll();
      if (output !== undefined) {
        this.#fromDht(host, output);
        continue;
      }
      const news = host.leases.poll();
      if (news === undefined) return;
      if (news.kind === "dht") host.dht.handle(this.now, news.input);
      else host.news.push(news);
    }
  }

  #fromDht(host: Host, output: DhtOutput): void {
    if (output.kind === "result") {
      const { request, key, result } = output;
      if (output.owner === "lease") {
        host.leases.handle(this.now, { kind: "dht-result", request, key, result });
      } else host.results.set(request, result);
    } else if (output.kind === "route") this.#route(host, output);
    else host.events.push(output);
  }

  #route(from: Host, output: Extract<DhtOutput, { kind: "route" }>): void {
    const reachable = this.alive(from.side).map((one) => one.who.address);
    const to = output.mode === "exact" ? output.to : nearestTo(output.to, reachable);
    if (to === undefined || !reachable.includes(to)) return;
    if (to !== from.who.address && unit(this.rng) < this.settings.loss) return;
    const [low, high] = this.settings.latencyMs;
    const at =
      to === from.who.address ? this.now : this.now + low + below(this.rng, high - low + 1);
    const { payloadType, payload } = output;
    this.#mail.push({ at, to, source: from.who.address, payloadType, payload });
  }
}

/** The hosts in order of their nearness to a key. */
export function byNearness(world: World, key: RingAddress): Host[] {
  return world.alive().sort((a, b) => compareNearness(key, a.who.address, b.who.address));
}

export function randomKey(rng: SeededRng): RingAddress {
  return BigInt(`0x${Array.from(rng.bytes(20), (b) => b.toString(16).padStart(2, "0")).join("")}`);
}

function wrap(difference: bigint): bigint {
  return difference & ((1n << 160n) - 1n);
}
