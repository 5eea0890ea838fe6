/** Inputs and outputs of the ring: the vocabulary between ring, links and the layers above. */
import type { DropReason } from "../base/drop-reason.ts";
import type { CoreEvent } from "../base/event.ts";
import type { Endpoint } from "../base/net.ts";
import type { RingAddress } from "../base/ring-address.ts";
import type { Rng } from "../base/rng.ts";
import type { LinkId, LinkRole, PathView, PeerInfo } from "../link/link-types.ts";
import type { RingView } from "./view.ts";

/** `exact`: the node with that address. `nearest`: the member nearest to it. */
export type RouteMode = "exact" | "nearest";

export interface RingOptions {
  readonly self: RingAddress;
  readonly rng: Rng;
  /** Told to others beside the address; for people. */
  readonly name?: string;
}

export type RingInput =
  | { readonly kind: "timeout" }
  /** `role`: what the opener of the link wanted, when known. */
  | { readonly kind: "link-up"; readonly peer: PeerInfo; readonly role?: LinkRole }
  | {
      readonly kind: "link-down";
      readonly link: LinkId;
      readonly address: RingAddress;
      readonly reason: string;
    }
  | {
      readonly kind: "path";
      readonly link: LinkId;
      readonly address: RingAddress;
      readonly path: PathView;
      readonly rttMs: number | undefined;
    }
  | { readonly kind: "silent"; readonly link: LinkId; readonly address: RingAddress }
  | {
      readonly kind: "message";
      readonly link: LinkId;
      readonly address: RingAddress;
      readonly bytes: Uint8Array;
    }
  | { readonly kind: "sent"; readonly token: number; readonly ok: boolean }
  | {
      readonly kind: "route";
      readonly to: RingAddress;
      readonly mode: RouteMode;
      readonly payloadType: number;
      /** At most MAX_ROUTED_PAYLOAD bytes; longer ones come back undeliverable. */
      readonly payload: Uint8Array;
      /** Only with `nearest`: never deliver to this node itself. */
      readonly excludeSelf: boolean;
    }
  /** Own candidates, told to others so that direct paths are found at once. */
  | { readonly kind: "local-endpoints"; readonly endpoints: readonly Endpoint[] };

export type RingOutput =
  | {
      readonly kind: "send";
      readonly link: LinkId;
      readonly bytes: Uint8Array;
      readonly reliable: boolean;
      readonly token: number;
    }
  | {
      readonly kind: "connect";
      readonly address: RingAddress;
      readonly endpoints: readonly Endpoint[];
      readonly role: LinkRole;
    }
  | { readonly kind: "set-role"; readonly link: LinkId; readonly role: LinkRole }
  | { readonly kind: "close"; readonly link: LinkId; readonly reason: string }
  | { readonly kind: "path-broken"; readonly link: LinkId }
  | {
      readonly kind: "deliver";
      readonly source: RingAddress;
      readonly payloadType: number;
      readonly payload: Uint8Array;
      readonly hops: number;
    }
  | {
      readonly kind: "undeliverable";
      readonly to: RingAddress;
      readonly payloadType: number;
      readonly payload: Uint8Array;
      readonly reason: DropReason;
    }
  | { readonly kind: "view"; readonly view: RingView }
  | { readonly kind: "event"; readonly event: CoreEvent };
