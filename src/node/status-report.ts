/** Turns the machines' own views into the plain values people see (status.ts). */
import { toHex } from "../base/bytes.ts";
import { natKind } from "../base/nat.ts";
import { endpointText } from "../base/net.ts";
import { addressToBytes, type RingAddress } from "../base/ring-address.ts";
import type { Millis } from "../base/time.ts";
import { endOf } from "../crypto/authority-rules.ts";
import type { LeaseState } from "../lease/leases.ts";
import type { LinkView } from "../link/link-types.ts";
import { isStream } from "../link/stream-sockets.ts";
import { SEAL_OVERHEAD_BYTES } from "../wire/data.ts";
import { RELAY_SHIM_BYTES } from "../wire/relay.ts";
import type { NodeConfig } from "./config.ts";
import type { Parts } from "./parts.ts";
import type {
  CertificateStatus,
  LeaseStatus,
  NatStatus,
  NodeState,
  NodeStatus,
  NoticesStatus,
  PeerStatus,
  RingStatus,
} from "./status.ts";

/** Destination, source, type. */
const ETHERNET_BYTES = 14;

export interface ReportInput {
  readonly config: NodeConfig;
  readonly parts: Parts;
  readonly state: NodeState;
  readonly startedAt: Millis;
  readonly health: readonly string[];
  readonly mtu: number;
}

export function reportStatus(now: Millis, input: ReportInput): NodeStatus {
  const { config, parts } = input;
  const degraded = input.state === "online" && input.health.length > 0;
  return {
    network: config.networkName,
    name: config.nodeName,
    address: addressHex(parts.self),
    state: degraded ? "degraded" : input.state,
    health: input.health,
    mac: config.mac,
    mtu: input.mtu,
    lease: leaseStatus(now, config, ownLease(config, parts)),
    ring: ringStatus(parts),
    peers: parts.links.views().map((view) => peerStatus(now, parts, view)),
    nat: natStatus(parts),
    lookups: parts.vnet.lookups(),
    records: countRecords(parts),
    uptimeMs: now - input.startedAt,
    security: parts.issuing === undefined ? "secret" : "authority",
    certificate: certificateStatus(parts),
    notices: noticesStatus(parts),
  };
}

function noticesStatus({ board }: Parts): NoticesStatus {
  const { number, keys, serials } = board.revocations;
  return {
    revocations: number,
    revokedKeys: keys.length,
    revokedSerials: serials.length,
    shared: board.number("shared"),
  };
}

function certificateStatus({ issuing, own }: Parts): CertificateStatus | undefined {
  if (issuing === undefined) return undefined;
  const { certificate, issuers } = own.member;
  const { groups, mayIssue } = certificate;
  const ends = endOf([certificate, ...issuers]);
  return { ends, groups, mayIssue, issuer: issuers[0]?.name ?? "authority" };
}

function ownLease(config: NodeConfig, parts: Parts): LeaseState | undefined {
  const leases = parts.leases.states();
  const own = leases.find((lease) => lease.mac === config.mac);
  // Behind a bridge the others are other machines'.
  return config.bridged === true ? own : (own ?? leases[0]);
}

function leaseStatus(
  now: Millis,
  config: NodeConfig,
  lease: LeaseState | undefined,
): LeaseStatus | undefined {
  if (lease === undefined) return undefined;
  return {
    ip: lease.ip,
    prefix: config.range.prefix,
    expiresInSeconds: Math.max(0, Math.round((lease.expiresAt - now) / 1000)),
    epoch: lease.epoch,
    renewals: lease.renewals,
    alone: lease.alone,
  };
}

function ringStatus(parts: Parts): RingStatus {
  const view = parts.ring.view();
  return {
    predecessors: view.predecessors.map(addressHex),
    successors: view.successors.map(addressHex),
    sizeEstimate: view.sizeEstimate,
    stable: view.stable,
  };
}

function peerStatus(now: Millis, parts: Parts, view: LinkView): PeerStatus {
  const { peer, path, traffic } = view;
  return {
    name: peer.name,
    address: addressHex(peer.address),
    ip: parts.vnet.ipOf(peer.address),
    link: path.kind === "none" ? "connecting" : path.kind,
    transport: path.kind === "direct" ? (isStream(path.socket) ? "tls" : "udp") : undefined,
    relay: path.kind === "relay" ? nameOf(parts, path.via) : undefined,
    role: view.role,
    endpoint: path.kind === "direct" ? endpointText(path.endpoint) : undefined,
    rttMs: view.rttMs,
    lossFraction: view.lossFraction,
    bytesIn: traffic?.bytesIn ?? 0,
    bytesOut: traffic?.bytesOut ?? 0,
    maxDatagram: view.maxDatagram,
    mtu: innerMtu(view),
    cipher: view.cipher,
    postQuantum: view.isPostQuantum,
    nat: view.nat === undefined ? undefined : natKind(view.nat),
    seenMsAgo: now - view.lastHeardAt,
    version: `0.${peer.minorVersion}`,
  };
}

function natStatus(parts: Parts): NatStatus {
  const { nat, local, reflexive, udp, asked, isSurveying, life } = parts.stun.view();
  return {
    ...nat,
    kind: natKind(nat),
    local: local.map(endpointText),
    reflexive: reflexive.map(endpointText),
    udp,
    asked,
    isLooking: isSurveying,
    mappingLife: {
      state: life.state,
      aliveSeconds: life.aliveMs / 1_000,
      goneSeconds: life.goneMs === undefined ? undefined : life.goneMs / 1_000,
    },
  };
}

/** What a path carries of an IP packet: less relay shim, sealing and Ethernet header. */
export function innerMtu({ path, maxDatagram }: LinkView): number | undefined {
  if (path.kind === "none") return undefined;
  const shim = path.kind === "relay" ? RELAY_SHIM_BYTES : 0;
  return maxDatagram - shim - SEAL_OVERHEAD_BYTES - ETHERNET_BYTES;
}

function countRecords(parts: Parts): { count: number; bytes: number } {
  const size = parts.dht.size();
  return { count: size.records, bytes: size.bytes };
}

function nameOf(parts: Parts, address: RingAddress): string {
  return parts.links.byAddress(address)?.peer.name ?? addressHex(address).slice(0, 8);
}

function addressHex(address: RingAddress): string {
  return toHex(addressToBytes(address));
}
