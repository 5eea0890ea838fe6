import { type Endpoint, type Ip, ipToBytes, isIpv6 } from "../base/net.ts";

/**
 * Whether a peer can be at this endpoint at all. A candidate is the word of another member: it must
 * not make us send to ourselves, to a group, or to a link that has no scope here.
 */
export function isSensibleCandidate({ ip, port }: Endpoint): boolean {
  return port !== 0 && (isIpv6(ip) ? isSensibleIpv6(ip) : isSensibleIpv4(ip));
}

/** Not 0/8 (this host), 127/8 (loopback), 224/4 (groups) nor 240/4 (reserved, broadcast). */
function isSensibleIpv4(ip: Ip): boolean {
  const [first = 0] = ipToBytes(ip);
  return first !== 0 && first !== 127 && first < 224;
}

/** Not ::/16 (unspecified, loopback, mapped IPv4), fe80::/10 (link-local) nor ff00::/8 (groups). */
function isSensibleIpv6(ip: Ip): boolean {
  const [first = 0, second = 0] = ipToBytes(ip);
  if (first === 0 && second === 0) return false;
  return first !== 0xff && !(first === 0xfe && (second & 0xc0) === 0x80);
}
