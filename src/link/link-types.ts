/** Inputs, outputs and views of the links: the vocabulary between link and the layers above. */
import type {
  Cipher,
  EngineCommand,
  SessionId,
  SessionTraffic,
  SocketIndex,
  Upcall,
} from "../base/engine.ts";
import type { CoreEvent } from "../base/event.ts";
import type { NatReport } from "../base/nat.ts";
import type { Endpoint } from "../base/net.ts";
import type { RingAddress } from "../base/ring-address.ts";
import type { Millis } from "../base/time.ts";
import type { PeerNat } from "../wire/link-messages.ts";
import type { CandidateReport } from "./candidate-report.ts";

/** One link per peer, one engine session per link: it outlives rekeys and moves between paths. */
export type LinkId = SessionId;
export type LinkRole = "near" | "shortcut" | "leaf" | "onDemand";

/** Reason of a link-down whose session goes on: the peer forgot the link, and link-up follows at once. */
export const REOPENED = "reopened";

/** What the handshake proved about a peer. */
export interface PeerInfo {
  readonly link: LinkId;
  readonly address: RingAddress;
  /** Ed25519, 32 bytes */
  readonly publicKey: Uint8Array;
  readonly certificate: Uint8Array;
  readonly name: string;
  /** Out of its certificate; empty in `secret:` mode. */
  readonly groups: readonly string[];
  /** Of its certificate; 0 in `secret:` mode. */
  readonly serial: bigint;
  /** Ed25519 keys of those above its certificate, nearest first, without the authority itself. */
  readonly issuers: readonly Uint8Array[];
  /** Drawn anew each time the peer's agent starts. */
  readonly boot: bigint;
  readonly minorVersion: number;
  readonly capabilities: number;
  /** Of the cluster file's shared part, 32 bytes. */
  readonly digest: Uint8Array;
  readonly candidates: readonly Endpoint[];
  readonly initiatedHere: boolean;
}

export type PathView =
  | { readonly kind: "none" }
  /** Over a UDP socket or a stream (stream-sockets.ts). */
  | { readonly kind: "direct"; readonly socket: SocketIndex; readonly endpoint: Endpoint }
  | { readonly kind: "relay"; readonly via: RingAddress };

export interface LinkView {
  readonly peer: PeerInfo;
  readonly role: LinkRole;
  readonly path: PathView;
  readonly rttMs: number | undefined;
  /** Share of unanswered probes, smoothed over about 16 of them. */
  readonly lossFraction: number;
  /** Bytes of UDP payload; 0 without a path. */
  readonly maxDatagram: number;
  /** The search for the path's size is over; until then maxDatagram grows. */
  readonly isSizeSettled: boolean;
  readonly openedAt: Millis;
  readonly lastHeardAt: Millis;
  readonly traffic: SessionTraffic | undefined;
  readonly cipher: Cipher;
  /** An X-Wing secret is mixed into the keys in use. */
  readonly isPostQuantum: boolean;
  /** What the peer told of its NAT. */
  readonly nat: PeerNat | undefined;
  /** What became of each of its addresses; only for people who ask. */
  readonly candidates: () => readonly CandidateReport[];
}

/** Who asked for a reliable message; routes `sent` back. */
export type SendOwner = "ring" | "vnet" | "node";

export type ConnectTarget =
  /** `stream`: over this stream, which leads there, in place of a datagram by UDP. */
  | {
      readonly kind: "endpoint";
      readonly endpoint: Endpoint;
      readonly stream?: SocketIndex;
    }
  | {
      readonly kind: "address";
      readonly address: RingAddress;
      /** Where it may listen; tried beside the handshake over the ring. */
      readonly endpoints: readonly Endpoint[];
    };

