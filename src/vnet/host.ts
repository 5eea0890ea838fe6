/**
 * Our own side of the TAP: which addresses our host and the machines bridged behind it hold, and what
 * the engine and the agent must know about that.
 *
 *      bound ──> carrier on, forward local, interface
 *      lost  ──> forward gone, interface clear, carrier off ── 1 s ──> carrier on, asked for again
 *
 * Behind a bridge the carrier stays: it would cut off the others and none of them sees it. A machine
 * whose address is lost is told so at its next renewal.
 */
import { ENGINE_LIMITS, type FilterEntry } from "../base/engine.ts";
import type { Ip, Mac } from "../base/net.ts";
import { type Millis, TimerTable } from "../base/time.ts";
import type { LeaseState } from "../lease/leases.ts";
import type { VnetContext } from "./context.ts";

/** `forward … local` is published again at half its life. */
const LOCAL_TTL_MS = 300_000;
/** Long enough for every DHCP client to notice, short enough for people. */
const CARRIER_OFF_MS = 1_000;
/** A full pool or a cut-off ring: ask again this often. */
const ASK_AGAIN_MS = 5_000;

export class Host {
  readonly #context: VnetContext;
  /** By client; as many as a peer accepts MACs from us. */
  readonly #leases = new Map<string, LeaseState>();
  readonly #timers = new TimerTable<"start" | "refresh" | "carrier" | "ask">();
  /** The address the agent was told to set. */
  #interfaceIp: Ip | undefined;
  #changed = false;

  constructor(context: VnetContext) {
    this.#context = context;
    this.#timers.set("start", 0);
  }

