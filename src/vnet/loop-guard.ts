/**
 * Two members bridged onto one LAN make a loop: what one floods into the overlay the other writes
 * back onto the LAN. Each says on its TAP who it is; who hears a lower ring address stops bridging.
 *
 *      beacon each BEACON_MS ──> heard on the TAP of another member
 *      heard a lower address, or our own ──> cut: nothing from the TAP, nothing into it but beacons
 *      heard a higher one ──> it will stop; if it does not within STUBBORN_MS, we do
 *      nothing heard for GONE_MS ──> as before
 */
import { type Mac, macFromBytes } from "../base/net.ts";
import { addressText, addressToBytes, type RingAddress } from "../base/ring-address.ts";
import { type Millis, TimerTable } from "../base/time.ts";
import { emitEthernet } from "../frame/ethernet.ts";
import {
  BEACON_GROUP,
  type BridgeBeacon,
  emitBeacon,
  parseBeacon,
  TYPE_BEACON,
} from "../wire/bridge-beacon.ts";
import type { VnetContext } from "./context.ts";
import type { Peers } from "./peers.ts";

/** As spanning tree does: a loop floods for two seconds at most. */
const BEACON_MS = 2_000;
/** Five beacons lost in a row are no accident. */
const GONE_MS = 10_000;
/** It heard three of our beacons, or cannot hear us at all. */
const STUBBORN_MS = 6_000;
/** Members on one LAN: more than one is a mistake already. */
const BESIDE_MAX = 16;
/** Starts of members whose newest beacon is remembered; the oldest makes room. */
const NEWEST_MAX = 256;
const TAG_BYTES = 16;

interface Beside {
  beacon: BridgeBeacon;
  readonly firstAt: Millis;
  heardAt: Millis;
}

export class LoopGuard {
  readonly #context: VnetContext;
  readonly #peers: Peers;
  readonly #run: bigint;
  /** Of nobody else: a bridge complains when one of its own comes in by a port. */
  readonly #mac: Mac;
  readonly #beside = new Map<RingAddress, Beside>();
  /**
   * By member and run, past the time they are beside us: beacons recorded at any of a member's starts
   * must not cut us again.
   */
  readonly #newest = new Map<string, number>();
  readonly #timers = new TimerTable<"beacon">();
  #sequence = 0;
  /** Because of whom we do not bridge. */
  #cutBy: RingAddress | undefined;
  #changed = false;

  constructor(context: VnetContext, peers: Peers) {
    this.#context = context;
    this.#peers = peers;
    const { rng, bridged, self } = context.options;
    this.#mac = beaconMac(self);
    this.#run = bridged ? (BigInt(rng.u32()) << 32n) | BigInt(rng.u32()) : 0n;
    if (bridged) this.#timers.set("beacon", 0);
  }

