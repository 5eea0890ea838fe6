/** The contract suite's world of software engines: virtual time, a queue of datagrams. */
import sodium from "libsodium-wrappers";
import { SoftwareEngine } from "../../sim/engine.ts";
import { HostSockets } from "../../sim/host-sockets.ts";
import { StreamNet } from "../../sim/stream-net.ts";
import { equalSecret } from "../../src/base/bytes.ts";
import { type Endpoint, endpointText } from "../../src/base/net.ts";
import { type EngineNode, type Lab, MAC1_KEY, type RawSocket } from "./lab.ts";
import { NODE_AEAD } from "./node-aead.ts";

/** How long a condition may take, in virtual time. */
const PATIENCE_MS = 10_000;

/** Hand-overs that one cause may lead to: a few relays and an answer. */
const MAX_ROUNDS = 100;

interface Parcel {
  readonly from: Endpoint;
  readonly to: Endpoint;
  readonly bytes: Uint8Array;
  readonly ttl: number | undefined;
}

export class SoftwareLab implements Lab {
  readonly seesTtl = true;
  #now = 1_000;
  #parcels: Parcel[] = [];
  readonly #receivers = new Map<string, (parcel: Parcel) => void>();
  readonly #engines: { readonly engine: SoftwareEngine; readonly node: EngineNode }[] = [];
  #hosts = 0;
  #happenings: { readonly at: number; readonly act: () => void }[] = [];
  readonly #streams = new StreamNet({
    now: () => this.#now,
    schedule: (at, act) => this.#happenings.push({ at, act }),
    legMs: () => 1,
    passes: () => true,
  });

  async node(): Promise<EngineNode> {
    await sodium.ready;
    const endpoint = this.#nextEndpoint();
    const tap: Uint8Array[] = [];
    const nets = { packets: this, streams: this.#streams };
    const sockets: HostSockets = new HostSockets(endpoint.ip, nets, (act) => act(engine));
    const engine: SoftwareEngine = new SoftwareEngine({
      host: {
        now: () => this.#now,
        send: (socket, to, bytes, ttl) =>
          this.#parcels.push({ from: sockets.endpointOf(socket) ?? endpoint, to, bytes, ttl }),
        tapWrite: (frame) => tap.push(frame.slice()),
        sockets,
      },
      sockets: 1,
      mac1Key: MAC1_KEY,
      checkMac1: (key, covered, mac1) =>
        equalSecret(sodium.crypto_generichash(16, covered, key), mac1),
      aead: NODE_AEAD,
    });
    const node: EngineNode = {
      engine,
      endpoint,
      tap,
      upcalls: [],
      drains: true,
      tapSend: (frame) => engine.receiveFrame(frame.slice()),
    };
    this.attach(endpoint, (from, bytes) => engine.receiveDatagram(0, from, bytes));
    this.#engines.push({ engine, node });
    return node;
  }

  async raw(): Promise<RawSocket> {
    const endpoint = this.#nextEndpoint();
    const received: RawSocket["received"] = [];
    this.#receivers.set(endpointText(endpoint), (parcel) => received.push(parcel));
    return {
      endpoint,
      received,
      send: (to, bytes) =>
        this.#parcels.push({ from: endpoint, to, bytes: bytes.slice(), ttl: undefined }),
    };
  }

  async freePort(): Promise<number> {
    return 443;
  }

  attach(at: Endpoint, receive: (from: Endpoint, bytes: Uint8Array) => void): void {
    this.#receivers.set(endpointText(at), ({ from, bytes }) => receive(from, bytes));
  }

  detach(at: Endpoint): void {
    this.#receivers.delete(endpointText(at));
  }

  #nextEndpoint(): Endpoint {
    this.#hosts++;
    return { ip: `192.0.2.${this.#hosts}`, port: 7_000 + this.#hosts };
  }

  async until(condition: () => boolean): Promise<void> {
    const end = this.#now + PATIENCE_MS;
    for (this.#settle(); !condition(); this.#settle()) {
      if (this.#now >= end) throw new Error("the awaited thing did not happen");
      this.#step(end);
    }
  }

  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    for (this.#settle(); this.#now < end; this.#settle()) this.#step(end);
  }

  /** On to the next thing that is due, at the latest to `end`. */
  #step(end: number): void {
    const deadlines = this.#engines.map(({ engine }) => engine.deadline());
    const next = Math.min(...deadlines, ...this.#happenings.map(({ at }) => at), end);
    this.#now = Math.max(this.#now, next);
    for (const { engine } of this.#engines) engine.tick();
    const due = this.#happenings.filter(({ at }) => at <= this.#now);
    this.#happenings = this.#happenings.filter(({ at }) => at > this.#now);
    for (const { act } of due) act();
  }

  #settle(): void {
    for (let round = 0; this.#parcels.length > 0; round++) {
      if (round > MAX_ROUNDS) throw new Error("datagrams go round for ever");
      const parcels = this.#parcels;
      this.#parcels = [];
      for (const parcel of parcels) this.#receivers.get(endpointText(parcel.to))?.(parcel);
    }
    for (const { engine, node } of this.#engines) {
      if (node.drains) node.upcalls.push(...engine.drain());
    }
  }

  async close(): Promise<void> {
    for (const { engine } of this.#engines) engine.close();
  }
}
