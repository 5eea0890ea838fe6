/** Turns names of the file into endpoints; names are looked up again and again. */
import { Resolver as DnsResolver, lookup } from "node:dns/promises";
import { type Endpoint, parseIp } from "../base/net.ts";
import type { BootstrapEntry } from "./bootstrap-entry.ts";
import { messageOf, systemCodeOf } from "./errors.ts";
import { DEFAULT_PORT, type HostPort } from "./host-port.ts";

/** A name may stand for a round robin of members. */
const MAX_ADDRESSES = 8;
/** Targets of one SRV answer that are looked up; one member that answers is enough. */
const MAX_TARGETS = 8;
/** A server that answers at all does so within this. */
const SRV_TIMEOUT_MS = 1_000;
const SRV_TRIES = 2;

export interface SrvRecord {
  /** Host name; empty or "." = the service is decidedly not there (RFC 2782). */
  readonly name: string;
  readonly port: number;
  readonly priority: number;
  readonly weight: number;
}

/** What DNS is asked; both reject when there is no such name. */
export interface Resolver {
  /** IPv4 and IPv6 addresses as text. */
  addresses(host: string): Promise<readonly string[]>;
  services(name: string): Promise<readonly SrvRecord[]>;
}

export const systemResolver: Resolver = {
  /** The system's resolver: /etc/hosts first, like every other program. */
  async addresses(host) {
    const found = await lookup(host, { all: true, verbatim: true });
    return found.map(({ address }) => address);
  },
  async services(name) {
    return new DnsResolver({ timeout: SRV_TIMEOUT_MS, tries: SRV_TRIES }).resolveSrv(name);
  },
};

export interface Resolved {
  readonly endpoints: readonly Endpoint[];
  /** One line for each name that has no address now. */
  readonly problems: readonly string[];
}

export async function resolveBootstrap(
  list: readonly BootstrapEntry[],
  resolver: Resolver,
): Promise<Resolved> {
  return joined(await Promise.all(list.map((entry) => resolveEntry(entry, resolver))));
}

/** Hosts of another key of the file: literal addresses and names alike. */
export async function resolveHosts(
  list: readonly HostPort[],
  resolver: Resolver,
  key: "stun_servers" | "proxy",
): Promise<Resolved> {
  return joined(await Promise.all(list.map((host) => resolveHost(host, resolver, key))));
}

async function resolveEntry(entry: BootstrapEntry, resolver: Resolver): Promise<Resolved> {
  if (entry.kind === "host") return resolveHost(entry, resolver);
  if (entry.kind === "dns") return resolveService(entry.name, resolver);
  return { endpoints: [], problems: [] };
}

/** SRV records say port and order; a name without any stands for its addresses. */
async function resolveService(name: string, resolver: Resolver): Promise<Resolved> {
  const [records, plain] = await Promise.all([
    resolver.services(`_weft._udp.${name}`).catch(() => []),
    resolveHost({ host: name, port: DEFAULT_PORT }, resolver),
  ]);
  const targets = inOrder(records).filter((record) => record.name !== "" && record.name !== ".");
  if (records.length === 0) return plain;
  const hosts = targets.slice(0, MAX_TARGETS).map((record) => ({ ...record, host: record.name }));
  return joined(await Promise.all(hosts.map((host) => resolveHost(host, resolver))));
}

/** All of them are asked at the same time, so weights mean no more than an order. */
function inOrder(records: readonly SrvRecord[]): SrvRecord[] {
  return [...records].sort((a, b) => a.priority - b.priority || b.weight - a.weight);
}

async function resolveHost(
  { host, port }: HostPort,
  resolver: Resolver,
  key = "bootstrap",
): Promise<Resolved> {
  const literal = parseIp(host);
  if (literal !== undefined) return { endpoints: [{ ip: literal, port }], problems: [] };
  try {
    const ips = (await resolver.addresses(host))
      .map((text) => parseIp(text))
      .filter((ip) => ip !== undefined);
    return { endpoints: ips.slice(0, MAX_ADDRESSES).map((ip) => ({ ip, port })), problems: [] };
  } catch (error) {
    const why = systemCodeOf(error) ?? messageOf(error);
    return {
      endpoints: [],
      problems: [
        `${key} name ${host} has no address (${why}): check its spelling and this machine's DNS`,
      ],
    };
  }
}

function joined(answers: readonly Resolved[]): Resolved {
  return {
    endpoints: answers.flatMap((answer) => answer.endpoints),
    problems: answers.flatMap((answer) => answer.problems),
  };
}
