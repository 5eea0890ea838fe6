/** The members that a node remembers for its next start, or for when it has lost everybody. */
import { toHex } from "../base/bytes.ts";
import { type Endpoint, isPrivate } from "../base/net.ts";
import { addressToBytes } from "../base/ring-address.ts";
import type { LinkView } from "../link/link-types.ts";
import { isOwnStream, udpEndpointOf } from "../link/stream-sockets.ts";
import type { SavedPeer } from "./config.ts";

/** Peers kept for the next start: enough that some of them are up (docs/PROTOCOL.md, Merge). */
const SAVED_PEERS_MAX = 64;

/** Those reached at an address of their own first, then those that named a public one, then earlier ones. */
export function rememberPeers(
  views: readonly LinkView[],
  earlier: readonly SavedPeer[],
): SavedPeer[] {
  const linked = [reachedAt, namedBy].flatMap((find) =>
    views.flatMap((view) => savedPeer(view, find(view))),
  );
  const unique = new Map<string, SavedPeer>();
  for (const peer of [...linked, ...earlier]) {
    if (!unique.has(peer.address)) unique.set(peer.address, peer);
  }
  return [...unique.values()].slice(0, SAVED_PEERS_MAX);
}

function savedPeer(view: LinkView, endpoint: Endpoint | undefined): SavedPeer[] {
  if (endpoint === undefined) return [];
  const address = toHex(addressToBytes(view.peer.address));
  return [{ address, name: view.peer.name, endpoint }];
}

/**
 * By UDP, or by a stream that we opened: then the port it listens on for UDP, if it named that, for
 * streams are tried at the usual ports too. A stream that it opened says nothing of where it listens.
 */
function reachedAt({ path, peer }: LinkView): Endpoint | undefined {
  const udp = udpEndpointOf(path);
  if (udp !== undefined || path.kind !== "direct" || !isOwnStream(path.socket)) return udp;
  return peer.candidates.find(({ ip }) => ip === path.endpoint.ip) ?? path.endpoint;
}

/** Without UDP most members are reached through a relay: those outside are a way in without it. */
function namedBy({ peer }: LinkView): Endpoint | undefined {
  return peer.candidates.find(({ ip }) => !isPrivate(ip));
}
