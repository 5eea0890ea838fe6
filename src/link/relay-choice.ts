/** Which links may carry circuits, what they cost, and whom peers are told as relays towards us. */

import type { CoreEvent } from "../base/event.ts";
import type { RingAddress } from "../base/ring-address.ts";
import { addressText } from "../base/ring-address.ts";
import { MAX_RELAY_HINTS } from "../wire/handshake-payload.ts";
import type { Link } from "./link.ts";
import { relayConvicted } from "./link-events.ts";
import type { LinkOutput } from "./link-output.ts";
import type { LinkTable } from "./link-table.ts";
import { CAPABILITY_NO_RELAY, relayCostMs } from "./relay-policy.ts";
import type { DirectLink } from "./relays.ts";

export function directLinksOf(links: LinkTable): DirectLink[] {
  return links
    .all()
    .filter(({ paths }) => paths.hasDirect)
    .map((link) => ({
      link: link.id,
      address: link.address,
      refuses: refusesToRelay(link),
      costMs: relayCostMs(link.paths.rttMs, link.paths.lossFraction),
    }));
}

/** Direct neighbours through which others may reach us, near ones first. */
export function relayHintsOf(links: LinkTable): RingAddress[] {
  const willing = links.all().filter((link) => link.paths.hasDirect && !refusesToRelay(link));
  const near = willing.filter((link) => link.view().role === "near");
  const others = willing.filter((link) => !near.includes(link));
  return [...near, ...others].slice(0, MAX_RELAY_HINTS).map(({ address }) => address);
}

/** The user's own evidence: probes through the relay beside those to the relay itself. */
export function convictionOf(
  links: LinkTable,
  link: Link,
  { via, lossFraction }: Extract<LinkOutput, { kind: "relay-lossy" }>,
): CoreEvent {
  const relay = links.at(via);
  return relayConvicted(link.peer, {
    relay: relay?.peer.name ?? addressText(via),
    lossFraction,
    ownLossFraction: relay?.paths.lossFraction ?? 0,
  });
}

function refusesToRelay({ peer }: Link): boolean {
  return (peer.capabilities & CAPABILITY_NO_RELAY) !== 0;
}
