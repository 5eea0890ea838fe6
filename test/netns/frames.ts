/** Ethernet frames that no honest host would send, and how they get onto an interface. */
import type { Site } from "../../lab/lab.ts";
import { ByteWriter, fromHex, toHex } from "../../src/base/bytes.ts";
import { type Ip, ipToBytes, linkLocalOf, type Mac } from "../../src/base/net.ts";
import { ARP_REPLY, ARP_REQUEST, emitArp } from "../../src/frame/arp.ts";
import { internetChecksum } from "../../src/frame/checksum.ts";
import { DHCP_OPTIONS, emitDhcp } from "../../src/frame/dhcp.ts";
import { emitEthernet, TYPE_ARP, TYPE_IPV4, TYPE_IPV6 } from "../../src/frame/ethernet.ts";
import { emitIpv4, PROTOCOL_UDP } from "../../src/frame/ipv4.ts";
import { emitIpv6, PROTOCOL_ICMPV6 } from "../../src/frame/ipv6.ts";
import { emitNd } from "../../src/frame/neighbour-discovery.ts";
import { emitUdp } from "../../src/frame/udp.ts";

const SENDER = new URL("./send-frames.py", import.meta.url).pathname;
/** What all forged frames carry, so that a capture can tell them from honest ones. */
export const FORGED_PORT = 40_404;
const NO_TAGS = new Uint8Array(0);
/** Every IPv6 host of a network (RFC 2464, section 7). */
export const ALL_NODES_MAC: Mac = "33:33:00:00:00:01";
const ALL_NODES: Ip = "ff02::1";

export interface Party {
  readonly mac: Mac;
  readonly ip: Ip;
}

/** Puts frames on an interface of a site, below its own network stack. */
export async function sendFrames(
  site: Site,
  device: string,
  frames: readonly Uint8Array[],
): Promise<void> {
  const input = frames.map((frame) => `${toHex(frame)}\n`).join("");
  await site.run(["python3", SENDER, device], { input });
}

/** A UDP packet from `source`, which need not be who sends it. */
export function ipv4Frame(source: Party, target: Party): Uint8Array {
  const udp = emitUdp(datagram("forged over IPv4"), source.ip, target.ip);
  return emitEthernet({
    destination: target.mac,
    source: source.mac,
    tags: NO_TAGS,
    type: TYPE_IPV4,
    payload: emitIpv4({
      source: source.ip,
      destination: target.ip,
      protocol: PROTOCOL_UDP,
      ttl: 64,
      payload: udp,
    }),
  });
}

/** From the link-local address of `claimed`, sent with the MAC of `sender`. */
export function ipv6Frame(sender: Mac, claimed: Mac, target: Mac): Uint8Array {
  const [from, to] = [linkLocalOf(claimed), linkLocalOf(target)];
  const payload = emitIpv6({
    source: from,
    destination: to,
    protocol: PROTOCOL_UDP,
    hopLimit: 64,
    payload: emitUdp(datagram("forged over IPv6"), from, to),
  });
  const head = { destination: target, source: sender, tags: NO_TAGS };
  return emitEthernet({ ...head, type: TYPE_IPV6, payload });
}

/** Asks for the victim's address in somebody else's name. */
export function arpFrame(sender: Mac, claimed: Party, target: Party): Uint8Array {
  const payload = emitArp({
    operation: ARP_REQUEST,
    senderMac: claimed.mac,
    senderIp: claimed.ip,
    targetMac: "00:00:00:00:00:00",
    targetIp: target.ip,
  });
  const head = { destination: target.mac, source: sender, tags: NO_TAGS };
  return emitEthernet({ ...head, type: TYPE_ARP, payload });
}

/** Tells `target` that the victim's address is at `sender`. */
export function arpReplyFrame(sender: Mac, victim: Ip, target: Party): Uint8Array {
  const payload = emitArp({
    operation: ARP_REPLY,
    senderMac: sender,
    senderIp: victim,
    targetMac: target.mac,
    targetIp: target.ip,
  });
  const head = { destination: target.mac, source: sender, tags: NO_TAGS };
  return emitEthernet({ ...head, type: TYPE_ARP, payload });
}

