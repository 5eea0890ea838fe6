/**
 * `bridge: br0`: the TAP is a port of a bridge of this host, so that the machines behind the bridge
 * are members' neighbours, too. The bridge's own interface is one of these machines.
 */
import type { Ip, Mac } from "../base/net.ts";
import type { BridgeFacts, BridgeLook, HostBridge } from "../io/bridge.ts";
import type { HostInterface, IpResult } from "../io/interface.ts";
import type { Config } from "./config.ts";
import { WeftError } from "./errors.ts";

/** A frame of this many bytes of payload is the largest that the engine carries. */
const MAX_MTU = 9_202;

/** One bridge, twice: as what has ports, and as the interface of the same name with an address. */
export interface BridgeTools {
  readonly port: HostBridge;
  readonly own: HostInterface;
}

/** What the bridge has to say about the TAP. */
export interface BridgePlan {
  /** Of the bridge's own interface: that is this machine on the network. */
  readonly mac: Mac;
  /** Of the TAP: a bridge silently drops what is too large for a port. */
  readonly mtu: number;
}

export class BridgedSite {
  readonly #bridge: HostBridge;
  readonly #own: HostInterface;
  readonly #config: Config;
  /** As found at the start: the node is known by this MAC. */
  #mac: Mac | undefined;
  /** Of the bridge whose port the TAP is; another one of the same name has another. */
  #index: number | undefined;
  /** What weft set on the bridge. */
  #ip: Ip | undefined;

  constructor({ port, own }: BridgeTools, config: Config) {
    this.#bridge = port;
    this.#own = own;
    this.#config = config;
  }

  /**
   * Looked at before the TAP is opened.
   *
   * @param mtu the least that the TAP is to have
   * @throws WeftError no-bridge
   */
  async plan(mtu: number): Promise<BridgePlan> {
    const look = await this.#bridge.look();
    if (!look.ok) throw new WeftError("no-bridge", this.#missingText(look));
    this.#mac = look.facts.mac;
    this.#index = look.facts.index;
    return { mac: look.facts.mac, mtu: Math.min(MAX_MTU, Math.max(mtu, look.facts.mtu)) };
  }

  /** Makes the TAP a port; where weft sets the address, the bridge keeps its MAC from now on. */
  async join(): Promise<IpResult> {
    const kept = await this.#keepMac();
    return kept.ok ? this.#bridge.addPort(this.#config.interfaceName) : kept;
  }

  /** A bridge goes away with its maker and comes back: TAP and address follow. @returns what is wrong */
  async look(): Promise<string | undefined> {
    const look = await this.#bridge.look();
    if (!look.ok) return this.#missingText(look);
    const joined = await this.#follow(look.facts);
    if (!joined.ok) return `${joined.detail}: correct what it names`;
    const { name } = this.#bridge;
    return look.facts.isUp ? undefined : `bridge ${name} is down: ip link set ${name} up`;
  }

  setAddress(ip: Ip): Promise<IpResult> {
    this.#ip = ip;
    return this.#own.setAddress(ip, this.#config.range);
  }

  clearAddress(ip: Ip): Promise<IpResult> {
    this.#ip = undefined;
    return this.#own.clearAddress(ip);
  }

  async #follow({ index }: BridgeFacts): Promise<IpResult> {
    if (index === this.#index) return this.#bridge.addPort(this.#config.interfaceName);
    const joined = await this.join();
    if (!joined.ok) return joined;
    this.#index = index;
    return this.#ip === undefined ? joined : this.#own.setAddress(this.#ip, this.#config.range);
  }

  async #keepMac(): Promise<IpResult> {
    if (this.#config.addressMode === "dhcp" || this.#mac === undefined) {
      return { ok: true, stdout: "" };
    }
    return this.#bridge.keepMac(this.#mac);
  }

  #missingText(look: Extract<BridgeLook, { ok: false }>): string {
    const { name } = this.#bridge;
    switch (look.why) {
      case "missing":
        return `bridge ${name} does not exist: make it (ip link add ${name} type bridge), or correct bridge:`;
      case "other":
        return `${name} is no bridge (${look.detail}): name a bridge with bridge:, and make ${name} a port of it`;
      case "failed":
        return `bridge ${name} cannot be looked at (${look.detail}): correct what it names`;
    }
  }
}
