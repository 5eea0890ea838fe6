/** Which addresses of a range can be anybody's: the same answer at whoever asks and at each replica. */
import {
  type Ip,
  ipv4FromNumber,
  ipv4Number,
  isIpv6,
  type Subnet,
  subnetSize,
} from "../base/net.ts";

/** The DHCP server identifier: the first host address of the range, the same at every node. */
export function serverIpOf(range: Subnet): Ip {
  return ipv4FromNumber(ipv4Number(range.first) + 1);
}

/** A host address of the range, and not the DHCP server's. */
export function isLeasable(range: Subnet, ip: Ip): boolean {
  if (isIpv6(ip)) return false;
  const offset = ipv4Number(ip) - ipv4Number(range.first);
  return offset > 1 && offset < subnetSize(range) - 1;
}
