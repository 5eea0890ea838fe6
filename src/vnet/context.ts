/** What the parts of the virtual network share: options, the output queue, counters, names for requests. */
import type { DropReason } from "../base/drop-reason.ts";
import type { EngineCommand } from "../base/engine.ts";
import type { CoreEvent } from "../base/event.ts";
import { Outbox } from "../base/machine.ts";
import type { RingAddress } from "../base/ring-address.ts";
import type { DhtInput } from "../dht/dht.ts";
import type { LinkId } from "../link/link-types.ts";
import type { VnetOptions, VnetOutput } from "./vnet-messages.ts";

/** Token of a send whose fate nobody asks about. */
export const NO_TOKEN = 0;

export class VnetContext {
  readonly options: VnetOptions;
  readonly outbox = new Outbox<VnetOutput>();
  /** This node does not bridge at the moment: nothing may enter or leave the TAP (loop-guard.ts). */
  isCut = false;
  /** Members bridged onto the same LAN: the machines behind them are on it, too. */
  readonly beside = new Set<RingAddress>();
  readonly #drops = new Map<DropReason, number>();
  #request = 0;
  #token = NO_TOKEN;

  constructor(options: VnetOptions) {
    this.options = options;
  }

  /** Machines of this member are on our own LAN: they answer for themselves. */
  isHere(holder: RingAddress): boolean {
    return holder === this.options.self || this.beside.has(holder);
  }

  emit(output: VnetOutput): void {
    this.outbox.push(output);
  }

  /** While cut, no frame goes to the TAP and no forward entry is made. */
  engine(command: EngineCommand): void {
    if (this.isCut && opensTap(command)) return;
    this.outbox.push({ kind: "engine", command });
  }

  dht(input: DhtInput): void {
    this.outbox.push({ kind: "dht", input });
  }

  /** Reliable; `sent` with the token tells its fate unless the token is NO_TOKEN. */
  send(link: LinkId, bytes: Uint8Array, token: number): void {
    this.outbox.push({ kind: "send", link, bytes, reliable: true, token });
  }

  event(event: Omit<CoreEvent, "area">): void {
    this.outbox.push({ kind: "event", event: { area: "vnet", ...event } });
  }

  drop(reason: DropReason): void {
    this.#drops.set(reason, (this.#drops.get(reason) ?? 0) + 1);
  }

  drops(): ReadonlyMap<DropReason, number> {
    return this.#drops;
  }

  /** Names one DHT request of this machine. */
  nextRequest(): number {
    return ++this.#request;
  }

  /** Names one reliable send; never NO_TOKEN. */
  nextToken(): number {
    return ++this.#token;
  }
}

function opensTap(command: EngineCommand): boolean {
  return command.op === "frame-to-tap" || (command.op === "forward" && command.to !== "drop");
}
