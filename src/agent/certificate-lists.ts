/** Lists as a certificate has them: each item once, ascending by its bytes. */
import { compareBytes } from "../base/bytes.ts";
import { type Ip, ipToBytes } from "../base/net.ts";

export function ascending(words: readonly string[]): string[] {
  return [...new Set(words)].sort((a, b) => (a < b ? -1 : 1));
}

/** IPv4 before IPv6. */
export function ascendingIps(ips: readonly Ip[]): Ip[] {
  const distinct = [...new Set(ips)].map((ip) => ({ ip, bytes: ipToBytes(ip) }));
  const order = (a: Uint8Array, b: Uint8Array): number => a.length - b.length || compareBytes(a, b);
  return distinct.sort((a, b) => order(a.bytes, b.bytes)).map(({ ip }) => ip);
}
