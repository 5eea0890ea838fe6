/**
 * What happened on the simulated wire: a running hash (same seed, same hash) and the last datagrams,
 * for the sequence diagram of a failing run.
 */
import { type Endpoint, endpointText } from "../src/base/net.ts";
import type { Millis } from "../src/base/time.ts";
import { DATAGRAM_TYPES } from "../src/wire/message-type.ts";

/** A failing run shows this many datagrams: what fits on two screens. */
const KEPT = 80;

export interface TracedDatagram {
  readonly at: Millis;
  readonly from: Endpoint;
  readonly to: Endpoint;
  readonly bytes: Uint8Array;
  readonly lost: boolean;
}

const NAMES = new Map<number, string>(
  Object.entries(DATAGRAM_TYPES).map(([name, type]) => [type, name]),
);

export class Trace {
  readonly #last: TracedDatagram[] = [];
  readonly #names = new Map<string, string>();
  #hash = 0x811c9dc5;
  #count = 0;

  /** Hosts appear under this name in diagrams. */
  name(endpoint: Endpoint, name: string): void {
    this.#names.set(endpointText(endpoint), name);
  }

  record(datagram: TracedDatagram): void {
    this.#last[this.#count++ % KEPT] = datagram;
    this.#mix(Math.round(datagram.at * 1000));
    this.#mix(datagram.lost ? 1 : 0);
    this.#mix(datagram.to.port);
    const { bytes } = datagram;
    for (let i = 0; i < bytes.length; i += 7) this.#mix(bytes[i] ?? 0);
    this.#mix(bytes.length);
  }

  get datagrams(): number {
    return this.#count;
  }

  /** Eight hex digits over every datagram so far: time, way, length and content. */
  hash(): string {
    return (this.#hash >>> 0).toString(16).padStart(8, "0");
  }

  /** The last datagrams, oldest first, one line each. */
  diagram(): string {
    const start = this.#count > KEPT ? this.#count % KEPT : 0;
    const ordered = [...this.#last.slice(start), ...this.#last.slice(0, start)];
    return ordered.map((datagram) => this.#line(datagram)).join("\n");
  }

  #line(datagram: TracedDatagram): string {
    const time = (datagram.at / 1000).toFixed(4).padStart(10);
    const kind = NAMES.get(datagram.bytes[0] ?? 0) ?? `type ${datagram.bytes[0]}`;
    const arrow = datagram.lost ? "--x" : "-->";
    const way = `${this.#who(datagram.from).padEnd(6)} ${arrow} ${this.#who(datagram.to).padEnd(6)}`;
    return `${time} s  ${way} ${kind} ${datagram.bytes.length} B`;
  }

  #who(endpoint: Endpoint): string {
    return this.#names.get(endpointText(endpoint)) ?? endpointText(endpoint);
  }

  #mix(value: number): void {
    this.#hash = Math.imul(this.#hash ^ value, 0x01000193);
    this.#hash ^= this.#hash >>> 15;
  }
}
