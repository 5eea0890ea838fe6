/** What the DHCP server says and where it sends it (RFC 2131, 4.1 and 4.3). */
import { utf8 } from "../base/bytes.ts";
import {
  BROADCAST_MAC,
  type Ip,
  ipToBytes,
  ipv4FromNumber,
  ipv4Number,
  type Mac,
  subnetSize,
} from "../base/net.ts";
import {
  DHCP_CLIENT_PORT,
  DHCP_OPTIONS,
  DHCP_SERVER_PORT,
  type DhcpMessage,
  emitDhcp,
} from "../frame/dhcp.ts";
import { emitEthernet, TYPE_IPV4 } from "../frame/ethernet.ts";
import { emitIpv4, PROTOCOL_UDP } from "../frame/ipv4.ts";
import { emitUdp } from "../frame/udp.ts";
import type { VnetOptions } from "./vnet-messages.ts";

/** A request with the 802.1Q tags it came under. */
export interface DhcpRequest {
  readonly message: DhcpMessage;
  readonly tags: Uint8Array;
}

const NOBODY = "0.0.0.0";
const BROADCAST_IP = "255.255.255.255";
const TTL = 64;
/** RFC 2131, 4.4.5: T1 at half, T2 at seven eighths of the lease. */
const T1_FRACTION = 0.5;
const T2_FRACTION = 0.875;

/** @param secondsLeft of the lease; undefined in answers to INFORM, which grant nothing */
export function grantFrame(
  options: VnetOptions,
  request: DhcpRequest,
  ip: Ip,
  secondsLeft: number | undefined,
): Uint8Array {
  const { message } = request;
  const values = serverOptions(options, message);
  if (secondsLeft !== undefined) addTimes(values, secondsLeft);
  values.set(DHCP_OPTIONS.subnetMask, maskBytes(options));
  values.set(DHCP_OPTIONS.broadcastAddress, ipToBytes(lastAddress(options)));
  values.set(DHCP_OPTIONS.interfaceMtu, Uint8Array.of(options.mtu >> 8, options.mtu & 255));
  if (options.domain !== undefined) {
    values.set(DHCP_OPTIONS.domainName, utf8(options.domain));
  }
  const type = message.type === "discover" ? "offer" : "ack";
  const yiaddr = secondsLeft === undefined ? NOBODY : ip;
  return replyFrame(options, request, { ...replyTo(message), type, yiaddr, options: values });
}

/** Always broadcast: the client may be using an address that is not its own. */
export function nakFrame(options: VnetOptions, request: DhcpRequest, why: string): Uint8Array {
  const values = serverOptions(options, request.message);
  values.set(DHCP_OPTIONS.message, utf8(why));
  const reply: DhcpMessage = {
    ...replyTo(request.message),
    type: "nak",
    ciaddr: NOBODY,
    options: values,
  };
  return replyFrame(options, request, reply);
}

function replyTo(message: DhcpMessage): Omit<DhcpMessage, "type" | "options"> {
  const ciaddr = message.type === "discover" ? NOBODY : message.ciaddr;
  const { xid, broadcast, giaddr, chaddr } = message;
  const addresses = { ciaddr, yiaddr: NOBODY, siaddr: NOBODY, giaddr };
  return { op: "reply", xid, secs: 0, broadcast, chaddr, ...addresses };
}

/** The server identifier, and the client's own identifier back (RFC 6842). */
function serverOptions(options: VnetOptions, message: DhcpMessage): Map<number, Uint8Array> {
  const values = new Map([[DHCP_OPTIONS.serverIdentifier as number, ipToBytes(options.serverIp)]]);
  const client = message.options.get(DHCP_OPTIONS.clientIdentifier);
  if (client !== undefined) values.set(DHCP_OPTIONS.clientIdentifier, client);
  return values;
}

function addTimes(values: Map<number, Uint8Array>, seconds: number): void {
  values.set(DHCP_OPTIONS.leaseSeconds, u32be(seconds));
  values.set(DHCP_OPTIONS.renewalSeconds, u32be(Math.floor(seconds * T1_FRACTION)));
  values.set(DHCP_OPTIONS.rebindingSeconds, u32be(Math.floor(seconds * T2_FRACTION)));
}

function replyFrame(options: VnetOptions, request: DhcpRequest, reply: DhcpMessage): Uint8Array {
  const to = destinationOf(reply);
  const udp = emitUdp(
    {
      sourcePort: DHCP_SERVER_PORT,
      destinationPort: DHCP_CLIENT_PORT,
      payload: emitDhcp(reply),
    },
    options.serverIp,
    to.ip,
  );
  const source = options.serverIp;
  const packet = { source, destination: to.ip, protocol: PROTOCOL_UDP, ttl: TTL, payload: udp };
  return emitEthernet({
    destination: to.mac,
    source: options.serverMac,
    tags: request.tags,
    type: TYPE_IPV4,
    payload: emitIpv4(packet),
  });
}

function destinationOf(reply: DhcpMessage): { mac: Mac; ip: Ip } {
  const everybody = { mac: BROADCAST_MAC, ip: BROADCAST_IP };
  if (reply.type === "nak") return everybody;
  if (reply.ciaddr !== NOBODY) return { mac: reply.chaddr, ip: reply.ciaddr };
  return reply.broadcast ? everybody : { mac: reply.chaddr, ip: reply.yiaddr };
}

function maskBytes(options: VnetOptions): Uint8Array {
  return ipToBytes(ipv4FromNumber(2 ** 32 - subnetSize(options.range)));
}

function lastAddress(options: VnetOptions): Ip {
  return ipv4FromNumber(ipv4Number(options.range.first) + subnetSize(options.range) - 1);
}

function u32be(value: number): Uint8Array {
  return Uint8Array.of(value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255);
}
