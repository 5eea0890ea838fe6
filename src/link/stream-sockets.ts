/** Which socket indexes are TLS streams: the core opens streams only at a few indexes of its own. */
import { ENGINE_LIMITS, type SocketIndex } from "../base/engine.ts";
import type { Endpoint } from "../base/net.ts";
import type { PathView } from "./link-types.ts";

/** Four members' hosts and some ports each. */
export const MAX_STREAMS = 16;
/** Below the indexes that STUN keeps for itself. */
export const FIRST_STREAM: SocketIndex = ENGINE_LIMITS.acceptedStreams - 64;

export function isStream(socket: SocketIndex): boolean {
  if (socket >= ENGINE_LIMITS.acceptedStreams) return true;
  return isOwnStream(socket);
}

/** One that this node opened: its endpoint is where the peer listens. */
export function isOwnStream(socket: SocketIndex): boolean {
  return socket >= FIRST_STREAM && socket < FIRST_STREAM + MAX_STREAMS;
}

/** Where the peer of this path is reached by UDP; undefined behind relays and streams. */
export function udpEndpointOf(path: PathView): Endpoint | undefined {
  return path.kind === "direct" && !isStream(path.socket) ? path.endpoint : undefined;
}
