/**
 * Relay circuits, seen from any of their nodes.
 *
 *      origin ==label 1== relay ==label 2== relay ==label 3== target        at most 3 relays
 *
 *      relay-open  -> asks the next node; a node without a way to the target searches on, depth first
 *      relay-ok    <- the way stands; each relay writes two labels into its engine
 *      relay-fail  <- no way here; the one before tries its next neighbour, never one visited before
 *      relay-close <-> the circuit is gone; passed on to the other side
 *
 * Each hop has one label for both directions, chosen by the side that opened the hop; its top bit
 * says which side that is, so the two never choose the same. A circuit lives 30 s; its origin repeats
 * relay-open every 10 s while it is wanted. Only links with a direct path carry hops.
 */
import { ENGINE_LIMITS, type EngineCommand, type Label } from "../base/engine.ts";
import { Outbox } from "../base/machine.ts";
import { compareNearness, type RingAddress } from "../base/ring-address.ts";
import type { Rng } from "../base/rng.ts";
import { type Millis, NEVER } from "../base/time.ts";
import { type LinkMessage, MAX_RELAYS, MAX_VISITED } from "../wire/link-messages.ts";
import type { DropCounters } from "./drop-counters.ts";
import type { LinkId } from "./link-types.ts";
import { RateWindow } from "./rate-window.ts";
import { AvoidedRelays, DEFAULT_RELAY_POLICY, type RelayPolicy } from "./relay-policy.ts";

export const CIRCUIT_LIFE_MS: Millis = 30_000;
export const REFRESH_MS: Millis = 10_000;
/** Circuits one link may ask for: as many labels as the engine keeps for it. */
export const MAX_CIRCUITS_PER_LINK = ENGINE_LIMITS.labelsPerSession;
/** All circuits of this node: what 16 busy links may have. */
export const MAX_CIRCUITS = 16_384;
/** A joining neighbour opens some; more in one second is abuse or a loop. */
const OPENS_PER_SECOND = 50;
/** For an answer of the next node, and this much more for each relay that may follow it. */
const ANSWER_MS = 500;
/** Under a limit: circuits this node carries for others, of one link and in all. */
export const MAX_CARRIED_PER_LINK = 64;
export const MAX_CARRIED = 256;
/** Circuits of our own to one peer: the one in use and a spare through another member. */
const MAX_OWN_CIRCUITS = 2;
const TOP_BIT = 0x8000_0000;

type RelayOpen = Extract<LinkMessage, { type: "relay-open" }>;

/** A link that has a direct path. */
export interface DirectLink {
  readonly link: LinkId;
  readonly address: RingAddress;
  /** The peer relays for nobody. */
  readonly refuses?: boolean;
  /** Round trip, dearer with loss; undefined counts as the dearest. */
  readonly costMs?: number;
}

/** What the circuits must know of the links; asked anew each time. */
export interface DirectLinks {
  directLinks(): readonly DirectLink[];
}

interface Leg {
  readonly link: LinkId;
  readonly address: RingAddress;
  readonly label: Label;
}

interface Circuit {
  readonly origin: RingAddress;
  readonly target: RingAddress;
  readonly hints: readonly RingAddress[];
  readonly hopsLeft: number;
  /** Towards the origin; undefined at the origin itself. */
  readonly inward: Leg | undefined;
  /** Towards the target; undefined at the target, and while nobody is asked. */
  outward: Leg | undefined;
  visited: RingAddress[];
  isOpen: boolean;
  /** Searching: the next node must answer until then. Open: the circuit ends then. */
  expiresAt: Millis;
  /** At the origin: when to repeat relay-open. */
  refreshAt: Millis;
}

/** Our end of a circuit: the peer at its other end, and the hop it starts with. */
export interface CircuitEnd {
  readonly peer: RingAddress;
  readonly via: LinkId;
  readonly viaAddress: RingAddress;
  readonly label: Label;
}

export type RelaysOutput =
  | { readonly kind: "engine"; readonly command: EngineCommand }
  | { readonly kind: "send"; readonly link: LinkId; readonly message: LinkMessage }
  | { readonly kind: "opened"; readonly end: CircuitEnd }
  | { readonly kind: "closed"; readonly end: CircuitEnd }
  | { readonly kind: "failed"; readonly peer: RingAddress };

