/**
 * Frames of our own host that the engine hands up: sorted by protocol, each kind to the one part that
 * knows what to do with it.
 *
 *      ARP ─> arp-responder        DHCP ─> dhcp-guard        neighbour solicitation ─> neighbour-responder
 *      LLDP, BPDU, router and listener messages, other DHCP ─> nowhere          bridge beacon ─> loop-guard
 *      other broadcast and multicast ─> floods               unicast without an entry ─> forwarding
 */
import { BROADCAST_MAC, isGroupMac, type Mac } from "../base/net.ts";
import type { Millis } from "../base/time.ts";
import { DHCP_CLIENT_PORT, DHCP_SERVER_PORT, parseDhcp } from "../frame/dhcp.ts";
import {
  type EthernetFrame,
  isLinkControl,
  parseEthernet,
  TYPE_ARP,
  TYPE_IPV4,
  TYPE_IPV6,
} from "../frame/ethernet.ts";
import { PROTOCOL_IGMP, PROTOCOL_UDP, parseIpv4 } from "../frame/ipv4.ts";
import { PROTOCOL_ICMPV6, parseIpv6 } from "../frame/ipv6.ts";
import { parseNd } from "../frame/neighbour-discovery.ts";
import { parseUdp } from "../frame/udp.ts";
import { TYPE_BEACON } from "../wire/bridge-beacon.ts";
import type { ArpResponder } from "./arp-responder.ts";
import type { VnetContext } from "./context.ts";
import { type DhcpGuard, PROBE_MAC } from "./dhcp-guard.ts";
import type { Floods } from "./floods.ts";
import type { Forwarding } from "./forwarding.ts";
import type { LoopGuard } from "./loop-guard.ts";
import type { NeighbourResponder } from "./neighbour-responder.ts";

export interface InsideParts {
  readonly arp: ArpResponder;
  readonly neighbours: NeighbourResponder;
  readonly dhcp: DhcpGuard;
  readonly floods: Floods;
  readonly forwarding: Forwarding;
  readonly loops: LoopGuard;
}

export class Inside {
  readonly #context: VnetContext;
  readonly #parts: InsideParts;

  constructor(context: VnetContext, parts: InsideParts) {
    this.#context = context;
    this.#parts = parts;
  }

  /** A whole frame: broadcast, multicast, or to a DHCP server. */
  frame(now: Millis, bytes: Uint8Array): void {
    const frame = parseEthernet(bytes);
    if (!frame.ok) return this.#context.drop(frame.reason);
    if (frame.value.type === TYPE_BEACON) {
      return this.#parts.loops.heard(now, frame.value.payload);
    }
    if (this.#context.isCut) return this.#context.drop("no-route");
    if (isLinkControl(frame.value)) return this.#context.drop("link-control");
    switch (frame.value.type) {
      case TYPE_ARP:
        return this.#parts.arp.frame(now, frame.value);
      case TYPE_IPV4:
        return this.#ipv4(now, bytes, frame.value);
      case TYPE_IPV6:
        return this.#ipv6(now, bytes, frame.value);
      default:
        return this.#flood(now, bytes, frame.value);
    }
  }

  /** A unicast frame has no forward entry and waits in the engine. */
  miss(now: Millis, mac: Mac, head: Uint8Array): void {
    if (this.#context.isCut) return this.#dropWaiting(mac);
    const isServer = mac === this.#context.options.serverMac;
    if (!isServer && mac !== PROBE_MAC) return this.#parts.forwarding.miss(now, mac, head);
    const frame = parseEthernet(head);
    if (frame.ok && !isServer) this.#parts.dhcp.answered(now, frame.value);
    // Kernels refresh a neighbour by unicast: the DHCP server is in no forwarding table.
    else if (frame.ok && frame.value.type === TYPE_ARP) this.#parts.arp.frame(now, frame.value);
    this.#context.engine({ op: "forward-remove", mac });
  }

  #dropWaiting(mac: Mac): void {
    this.#context.drop("no-route");
    this.#context.engine({ op: "forward-remove", mac });
  }

  #ipv4(now: Millis, bytes: Uint8Array, frame: EthernetFrame): void {
    const packet = parseIpv4(frame.payload);
    if (!packet.ok) return this.#context.drop(packet.reason);
    const { protocol, payload, fragmentOffset } = packet.value;
    // Floods reach everybody: who wants which group is nobody's business.
    if (protocol === PROTOCOL_IGMP) return this.#context.drop("link-control");
    if (protocol !== PROTOCOL_UDP || fragmentOffset > 0) return this.#flood(now, bytes, frame);
    const udp = parseUdp(payload);
    // The first of several fragments ends before its datagram does.
    if (!udp.ok && packet.value.moreFragments) return this.#flood(now, bytes, frame);
    if (!udp.ok) return this.#context.drop(udp.reason);
    const { sourcePort, destinationPort } = udp.value;
    if (destinationPort === DHCP_SERVER_PORT && sourcePort !== DHCP_SERVER_PORT) {
      return this.#dhcp(now, frame, udp.value.payload);
    }
    if (sourcePort === DHCP_SERVER_PORT || destinationPort === DHCP_CLIENT_PORT) {
      this.#parts.dhcp.reply(now, frame, udp.value.payload);
      return this.#context.drop("dhcp-over-overlay");
    }
    this.#flood(now, bytes, frame);
  }

  #dhcp(now: Millis, frame: EthernetFrame, payload: Uint8Array): void {
    const { mode, bridged, serverMac } = this.#context.options;
    const isForUs = frame.destination === BROADCAST_MAC || frame.destination === serverMac;
    // In mode static every address of this host is the configured one.
    const hasClients = bridged || mode !== "static";
    if (!isForUs || !hasClients) return this.#context.drop("dhcp-over-overlay");
    const message = parseDhcp(payload);
    if (!message.ok) return this.#context.drop(message.reason);
    this.#parts.dhcp.request(now, { message: message.value, tags: frame.tags });
  }

  #ipv6(now: Millis, bytes: Uint8Array, frame: EthernetFrame): void {
    const packet = parseIpv6(frame.payload);
    if (!packet.ok) return this.#context.drop(packet.reason);
    if (packet.value.protocol !== PROTOCOL_ICMPV6) return this.#flood(now, bytes, frame);
    const message = parseNd(packet.value.payload);
    if (!message.ok) return this.#context.drop(message.reason);
    switch (message.value.kind) {
      case "solicitation":
        return this.#parts.neighbours.solicited(now, frame, packet.value, message.value);
      case "router-solicitation":
      case "router-advertisement":
      case "redirect":
        return this.#context.drop("router-advertisement");
      case "listener":
        return this.#context.drop("link-control");
      default:
        return this.#flood(now, bytes, frame);
    }
  }

  #flood(now: Millis, bytes: Uint8Array, frame: EthernetFrame): void {
    if (isGroupMac(frame.destination)) this.#parts.floods.fromTap(now, bytes);
    else this.#context.drop("no-route");
  }
}
