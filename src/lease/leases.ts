import type { CoreEvent } from "../base/event.ts";
import type { Ip, Mac } from "../base/net.ts";
import type { RingAddress } from "../base/ring-address.ts";
import type { DhtInput } from "../dht/dht.ts";
import type { DhtResult } from "../dht/result.ts";
import type { LeaseState, SavedLease } from "./lease-state.ts";

export type { LeaseFacts } from "./lease-record.ts";
export { leaseKey, parseLeaseRecord } from "./lease-record.ts";
export type { LeaseState, SavedLease } from "./lease-state.ts";

export type LeasesInput =
  | { readonly kind: "timeout" }
  | { readonly kind: "phase"; readonly phase: "waiting" | "alone" | "joined" }
  | {
      readonly kind: "want";
      /** hex of the client identifier, 1..255 bytes */
      readonly client: string;
      readonly mac: Mac;
      /** tried first, then the usual search */
      readonly requested?: Ip;
      /** this address or none */
      readonly fixed?: Ip;
    }
  | { readonly kind: "release"; readonly client: string }
  | { readonly kind: "decline"; readonly client: string; readonly ip: Ip }
  | { readonly kind: "restore"; readonly leases: readonly SavedLease[] }
  | {
      readonly kind: "dht-result";
      readonly request: number;
      readonly key: RingAddress;
      readonly result: DhtResult;
    };

export type RefusedReason = "pool-full" | "taken" | "unavailable" | "outside-range";

export type LeasesOutput =
  | { readonly kind: "dht"; readonly input: DhtInput }
  /** Also after each renewal. */
  | { readonly kind: "bound"; readonly lease: LeaseState }
  | { readonly kind: "refused"; readonly client: string; readonly reason: RefusedReason }
  | {
      readonly kind: "lost";
      readonly client: string;
      readonly ip: Ip;
      readonly mac: Mac;
      readonly reason: string;
      readonly winner?: RingAddress;
    }
  | { readonly kind: "save"; readonly leases: readonly SavedLease[] }
  | { readonly kind: "event"; readonly event: CoreEvent };
