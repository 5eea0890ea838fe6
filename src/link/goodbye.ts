import type { SessionId } from "../base/engine.ts";
import { emitControl } from "../wire/control.ts";
import { emitLinkMessage } from "../wire/link-messages.ts";

/** The last control message of a session. */
export function emitGoodbye(session: SessionId, reason: string): Uint8Array {
  const body = emitLinkMessage({ type: "goodbye", tag: session, reason: asciiOf(reason) });
  return emitControl({ form: "datagram", body });
}

/** What a goodbye may carry. */
function asciiOf(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, "?").slice(0, 64);
}
