import type { CoreEvent } from "../base/event.ts";
import type { RingAddress } from "../base/ring-address.ts";
import type { RingView, RouteMode } from "../ring/ring.ts";
import type { DhtRecord } from "../wire/record.ts";
import type { DhtOwner, DhtResult } from "./result.ts";

export type { Attestation, DhtOwner, DhtResult } from "./result.ts";

export type DhtInput =
  | { readonly kind: "timeout" }
  | { readonly kind: "view"; readonly view: RingView }
  | {
      readonly kind: "deliver";
      readonly source: RingAddress;
      readonly payloadType: number;
      readonly payload: Uint8Array;
    }
  | {
      readonly kind: "undeliverable";
      readonly to: RingAddress;
      readonly payloadType: number;
      readonly payload: Uint8Array;
    }
  | {
      readonly kind: "get";
      readonly owner: DhtOwner;
      readonly request: number;
      readonly key: RingAddress;
    }
  /**
   * create: only where nobody else holds the key. put: same signer, higher (epoch, version).
   * remove: a signed record with ttlSeconds 0 and a higher version.
   */
  | {
      readonly kind: "create" | "put" | "remove";
      readonly owner: DhtOwner;
      readonly request: number;
      readonly record: DhtRecord;
    }
  /** The node decided that no other member can be reached: it is the ring. */
  | { readonly kind: "lone"; readonly lone: boolean }
  /** Wall clock, only for the dates of certificates; 0 until told. */
  | { readonly kind: "wall"; readonly wallSeconds: number };

export type DhtOutput =
  | {
      readonly kind: "route";
      readonly to: RingAddress;
      readonly mode: RouteMode;
      readonly payloadType: number;
      readonly payload: Uint8Array;
    }
  | {
      readonly kind: "result";
      readonly owner: DhtOwner;
      readonly request: number;
      readonly key: RingAddress;
      readonly result: DhtResult;
    }
  | { readonly kind: "event"; readonly event: CoreEvent };
