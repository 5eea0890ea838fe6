import type { Label, SessionId } from "../base/engine.ts";
import type { LinkMessage } from "../wire/link-messages.ts";
import type { LinksOutput } from "./link-types.ts";

/** What one link asks of `Links`, besides what goes further up. */
export type LinkOutput =
  | LinksOutput
  | { readonly kind: "relay-message"; readonly message: LinkMessage }
  | { readonly kind: "want-relay" }
  | { readonly kind: "release-relay"; readonly via: SessionId; readonly label: Label }
  /** The active path changed. */
  | { readonly kind: "moved" }
  /** The peer answered under the keys of the last handshake. */
  | { readonly kind: "heard" }
  /** A whole handshake with this peer is due. */
  | { readonly kind: "renew" }
  /** The peer forgot this link and made it anew: what upper layers agreed on is void. */
  | { readonly kind: "reopened" }
  | { readonly kind: "want-traffic" }
  /** Tell the peer where we may be found, and with `answer` ask for the same. */
  | { readonly kind: "want-candidates"; readonly answer: boolean }
  | { readonly kind: "ended"; readonly reason: string };