  /** The payload of a beacon frame from the TAP. */
  heard(now: Millis, payload: Uint8Array): void {
    if (!this.#context.options.bridged) return this.#context.drop("link-control");
    const parsed = parseBeacon(payload, this.#tagOf);
    if (!parsed.ok) return this.#context.drop(parsed.reason);
    const beacon = parsed.value;
    const known = this.#beside.get(beacon.address);
    const isOldRun = beacon.address === this.#self && beacon.run !== this.#run;
    const isRepeated = beacon.sequence <= (this.#newest.get(runName(beacon)) ?? 0);
    if (isOldRun || isRepeated) return this.#context.drop("replayed");
    if (known === undefined && this.#beside.size >= BESIDE_MAX) {
      return this.#context.drop("table-full");
    }
    this.#remember(beacon);
    if (known === undefined) this.#meet(now, beacon);
    else Object.assign(known, { beacon, heardAt: now });
    this.#decide(now);
  }

  /** True once after somebody was met on the LAN or left it, or bridging ended or began. */
  takeChanged(): boolean {
    const changed = this.#changed;
    this.#changed = false;
    return changed;
  }

  health(): string[] {
    return [...this.#beside.keys()].map((address) => this.#line(address));
  }

  timeout(now: Millis): void {
    if (this.#timers.takeExpired(now).length === 0) return;
    this.#timers.set("beacon", now + BEACON_MS);
    for (const [address, { heardAt }] of this.#beside) {
      if (now - heardAt >= GONE_MS) this.#part(address);
    }
    this.#decide(now);
    this.#send();
  }

  deadline(): Millis {
    return this.#timers.deadline();
  }

  readonly #tagOf = (body: Uint8Array): Uint8Array => {
    const { suite, beaconKey } = this.#context.options;
    return suite.blake2b(TAG_BYTES, body, beaconKey);
  };

  #remember(beacon: BridgeBeacon): void {
    const name = runName(beacon);
    this.#newest.delete(name);
    const oldest = this.#newest.keys().next();
    if (this.#newest.size >= NEWEST_MAX && !oldest.done) this.#newest.delete(oldest.value);
    this.#newest.set(name, beacon.sequence);
  }

  #meet(now: Millis, beacon: BridgeBeacon): void {
    this.#beside.set(beacon.address, { beacon, firstAt: now, heardAt: now });
    this.#context.beside.add(beacon.address);
    this.#changed = true;
    this.#context.event({
      what: "bridge-loop",
      condition: this.#whoText(beacon.address),
      action: beacon.address <= this.#self ? "this node stops bridging" : "that node is to stop",
      effect: "machines of that LAN go through one member only",
      coolDownMs: GONE_MS,
      fields: { peer: this.#nameOf(beacon.address) },
    });
  }

  #part(address: RingAddress): void {
    this.#beside.delete(address);
    this.#context.beside.delete(address);
    this.#changed = true;
    this.#context.event({
      what: "bridge-loop-over",
      condition: `${this.#nameOf(address)} is not heard on the bridged LAN any more`,
      action: "bridging as before",
      effect: "",
      coolDownMs: 0,
      fields: { peer: this.#nameOf(address) },
    });
  }

  #decide(now: Millis): void {
    const by = [...this.#beside].find(([address, beside]) => {
      const isStubborn = !beside.beacon.isCut && now - beside.firstAt >= STUBBORN_MS;
      return address <= this.#self || isStubborn;
    })?.[0];
    if ((by === undefined) !== (this.#cutBy === undefined)) this.#changed = true;
    this.#cutBy = by;
    this.#context.isCut = by !== undefined;
  }

  #line(address: RingAddress): string {
    const stopped =
      this.#cutBy === undefined ? "that node stops bridging" : "this node stopped bridging";
    return `${this.#whoText(address)}: ${stopped}; take one of the two off that LAN`;
  }

  #whoText(address: RingAddress): string {
    if (address === this.#self) return "frames of the bridged LAN come back to it by another way";
    return `${this.#nameOf(address)} is bridged onto the same LAN`;
  }

  #nameOf(address: RingAddress): string {
    return this.#peers.byAddress(address)?.name ?? addressText(address);
  }

  get #self(): RingAddress {
    return this.#context.options.self;
  }

  /** Past the cut: that is what beacons are for. */
  #send(): void {
    const isCut = this.#context.isCut;
    const sequence = ++this.#sequence;
    const beacon = { address: this.#self, run: this.#run, sequence, isCut };
    const bytes = emitEthernet({
      destination: BEACON_GROUP,
      source: this.#mac,
      tags: new Uint8Array(0),
      type: TYPE_BEACON,
      payload: emitBeacon(beacon, this.#tagOf),
    });
    this.#context.emit({ kind: "engine", command: { op: "frame-to-tap", bytes } });
  }
}

/** Locally administered, unicast; the rest is the ring address's first bytes. */
function beaconMac(self: RingAddress): Mac {
  const bytes = addressToBytes(self).slice(0, 6);
  bytes[0] = 0x02;
  return macFromBytes(bytes);
}

/** Each run counts upwards from 1. */
function runName({ address, run }: BridgeBeacon): string {
  return `${address} ${run}`;
}
