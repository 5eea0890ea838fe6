/**
 * What must hold of a quiet cluster. Each checker returns what is wrong, in words; an empty list is
 * a pass. The safety ones (`checkLeases`, `checkRights`,
 * `checkBounds`) hold at every moment, the others after healing.
 */
import { ENGINE_LIMITS } from "../../src/base/engine.ts";
import type { Host } from "../host.ts";

/** Neighbours a side (docs/PROTOCOL.md, Near links). */
const NEAR = 4;

/** Every node's neighbours are the sorted ring's, on both sides. */
export function checkRing(hosts: readonly Host[]): string[] {
  const members = hosts.flatMap((host) => {
    const status = host.status();
    return status === undefined ? [] : [{ host, address: status.address, ring: status.ring }];
  });
  members.sort((a, b) => (a.address < b.address ? -1 : 1));
  const count = Math.min(NEAR, members.length - 1);
  return members.flatMap(({ host, ring }, i) => {
    const at = (offset: number) => members.at((i + offset) % members.length)?.address;
    const right = Array.from({ length: count }, (_, k) => at(k + 1));
    const left = Array.from({ length: count }, (_, k) => at(-(k + 1)));
    const wrong: string[] = [];
    if (!isPrefix(ring.successors, right))
      wrong.push(`${host.name}: successors ${short(ring.successors)}, ring says ${short(right)}`);
    if (!isPrefix(ring.predecessors, left))
      wrong.push(
        `${host.name}: predecessors ${short(ring.predecessors)}, ring says ${short(left)}`,
      );
    return wrong;
  });
}

/** All `wanted` are there, in order; a small ring may leave out what the other side lists already. */
function isPrefix(found: readonly string[], wanted: readonly (string | undefined)[]): boolean {
  return wanted.every((address, i) => found[i] === address);
}

/** Every node that is up is online, with one lease, and no address is held twice. */
export function checkOnline(hosts: readonly Host[]): string[] {
  const wrong = hosts.flatMap((host) => {
    if (host.status()?.lease === undefined) return [`${host.name}: no lease (${host.state})`];
    return host.ip === undefined ? [`${host.name}: leased but its interface has no address`] : [];
  });
  return [...wrong, ...checkLeases(hosts)];
}

/** No two nodes use one address that was leased by quorum. */
export function checkLeases(hosts: readonly Host[]): string[] {
  const holders = new Map<string, string[]>();
  for (const host of hosts) {
    const lease = host.status()?.lease;
    if (lease === undefined || lease.alone) continue;
    holders.set(lease.ip, [...(holders.get(lease.ip) ?? []), host.name]);
  }
  return [...holders]
    .filter(([, names]) => names.length > 1)
    .map(([ip, names]) => `${ip} is held by ${names.join(" and ")}`);
}

/**
 * Nobody set an address without a lease that lives. A suspended process cannot let go; the address
 * that a crash left on the interface is not its doing. Within a second of its end a lease may show:
 * only what shows twice in a row is wrong.
 */
export function checkRights(hosts: readonly Host[]): string[] {
  return hosts.flatMap((host) => {
    const ip = host.assignedIp;
    if (host.isFrozen || ip === undefined) return [];
    const lease = host.status()?.lease;
    if (lease?.ip !== ip) return [`${host.name} uses ${ip} without a lease`];
    return lease.expiresInSeconds === 0 ? [`${host.name} uses ${ip} past its lease`] : [];
  });
}

/**
 * Every link is known at both ends. One that its peer gave up while this end was suspended or cut off
 * takes a few probes to be noticed; until then frames go nowhere.
 */
export function checkMutual(hosts: readonly Host[]): string[] {
  const linked = new Map(
    hosts.flatMap((host) => {
      const status = host.status();
      const peers = new Set(status?.peers.map(({ address }) => address));
      return status === undefined ? [] : [[status.address, { host, peers }] as const];
    }),
  );
  return [...linked].flatMap(([address, { host, peers }]) =>
    [...peers]
      .filter((peer) => linked.get(peer)?.peers.has(address) !== true)
      .map((peer) => `${host.name} has a link to ${peer.slice(0, 8)} that ends there`),
  );
}

/** Tables stay within their bounds. */
export function checkBounds(hosts: readonly Host[]): string[] {
  return hosts.flatMap((host) => {
    const status = host.status();
    if (status === undefined) return [];
    const wrong: string[] = [];
    if (status.peers.length > ENGINE_LIMITS.sessions)
      wrong.push(`${host.name}: ${status.peers.length} links`);
    if (status.records.bytes > 16 * 1024 * 1024)
      wrong.push(`${host.name}: ${status.records.bytes} record bytes`);
    if (status.ring.successors.length > NEAR || status.ring.predecessors.length > NEAR)
      wrong.push(`${host.name}: near set too large`);
    return wrong;
  });
}

function short(addresses: readonly (string | undefined)[]): string {
  return `[${addresses.map((address) => address?.slice(0, 4) ?? "-").join(" ")}]`;
}
