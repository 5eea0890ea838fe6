/** What the links do of their own accord, as events for people. */
import type { SocketFailure } from "../base/engine.ts";
import type { CoreEvent } from "../base/event.ts";
import { type Endpoint, endpointText } from "../base/net.ts";
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

export interface RelayLoss {
  readonly relay: string;
  /** Of probes through the relay, there and back. */
  readonly lossFraction: number;
  /** Of probes to the relay itself. */
  readonly ownLossFraction: number;
}

export function relayConvicted(peer: PeerInfo, loss: RelayLoss): CoreEvent {
  const [through, own] = [loss.lossFraction, loss.ownLossFraction].map((fraction) =>
    Math.round(100 * fraction),
  );
  return linkEvent({
    what: "relay-convicted",
    condition: `${through} % of the probes through ${loss.relay} are lost, ${own} % of those to it`,
    action: "looking for another relay, and not choosing this one for ten minutes",
    effect: "",
    fields: { ...nameOf(peer), relay: loss.relay, lossFraction: loss.lossFraction },
  });
}

export function streamOpened(to: Endpoint): CoreEvent {
  return linkEvent({
    what: "stream-opened",
    condition: "members known here do not answer by UDP",
    action: `asking over TLS at ${endpointText(to)}`,
    effect: "traffic goes over TCP until UDP works",
    fields: { endpoint: endpointText(to) },
  });
}

export function listenFailed(port: number, reason: SocketFailure): CoreEvent {
  return linkEvent({
    what: "stream-listen-failed",
    condition: `TCP port ${port}: ${reason}`,
    action: "accepting no streams",
    effect: "members whose networks block UDP cannot come in here",
    fields: { port, reason },
  });
}

export function proxyFailed(proxy: Endpoint, reason: SocketFailure): CoreEvent {
  return linkEvent({
    what: "proxy-failed",
    condition: `the proxy at ${endpointText(proxy)} lets no stream through: ${reason}`,
    action: "trying again, at most every minute",
    effect: "members are not reached while UDP is blocked",
    fields: { proxy: endpointText(proxy), reason },
  });
}

function nameOf({ name, address }: PeerInfo): { readonly peer: string; readonly address: string } {
  return { peer: name, address: addressText(address) };
}

function linkEvent(event: Omit<CoreEvent, "area" | "coolDownMs">): CoreEvent {
  return { area: "link", coolDownMs: 0, ...event };
}
