/** Leases as people see them: those of this node, those that peers were confirmed for, one of the DHT. */
import { type Ip, ipv4Number } from "../base/net.ts";
import type { RingAddress } from "../base/ring-address.ts";
import type { Millis } from "../base/time.ts";
import { type LeaseState, parseLeaseRecord } from "../lease/leases.ts";
import type { DhtRecord } from "../wire/record.ts";
import type { Parts } from "./parts.ts";

/** One leased address. What is unknown here is left out. */
export interface LeaseRow {
  readonly ip: Ip;
  readonly mac: string;
  /** hex of the DHCP client identifier; `01` and the MAC for clients that send none */
  readonly client?: string;
  /** Name of the member that holds it, or its ring address. */
  readonly holder: string;
  readonly own: boolean;
  readonly expiresInSeconds?: number;
}

/** This node's first, by address; then what peers may speak for. */
export function leaseRows(now: Millis, parts: Parts, ownName: string): LeaseRow[] {
  const own = parts.leases.states().map((lease) => ownRow(now, lease, ownName));
  const others = parts.links
    .views()
    .flatMap(({ peer }) =>
      parts.vnet
        .claimsOf(peer.address)
        .flatMap(({ mac, ips }) => ips.map((ip) => ({ ip, mac, holder: peer.name, own: false }))),
    );
  return [...own.sort(byIp), ...others.sort(byIp)];
}

/** @returns undefined when the record is no lease */
export function leaseRowOf(
  record: DhtRecord,
  remainingSeconds: number,
  nameOf: (address: RingAddress) => string,
  self: RingAddress,
): LeaseRow | undefined {
  const facts = parseLeaseRecord(record);
  if (!facts.ok) return undefined;
  const { ip, mac, client, holder } = facts.value;
  const own = holder === self;
  return { ip, mac, client, holder: nameOf(holder), own, expiresInSeconds: remainingSeconds };
}

/** By address, client identifier or MAC, as `weft lease list` shows them. */
export function findLease(parts: Parts, target: string): LeaseState | undefined {
  const wanted = target.toLowerCase();
  return parts.leases
    .states()
    .find(({ ip, client, mac }) => ip === wanted || client === wanted || mac === wanted);
}

function ownRow(now: Millis, lease: LeaseState, holder: string): LeaseRow {
  const { ip, mac, client, expiresAt } = lease;
  const expiresInSeconds = Math.max(0, Math.round((expiresAt - now) / 1_000));
  return { ip, mac, client, holder, own: true, expiresInSeconds };
}

function byIp(a: LeaseRow, b: LeaseRow): number {
  return ipv4Number(a.ip) - ipv4Number(b.ip);
}
