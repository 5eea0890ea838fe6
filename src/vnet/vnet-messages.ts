/** What goes into the virtual network's machine and what comes out of it. */
import type { EngineCommand, Upcall } from "../base/engine.ts";
import type { CoreEvent } from "../base/event.ts";
import type { Ip, Mac, Subnet } from "../base/net.ts";
import type { RingAddress } from "../base/ring-address.ts";
import type { Rng } from "../base/rng.ts";
import type { Identity } from "../crypto/identity.ts";
import type { Membership } from "../crypto/membership.ts";
import type { CryptoSuite } from "../crypto/suite.ts";
import type { DhtInput, DhtResult } from "../dht/dht.ts";
import type { LeaseState, LeasesInput, SavedLease } from "../lease/leases.ts";
import type { LinkId, PeerInfo } from "../link/link-types.ts";
import type { RingView } from "../ring/view.ts";
import type { AccessOptions } from "./access.ts";
import type { DhcpMode } from "./dhcp-guard.ts";

/**
 * Where the address of the TAP comes from: leased and set by the agent, leased to a DHCP client on
 * the TAP, or fixed in the configuration and set by the agent.
 */
export type AddressMode = "auto" | "dhcp" | "static";

export interface VnetOptions {
  readonly suite: CryptoSuite;
  readonly rng: Rng;
  readonly networkId: Uint8Array;
  readonly identity: Identity;
  readonly membership: Membership;
  readonly self: RingAddress;
  /** Own member certificate; floods carry it. */
  readonly certificate: Uint8Array;
  /** 32 bytes, `ClusterKeys.beaconKey` */
  readonly beaconKey: Uint8Array;
  /** Of our host's own interface: the TAP, or the bridge that the TAP is a port of. */
  readonly mac: Mac;
  readonly mode: AddressMode;
  /** There are machines of their own behind the TAP. */
  readonly bridged: boolean;
  /** Whether machines there are given addresses; see DhcpMode. */
  readonly dhcp: DhcpMode;
  readonly range: Subnet;
  readonly leaseSeconds: number;
  readonly mtu: number;
  /** DHCP server identifier: never leased, answered by every node for its own host. */
  readonly serverIp: Ip;
  readonly serverMac: Mac;
  readonly domain?: string;
  /** Rules for what members may begin; without, they may anything. */
  readonly access?: AccessOptions;
}

export type VnetInput =
  | { readonly kind: "timeout" }
  /** frame, miss or held; others are not the virtual network's */
  | { readonly kind: "upcall"; readonly upcall: Upcall }
  | { readonly kind: "link-up"; readonly peer: PeerInfo }
  /** Whether any path leads to the peer at the moment; unusable until told. */
  | { readonly kind: "path"; readonly link: LinkId; readonly usable: boolean }
  | {
      readonly kind: "link-down";
      readonly link: LinkId;
      readonly address: RingAddress;
      readonly reason: string;
    }
  | {
      readonly kind: "message";
      readonly link: LinkId;
      readonly address: RingAddress;
      readonly bytes: Uint8Array;
    }
  | { readonly kind: "sent"; readonly token: number; readonly ok: boolean }
  /** What was leased when the agent ended: the machines behind a bridge still use it. */
  | { readonly kind: "restore"; readonly leases: readonly SavedLease[] }
  /** A person takes a client's lease back. */
  | { readonly kind: "give-back"; readonly client: string }
  | { readonly kind: "bound"; readonly lease: LeaseState }
  | { readonly kind: "refused"; readonly client: string; readonly reason: string }
  | { readonly kind: "lost"; readonly client: string; readonly ip: Ip; readonly mac: Mac }
  | {
      readonly kind: "dht-result";
      readonly request: number;
      readonly key: RingAddress;
      readonly result: DhtResult;
    }
  | { readonly kind: "view"; readonly view: RingView }
  | { readonly kind: "resolve"; readonly token: number; readonly ip: Ip }
  /** Unix time, only for the dates of certificates in floods; 0 until told. */
  | { readonly kind: "wall"; readonly wallSeconds: number }
  /** This node's own certificate was renewed: its groups may be others. */
  | { readonly kind: "certificate" }
  /** The authority shut somebody out. */
  | { readonly kind: "revoked" };

export interface ResolvedAddress {
  readonly ip: Ip;
  readonly mac: Mac;
  readonly holder: RingAddress;
}

export type VnetOutput =
  | { readonly kind: "engine"; readonly command: EngineCommand }
  | { readonly kind: "dht"; readonly input: DhtInput }
  | Extract<LeasesInput, { kind: "want" | "confirm" }>
  | { readonly kind: "release"; readonly client: string }
  | { readonly kind: "decline"; readonly client: string; readonly ip: Ip }
  | { readonly kind: "connect"; readonly address: RingAddress }
  | {
      readonly kind: "send";
      readonly link: LinkId;
      readonly bytes: Uint8Array;
      readonly reliable: boolean;
      readonly token: number;
    }
  /** Modes auto and static: the agent sets or clears the TAP's address. */
  | {
      readonly kind: "interface";
      readonly ip: Ip;
      readonly prefix: number;
      readonly leaseSeconds: number;
    }
  | { readonly kind: "interface-clear"; readonly ip: Ip }
  | {
      readonly kind: "resolved";
      readonly token: number;
      readonly answer: ResolvedAddress | undefined;
    }
  | { readonly kind: "event"; readonly event: CoreEvent };
