/** Joins the search for members on the same switch (node/lan-search.ts) to sockets and time. */
import type { DropReason } from "../base/drop-reason.ts";
import type { Endpoint } from "../base/net.ts";
import type { Rng } from "../base/rng.ts";
import type { Millis } from "../base/time.ts";
import type { CryptoSuite } from "../crypto/suite.ts";
import type { LanSocket, LanSocketInterface, LanSocketOptions } from "../io/lan-socket.ts";
import {
  LAN_INTERFACES_MAX,
  type LanInput,
  type LanInterface,
  LanSearch,
} from "../node/lan-search.ts";
import type { Log } from "./log.ts";

export type OpenLanSocket = (
  options: LanSocketOptions,
) => Promise<Pick<LanSocket, "announce" | "answer" | "close">>;

export interface LanFinderOptions {
  readonly suite: CryptoSuite;
  readonly rng: Rng;
  readonly lanKey: Uint8Array;
  readonly boot: bigint;
  readonly now: () => Millis;
  readonly log: Log;
  readonly openSocket: OpenLanSocket;
  readonly onFound: (endpoints: readonly Endpoint[]) => void;
}

export class LanFinder {
  readonly #options: LanFinderOptions;
  readonly #search: LanSearch;
  #socket: Awaited<ReturnType<OpenLanSocket>> | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** Of the interfaces given last: sockets of earlier ones that open late are closed at once. */
  #generation = 0;

  constructor(options: LanFinderOptions) {
    this.#options = options;
    const { suite, rng, lanKey, boot } = options;
    this.#search = new LanSearch({ suite, rng, key: lanKey, boot });
  }

  /** Searches on these from now on: all sockets are opened anew, which also mends lost memberships. */
  async setInterfaces(all: readonly LanInterface[]): Promise<void> {
    const generation = ++this.#generation;
    const interfaces = all.slice(0, LAN_INTERFACES_MAX); // each takes a socket or two
    const socket = await this.#options.openSocket({
      interfaces: interfaces.map(socketInterface),
      onDatagram: (from, bytes) => this.#input({ kind: "hello", from, bytes }),
      onProblem: (what, error) =>
        this.#options.log.debug({ what, error: error.message }, "no multicast"),
    });
    if (generation !== this.#generation) return socket.close();
    this.#socket?.close();
    this.#socket = socket;
    this.#input({ kind: "interfaces", interfaces });
  }

  drops(): Partial<Record<DropReason, number>> {
    return this.#search.drops();
  }

  close(): void {
    this.#generation++;
    clearTimeout(this.#timer);
    this.#socket?.close();
    this.#socket = undefined;
  }

  #input(input: LanInput): void {
    if (this.#socket === undefined) return;
    this.#search.handle(this.#options.now(), input);
    for (let out = this.#search.poll(); out !== undefined; out = this.#search.poll()) {
      if (out.kind === "announce") this.#socket.announce(out.interface, out.bytes);
      else if (out.kind === "answer") this.#socket.answer(out.to, out.bytes);
      else this.#options.onFound(out.endpoints);
    }
    this.#arm();
  }

  #arm(): void {
    clearTimeout(this.#timer);
    const wait = this.#search.deadline() - this.#options.now();
    if (wait === Number.POSITIVE_INFINITY) return;
    const step = (): void => this.#input({ kind: "timeout" });
    this.#timer = setTimeout(step, Math.max(0, Math.ceil(wait)));
    this.#timer.unref();
  }
}

function socketInterface({ name, addresses }: LanInterface): LanSocketInterface {
  return {
    name,
    ip4: addresses.find(({ ip }) => !ip.includes(":"))?.ip,
    hasIpv6: addresses.some(({ ip }) => ip.includes(":")),
  };
}