/** A neighbour advertisement: the victim's link-local address is at `sender`. */
export function advertisementFrame(sender: Mac, victim: Mac, target: Mac): Uint8Array {
  const [from, to] = [linkLocalOf(sender), linkLocalOf(target)];
  const said = { target: linkLocalOf(victim), mac: sender, solicited: false, override: true };
  return icmpv6Frame(sender, target, emitNd({ kind: "advertisement", ...said }, from, to));
}

/** "I am your router", for half an hour (RFC 4861, section 4.2). */
export function routerFrame(sender: Mac, target: Mac): Uint8Array {
  const message = new ByteWriter().u8(134).u8(0).u16be(0).u8(64).u8(0).u16be(1_800).zeros(8);
  const bytes = message.finish();
  const [from, to] = [linkLocalOf(sender), ipv6TargetOf(target)];
  const pseudo = new ByteWriter().bytes(ipToBytes(from)).bytes(ipToBytes(to));
  pseudo.u32be(bytes.length).u32be(PROTOCOL_ICMPV6);
  const checksum = internetChecksum(pseudo.finish(), bytes);
  bytes[2] = checksum >> 8;
  bytes[3] = checksum & 255;
  return icmpv6Frame(sender, target, bytes);
}

function icmpv6Frame(sender: Mac, target: Mac, payload: Uint8Array): Uint8Array {
  const route = { source: linkLocalOf(sender), destination: ipv6TargetOf(target) };
  const packet = emitIpv6({ ...route, protocol: PROTOCOL_ICMPV6, hopLimit: 255, payload });
  const head = { destination: target, source: sender, tags: NO_TAGS };
  return emitEthernet({ ...head, type: TYPE_IPV6, payload: packet });
}

function ipv6TargetOf(mac: Mac): Ip {
  return mac === ALL_NODES_MAC ? ALL_NODES : linkLocalOf(mac);
}

/** A DHCP server's offer, made by a member whose addresses are its own. */
export function offerFrame(sender: Party, target: Party): Uint8Array {
  const dhcp = emitDhcp({
    op: "reply",
    type: "offer",
    xid: 7,
    secs: 0,
    broadcast: false,
    ciaddr: "0.0.0.0",
    yiaddr: target.ip,
    siaddr: sender.ip,
    giaddr: "0.0.0.0",
    chaddr: target.mac,
    options: new Map([[DHCP_OPTIONS.serverIdentifier, ipToBytes(sender.ip)]]),
  });
  const udp = { sourcePort: 67, destinationPort: 68, payload: dhcp };
  const route = { source: sender.ip, destination: target.ip };
  const payload = emitIpv4({
    ...route,
    protocol: PROTOCOL_UDP,
    ttl: 64,
    payload: emitUdp(udp, route.source, route.destination),
  });
  const head = { destination: target.mac, source: sender.mac, tags: NO_TAGS };
  return emitEthernet({ ...head, type: TYPE_IPV4, payload });
}

/** A spanning tree message that claims the root (IEEE 802.1D, section 9.3.1): 802.3 with LLC. */
export function bridgeFrame(sender: Mac): Uint8Array {
  const message = new ByteWriter().u8(0x42).u8(0x42).u8(3).zeros(35).zeros(8).finish();
  const head = { destination: "01:80:c2:00:00:00", source: sender, tags: NO_TAGS };
  return emitEthernet({ ...head, type: 38, payload: message });
}

/** One UDP datagram of the underlay with any source address. */
export function underlayFrame(macs: { from: Mac; to: Mac }, from: Ip, to: Ip, hex: string) {
  const udp = { sourcePort: 7117, destinationPort: 7117, payload: fromHex(hex) ?? NO_TAGS };
  const payload = emitIpv4({
    source: from,
    destination: to,
    protocol: PROTOCOL_UDP,
    ttl: 64,
    payload: emitUdp(udp, from, to),
  });
  const head = { destination: macs.to, source: macs.from, tags: NO_TAGS };
  return emitEthernet({ ...head, type: TYPE_IPV4, payload });
}

function datagram(text: string) {
  const payload = new TextEncoder().encode(text);
  return { sourcePort: FORGED_PORT, destinationPort: FORGED_PORT, payload };
}
