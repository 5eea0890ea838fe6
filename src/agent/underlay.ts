/** The host's own addresses: candidates for peers, and networks the range must not overlap. */
import { networkInterfaces } from "node:os";
import {
  type Endpoint,
  type Ip,
  ipv4Number,
  isInNetwork,
  isIpv6,
  parseIp,
  type Subnet,
  subnetContains,
} from "../base/net.ts";
import type { HostAddress } from "../io/interface.ts";

/** A handshake carries at most eight candidates. */
const MAX_ENDPOINTS = 8;

export function hostAddresses(): HostAddress[] {
  return Object.entries(networkInterfaces()).flatMap(([name, addresses]) =>
    (addresses ?? []).flatMap((address) => {
      const ip = parseIp(address.address.split("%")[0] ?? "");
      const prefix = Number(address.cidr?.split("/")[1] ?? Number.NaN);
      return ip === undefined || address.internal || Number.isNaN(prefix)
        ? []
        : [{ interface: name, ip, prefix }];
    }),
  );
}

export interface UnderlayFilter {
  /** Our own TAP: an underlay over itself would loop. */
  readonly tap: string;
  readonly range: Subnet;
  /** Where the engine's sockets are bound; `0.0.0.0` and `::` stand for every address. */
  readonly bound: readonly Endpoint[];
}

/** Where peers on the same site may reach this host. */
export function underlayEndpoints(
  addresses: readonly HostAddress[],
  filter: UnderlayFilter,
): Endpoint[] {
  const usable = addresses
    .filter(
      (address) => address.interface !== filter.tap && !subnetContains(filter.range, address.ip),
    )
    .map((address) => address.ip)
    .filter((ip) => !isLinkLocal(ip));
  const endpoints = [...new Set(usable)]
    .sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1))
    .flatMap((ip) => portsFor(ip, filter.bound).map((port) => ({ ip, port })));
  return endpoints.slice(0, MAX_ENDPOINTS);
}

function portsFor(ip: Ip, bound: readonly Endpoint[]): number[] {
  const wildcard = isIpv6(ip) ? "::" : "0.0.0.0";
  return bound
    .filter((socket) => socket.ip === ip || socket.ip === wildcard)
    .map((socket) => socket.port);
}

/** Link-local addresses mean nothing without an interface. */
function isLinkLocal(ip: Ip): boolean {
  return isIpv6(ip) ? /^fe[89ab]/.test(ip) : ip.startsWith("169.254.");
}

/** Public IPv4, private IPv4, global IPv6, unique local IPv6. */
function rank(ip: Ip): number {
  if (isIpv6(ip)) return /^f[cd]/.test(ip) ? 3 : 2;
  return isPrivateIpv4(ip) ? 1 : 0;
}

/** Behind a NAT, of a home or of a carrier. */
export function isPrivateIpv4(ip: Ip): boolean {
  return PRIVATE.some(
    ({ first, prefix }) =>
      Math.floor(ipv4Number(ip) / 2 ** (32 - prefix)) ===
      Math.floor(ipv4Number(first) / 2 ** (32 - prefix)),
  );
}

/** RFC 1918 and RFC 6598. */
const PRIVATE: readonly Subnet[] = [
  { first: "10.0.0.0", prefix: 8 },
  { first: "172.16.0.0", prefix: 12 },
  { first: "192.168.0.0", prefix: 16 },
  { first: "100.64.0.0", prefix: 10 },
];

/** Whether this endpoint (as text) is a private address of a network that one of ours belongs to. */
export function isOnLan(endpoint: string, own: readonly HostAddress[]): boolean {
  const ip = parseIp(endpoint.replace(/:\d+$/, "").replace(/^\[(.*)\]$/, "$1"));
  if (ip === undefined || !(isLinkLocal(ip) || rank(ip) % 2 === 1)) return false;
  return own.some((address) => isInNetwork(address, ip));
}

export function sameEndpoints(a: readonly Endpoint[], b: readonly Endpoint[]): boolean {
  return (
    a.length === b.length &&
    a.every((endpoint, i) => endpoint.ip === b[i]?.ip && endpoint.port === b[i]?.port)
  );
}
