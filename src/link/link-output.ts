import type { Label, SessionId, SocketIndex } from "../base/engine.ts";
import type { RingAddress } from "../base/ring-address.ts";
import type { LinkMessage } from "../wire/link-messages.ts";
import type { LinksOutput } from "./link-types.ts";

/** What one link asks of `Links`, besides what goes further up. */
export type LinkOutput =
  | LinksOutput
  | { readonly kind: "relay-message"; readonly message: LinkMessage }
  | { readonly kind: "want-relay" }
  | { readonly kind: "release-relay"; readonly via: SessionId; readonly label: Label }
  /** The relay that carries this link drops too much. */
  | { readonly kind: "relay-lossy"; readonly via: RingAddress; readonly lossFraction: number }
  /** The active path changed. */
  | { readonly kind: "moved" }
  /** The peer answered under the keys of the last handshake. */
  | { readonly kind: "heard" }
  /** A whole handshake with this peer is due. */
  | { readonly kind: "renew" }
  /** The peer forgot this link and made it anew: what upper layers agreed on is void. */
  | { readonly kind: "reopened" }
  | { readonly kind: "want-traffic" }
  /** No direct path works: agree with the peer on a time to try. */
  | { readonly kind: "want-round" }
  /** The peer told its candidates; with `answer` it wants ours, and to try at the same time. */
  | { readonly kind: "told"; readonly answer: boolean }
  | { readonly kind: "socket-unused"; readonly socket: SocketIndex }
  | { readonly kind: "ended"; readonly reason: string };
