/**
 * Stands before the DHCP server of a bridged site: on a LAN with a server of its own ours steps back,
 * else machines there would get addresses of one network or the other as chance has it.
 *
 *      start ── DISCOVER, twice ──> nobody within LISTEN_MS ──> serves, and asks again each PROBE_MS
 *                                   another server ──> yields
 *      later: an OFFER, ACK or NAK of another server, a client that chose one ──> yields
 *      yielded, and no other server heard for GONE_MS, asked each PROBE_MS ──> serves
 *
 * Yielded, it offers nothing. Machines that have an address of ours go on renewing it. Anybody on the
 * LAN can forge an OFFER: that it comes to an end by itself keeps one of them from lasting for ever.
 */
import { BROADCAST_MAC, type Ip, type Mac } from "../base/net.ts";
import { type Millis, TimerTable } from "../base/time.ts";
import {
  DHCP_CLIENT_PORT,
  DHCP_OPTIONS,
  DHCP_SERVER_PORT,
  emitDhcp,
  ipOption,
  parseDhcp,
} from "../frame/dhcp.ts";
import { type EthernetFrame, emitEthernet, TYPE_IPV4 } from "../frame/ethernet.ts";
import { emitIpv4, PROTOCOL_UDP, parseIpv4 } from "../frame/ipv4.ts";
import { emitUdp } from "../frame/udp.ts";
import type { VnetContext } from "./context.ts";
import type { DhcpRequest } from "./dhcp-reply.ts";
import { clientOf, type DhcpServer } from "./dhcp-server.ts";
import type { Host } from "./host.ts";

/** auto: serve unless another server is heard. force: serve in any case. relay-only: never serve. */
export type DhcpMode = "auto" | "force" | "relay-only";

/** dnsmasq pings an address for three seconds before it offers it. */
const LISTEN_MS = 3_500;
/** A datagram may be lost, and a bridge port may open a moment late. */
const SECOND_PROBE_MS = 1_500;
/** A server that came later is noticed within this, and at once when it answers by broadcast. */
const PROBE_MS = 60_000;
/** Five probes without an answer are no accident, and a server that restarts is back long before. */
const GONE_MS = 300_000;
/** Machines that ask during the first seconds; they ask again. */
const WAITING_MAX = 256;
const NOBODY: Ip = "0.0.0.0";
const EVERYBODY: Ip = "255.255.255.255";
const TTL = 64;
/**
 * The client in whose name we ask; no node of weft answers it. Always the same, so that other servers
 * see one machine and not one a minute.
 */
export const PROBE_MAC: Mac = "02:77:65:66:74:3f";

export class DhcpGuard {
  readonly #context: VnetContext;
  readonly #host: Host;
  readonly #server: DhcpServer;
  readonly #timers = new TimerTable<"start" | "probe" | "listened" | "gone">();
  /** The newest request of each client while we listen. */
  readonly #waiting = new Map<string, DhcpRequest>();
  #isListening: boolean;
  #other: { readonly ip: Ip; readonly mac: Mac | undefined } | undefined;