export type LinksInput =
  | { readonly kind: "timeout" }
  | { readonly kind: "upcall"; readonly upcall: Upcall }
  /** Wall clock, at start and hourly: for certificate dates alone. */
  | { readonly kind: "wall"; readonly wallSeconds: number }
  /** Our own one was renewed, for the same key. */
  | { readonly kind: "certificate"; readonly bytes: Uint8Array }
  /** Our own host candidates on the underlay. */
  | { readonly kind: "local-endpoints"; readonly endpoints: readonly Endpoint[] }
  /** How a STUN server sees this socket of ours: one more candidate. */
  | { readonly kind: "reflexive"; readonly socket: SocketIndex; readonly endpoint: Endpoint }
  /** What the NAT in front of this node does. */
  | ({ readonly kind: "nat" } & NatReport)
  /** It keeps a mapping that was silent for so long, and not much longer; undefined = long enough. */
  | { readonly kind: "mapping-life"; readonly aliveMs: Millis | undefined }
  | { readonly kind: "connect"; readonly to: ConnectTarget; readonly role: LinkRole }
  /** Payload 0x22 that the ring delivered. */
  | { readonly kind: "routed-handshake"; readonly source: RingAddress; readonly bytes: Uint8Array }
  | {
      readonly kind: "send";
      readonly link: LinkId;
      readonly bytes: Uint8Array;
      readonly reliable: boolean;
      readonly owner: SendOwner;
      /** 0 = nobody waits for the outcome. */
      readonly token: number;
    }
  | { readonly kind: "set-role"; readonly link: LinkId; readonly role: LinkRole }
  /** The peer is alive (others reach it) but this path is not: look for another one, or a relay. */
  | { readonly kind: "path-broken"; readonly link: LinkId }
  | { readonly kind: "close"; readonly link: LinkId; readonly reason: string }
  /** The authority shut somebody out: links with them end at once, without a word. */
  | { readonly kind: "revoked" };

export interface ConnectFailed {
  readonly kind: "connect-failed";
  readonly to: ConnectTarget;
  readonly reason: string;
  /** The other's major version, when it refused ours. */
  readonly major?: number;
}

export type LinksOutput =
  | { readonly kind: "engine"; readonly command: EngineCommand }
  | { readonly kind: "event"; readonly event: CoreEvent }
  | { readonly kind: "link-up"; readonly peer: PeerInfo }
  | {
      readonly kind: "link-down";
      readonly link: LinkId;
      readonly address: RingAddress;
      readonly reason: string;
    }
  /** After each handshake, also one that renews a link: how new what the peer heard of the authority is. */
  | {
      readonly kind: "greeted";
      readonly link: LinkId;
      readonly revocations: number;
      readonly shared: number;
    }
  /** On every change; each link-up is followed by one. */
  | {
      readonly kind: "path";
      readonly link: LinkId;
      readonly address: RingAddress;
      readonly path: PathView;
      /** The peer was heard in this session: it holds the keys, and a frame sent now will be opened. */
      readonly isConfirmed: boolean;
      readonly rttMs: number | undefined;
    }
  /** Probes unanswered and nothing heard: the ring answers with close or path-broken. */
  | { readonly kind: "silent"; readonly link: LinkId; readonly address: RingAddress }
  /** A whole message of type >= 0x10. */
  | {
      readonly kind: "message";
      readonly link: LinkId;
      readonly address: RingAddress;
      readonly bytes: Uint8Array;
    }
  /** The outcome of a reliable message: acknowledged, or given up. */
  | {
      readonly kind: "sent";
      readonly owner: SendOwner;
      readonly token: number;
      readonly ok: boolean;
    }
  /** To be routed exactly to `to` as payload 0x22. */
  | { readonly kind: "route-handshake"; readonly to: RingAddress; readonly bytes: Uint8Array }
  | ConnectFailed
  /** How a peer sees us, when that is news. */
  | { readonly kind: "reflexive"; readonly socket: SocketIndex; readonly endpoint: Endpoint }
  /** How a peer sees us, each time it says so. */
  | {
      readonly kind: "observed";
      readonly socket: SocketIndex;
      /** The peer's own endpoint. */
      readonly by: Endpoint;
      readonly endpoint: Endpoint;
    };
