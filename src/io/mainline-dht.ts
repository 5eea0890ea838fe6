/**
 * A guest in the BitTorrent DHT, over the node's own data port: what it announces there is then the
 * port that peers reach, as the NAT shows it, and nobody has to tell us which one that is.
 *
 *     bittorrent-dht <── socket of ours ──> engine: `datagram` commands, datagrams that begin with `d`
 *
 * It asks and announces but serves nobody: only who was asked is listened to.
 */
import { EventEmitter } from "node:events";
import { Client } from "bittorrent-dht";
import { type Endpoint, endpointText, parseIp } from "../base/net.ts";
import type { Millis } from "../base/time.ts";
import { TokenBucket } from "../vnet/token-bucket.ts";

/** A search asks some fifty nodes; this spreads three of them over a few seconds. */
const QUERIES_PER_SECOND = 20;
const QUERIES_BURST = 60;
/** Questions under way at one time. */
const CONCURRENCY = 8;
/** An answer comes within the package's two seconds. */
const ANSWER_WITHIN_MS = 5_000;
/** Those asked within that time, at the full rate. */
const ASKED_MAX = 256;
/** Of one search: a member or two that answer are enough. */
const PEERS_MAX = 16;
/** A whole search takes seconds; one that hangs is given up. */
const SEARCH_MS = 20_000;

export interface MainlineOptions {
  /** `host:port` each; empty = those that the package knows. */
  readonly nodes: readonly string[];
  readonly now: () => Millis;
  readonly send: (to: Endpoint, bytes: Uint8Array) => void;
}

export class MainlineDht {
  readonly #client: Client;
  readonly #socket: BorrowedSocket;
  #peers: Map<string, Endpoint> | undefined;

  constructor(options: MainlineOptions) {
    const { nodes } = options;
    this.#socket = new BorrowedSocket(options);
    this.#client = new Client({
      socket: this.#socket,
      concurrency: CONCURRENCY,
      ...(nodes.length === 0 ? {} : { bootstrap: nodes }),
    });
    this.#client.on("peer", ({ host, port }: { host: string; port: number }) =>
      this.#found(host, port),
    );
    // Nodes that are gone or talk nonsense are daily life there.
    this.#client.on("warning", () => undefined);
    this.#client.on("error", () => undefined);
  }

  /** A datagram that begins with `d`, from anybody. Never throws. */
  receive(from: Endpoint, bytes: Uint8Array): void {
    this.#socket.receive(from, bytes);
  }

  /** Who announced under this key; one search at a time. @param infohash 20 bytes */
  async lookup(infohash: Uint8Array): Promise<readonly Endpoint[]> {
    const peers = new Map<string, Endpoint>();
    this.#peers = peers;
    await within(SEARCH_MS, (done) => this.#client.lookup(Buffer.from(infohash), done));
    return [...peers.values()];
  }

  /** Leaves the endpoint of the data port under this key, as the nodes see it. */
  announce(infohash: Uint8Array): Promise<void> {
    return within(SEARCH_MS, (done) => this.#client.announce(Buffer.from(infohash), 0, done));
  }

  close(): void {
    this.#client.destroy();
  }

  #found(host: string, port: number): void {
    const ip = parseIp(host);
    const isUsable = ip !== undefined && Number.isInteger(port) && port > 0 && port <= 65_535;
    if (!isUsable || this.#peers === undefined || this.#peers.size >= PEERS_MAX) return;
    this.#peers.set(endpointText({ ip, port }), { ip, port });
  }
}

/** What the package takes for a UDP socket. */
class BorrowedSocket extends EventEmitter {
  readonly #options: MainlineOptions;
  readonly #queries = new TokenBucket(QUERIES_PER_SECOND, QUERIES_BURST);
  /** Until when an answer of each is awaited, first asked first. */
  readonly #asked = new Map<string, Millis>();

  constructor(options: MainlineOptions) {
    super();
    this.#options = options;
  }

  receive(from: Endpoint, bytes: Uint8Array): void {
    if ((this.#asked.get(endpointText(from)) ?? 0) < this.#options.now()) return;
    try {
      this.emit("message", Buffer.from(bytes), { address: from.ip, port: from.port });
    } catch {
      // what the package cannot take is no answer
    }
  }

  /** The package gives buffer, offset, length, port, host, callback. */
  send(...given: readonly unknown[]): void {
    const [buffer, offset, length, port, host] = given as [Buffer, number, number, number, string];
    const now = this.#options.now();
    const ip = parseIp(String(host));
    // Past the rate the question is lost, as datagrams are; the package asks somebody else.
    if (ip === undefined || ip.includes(":") || !(port > 0) || !this.#queries.take(now)) return;
    const to = { ip, port };
    for (const [oldest] of this.#asked) {
      if (this.#asked.size < ASKED_MAX) break;
      this.#asked.delete(oldest);
    }
    this.#asked.delete(endpointText(to));
    this.#asked.set(endpointText(to), now + ANSWER_WITHIN_MS);
    this.#options.send(to, new Uint8Array(buffer.subarray(offset, offset + length)));
  }

  bind(): void {
    process.nextTick(() => this.emit("listening"));
  }

  address(): { readonly port: number } {
    return { port: 0 };
  }

  close(): void {
    process.nextTick(() => this.emit("close"));
  }
}

function within(ms: number, start: (done: () => void) => void): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    timer.unref();
    start(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}
