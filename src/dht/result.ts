/** What a DHT operation ends in, as its owner (lease, vnet, node) sees it. */
import type { DhtRecord } from "../wire/record.ts";

/** Which machine asked; results are routed back by it. */
export type DhtOwner = "lease" | "vnet" | "node";

/** One replica's signature that it holds a lease: see dht/attestation.ts for the signed bytes. */
export interface Attestation {
  /** The replica's member certificate, as it travels. */
  readonly replica: Uint8Array;
  readonly signature: Uint8Array;
  /** Size of the replica set (1..5) the replica saw; part of the signed bytes. */
  readonly members: number;
  /** The renewal count (1..16) it vouches for; part of the signed bytes. */
  readonly renewals: number;
}

export type DhtResult =
  | { readonly status: "found"; readonly record: DhtRecord; readonly remainingSeconds: number }
  | { readonly status: "absent" }
  /** A quorum of one view holds it. `alone`: that quorum was this node by itself. */
  | {
      readonly status: "stored";
      readonly attestations: readonly Attestation[];
      readonly alone: boolean;
    }
  /** Another signer holds the key. */
  | { readonly status: "exists"; readonly record: DhtRecord; readonly remainingSeconds: number }
  /** The same signer stored a higher (epoch, version): try again above it. */
  | { readonly status: "stale"; readonly record: DhtRecord }
  /** No quorum answered in time: nothing is known, nothing may be concluded. */
  | { readonly status: "unavailable" };
