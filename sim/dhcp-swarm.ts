/**
 * Many DHCP clients behind the TAP of one simulated machine, each with a MAC of its own. They ask
 * every RETRY_MS until they are bound, as udhcpc does, and do not renew.
 */
import { type Ip, ipToBytes, type Mac } from "../src/base/net.ts";
import { DHCP_OPTIONS, type DhcpMessage, emitDhcp, parseDhcp } from "../src/frame/dhcp.ts";
import { emitEthernet, parseEthernet, TYPE_IPV4 } from "../src/frame/ethernet.ts";
import { emitIpv4, PROTOCOL_UDP, parseIpv4 } from "../src/frame/ipv4.ts";
import { emitUdp, parseUdp } from "../src/frame/udp.ts";
import type { Host } from "./host.ts";
import type { World } from "./world.ts";

const RETRY_MS = 3_000;
const NOBODY = "0.0.0.0";
const EVERYBODY = "255.255.255.255";
const BROADCAST: Mac = "ff:ff:ff:ff:ff:ff";

export class DhcpSwarm {
  /** Address by number of client. */
  readonly bound = new Map<number, Ip>();
  readonly #world: World;
  readonly #host: Host;
  readonly #first: number;
  readonly #count: number;

  /** They begin within `startMs`. */
  constructor(world: World, host: Host, span: { first: number; count: number; startMs: number }) {
    this.#world = world;
    this.#host = host;
    this.#first = span.first;
    this.#count = span.count;
    host.onTapFrame = (frame) => this.#receive(frame);
    for (let i = 0; i < span.count; i++) {
      const at = world.now + (span.startMs * i) / span.count;
      world.schedule(at, () => this.#discover(span.first + i));
    }
  }

  #discover(number: number): void {
    if (this.bound.has(number)) return;
    this.#send(number, { type: "discover", options: new Map() });
    this.#world.schedule(this.#world.now + RETRY_MS, () => this.#discover(number));
  }

  #receive(frame: Uint8Array): void {
    const ethernet = parseEthernet(frame);
    if (!ethernet.ok || ethernet.value.type !== TYPE_IPV4) return;
    const packet = parseIpv4(ethernet.value.payload);
    if (!packet.ok || packet.value.protocol !== PROTOCOL_UDP) return;
    const udp = parseUdp(packet.value.payload);
    if (!udp.ok) return;
    const message = parseDhcp(udp.value.payload);
    if (!message.ok) return;
    const { xid, type, yiaddr, options } = message.value;
    const isOurs = xid >= this.#first && xid < this.#first + this.#count;
    if (!isOurs || this.bound.has(xid)) return;
    if (type === "ack") this.bound.set(xid, yiaddr);
    if (type !== "offer") return;
    const server = options.get(DHCP_OPTIONS.serverIdentifier) ?? new Uint8Array(4);
    const wish = new Map([
      [DHCP_OPTIONS.requestedIp as number, ipToBytes(yiaddr)],
      [DHCP_OPTIONS.serverIdentifier, server],
    ]);
    this.#send(xid, { type: "request", options: wish });
  }

  #send(number: number, said: Pick<DhcpMessage, "type" | "options">): void {
    const chaddr = swarmMac(number);
    const nobody = { ciaddr: NOBODY, yiaddr: NOBODY, siaddr: NOBODY, giaddr: NOBODY };
    const head = { op: "request", xid: number, secs: 0, broadcast: false, chaddr } as const;
    const dhcp = emitDhcp({ ...head, ...nobody, ...said });
    const ports = { sourcePort: 68, destinationPort: 67, payload: dhcp };
    const payload = emitIpv4({
      source: NOBODY,
      destination: EVERYBODY,
      protocol: PROTOCOL_UDP,
      ttl: 64,
      payload: emitUdp(ports, NOBODY, EVERYBODY),
    });
    const tags = new Uint8Array(0);
    const frame = { destination: BROADCAST, source: chaddr, tags, type: TYPE_IPV4, payload };
    this.#host.transmit(emitEthernet(frame));
  }
}

export function swarmMac(number: number): Mac {
  const parts = [24, 16, 8, 0].map((shift) => ((number >> shift) & 255).toString(16));
  return ["02", "d5", ...parts.map((part) => part.padStart(2, "0"))].join(":");
}
