/** Everything a node is told from outside: its configuration, its inputs, its outputs. */
import type { EngineCommand, Upcall } from "../base/engine.ts";
import type { CoreEvent } from "../base/event.ts";
import type { Endpoint, Ip, IpFamily, Mac, Subnet } from "../base/net.ts";
import type { Reservation, SavedLease } from "../lease/leases.ts";
import type { RelayPolicy } from "../link/relay-policy.ts";
import type { ProxyRoute, StreamOptions } from "../link/stream-fallback.ts";
import type { TraversalMode } from "../link/traversal-mode.ts";
import type { StunMode } from "../stun/stun.ts";
import type { AccessRules } from "../vnet/access-rules.ts";
import type { AddressMode, DhcpMode } from "../vnet/vnet.ts";
import type { NoticeKind } from "../wire/notice.ts";
import type { NodeCommand, NodeReply } from "./command.ts";
import type { Invite } from "./invites.ts";
import type { SharedSetting } from "./shared-parts.ts";
import type { NodeState } from "./status.ts";

export interface NodeConfig {
  readonly networkName: string;
  /** 32 bytes */
  readonly networkKey: Uint8Array;
  /** 32 bytes, Ed25519: who signs members in; undefined = whoever has the network key is one. */
  readonly authority?: Uint8Array;
  /** This node's own certificate, in authority mode (crypto/certificate-chain.ts). */
  readonly certificate?: Uint8Array;
  /** Those that this node made and others may still use, as stored. */
  readonly invites?: readonly Invite[];
  /** What the authority told this node before its start, as it was saved. */
  readonly notices?: readonly Uint8Array[];
  /** 32 bytes */
  readonly identitySeed: Uint8Array;
  /** 1..63 of [a-z0-9-] */
  readonly nodeName: string;
  /** Random for each start of the process: tells peers that earlier sessions are gone. */
  readonly boot: bigint;
  /** 32 bytes, of the cluster file's shared part */
  readonly digest: Uint8Array;
  /** That part key by key, told to members with another digest; default: nothing. */
  readonly shared?: readonly SharedSetting[];
  readonly range: Subnet;
  readonly leaseSeconds: number;
  readonly addressMode: AddressMode;
  readonly staticIp?: Ip;
  /** Addresses that the file promises to named nodes. */
  readonly claims: readonly { readonly name: string; readonly ip: Ip }[];
  /** Addresses that the file keeps for machines behind any site. */
  readonly reservations?: readonly Reservation[];
  /** Who may begin what towards whom; undefined = everybody anything. */
  readonly acl?: AccessRules;
  /** Groups that the file gives to nodes by name; none where certificates do. */
  readonly nodeGroups?: readonly { readonly name: string; readonly groups: readonly string[] }[];
  /** Of this machine's own interface: the TAP, or the bridge that the TAP is a port of. */
  readonly mac: Mac;
  /** There are machines of their own behind the TAP; default: false. */
  readonly bridged?: boolean;
  /** Whether they are given addresses; default: auto. */
  readonly dhcp?: DhcpMode;
  readonly mtu: number;
  /** It is raised where every path carries more. */
  readonly raisesMtu?: boolean;
  /** The family of each of the engine's UDP sockets, in order. */
  readonly sockets: readonly IpFamily[];
  /** As bound, one for each of them; the wildcard address stands for every one of its family. */
  readonly bound: readonly Endpoint[];
  readonly stun: StunMode;
  /** What this node relays for others; default: DEFAULT_RELAY_POLICY. */
  readonly relay?: RelayPolicy;
  /** How hard NATs are worked on; default: standard. */
  readonly traversal?: TraversalMode;
  /** Undefined = no TLS streams, neither way. */
  readonly streams?: StreamOptions;
  /** The processor has AES instructions. */
  readonly hasAes: boolean;
  readonly bootstrap: readonly Endpoint[];
  /** Members on the same switch are looked for: somebody may turn up a moment after the start. */
  readonly searchesNearby?: boolean;
  /** Underlay endpoints of this host. */
  readonly localEndpoints: readonly Endpoint[];
  readonly domain?: string;
  readonly version: string;
  /** Unix time, for certificate dates only. */
  readonly wallSeconds: number;
  readonly saved?: SavedState;
}

/** What outlives a restart, as JSON; the agent stores it. */
export interface SavedState {
  readonly version: 1;
  readonly leases: readonly SavedLease[];
  readonly peers: readonly SavedPeer[];
}

export interface SavedPeer {
  /** 40 hex digits */
  readonly address: string;
  readonly name: string;
  readonly endpoint: Endpoint;
}

export type NodeInput =
  | { readonly kind: "timeout" }
  | { readonly kind: "upcall"; readonly upcall: Upcall }
  | { readonly kind: "wall"; readonly wallSeconds: number }
  /** What `keep-invites` asked for is on disk, or could not be written. */
  | { readonly kind: "kept"; readonly keeping: number; readonly ok: boolean }
  | { readonly kind: "bootstrap"; readonly endpoints: readonly Endpoint[] }
  | { readonly kind: "local-endpoints"; readonly endpoints: readonly Endpoint[] }
  /** Servers of the file, their names looked up. */
  | { readonly kind: "stun-servers"; readonly endpoints: readonly Endpoint[] }
  /** The HTTP proxy for streams, its name looked up. */
  | { readonly kind: "proxy"; readonly route: ProxyRoute }
  | { readonly kind: "command"; readonly id: number; readonly command: NodeCommand };

export type NodeOutput =
  | { readonly kind: "engine"; readonly command: EngineCommand }
  | { readonly kind: "interface"; readonly ip: Ip; readonly prefix: number; readonly mtu: number }
  | { readonly kind: "interface-clear"; readonly ip: Ip }
  /** The interface's MTU from now on. */
  | { readonly kind: "mtu"; readonly mtu: number }
  | { readonly kind: "state"; readonly state: NodeState }
  | { readonly kind: "event"; readonly event: CoreEvent }
  | { readonly kind: "reply"; readonly id: number; readonly reply: NodeReply }
  | { readonly kind: "save"; readonly state: SavedState }
  /** To be written durably at once, and answered by `kept`. */
  | { readonly kind: "keep-invites"; readonly keeping: number; readonly invites: readonly Invite[] }
  /** The node's own certificate from now on: to be stored. */
  | { readonly kind: "certificate"; readonly bytes: Uint8Array }
  /** The authority's newest word of this kind, to be kept over a restart. */
  | { readonly kind: "notice"; readonly notice: NoticeKind; readonly bytes: Uint8Array }
  | { readonly kind: "stopped" };
