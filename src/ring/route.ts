/**
 * The choice of the next hop, a pure function.
 *
 * Greedy: of the links that lead strictly nearer to the destination, the nearest. Strict progress
 * makes loops impossible. Where greedy ends short of an exact destination (a missing link), a message
 * may take a bounded detour (Ganguly 2008 calls it annealing): it names the nodes that passed it on
 * without progress, and none of them is tried again.
 *
 *      exact     destination linked? -> it
 *                a neighbour that lists the destination? -> that one (a detour if not nearer)
 *                a link strictly nearer? -> the nearest of them
 *                fewer than MAX_VISITED detours? -> the nearest link not visited (detour)
 *      nearest   a link strictly nearer? -> the nearest of them
 *                a neighbour that lists a node strictly nearer? -> that one (detour)
 *                else we are the nearest: deliver
 */
import type { DropReason } from "../base/drop-reason.ts";
import { compareNearness, type RingAddress } from "../base/ring-address.ts";
import type { LinkId } from "../link/link-types.ts";
import { type Envelope, MAX_VISITED } from "../wire/ring-messages.ts";
import { isInRing, isUsable, lists, type RingLink } from "./link-table.ts";

export type NextHop =
  | { readonly kind: "deliver" }
  | { readonly kind: "forward"; readonly link: RingLink; readonly detour: boolean }
  /** Nobody here knows the way to the agent: choose again without it. */
  | { readonly kind: "agent-lost" }
  | { readonly kind: "stuck"; readonly reason: DropReason };

/** Where the message is and what must not be tried. */
export interface Place {
  readonly self: RingAddress;
  /** False while this node joins: then it owns nothing and leans on its agent. */
  readonly inRing: boolean;
  readonly links: readonly RingLink[];
  /** The address it came from; undefined at the source. */
  readonly from: RingAddress | undefined;
  /** Links that failed for this message already. */
  readonly tried: ReadonlySet<LinkId>;
}

const STUCK: NextHop = { kind: "stuck", reason: "no-progress" };
const DELIVER: NextHop = { kind: "deliver" };

/** @returns what to do with the envelope here; `stuck` is final for this node. */
export function chooseNextHop(envelope: Envelope, place: Place): NextHop {
  const target = envelope.destinationAgent ?? envelope.destination;
  const arrived = target === place.self || envelope.destination === place.self;
  if (!envelope.nearest && arrived) return DELIVER;
  const links = place.links.filter((link) => isUsable(link) && !place.tried.has(link.link));
  return envelope.nearest ? nearestHop(envelope, place, links) : exactHop(envelope, place, links);
}

function exactHop(envelope: Envelope, place: Place, links: readonly RingLink[]): NextHop {
  const target = envelope.destinationAgent ?? envelope.destination;
  const { destination } = envelope;
  const direct =
    links.find((link) => link.address === destination) ??
    links.find((link) => link.address === target);
  if (direct !== undefined) return forward(direct);
  const open = links.filter((link) => isOpen(link, envelope, place));
  const room = envelope.visited.length < MAX_VISITED;
  const knowing = nearestLink(
    target,
    open.filter((link) => lists(link, destination) || lists(link, target)),
  );
  if (knowing !== undefined && progresses(knowing.address, target, place)) return forward(knowing);
  if (knowing !== undefined && room) return detour(knowing);
  const onward = nearestLink(target, open.filter(isInRing));
  if (onward !== undefined && progresses(onward.address, target, place)) return forward(onward);
  if (envelope.destinationAgent !== undefined) return { kind: "agent-lost" };
  const other = onward ?? nearestLink(target, open);
  return other === undefined || !room ? STUCK : detour(other);
}

function nearestHop(envelope: Envelope, place: Place, links: readonly RingLink[]): NextHop {
  const target = envelope.destination;
  const open = links.filter(
    (link) => !link.suspect && !(envelope.excludeSource && link.address === envelope.source),
  );
  const onward = nearestLink(target, open.filter(isInRing));
  if (onward !== undefined && progresses(onward.address, target, place)) return forward(onward);
  const knowing = canDetour(envelope, place) ? nearestListed(envelope, place, open) : undefined;
  if (knowing !== undefined) return detour(knowing);
  if (!mustLeave(envelope, place)) return DELIVER;
  const any = onward ?? nearestLink(target, open);
  if (any !== undefined) return forward(any);
  return envelope.excludeSource ? STUCK : DELIVER;
}

/** The source leaves `nearest` to others when it excludes itself or is not in the ring yet. */
function mustLeave(envelope: Envelope, place: Place): boolean {
  return place.from === undefined && (envelope.excludeSource || !place.inRing);
}

/** Nobody sees a `nearest` message twice on a detour, so the second look delivers. */
function canDetour(envelope: Envelope, place: Place): boolean {
  return envelope.visited.length < MAX_VISITED && !envelope.visited.includes(place.self);
}

/** The link whose list names the member nearest to the key, when that is strictly nearer than we. */
function nearestListed(
  envelope: Envelope,
  place: Place,
  open: readonly RingLink[],
): RingLink | undefined {
  let best: { readonly address: RingAddress; readonly link: RingLink } | undefined;
  const barred = envelope.excludeSource ? envelope.source : place.self;
  for (const link of open) {
    if (link.address === place.from || envelope.visited.includes(link.address)) continue;
    for (const { address, inRing } of link.list?.entries ?? []) {
      if (!inRing || address === barred || place.links.some((one) => one.address === address)) {
        continue;
      }
      const than = best?.address ?? place.self;
      if (compareNearness(envelope.destination, address, than) < 0) best = { address, link };
    }
  }
  return best?.link;
}

function isOpen(link: RingLink, envelope: Envelope, place: Place): boolean {
  const back = link.address === place.from || link.address === envelope.source;
  return !back && !link.suspect && !envelope.visited.includes(link.address);
}

/** A node that still joins has no place to measure progress from when the message is its own. */
function progresses(next: RingAddress, target: RingAddress, place: Place): boolean {
  if (place.from === undefined && !place.inRing) return true;
  return compareNearness(target, next, place.self) < 0;
}

function nearestLink(target: RingAddress, links: readonly RingLink[]): RingLink | undefined {
  let best: RingLink | undefined;
  for (const link of links) {
    if (best === undefined || compareNearness(target, link.address, best.address) < 0) best = link;
  }
  return best;
}

function forward(link: RingLink): NextHop {
  return { kind: "forward", link, detour: false };
}

/** Without progress: the message must remember that it was here. */
function detour(link: RingLink): NextHop {
  return { kind: "forward", link, detour: true };
}
