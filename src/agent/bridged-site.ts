/**
 * `bridge: br0`: the TAP is a port of a bridge of this host, so that the machines behind the bridge
 * are members' neighbours, too. The bridge's own interface is one of these machines.
 */
import type { Mac } from "../base/net.ts";
import type { BridgeLook, HostBridge } from "../io/bridge.ts";
import type { IpResult } from "../io/interface.ts";
import type { Config } from "./config.ts";
import { WeftError } from "./errors.ts";

/** A frame of this many bytes of payload is the largest that the engine carries. */
const MAX_MTU = 9_202;

/** What the bridge has to say about the TAP. */
export interface BridgePlan {
  /** Of the bridge's own interface: that is this machine on the network. */
  readonly mac: Mac;
  /** Of the TAP: a bridge silently drops what is too large for a port. */
  readonly mtu: number;
}

/**
 * Looked at before the TAP is opened.
 *
 * @param mtu the least that the TAP is to have
 * @throws WeftError no-bridge
 */
export async function planBridge(bridge: HostBridge, mtu: number): Promise<BridgePlan> {
  const look = await bridge.look();
  if (!look.ok) throw new WeftError("no-bridge", missingText(bridge.name, look));
  return { mac: look.facts.mac, mtu: Math.min(MAX_MTU, Math.max(mtu, look.facts.mtu)) };
}

/** Makes the TAP a port; where weft sets the address, the bridge keeps its MAC from now on. */
export async function joinBridge(
  bridge: HostBridge,
  config: Config,
  { mac }: BridgePlan,
): Promise<IpResult> {
  if (config.addressMode !== "dhcp") {
    const kept = await bridge.keepMac(mac);
    if (!kept.ok) return kept;
  }
  return bridge.addPort(config.interfaceName);
}

/** A bridge goes away with its maker and comes back: the TAP follows. @returns what is wrong */
export async function rejoinBridge(bridge: HostBridge, tap: string): Promise<string | undefined> {
  const look = await bridge.look();
  if (!look.ok) return missingText(bridge.name, look);
  const added = await bridge.addPort(tap);
  if (!added.ok) return `${added.detail}: correct what it names`;
  return look.facts.isUp
    ? undefined
    : `bridge ${bridge.name} is down: ip link set ${bridge.name} up`;
}

function missingText(name: string, look: Extract<BridgeLook, { ok: false }>): string {
  switch (look.why) {
    case "missing":
      return `bridge ${name} does not exist: make it (ip link add ${name} type bridge), or correct bridge:`;
    case "other":
      return `${name} is no bridge (${look.detail}): name a bridge with bridge:, and make ${name} a port of it`;
    case "failed":
      return `bridge ${name} cannot be looked at (${look.detail}): correct what it names`;
  }
}
