/** What the paths of one link ask of it. */
import type { Label, SessionId, SocketIndex } from "../base/engine.ts";
import type { RingAddress } from "../base/ring-address.ts";
import type { Millis } from "../base/time.ts";
import type { LinksOutput } from "./link-types.ts";

export type PathsOutput =
  | Extract<LinksOutput, { kind: "engine" }>
  /** Another path is active, or none. */
  | { readonly kind: "active" }
  /** The active path did not answer three probes and no other took over. */
  | { readonly kind: "unanswered"; readonly since: Millis }
  /** An end of the active path moved: it is of no use any more, though the peer may live. */
  | { readonly kind: "broken" }
  /** A probe of the active path is overdue: time to ask the engine what it heard. */
  | { readonly kind: "overdue" }
  /** A round of probing without a direct path begins. */
  | { readonly kind: "round" }
  /** No path uses this socket any more, which is not one of the engine's first. */
  | { readonly kind: "socket-unused"; readonly socket: SocketIndex }
  /** The relay of the active path drops too much: it is left as soon as another one works. */
  | { readonly kind: "relay-lossy"; readonly via: RingAddress; readonly lossFraction: number }
  /** A relay path is given up; its circuit may go. */
  | { readonly kind: "relay-removed"; readonly via: SessionId; readonly label: Label };
