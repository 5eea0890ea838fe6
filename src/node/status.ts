/**
 * What the node tells people: plain JSON values, stable names (docs/OPERATING.md lists them).
 * Ring addresses are 40 hex digits, durations carry their unit in the name.
 */

import type { NatReport } from "../base/nat.ts";

export type NodeState = "starting" | "joining" | "online" | "degraded" | "stopped";

export interface NodeStatus {
  readonly network: string;
  readonly name: string;
  readonly address: string;
  readonly state: NodeState;
  /** Lines that need a person, each with its cure; empty when all is well. */
  readonly health: readonly string[];
  readonly mac: string;
  readonly mtu: number;
  readonly lease: LeaseStatus | undefined;
  readonly ring: RingStatus;
  readonly peers: readonly PeerStatus[];
  readonly nat: NatStatus;
  /** Questions to the DHT so far: who holds an address, who has a MAC. */
  readonly lookups: { readonly lease: number; readonly mac: number };
  readonly records: { readonly count: number; readonly bytes: number };
  readonly uptimeMs: number;
  readonly security: "secret" | "authority";
  /** This node's own one; undefined in `secret:` mode. */
  readonly certificate: CertificateStatus | undefined;
  readonly notices: NoticesStatus;
}

export interface CertificateStatus {
  /** Unix seconds, 0 = never */
  readonly ends: number;
  readonly groups: readonly string[];
  readonly mayIssue: boolean;
  /** `authority`, or the name of the member that signed it. */
  readonly issuer: string;
}

/** What the authority told this node; all 0 in `secret:` mode. */
export interface NoticesStatus {
  /** Number of the newest list of revocations. */
  readonly revocations: number;
  readonly revokedKeys: number;
  readonly revokedSerials: number;
  /** Number of the newest shared part. */
  readonly shared: number;
}

/** Of this node's own NAT; `weft netcheck` tells more. */
export interface NatStatus extends NatReport {
  /** One word; undefined while nobody could tell. */
  readonly kind: string | undefined;
  /** Addresses of this host where peers beside it may reach it, `ip:port` each. */
  readonly local: readonly string[];
  /** How this node is seen from outside, `ip:port` each. */
  readonly reflexive: readonly string[];
  /** "blocked": everybody was asked and nobody answered. */
  readonly udp: "works" | "blocked" | "unknown";
  /** Servers and members that the last look asked. */
  readonly asked: number;
  readonly isLooking: boolean;
  /** How long the NAT keeps a mapping that carries nothing, as far as that is measured. */
  readonly mappingLife: MappingLifeStatus;
}

export interface MappingLifeStatus {
  readonly state: "unknown" | "measuring" | "known";
  /** Silent for so long a mapping still served; 0 = none did yet. */
  readonly aliveSeconds: number;
  /** Silent for so long it did not; undefined when it never failed. */
  readonly goneSeconds: number | undefined;
}

export interface LeaseStatus {
  readonly ip: string;
  readonly prefix: number;
  readonly expiresInSeconds: number;
  readonly epoch: number;
  readonly renewals: number;
  /** Leased while no other member was reachable; it is claimed again when one is. */
  readonly alone: boolean;
}

export interface RingStatus {
  readonly predecessors: readonly string[];
  readonly successors: readonly string[];
  readonly sizeEstimate: number;
  readonly stable: boolean;
}

export interface PeerStatus {
  readonly name: string;
  readonly address: string;
  /** Its virtual address, when its lease is known here. */
  readonly ip: string | undefined;
  readonly link: "direct" | "relay" | "connecting";
  /** What a direct path goes over; undefined for others. */
  readonly transport: "udp" | "tls" | undefined;
  /** Name of the relaying member. */
  readonly relay: string | undefined;
  readonly role: string;
  readonly endpoint: string | undefined;
  readonly rttMs: number | undefined;
  readonly lossFraction: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** UDP payload the path is known to carry. */
  readonly maxDatagram: number;
  /** Largest packet inside that travels whole; undefined without a path. */
  readonly mtu: number | undefined;
  readonly cipher: string;
  /** The keys in use hold an X-Wing secret. */
  readonly postQuantum: boolean;
  /** Kind of its NAT, when it told. */
  readonly nat: string | undefined;
  readonly seenMsAgo: number;
  readonly version: string;
}