export interface RelaysOptions {
  readonly self: RingAddress;
  readonly rng: Rng;
  readonly links: DirectLinks;
  readonly drops: DropCounters;
  /** Default: DEFAULT_RELAY_POLICY. */
  readonly policy?: RelayPolicy;
}

export class Relays {
  readonly #options: RelaysOptions;
  readonly #out = new Outbox<RelaysOutput>();
  readonly #circuits = new Set<Circuit>();
  /** Both legs of every circuit, by link and label. */
  readonly #byLeg = new Map<LinkId, Map<Label, Circuit>>();
  readonly #opens = new Map<LinkId, RateWindow>();
  readonly #avoided = new AvoidedRelays();
  readonly #policy: RelayPolicy;
  /** Never later than the first circuit's: a walk over them all is made only when something is due. */
  #nextAt: Millis = NEVER;

  constructor(options: RelaysOptions) {
    this.#options = options;
    this.#policy = options.policy ?? DEFAULT_RELAY_POLICY;
    if (this.#policy.kind !== "limit") return;
    const { perMember: perSession, inAll } = this.#policy;
    this.#out.push({ kind: "engine", command: { op: "relay-limit", perSession, inAll } });
  }

  get count(): number {
    return this.#circuits.size;
  }

  poll(): RelaysOutput | undefined {
    return this.#out.poll();
  }

  deadline(): Millis {
    return this.#circuits.size === 0 ? NEVER : this.#nextAt;
  }

  /** Our packets for `peer` were dropped there: another relay is chosen for it if there is one. */
  avoid(now: Millis, relay: RingAddress, peer: RingAddress): void {
    this.#avoided.avoid(now, relay, peer);
  }

  /**
   * We want a way to `target`: one search at a time, and no second circuit through a member that
   * carries one already, unless that one is `dead`: each of its relays believes in it, and one is wrong.
   */
  open(
    now: Millis,
    target: RingAddress,
    hints: readonly RingAddress[],
    dead: readonly RingAddress[] = [],
  ): void {
    const { self } = this.#options;
    const own = [...this.#circuits].filter(
      (circuit) => circuit.inward === undefined && circuit.target === target,
    );
    if (own.some(({ isOpen }) => !isOpen) || own.length >= MAX_OWN_CIRCUITS) return;
    const ends = this.endsOf(target).map(({ viaAddress }) => viaAddress);
    const used = ends.filter((via) => !dead.includes(via));
    const circuit = this.#create({
      origin: self,
      target,
      hints,
      hopsLeft: MAX_RELAYS,
      inward: undefined,
      visited: [self, ...used],
    });
    if (circuit === undefined) this.#out.push({ kind: "failed", peer: target });
    else this.#search(now, circuit);
  }

  /** Whether we already look for a way, or have one, in either direction. */
  has(peer: RingAddress): boolean {
    for (const circuit of this.#circuits) if (this.#peerOf(circuit) === peer) return true;
    return false;
  }

  /** Open circuits of a peer that end here, for a session that is younger than they are. */
  endsOf(peer: RingAddress): CircuitEnd[] {
    return [...this.#circuits].flatMap((circuit) => {
      const end = circuit.isOpen ? this.#endOf(circuit) : undefined;
      return end?.peer === peer ? [end] : [];
    });
  }

  /** Our end is wanted no longer. */
  release(link: LinkId, label: Label): void {
    const circuit = this.#byLeg.get(link)?.get(label);
    if (circuit !== undefined) this.#close(circuit, undefined);
  }

  receive(now: Millis, from: DirectLink, message: LinkMessage): void {
    if (message.type === "relay-open") return this.#receiveOpen(now, from, message);
    if (
      message.type !== "relay-ok" &&
      message.type !== "relay-fail" &&
      message.type !== "relay-close"
    ) {
      return;
    }
    const circuit = this.#byLeg.get(from.link)?.get(message.label);
    if (circuit === undefined) return this.#options.drops.count("unknown-label");
    if (message.type === "relay-close") return this.#close(circuit, from.link);
    if (circuit.outward?.link !== from.link) return this.#options.drops.count("bad-field");
    // A relay that lost the circuit cannot bring it back: the ends shall know.
    if (circuit.isOpen && message.type === "relay-fail") return this.#close(circuit, from.link);
    if (circuit.isOpen) return;
    if (message.type === "relay-ok") return this.#establish(now, circuit);
    this.#dropOutward(circuit);
    const all = new Set([...circuit.visited, ...message.visited]);
    circuit.visited = [...all].slice(0, MAX_VISITED);
    this.#search(now, circuit);
  }

  /** The link is gone, or has no direct path any more: hops over it are dead. */
  linkLost(now: Millis, link: LinkId, isDown: boolean): void {
    for (const circuit of new Set(this.#byLeg.get(link)?.values() ?? [])) {
      if (!circuit.isOpen && circuit.outward?.link === link) {
        this.#dropOutward(circuit);
        this.#search(now, circuit);
      } else this.#close(circuit, isDown ? link : undefined);
    }
    if (isDown) this.#opens.delete(link);
  }

  timeout(now: Millis): void {
    if (now < this.#nextAt) return;
    for (const circuit of [...this.#circuits]) {
      if (circuit.expiresAt <= now) this.#expire(now, circuit);
      else if (circuit.refreshAt <= now) this.#refresh(now, circuit, circuit);
    }
    this.#nextAt = NEVER;
    for (const { expiresAt, refreshAt } of this.#circuits) {
      this.#nextAt = Math.min(this.#nextAt, expiresAt, refreshAt);
    }
  }

  #receiveOpen(now: Millis, from: DirectLink, message: RelayOpen): void {
    const { self, links, drops } = this.#options;
    const known = this.#byLeg.get(from.link)?.get(message.label);
    if (known?.inward?.link === from.link) return this.#refresh(now, known, message);
    const isTopBitTheirs = message.label >= TOP_BIT === from.address < self;
    const isSane = isTopBitTheirs && message.label !== 0 && message.origin !== self;
    if (!isSane) return drops.count("bad-field");
    const inward = { link: from.link, address: from.address, label: message.label };
    const isDirect = links.directLinks().some(({ link }) => link === from.link);
    const circuit =
      isDirect && this.#isAdmitted(now, from.link) && this.#isAllowed(message.target, from.link)
        ? this.#create({ ...message, inward, visited: [...message.visited] })
        : undefined;
    if (circuit === undefined) {
      this.#send(from.link, { type: "relay-fail", label: message.label, visited: [] });
    } else if (message.target === self) this.#establish(now, circuit);
    else this.#search(now, circuit);
  }

  #isAdmitted(now: Millis, link: LinkId): boolean {
    const window = this.#opens.get(link) ?? new RateWindow();
    this.#opens.set(link, window);
    const isWithin = window.add(now) <= OPENS_PER_SECOND;
    if (!isWithin) this.#options.drops.count("rate-limited");
    return isWithin;
  }

  /** Circuits that end here are our own business; others' are a favour. */
  #isAllowed(target: RingAddress, link: LinkId): boolean {
    if (target === this.#options.self || this.#policy.kind === "members") return true;
    const isWithin = this.#policy.kind === "limit" && this.#isWithinLimit(link);
    if (!isWithin) this.#options.drops.count("relay-refused");
    return isWithin;
  }

  #isWithinLimit(link: LinkId): boolean {
    const isCarried = ({ inward, target }: Circuit) =>
      inward !== undefined && target !== this.#options.self;
    const carried = [...this.#circuits].filter(isCarried);
    const ofLink = carried.filter(({ inward }) => inward?.link === link);
    return carried.length < MAX_CARRIED && ofLink.length < MAX_CARRIED_PER_LINK;
  }

  #create(
    asked: Pick<Circuit, "origin" | "target" | "hints" | "hopsLeft" | "inward" | "visited">,
  ): Circuit | undefined {
    const { origin, target, hints, hopsLeft, inward, visited } = asked;
    const ofLink = inward === undefined ? 0 : (this.#byLeg.get(inward.link)?.size ?? 0);
    if (this.#circuits.size >= MAX_CIRCUITS || ofLink >= MAX_CIRCUITS_PER_LINK) {
      this.#options.drops.count("table-full");
      return undefined;
    }
    const circuit: Circuit = {
      origin,
      target,
      hints,
      hopsLeft,
      inward,
      outward: undefined,
      visited,
      isOpen: false,
      expiresAt: NEVER,
      refreshAt: NEVER,
    };
    this.#circuits.add(circuit);
    if (inward !== undefined) this.#index(inward, circuit);
    return circuit;
  }

  /** Ask the next neighbour, or report that there is none. */
  #search(now: Millis, circuit: Circuit): void {
    const next = this.#nextHop(now, circuit);
    const label = next && this.#drawLabel(next);
    if (next === undefined || label === undefined) return this.#fail(circuit);
    circuit.outward = { ...next, label };
    this.#index(circuit.outward, circuit);
    if (!circuit.visited.includes(next.address)) circuit.visited.push(next.address);
    const hopsLeft = Math.max(0, circuit.hopsLeft - 1);
    circuit.expiresAt = now + ANSWER_MS * (1 + hopsLeft);
    this.#nextAt = Math.min(this.#nextAt, circuit.expiresAt);
    const { origin, target, hints } = circuit;
    const visited = circuit.visited.slice(0, MAX_VISITED);
    this.#send(next.link, { type: "relay-open", label, hopsLeft, origin, target, visited, hints });
  }

  /** The target itself, else the cheapest hinted neighbour of it, else the one nearest to it. */
  #nextHop(now: Millis, circuit: Circuit): DirectLink | undefined {
    const { origin, target, hints, visited, inward } = circuit;
    if (visited.length >= MAX_VISITED) return undefined;
    const links = this.#options.links
      .directLinks()
      .filter(({ link, address }) => link !== inward?.link && address !== origin);
    const direct = links.find(({ address }) => address === target);
    // The origin asks for a relay because its own link to the target has no way.
    if (direct !== undefined && inward !== undefined && !visited.includes(target)) return direct;
    if (circuit.hopsLeft === 0) return undefined;
    const open = links.filter(
      ({ address, refuses }) =>
        address !== target && refuses !== true && !visited.includes(address),
    );
    // Only who uses a relay knows how it serves; for others' circuits nobody is avoided.
    const isTrusted = ({ address }: DirectLink) => !this.#avoided.has(now, address, target);
    const trusted = inward === undefined ? open.filter(isTrusted) : open;
    const choice = trusted.length > 0 ? trusted : open;
    const hinted = choice.filter(({ address }) => hints.includes(address));
    return hinted.length > 0 ? cheapest(hinted) : nearest(target, choice);
  }

  #drawLabel(next: DirectLink): Label | undefined {
    const taken = this.#byLeg.get(next.link);
    if ((taken?.size ?? 0) >= MAX_CIRCUITS_PER_LINK) return undefined;
    const top = this.#options.self < next.address ? TOP_BIT : 0;
    for (;;) {
      const label = ((this.#options.rng.u32() % TOP_BIT) + top) >>> 0;
      if (label !== 0 && taken?.has(label) !== true) return label;
    }
  }

  /** The way to the target stands from here on. */
  #establish(now: Millis, circuit: Circuit): void {
    const { inward, outward } = circuit;
    circuit.isOpen = true;
    this.#prolong(now, circuit);
    if (inward !== undefined && outward !== undefined) {
      this.#writeLabel(inward, outward);
      this.#writeLabel(outward, inward);
    } else {
      const leg = inward ?? outward;
      if (leg !== undefined) this.#writeLabel(leg, undefined);
    }
    if (inward !== undefined) this.#send(inward.link, { type: "relay-ok", label: inward.label });
    const end = this.#endOf(circuit);
    if (end !== undefined) this.#out.push({ kind: "opened", end });
  }

  /** A repeated relay-open: the circuit lives on; a target or relay that knows it says nothing. */
  #refresh(now: Millis, circuit: Circuit, from: { readonly origin: RingAddress }): void {
    if (!circuit.isOpen || circuit.origin !== from.origin) return;
    this.#prolong(now, circuit);
    const { outward, origin, target } = circuit;
    if (outward === undefined) return;
    const label = outward.label;
    const nothing = { hopsLeft: 0, visited: [], hints: [] };
    this.#send(outward.link, { type: "relay-open", label, origin, target, ...nothing });
  }

  #prolong(now: Millis, circuit: Circuit): void {
    circuit.expiresAt = now + CIRCUIT_LIFE_MS;
    if (circuit.inward === undefined) circuit.refreshAt = now + REFRESH_MS;
    this.#nextAt = Math.min(this.#nextAt, circuit.expiresAt, circuit.refreshAt);
  }

  #expire(now: Millis, circuit: Circuit): void {
    if (circuit.isOpen) return this.#close(circuit, undefined);
    const { outward } = circuit;
    if (outward !== undefined) {
      this.#send(outward.link, { type: "relay-close", label: outward.label });
    }
    this.#dropOutward(circuit);
    this.#search(now, circuit);
  }

  #fail(circuit: Circuit): void {
    this.#forget(circuit);
    const { inward, target } = circuit;
    if (inward === undefined) {
      this.#out.push({ kind: "failed", peer: target });
      return;
    }
    const visited = circuit.visited.slice(0, MAX_VISITED);
    this.#send(inward.link, { type: "relay-fail", label: inward.label, visited });
  }

  /** @param toldBy the link that told us or is gone itself: it is not told */
  #close(circuit: Circuit, toldBy: LinkId | undefined): void {
    const end = circuit.isOpen ? this.#endOf(circuit) : undefined;
    this.#forget(circuit);
    for (const leg of [circuit.inward, circuit.outward]) {
      if (leg === undefined) continue;
      if (circuit.isOpen) {
        const command = { op: "label-remove", ingress: leg.link, label: leg.label } as const;
        this.#out.push({ kind: "engine", command });
      }
      if (leg.link !== toldBy) this.#send(leg.link, { type: "relay-close", label: leg.label });
    }
    if (end !== undefined) this.#out.push({ kind: "closed", end });
    else if (circuit.inward === undefined) {
      this.#out.push({ kind: "failed", peer: circuit.target });
    }
  }

  #forget(circuit: Circuit): void {
    this.#circuits.delete(circuit);
    if (circuit.inward !== undefined) this.#unindex(circuit.inward);
    if (circuit.outward !== undefined) this.#unindex(circuit.outward);
  }

  #dropOutward(circuit: Circuit): void {
    if (circuit.outward !== undefined) this.#unindex(circuit.outward);
    circuit.outward = undefined;
  }

  #index(leg: Leg, circuit: Circuit): void {
    const labels = this.#byLeg.get(leg.link) ?? new Map<Label, Circuit>();
    labels.set(leg.label, circuit);
    this.#byLeg.set(leg.link, labels);
  }

  #unindex(leg: Leg): void {
    const labels = this.#byLeg.get(leg.link);
    labels?.delete(leg.label);
    if (labels?.size === 0) this.#byLeg.delete(leg.link);
  }

  #peerOf(circuit: Circuit): RingAddress | undefined {
    if (circuit.inward === undefined) return circuit.target;
    return circuit.target === this.#options.self ? circuit.origin : undefined;
  }

  #endOf(circuit: Circuit): CircuitEnd | undefined {
    const peer = this.#peerOf(circuit);
    const leg = circuit.inward ?? circuit.outward;
    if (peer === undefined || leg === undefined) return undefined;
    return { peer, via: leg.link, viaAddress: leg.address, label: leg.label };
  }

  #writeLabel(from: Leg, to: Leg | undefined): void {
    const target = to === undefined ? "ends-here" : { session: to.link, label: to.label };
    const command = { op: "label", ingress: from.link, label: from.label, to: target } as const;
    this.#out.push({ kind: "engine", command });
  }

  #send(link: LinkId, message: LinkMessage): void {
    this.#out.push({ kind: "send", link, message });
  }
}

function cheapest(links: readonly DirectLink[]): DirectLink | undefined {
  const costOf = ({ costMs = Number.POSITIVE_INFINITY }: DirectLink) => costMs;
  let best: DirectLink | undefined;
  for (const link of links) {
    if (best === undefined || costOf(link) < costOf(best)) best = link;
  }
  return best;
}

function nearest(target: RingAddress, links: readonly DirectLink[]): DirectLink | undefined {
  let best: DirectLink | undefined;
  for (const link of links) {
    const isNearer = best === undefined || compareNearness(target, link.address, best.address) < 0;
    if (isNearer) best = link;
  }
  return best;
}