  /** The client identifier of our own TAP: what a DHCP client with its MAC would send by default. */
  get client(): string {
    return clientOfMac(this.#context.options.mac);
  }

  lease(client: string): LeaseState | undefined {
    return this.#leases.get(client);
  }

  ownsMac(mac: Mac): boolean {
    if (mac === this.#context.options.mac) return true;
    return [...this.#leases.values()].some((lease) => lease.mac === mac);
  }

  ownsIp(ip: Ip): boolean {
    return this.leaseByIp(ip) !== undefined;
  }

  leaseByIp(ip: Ip): LeaseState | undefined {
    for (const lease of this.#leases.values()) if (lease.ip === ip) return lease;
    return undefined;
  }

  /** What we may speak for: each MAC with the addresses leased to it. */
  entries(): FilterEntry[] {
    const ips = new Map<Mac, Ip[]>();
    for (const lease of this.#leases.values()) {
      ips.set(lease.mac, [...(ips.get(lease.mac) ?? []), lease.ip]);
    }
    return [...ips].map(([mac, own]) => ({ mac, ips: own }));
  }

  /** The same for one MAC: one entry, or none. */
  entryOf(mac: Mac): FilterEntry[] {
    const own = [...this.#leases.values()].filter((lease) => lease.mac === mac);
    return own.length === 0 ? [] : [{ mac, ips: own.map(({ ip }) => ip) }];
  }

  /** True once after each change of what we may speak for. */
  takeChanged(): boolean {
    const changed = this.#changed;
    this.#changed = false;
    return changed;
  }

  /** A new lease or a renewal. @returns false when the table is full */
  bound(now: Millis, lease: LeaseState): boolean {
    const before = this.#leases.get(lease.client);
    if (before === undefined && this.#leases.size >= ENGINE_LIMITS.macsPerSession) return false;
    this.#leases.set(lease.client, lease);
    if (before?.ip !== lease.ip || before.mac !== lease.mac) {
      this.#changed = true;
      if (before !== undefined && !this.ownsMac(before.mac)) this.#unpublish(before.mac);
      this.#publish(lease.mac);
      this.#timers.setEarlier("refresh", now + LOCAL_TTL_MS / 2);
      if (!this.#timers.isSet("carrier")) this.#context.engine({ op: "carrier", on: true });
    }
    if (lease.client === this.client) this.#setInterface(lease);
    return true;
  }

  /** Stops using the address at once. */
  lost(now: Millis, client: string): void {
    if (!this.forget(client)) return;
    if (this.#context.options.bridged) {
      if (client === this.client) this.#timers.set("ask", now + CARRIER_OFF_MS);
      return;
    }
    this.#context.engine({ op: "carrier", on: false });
    this.#timers.set("carrier", now + CARRIER_OFF_MS);
  }

  /** Given back by the client itself: as `lost`, but the carrier stays. @returns false when unknown */
  forget(client: string): boolean {
    const lease = this.#leases.get(client);
    if (lease === undefined) return false;
    this.#leases.delete(client);
    this.#changed = true;
    if (!this.#isStillHeld(lease.mac)) this.#unpublish(lease.mac);
    if (client === this.client) this.#clearInterface();
    return true;
  }

  /**
   * Bridging ended, began, or shares the LAN with somebody: what the bridge learned about the TAP is
   * wrong, and it forgets that with the carrier.
   */
  bridgingChanged(now: Millis): void {
    if (this.#context.isCut) for (const mac of this.#macs()) this.#unpublish(mac);
    this.#context.engine({ op: "carrier", on: false });
    this.#timers.set("carrier", now + CARRIER_OFF_MS);
  }

  refused(now: Millis, client: string): void {
    if (client === this.client && this.#asksItself()) this.#timers.set("ask", now + ASK_AGAIN_MS);
  }

  timeout(now: Millis): void {
    for (const timer of this.#timers.takeExpired(now)) {
      switch (timer) {
        case "start":
          this.#publish(this.#context.options.mac);
          this.#timers.set("refresh", now + LOCAL_TTL_MS / 2);
          this.#ask();
          break;
        case "refresh":
          this.#refresh();
          this.#timers.set("refresh", now + LOCAL_TTL_MS / 2);
          break;
        case "carrier":
          this.#context.engine({ op: "carrier", on: true });
          this.#refresh();
          this.#ask();
          break;
        case "ask":
          this.#ask();
          break;
      }
    }
  }

  deadline(): Millis {
    return this.#timers.deadline();
  }

  /** In mode `dhcp` the client on the TAP asks, nobody else. */
  #asksItself(): boolean {
    return this.#context.options.mode !== "dhcp";
  }

  #ask(): void {
    if (!this.#asksItself() || this.#leases.has(this.client)) return;
    this.#context.emit({ kind: "want", client: this.client, mac: this.#context.options.mac });
  }

  #isStillHeld(mac: Mac): boolean {
    return [...this.#leases.values()].some((lease) => lease.mac === mac);
  }

  #refresh(): void {
    for (const mac of this.#macs()) this.#publish(mac);
  }

  #macs(): ReadonlySet<Mac> {
    const macs = new Set([this.#context.options.mac]);
    for (const lease of this.#leases.values()) macs.add(lease.mac);
    return macs;
  }

  #publish(mac: Mac): void {
    this.#context.engine({ op: "forward", mac, to: "local", ttlMs: LOCAL_TTL_MS });
  }

  #unpublish(mac: Mac): void {
    this.#context.engine({ op: "forward-remove", mac });
  }

  #setInterface(lease: LeaseState): void {
    if (!this.#asksItself() || this.#interfaceIp === lease.ip) return;
    this.#clearInterface();
    this.#interfaceIp = lease.ip;
    const { prefix } = this.#context.options.range;
    const { ip, leaseSeconds } = lease;
    this.#context.emit({ kind: "interface", ip, prefix, leaseSeconds });
  }

  #clearInterface(): void {
    if (this.#interfaceIp === undefined) return;
    this.#context.emit({ kind: "interface-clear", ip: this.#interfaceIp });
    this.#interfaceIp = undefined;
  }
}

/** Option 61 of a client that names itself by its Ethernet address (RFC 2132, 9.14). */
export function clientOfMac(mac: Mac): string {
  return `01${mac.replaceAll(":", "")}`;
}
