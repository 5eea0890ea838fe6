/**
 * Members without any reachable one among them meet in the BitTorrent DHT: each leaves its endpoint
 * under a key of the day and looks who else did. Both then send handshakes to each other, which opens
 * port-restricted NATs on both sides.
 *
 *     round:  look up today, yesterday and tomorrow (clocks differ) ──> announce under today ──> wait
 */
import type { Endpoint } from "../base/net.ts";
import { endpointText } from "../base/net.ts";
import type { Millis } from "../base/time.ts";
import { mainlineInfohash, utcDay } from "../crypto/mainline-infohash.ts";
import type { CryptoSuite } from "../crypto/suite.ts";
import type { Log } from "./log.ts";

/** Without a peer; it also keeps the NAT's mapping of the data port alive. */
const ROUND_ALONE_MS: Millis = 5_000;
/** With peers newcomers have to be met halfway: behind their NAT they wait for our datagram. */
const ROUND_LINKED_MS: Millis = 30_000;
/** Endpoints found stay for so many rounds: one search may miss what another one found. */
const ROUNDS_KEPT = 3;
/** Of all searches together; whoever holds the key of the day may leave nonsense there. */
const FOUND_MAX = 16;

/** The guest in the DHT; tests bring their own. */
export interface Mainline {
  lookup(infohash: Uint8Array): Promise<readonly Endpoint[]>;
  announce(infohash: Uint8Array): Promise<void>;
  close(): void;
}

export interface MainlineFinderOptions {
  readonly suite: CryptoSuite;
  readonly networkKey: Uint8Array;
  readonly mainline: Mainline;
  readonly wallMs: () => number;
  readonly hasPeers: () => boolean;
  readonly log: Log;
  readonly onFound: (endpoints: readonly Endpoint[]) => void;
}

export class MainlineFinder {
  readonly #options: MainlineFinderOptions;
  #timer: NodeJS.Timeout | undefined;
  #rounds: (readonly Endpoint[])[] = [];
  #told = "";
  #isClosed = false;

  constructor(options: MainlineFinderOptions) {
    this.#options = options;
  }

  start(): void {
    void this.#round();
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#options.mainline.close();
  }

  async #round(): Promise<void> {
    const { mainline, hasPeers, wallMs, log } = this.#options;
    const isLinked = hasPeers();
    const day = utcDay(wallMs() / 1_000);
    // With peers only those with a right clock matter: the others find us.
    const days = isLinked ? [day] : [day, day - 1, day + 1];
    const found: Endpoint[] = [];
    for (const one of days) {
      if (!this.#isClosed) found.push(...(await mainline.lookup(this.#infohash(one))));
    }
    if (this.#isClosed) return;
    this.#tell(found);
    await mainline.announce(this.#infohash(day));
    log.debug({ found: found.length }, "looked into the BitTorrent DHT");
    if (this.#isClosed) return;
    const wait = hasPeers() ? ROUND_LINKED_MS : ROUND_ALONE_MS;
    this.#timer = setTimeout(() => void this.#round(), wait);
    this.#timer.unref();
  }

  #infohash(day: number): Uint8Array {
    return mainlineInfohash(this.#options.suite, this.#options.networkKey, day);
  }

  #tell(found: readonly Endpoint[]): void {
    this.#rounds = [found, ...this.#rounds].slice(0, ROUNDS_KEPT);
    const unique = new Map(this.#rounds.flat().map((one) => [endpointText(one), one]));
    const endpoints = [...unique.values()].slice(0, FOUND_MAX);
    const text = [...unique.keys()].slice(0, FOUND_MAX).join();
    if (text === this.#told) return;
    this.#told = text;
    this.#options.onFound(endpoints);
  }
}
