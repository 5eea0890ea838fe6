/**
 * Network addresses as canonical text inside the core (they are map keys and log fields), as bytes
 * on the wire. Canonical: MAC lower-case with colons; IPv4 dotted; IPv6 as RFC 5952.
 */
import { HEX } from "./bytes.ts";

/** Canonical MAC text, e.g. `02:00:5e:10:00:01`. */
export type Mac = string;
/** Canonical IPv4 or IPv6 text. */
export type Ip = string;

/** An underlay transport address. */
export interface Endpoint {
  readonly ip: Ip;
  /** 1..65535 */
  readonly port: number;
}

export const BROADCAST_MAC: Mac = "ff:ff:ff:ff:ff:ff";

export function endpointText(endpoint: Endpoint): string {
  return isIpv6(endpoint.ip)
    ? `[${endpoint.ip}]:${endpoint.port}`
    : `${endpoint.ip}:${endpoint.port}`;
}

export function sameEndpoint(a: Endpoint, b: Endpoint): boolean {
  return a.port === b.port && a.ip === b.ip;
}

export function isIpv6(ip: Ip): boolean {
  return ip.includes(":");
}

export type IpFamily = 4 | 6;

export function familyOf(ip: Ip): IpFamily {
  return isIpv6(ip) ? 6 : 4;
}

/** Group bit of the first octet (IEEE 802): broadcast or multicast. */
export function isGroupMac(mac: Mac): boolean {
  return (Number.parseInt(mac.slice(0, 2), 16) & 1) === 1;
}

/** @param bytes six octets */
export function macFromBytes(bytes: Uint8Array): Mac {
  return Array.from(bytes.subarray(0, 6), (byte) => HEX[byte]).join(":");
}

export function macToBytes(mac: Mac): Uint8Array {
  return Uint8Array.from(mac.split(":"), (part) => Number.parseInt(part, 16));
}

/** Text in any usual spelling to the canonical one; undefined when it is no MAC. */
export function parseMac(text: string): Mac | undefined {
  if (!/^([0-9a-f]{2}[:-]){5}[0-9a-f]{2}$/i.test(text)) return undefined;
  return text.toLowerCase().replaceAll("-", ":");
}

/** @param bytes 4 or 16 octets, network order */
export function ipFromBytes(bytes: Uint8Array): Ip {
  return bytes.length === 4 ? bytes.join(".") : ipv6Text(bytes);
}

/** 4 or 16 octets, network order; empty for a text that is no address. */
export function ipToBytes(ip: Ip): Uint8Array {
  return (ip.includes(":") ? ipv6Bytes(ip) : ipv4Bytes(ip)) ?? new Uint8Array(0);
}

/** Text in any usual spelling to the canonical one; undefined when it is no address. */
export function parseIp(text: string): Ip | undefined {
  const bytes = ipToBytes(text);
  return bytes.length === 0 ? undefined : ipFromBytes(bytes);
}

/** IPv4 as a number in [0, 2^32). The text must be canonical. */
export function ipv4Number(ip: Ip): number {
  return ipv4Bytes(ip)?.reduce((sum, byte) => sum * 256 + byte, 0) ?? 0;
}

export function ipv4FromNumber(value: number): Ip {
  return [24, 16, 8, 0].map((shift) => (value >>> shift) & 255).join(".");
}

function ipv4Bytes(ip: string): Uint8Array | undefined {
  if (!/^(0|[1-9]\d{0,2})(\.(0|[1-9]\d{0,2})){3}$/.test(ip)) return undefined;
  const parts = ip.split(".").map(Number);
  return parts.some((part) => part > 255) ? undefined : Uint8Array.from(parts);
}

function ipv6Bytes(ip: string): Uint8Array | undefined {
  const halves = ip.toLowerCase().split("::");
  if (halves.length > 2) return undefined;
  const head = ipv6Groups(halves[0] ?? "");
  const tail = halves.length === 2 ? ipv6Groups(halves[1] ?? "") : [];
  if (head === undefined || tail === undefined) return undefined;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined;
  const groups = [...head, ...new Array<number>(missing).fill(0), ...tail];
  return Uint8Array.from(groups.flatMap((group) => [group >> 8, group & 255]));
}