  constructor(context: VnetContext, host: Host, server: DhcpServer) {
    this.#context = context;
    this.#host = host;
    this.#server = server;
    this.#isListening = this.#asks;
    if (this.#asks) this.#timers.set("start", 0);
  }

  /** A client's message to a DHCP server on this LAN. */
  request(now: Millis, request: DhcpRequest): void {
    const { message } = request;
    if (message.chaddr === PROBE_MAC) return this.#context.drop("dhcp-over-overlay");
    const chosen = ipOption(message, DHCP_OPTIONS.serverIdentifier);
    const isOurs = chosen === undefined || chosen === this.#context.options.serverIp;
    if (message.type === "request" && !isOurs) this.#heard(now, chosen, undefined);
    if (!this.#mayPass(request)) return this.#context.drop("dhcp-over-overlay");
    if (!this.#isListening || !isNewcomer(request)) return this.#server.request(now, request);
    if (this.#waiting.size >= WAITING_MAX) return this.#context.drop("table-full");
    this.#waiting.set(clientOf(message), request);
  }

  /** A message of a DHCP server, seen on the TAP. */
  reply(now: Millis, frame: EthernetFrame, payload: Uint8Array): void {
    const message = parseDhcp(payload);
    if (!message.ok || message.value.op !== "reply") return;
    const server = ipOption(message.value, DHCP_OPTIONS.serverIdentifier);
    if (server !== undefined) this.#heard(now, server, frame.source);
  }

  /** The head of a frame to the client in whose name we ask: only a server sends it any. */
  answered(now: Millis, frame: EthernetFrame): void {
    const packet = frame.type === TYPE_IPV4 ? parseIpv4(frame.payload) : undefined;
    if (packet?.ok !== true || packet.value.protocol !== PROTOCOL_UDP) return;
    const { source, payload } = packet.value;
    const port = ((payload[0] ?? 0) << 8) | (payload[1] ?? 0);
    if (port === DHCP_SERVER_PORT) this.#heard(now, source, frame.source);
  }

  /** What a person has to decide; empty when all is well. */
  health(): string[] {
    if (this.#other === undefined) return [];
    return [
      `${this.#otherText()} answers on the bridged LAN: no addresses are offered there; remove it, or set dhcp: relay-only or dhcp: force`,
    ];
  }

  timeout(now: Millis): void {
    for (const timer of this.#timers.takeExpired(now)) {
      switch (timer) {
        case "start":
          this.#probe();
          this.#timers.set("probe", now + SECOND_PROBE_MS);
          this.#timers.set("listened", now + LISTEN_MS);
          break;
        case "probe":
          this.#probe();
          this.#timers.set("probe", now + PROBE_MS);
          break;
        case "listened":
          this.#serveWaiting(now);
          break;
        case "gone":
          this.#serveAgain();
          break;
      }
    }
  }

  deadline(): Millis {
    return this.#timers.deadline();
  }

  get #asks(): boolean {
    const { bridged, dhcp } = this.#context.options;
    return bridged && dhcp === "auto";
  }

  /** Yielded: what gives an address back, and renewals of what we granted. */
  #mayPass({ message }: DhcpRequest): boolean {
    if (message.type === "release" || message.type === "decline") return true;
    if (this.#context.options.dhcp === "relay-only") return false;
    if (this.#other === undefined) return true;
    if (message.type !== "request") return false;
    const isHeld = this.#host.lease(clientOf(message))?.ip === message.ciaddr;
    return isHeld || message.options.has(DHCP_OPTIONS.serverIdentifier);
  }

  #heard(now: Millis, server: Ip, mac: Mac | undefined): void {
    if (!this.#asks || server === this.#context.options.serverIp) return;
    this.#timers.set("gone", now + GONE_MS);
    if (this.#other !== undefined) return;
    this.#other = { ip: server, mac };
    this.#isListening = false;
    this.#waiting.clear();
    for (const timer of ["start", "listened"] as const) this.#timers.clear(timer);
    this.#timers.setEarlier("probe", now + PROBE_MS);
    this.#context.event({
      what: "foreign-dhcp",
      condition: `${this.#otherText()} answers on the bridged LAN`,
      action: "no addresses are offered there any more",
      effect: "machines that have an address of weft keep it, others get none",
      coolDownMs: 0,
      fields: { server, ...(mac === undefined ? {} : { mac }) },
    });
  }

  #serveAgain(): void {
    this.#context.event({
      what: "foreign-dhcp-gone",
      condition: `${this.#otherText()} was not heard for ${GONE_MS / 60_000} minutes`,
      action: "addresses are offered on the bridged LAN again",
      effect: "",
      coolDownMs: 0,
      fields: this.#other === undefined ? {} : { server: this.#other.ip },
    });
    this.#other = undefined;
  }

  #otherText(): string {
    const { ip, mac } = this.#other ?? { ip: NOBODY, mac: undefined };
    return `another DHCP server, ${ip}${mac === undefined ? "" : ` (${mac})`},`;
  }

  #serveWaiting(now: Millis): void {
    this.#isListening = false;
    for (const request of this.#waiting.values()) this.#server.request(now, request);
    this.#waiting.clear();
  }

  #probe(): void {
    const nobody = { ciaddr: NOBODY, yiaddr: NOBODY, siaddr: NOBODY, giaddr: NOBODY };
    const payload = emitDhcp({
      op: "request",
      type: "discover",
      xid: this.#context.options.rng.u32(),
      secs: 0,
      broadcast: true,
      ...nobody,
      chaddr: PROBE_MAC,
      options: new Map(),
    });
    const ports = { sourcePort: DHCP_CLIENT_PORT, destinationPort: DHCP_SERVER_PORT };
    const route = { source: NOBODY, destination: EVERYBODY };
    const udp = emitUdp({ ...ports, payload }, route.source, route.destination);
    const packet = emitIpv4({ ...route, protocol: PROTOCOL_UDP, ttl: TTL, payload: udp });
    const head = { destination: BROADCAST_MAC, source: PROBE_MAC, tags: new Uint8Array(0) };
    const bytes = emitEthernet({ ...head, type: TYPE_IPV4, payload: packet });
    this.#context.engine({ op: "frame-to-tap", bytes });
  }
}

/** Asks for an address; all others have one. */
function isNewcomer({ message }: DhcpRequest): boolean {
  const asks = message.type === "discover" || message.type === "request";
  return asks && message.ciaddr === NOBODY;
}
