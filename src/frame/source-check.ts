/**
 * What a member's frame may claim: source MAC, IPv4 and IPv6 source, ARP sender, ND target; and the
 * roles nobody may play over the overlay (router, DHCP server or client, bridge control).
 *
 * The engine applies these rules to opened unicast frames, this code to flooded ones. Here an IPv4
 * header must have its right checksum too: the engine leaves that to the receiving host.
 */
import type { DropReason } from "../base/drop-reason.ts";
import { ENGINE_LIMITS, type FilterEntry } from "../base/engine.ts";
import { type Ip, isGroupMac, linkLocalOf, type Mac } from "../base/net.ts";
import { parseArp } from "./arp.ts";
import {
  type EthernetFrame,
  isLinkControl,
  parseEthernet,
  TYPE_ARP,
  TYPE_IPV4,
  TYPE_IPV6,
} from "./ethernet.ts";
import { type Ipv4Packet, PROTOCOL_ICMP, PROTOCOL_UDP, parseIpv4 } from "./ipv4.ts";
import { type Ipv6Packet, PROTOCOL_ICMPV6, parseIpv6 } from "./ipv6.ts";
import { type NdMessage, parseNd } from "./neighbour-discovery.ts";

const DHCP_PORTS = [67, 68];
const DHCPV6_PORTS = [546, 547];
const ICMP_REDIRECT = 5;
const PROTOCOL_TCP = 6;
const LEAST_UPPER_BYTES: Readonly<Record<number, number>> = {
  [PROTOCOL_ICMP]: 4,
  [PROTOCOL_TCP]: 20,
  [PROTOCOL_UDP]: 8,
  [PROTOCOL_ICMPV6]: 4,
};
const UNSPECIFIED_V4 = "0.0.0.0";
const UNSPECIFIED_V6 = "::";

/** Addresses by MAC that one member may speak for; EUI-64 link-locals included. */
export type SourceTable = ReadonlyMap<Mac, ReadonlySet<Ip>>;

/** The claims a frame makes: what must be confirmed before it may pass. */
export interface SourceClaims {
  readonly mac: Mac;
  /** IPv4 or IPv6 source, ARP sender, or the address an ND probe or advertisement is about. */
  readonly ips: readonly Ip[];
}

export function buildSourceTable(entries: readonly FilterEntry[]): SourceTable {
  const table = new Map<Mac, ReadonlySet<Ip>>();
  for (const { mac, ips } of entries.slice(0, ENGINE_LIMITS.macsPerSession)) {
    table.set(mac, new Set([...ips.slice(0, ENGINE_LIMITS.ipsPerMac), linkLocalOf(mac)]));
  }
  return table;
}

/** Why a member's frame must not pass; undefined when it may. */
export function checkSource(bytes: Uint8Array, table: SourceTable): DropReason | undefined {
  const claims = readClaims(bytes);
  if (typeof claims === "string") return claims;
  const owned = table.get(claims.mac);
  if (owned === undefined) return "source-mac";
  const foreign = claims.ips.find((claim) => !owned.has(claim.ip));
  return foreign?.reason;
}

/**
 * The claims of a frame, or the reason why no member whatever may send it over the overlay.
 * Frames of other protocols claim their source MAC only.
 */
export function claimsOf(bytes: Uint8Array): SourceClaims | DropReason {
  const claims = readClaims(bytes);
  if (typeof claims === "string") return claims;
  return { mac: claims.mac, ips: claims.ips.map((claim) => claim.ip) };
}

interface Claim {
  readonly ip: Ip;
  /** What to say when the address is not the sender's. */
  readonly reason: DropReason;
}

function readClaims(bytes: Uint8Array): { mac: Mac; ips: readonly Claim[] } | DropReason {
  const frame = parseEthernet(bytes);
  if (!frame.ok) return frame.reason;
  if (isLinkControl(frame.value)) return "link-control";
  if (isGroupMac(frame.value.source)) return "source-mac";
  const ips = addressClaims(frame.value);
  return typeof ips === "string" ? ips : { mac: frame.value.source, ips };
}