function ipv6Groups(text: string): number[] | undefined {
  if (text === "") return [];
  const groups: number[] = [];
  const parts = text.split(":");
  for (const [i, part] of parts.entries()) {
    const v4 = i === parts.length - 1 ? ipv4Bytes(part) : undefined;
    if (v4) groups.push(((v4[0] ?? 0) << 8) | (v4[1] ?? 0), ((v4[2] ?? 0) << 8) | (v4[3] ?? 0));
    else if (/^[0-9a-f]{1,4}$/.test(part)) groups.push(Number.parseInt(part, 16));
    else return undefined;
  }
  return groups;
}

/** RFC 5952: the longest run of two or more zero groups, the first of equals, becomes `::`. */
function ipv6Text(bytes: Uint8Array): Ip {
  const groups = Array.from(
    { length: 8 },
    (_, i) => ((bytes[2 * i] ?? 0) << 8) | (bytes[2 * i + 1] ?? 0),
  );
  const run = longestZeroRun(groups);
  const words = groups.map((group) => group.toString(16));
  if (run.length < 2) return words.join(":");
  return `${words.slice(0, run.start).join(":")}::${words.slice(run.start + run.length).join(":")}`;
}

function longestZeroRun(groups: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  for (let start = 0; start < 8; start++) {
    let length = 0;
    while (start + length < 8 && groups[start + length] === 0) length++;
    if (length > best.length) best = { start, length };
  }
  return best;
}

/** An address and how many of its first bits name the network it is in; either family. */
export interface Network {
  readonly ip: Ip;
  /** 0..32, or 0..128 */
  readonly prefix: number;
}

export function isInNetwork({ ip: member, prefix }: Network, ip: Ip): boolean {
  const [a, b] = [ipToBytes(member), ipToBytes(ip)];
  if (a.length !== b.length) return false;
  return a.every((byte, i) => {
    const bits = Math.min(8, Math.max(0, prefix - 8 * i));
    return (byte ^ (b[i] ?? 0)) >> (8 - bits) === 0;
  });
}

/** An IPv4 range in CIDR form; `first` is the network address. */
export interface Subnet {
  readonly first: Ip;
  readonly prefix: number;
}

/** `10.9.0.0/16`, prefix 8..30; undefined when malformed or when host bits are set. */
export function parseSubnet(text: string): Subnet | undefined {
  const [ip = "", bits = ""] = text.split("/");
  const first = parseIp(ip);
  const prefix = /^\d{1,2}$/.test(bits) ? Number(bits) : -1;
  if (first === undefined || isIpv6(first) || prefix < 8 || prefix > 30) return undefined;
  return ipv4Number(first) % subnetSize({ first, prefix }) === 0 ? { first, prefix } : undefined;
}

/** Number of addresses, network and broadcast address included. */
export function subnetSize(subnet: Subnet): number {
  return 2 ** (32 - subnet.prefix);
}

export function subnetContains(subnet: Subnet, ip: Ip): boolean {
  if (isIpv6(ip)) return false;
  const offset = ipv4Number(ip) - ipv4Number(subnet.first);
  return offset >= 0 && offset < subnetSize(subnet);
}

export function subnetText(subnet: Subnet): string {
  return `${subnet.first}/${subnet.prefix}`;
}

/** The EUI-64 link-local address of a MAC (RFC 4291, appendix A). */
export function linkLocalOf(mac: Mac): Ip {
  const m = macToBytes(mac);
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = m;
  return ipFromBytes(Uint8Array.of(0xfe, 0x80, 0, 0, 0, 0, 0, 0, a ^ 2, b, c, 0xff, 0xfe, d, e, f));
}

/** RFC 1918, RFC 6598, unique local IPv6, link-local: hosts of this site or of its carrier. */
export function isPrivate(ip: Ip): boolean {
  if (isIpv6(ip)) return /^f[cd]|^fe[89ab]/.test(ip);
  return PRIVATE.some(([first, size]) => {
    const offset = ipv4Number(ip) - ipv4Number(first);
    return offset >= 0 && offset < size;
  });
}

const PRIVATE: readonly (readonly [Ip, number])[] = [
  ["10.0.0.0", 2 ** 24],
  ["172.16.0.0", 2 ** 20],
  ["192.168.0.0", 2 ** 16],
  ["100.64.0.0", 2 ** 22],
  ["169.254.0.0", 2 ** 16],
];
