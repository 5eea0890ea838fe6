/**
 * What the node knows about one client's address.
 *
 *                 phase alone|joined            stored
 *   want ──> waiting ────────────> claiming ──────────────> bound ──> released, declined
 *                                   │    ↑ exists: next       │ ↑
 *                                   │    │ stale: higher      │ │ renewed, checked, reclaimed
 *                                   └────┘ unavailable: again └─┘
 *                                   │                         │
 *                                   └─> refused               └─> lost (another holds it, or expired)
 */
import type { Ip, Mac } from "../base/net.ts";
import { type Millis, NEVER } from "../base/time.ts";
import type { Attestation } from "../dht/result.ts";
import type { LeaseState } from "./lease-state.ts";

export interface Claim {
  readonly client: string;
  mac: Mac;
  /** Tried first. */
  readonly requested: Ip | undefined;
  /** This address or none. */
  readonly fixed: Ip | undefined;
  /** The requested address or none: the client will not take another one. */
  isExact: boolean;
  /** The client did not take it yet: not worth proofs of age, nor a place in the state file. */
  isOffer: boolean;
  state: ClaimState;
}

export type ClaimState =
  /** There is no ring yet to ask. */
  | { readonly kind: "waiting" }
  | { readonly kind: "claiming"; readonly search: Search }
  | { readonly kind: "bound"; readonly hold: Hold };

/** The search for an address. */
export interface Search {
  readonly candidates: Iterator<Ip>;
  ip: Ip;
  epoch: number;
  version: number;
  /** The create under way; 0 while none is. */
  request: number;
  sentAt: Millis;
  alone: boolean;
  /** Unavailable answers in a row. */
  failures: number;
  /** Times our own older record was in the way of this address. */
  bumps: number;
  retryAt: Millis;
}

export type QuestionKind = "renew" | "reclaim" | "check";

export interface Question {
  readonly kind: QuestionKind;
  readonly request: number;
  readonly sentAt: Millis;
  readonly alone: boolean;
}

/** An address this node holds. */
export interface Hold {
  lease: LeaseState;
  /** Proof of `lease.renewals`, carried by the next record. */
  attestations: readonly Attestation[];
  /** The highest version ever sent: a later record must be above it. */
  version: number;
  /** One question at a time; the DHT always answers. */
  question: Question | undefined;
  failures: number;
  renewAt: Millis;
  checkAt: Millis;
}

/** When the claim needs a timeout. */
export function wakeAt(claim: Claim): Millis {
  const { state } = claim;
  switch (state.kind) {
    case "waiting":
      return NEVER;
    case "claiming":
      return state.search.request === 0 ? state.search.retryAt : NEVER;
    case "bound": {
      const { lease, question, renewAt, checkAt } = state.hold;
      const next = question === undefined ? Math.min(renewAt, checkAt) : NEVER;
      return Math.min(lease.expiresAt, next);
    }
  }
}

/** The address a claim is about at the moment. */
export function addressOf(claim: Claim): Ip | undefined {
  if (claim.state.kind === "bound") return claim.state.hold.lease.ip;
  return claim.state.kind === "claiming" ? claim.state.search.ip : undefined;
}