function addressClaims(frame: EthernetFrame): readonly Claim[] | DropReason {
  if (frame.type === TYPE_ARP) return arpClaims(frame);
  if (frame.type === TYPE_IPV4) {
    const packet = parseIpv4(frame.payload);
    return packet.ok ? ipv4Claims(packet.value) : packet.reason;
  }
  if (frame.type === TYPE_IPV6) {
    const packet = parseIpv6(frame.payload);
    return packet.ok ? ipv6Claims(packet.value, frame.source) : packet.reason;
  }
  return [];
}

/** RFC 826. An address probe (sender 0.0.0.0, RFC 5227) claims nothing. */
function arpClaims(frame: EthernetFrame): readonly Claim[] | DropReason {
  const arp = parseArp(frame.payload);
  if (!arp.ok || arp.value.senderMac !== frame.source) return "arp-sender";
  if (arp.value.senderIp === UNSPECIFIED_V4) return [];
  return [{ ip: arp.value.senderIp, reason: "arp-sender" }];
}

function ipv4Claims(packet: Ipv4Packet): readonly Claim[] | DropReason {
  const { protocol, payload } = packet;
  const isFirst = packet.fragmentOffset === 0;
  if (!packet.isWhole || (isFirst && isCutShort(protocol, payload))) return "short-frame";
  const isUdp = isFirst && protocol === PROTOCOL_UDP;
  if (isUdp && usesPort(payload, DHCP_PORTS)) return "dhcp-over-overlay";
  const isRedirect = isFirst && protocol === PROTOCOL_ICMP && payload[0] === ICMP_REDIRECT;
  if (isRedirect) return "router-advertisement";
  return [{ ip: packet.source, reason: "source-ip" }];
}

function ipv6Claims(packet: Ipv6Packet, mac: Mac): readonly Claim[] | DropReason {
  if (!packet.isWhole || isCutShort(packet.protocol, packet.payload)) return "short-frame";
  if (packet.protocol === PROTOCOL_UDP && usesPort(packet.payload, DHCPV6_PORTS)) {
    return "dhcp-over-overlay";
  }
  const source: Claim = { ip: packet.source, reason: "source-ip" };
  if (packet.protocol !== PROTOCOL_ICMPV6) return [source];
  const message = parseNd(packet.payload);
  if (!message.ok) return "nd-target";
  if (message.value.kind === "other") return [source];
  // RFC 6980: neighbour discovery in fragments hides from every check.
  if (packet.isFragment) return "nd-target";
  return ndClaims(message.value, source, mac);
}

/** RFC 4861. A duplicate address probe (source ::) and an advertisement claim their target. */
function ndClaims(message: NdMessage, source: Claim, mac: Mac): readonly Claim[] | DropReason {
  // The option would point others' caches at a MAC that is not the sender's.
  if ("mac" in message && message.mac !== undefined && message.mac !== mac) return "nd-target";
  switch (message.kind) {
    case "router-advertisement":
    case "redirect":
      return "router-advertisement";
    case "advertisement":
      return [{ ip: message.target, reason: "nd-target" }, source];
    case "solicitation":
      if (source.ip !== UNSPECIFIED_V6) return [source];
      return [{ ip: message.target, reason: "nd-target" }];
    case "router-solicitation":
    case "listener":
      return source.ip === UNSPECIFIED_V6 ? [] : [source];
    case "other":
      return [source];
  }
}

/** What a packet must show of its upper layer, so that nothing hides behind a fragment (RFC 7112). */
function isCutShort(protocol: number, payload: Uint8Array): boolean {
  return payload.length < (LEAST_UPPER_BYTES[protocol] ?? 0);
}

function usesPort(udp: Uint8Array, ports: readonly number[]): boolean {
  const source = ((udp[0] ?? 0) << 8) | (udp[1] ?? 0);
  const destination = ((udp[2] ?? 0) << 8) | (udp[3] ?? 0);
  return ports.includes(source) || ports.includes(destination);
}
