/** Ethernet frames that no honest host would send, and how they get onto an interface. */
import type { Site } from "../../lab/lab.ts";
import { fromHex, toHex } from "../../src/base/bytes.ts";
import { type Ip, linkLocalOf, type Mac } from "../../src/base/net.ts";
import { ARP_REQUEST, emitArp } from "../../src/frame/arp.ts";
import { emitEthernet, TYPE_ARP, TYPE_IPV4, TYPE_IPV6 } from "../../src/frame/ethernet.ts";
import { emitIpv4, PROTOCOL_UDP } from "../../src/frame/ipv4.ts";
import { emitIpv6 } from "../../src/frame/ipv6.ts";
import { emitUdp } from "../../src/frame/udp.ts";

const SENDER = new URL("./send-frames.py", import.meta.url).pathname;
/** What all forged frames carry, so that a capture can tell them from honest ones. */
export const FORGED_PORT = 40_404;
const NO_TAGS = new Uint8Array(0);

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
