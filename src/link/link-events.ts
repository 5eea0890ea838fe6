/** What the links do of their own accord, as events for people. */
import type { CoreEvent } from "../base/event.ts";
import { endpointText } from "../base/net.ts";
import { addressText } from "../base/ring-address.ts";
import type { Millis } from "../base/time.ts";
import type { PathView, PeerInfo } from "./link-types.ts";

export function wokeUp(gapMs: Millis, links: number): CoreEvent {
  return linkEvent({
    what: "woke-up",
    condition: `no time passed for ${Math.round(gapMs / 1_000)} s`,
    action: "renewing every link",
    effect: "peers may have routed around this node",
    fields: { gapMs: Math.round(gapMs), links },
  });
}

export function linkOpened(peer: PeerInfo): CoreEvent {
  return linkEvent({
    what: "link-opened",
    condition: peer.initiatedHere ? "handshake asked for here" : "handshake asked for by the peer",
    action: "session opened",
    effect: "",
    fields: { ...nameOf(peer), link: peer.link },
  });
}

export function linkClosed(peer: PeerInfo, reason: string): CoreEvent {
  return linkEvent({
    what: "link-closed",
    condition: reason,
    action: "session closed",
    effect: "",
    fields: { ...nameOf(peer), link: peer.link },
  });
}

export function pathChanged(peer: PeerInfo, path: PathView): CoreEvent {
  return linkEvent({
    what: "path-changed",
    condition: path.kind === "none" ? "no path answers" : "a path answered",
    action: path.kind === "direct" ? `sending to ${endpointText(path.endpoint)}` : path.kind,
    effect: path.kind === "none" ? "traffic to this peer waits" : "",
    fields: { ...nameOf(peer), path: path.kind },
  });
}

function nameOf({ name, address }: PeerInfo): { readonly peer: string; readonly address: string } {
  return { peer: name, address: addressText(address) };
}

function linkEvent(event: Omit<CoreEvent, "area" | "coolDownMs">): CoreEvent {
  return { area: "link", coolDownMs: 0, ...event };
}
