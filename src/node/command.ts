/** Questions and orders that reach a running node from outside (the control socket). */
import type { Ip } from "../base/net.ts";
import type { NoticeKind } from "../wire/notice.ts";
import type { Explained } from "./explain.ts";
import type { InviteWish } from "./issuer.ts";
import type { LeaseRow } from "./lease-report.ts";
import type { MemberRow } from "./member-report.ts";

export type NodeCommand =
  /** One round trip over the overlay, not through the TAP; `target` is a node name or a virtual address. */
  | { readonly name: "ping"; readonly target: string; readonly size: number }
  /** Who holds this virtual address, asked of the DHT. */
  | { readonly name: "resolve"; readonly ip: Ip }
  /** This node's leases and what is known of the peers'. */
  | { readonly name: "leases" }
  /** Takes back the lease of a client of this node: an address, a client identifier or a MAC. */
  | { readonly name: "release"; readonly target: string }
  /** A DHT record by its 40-hex key. */
  | { readonly name: "dht-get"; readonly key: string }
  /** Why two members reach one another as they do; names or virtual addresses. */
  | { readonly name: "explain"; readonly from: string | undefined; readonly to: string }
  /** Makes an invite; only where the authority lets this node issue. */
  | { readonly name: "invite"; readonly wish: InviteWish }
  /** Asks for a certificate of another key of this node; \`seed\` has 32 bytes. */
  | { readonly name: "rotate"; readonly seed: Uint8Array }
  /** Who is a member, as far as this node is linked to them. */
  | { readonly name: "members" }
  /** Look at the NAT again; status says when that is done. */
  | { readonly name: "survey" }
  /** The authority's newest notices, as this node has them. */
  | { readonly name: "notices" }
  /** One that the authority signed, for every member. */
  | { readonly name: "post-notice"; readonly notice: Uint8Array }
  /** Gives the leases back and says goodbye to every link; the node is stopped afterwards. */
  | { readonly name: "leave" }
  /** Says goodbye to every link and keeps the lease. */
  | { readonly name: "stop" };

/** What a token needs besides the cluster file; all in hex but for name and date. */
export interface InvitedMember {
  readonly name: string;
  readonly number: string;
  readonly secret: string;
  /** The issuer's key and ring address. */
  readonly issuer: string;
  readonly address: string;
  /** Unix seconds */
  readonly ends: number;
}

export type NodeReply =
  | {
      readonly kind: "pong";
      readonly peer: string;
      readonly rttMs: number;
      /** `direct 192.0.2.1:7117` or `relay NAME`. */
      readonly via: string;
    }
  | { readonly kind: "leases"; readonly leases: readonly LeaseRow[] }
  | { readonly kind: "lease"; readonly lease: LeaseRow }
  | {
      readonly kind: "record";
      readonly record: Readonly<Record<string, string | number | boolean>>;
    }
  | { readonly kind: "explained"; readonly explained: Explained }
  | { readonly kind: "invited"; readonly invited: InvitedMember }
  | { readonly kind: "members"; readonly members: readonly MemberRow[] }
  /** As it travels, in hex. */
  | { readonly kind: "certificate"; readonly certificate: string }
  | { readonly kind: "notices"; readonly notices: readonly Uint8Array[] }
  | { readonly kind: "posted"; readonly notice: NoticeKind; readonly number: number }
  | { readonly kind: "done" }
  | {
      readonly kind: "failed";
      readonly code:
        | "unknown-peer"
        | "not-found"
        | "timeout"
        | "unavailable"
        | "bad-argument"
        | "not-newer"
        | "notice-refused";
      readonly detail: string;
    };
