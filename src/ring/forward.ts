/**
 * Routed messages on their way through this node: chooses the next hop, hands the message to that
 * link reliably, and goes on by the next best link when the link could not deliver it.
 *
 *      in -> chosen -> sent ok -> forgotten
 *                  |-> no word within one time-out -> next best link too, if there is one
 *                  \-> not ok -> next best link (<= TRIES_MAX) -> stuck: at the source undeliverable
 *
 * Going on before the link has given up can deliver a message twice; receivers of payloads bear it.
 */
import type { DropReason } from "../base/drop-reason.ts";
import type { Outbox } from "../base/machine.ts";
import type { RingAddress } from "../base/ring-address.ts";
import { type Millis, NEVER } from "../base/time.ts";
import type { LinkId } from "../link/link-types.ts";
import { type Envelope, emitEnvelope, MAX_VISITED } from "../wire/ring-messages.ts";
import type { Drops } from "./drops.ts";
import type { LinkTable, RingLink } from "./link-table.ts";
import type { RingOutput } from "./ring-types.ts";
import { chooseNextHop, type NextHop } from "./route.ts";
import type { Tokens } from "./tokens.ts";

/** Hops without shortcuts are N/8: enough for 1,000 members before their first shortcut. */
export const HOP_LIMIT = 128;
/** A link gives up after four tries of its own; a third link that fails means the peer is the cause. */
const TRIES_MAX = 4;
/**
 * A message that went on by a second link, or takes a detour, gets one link a hop from there on. Else
 * each hop near a dead destination would send four copies of each copy it got.
 */
const TRIES_AFTER_DETOUR = 1;
/** A link is given one time-out of its own: its round trip with room for a busy receiver. */
const PATIENCE_FLOOR_MS = 400;
const PATIENCE_CEILING_MS = 1_500;
const ROUND_TRIPS = 4;
/** Messages that wait for an acknowledgement; past it they are sent and not watched. */
const IN_FLIGHT_MAX = 1_024;

export interface ForwarderOptions {
  readonly self: RingAddress;
  readonly links: LinkTable;
  readonly tokens: Tokens;
  readonly drops: Drops;
  readonly outbox: Outbox<RingOutput>;
  /** The envelope is for this node. */
  readonly deliver: (now: Millis, envelope: Envelope, from: LinkId | undefined) => void;
}

interface Flight {
  readonly envelope: Envelope;
  readonly from: RingAddress | undefined;
  readonly tried: Set<LinkId>;
  /** When to stop waiting for this link alone. */
  overdueAt: Millis;
}

export class Forwarder {
  readonly #options: ForwarderOptions;
  readonly #flights = new Map<number, Flight>();
  /** Set by the owner: this node routes for others. */
  inRing = false;
  /** Set by the owner: neighbours are missing, so the others may not find this node by its address. */
  leaning = false;
  /** No flight is overdue before this. */
  #nextAt: Millis = NEVER;

  constructor(options: ForwarderOptions) {
    this.#options = options;
  }

  /** A message of our own. */
  start(now: Millis, envelope: Envelope): void {
    this.#go(now, newFlight(envelope, undefined));
  }

  /** A message of our own that takes this link first, whatever greedy would say. */
  startThrough(now: Millis, envelope: Envelope, link: RingLink): void {
    this.#send(now, link, envelope, newFlight(envelope, undefined));
  }

  /** A message that came over a link. */
  pass(now: Millis, envelope: Envelope, from: RingLink): void {
    if (envelope.hopLimit === 0) return this.#options.drops.count("hop-limit");
    const forUs = envelope.destinationAgent === this.#options.self;
    const through = forUs ? { ...envelope, destinationAgent: undefined } : envelope;
    this.#go(now, newFlight(through, from.address), from.link);
  }

  /** @returns false when the token is not one of ours */
  sent(now: Millis, token: number, ok: boolean): boolean {
    const flight = this.#flights.get(token);
    if (flight === undefined) return false;
    this.#flights.delete(token);
    if (ok) return true;
    if (flight.tried.size >= triesFor(flight)) this.#stuck(flight, "no-progress");
    else this.#go(now, flight);
    return true;
  }

  /** Overdue messages go on by another link; where there is none, the first one is waited for. */
  timeout(now: Millis): void {
    if (this.#nextAt > now) return;
    this.#nextAt = NEVER;
    for (const [token, flight] of [...this.#flights]) {
      if (flight.overdueAt > now) this.#nextAt = Math.min(this.#nextAt, flight.overdueAt);
      else this.#goOn(now, token, flight);
    }
  }

  deadline(): Millis {
    return this.#nextAt;
  }

  #goOn(now: Millis, token: number, flight: Flight): void {
    flight.overdueAt = NEVER;
    if (flight.tried.size >= triesFor(flight) || this.#choose(flight).kind !== "forward") return;
    this.#flights.delete(token);
    this.#go(now, flight);
  }

  #choose(flight: Flight): NextHop {
    const { self, links } = this.#options;
    const { envelope, from, tried } = flight;
    return chooseNextHop(envelope, { self, inRing: this.inRing, links: links.all(), from, tried });
  }

  #go(now: Millis, flight: Flight, arrival?: LinkId): void {
    const { self, deliver } = this.#options;
    const { envelope } = flight;
    const hop = this.#choose(flight);
    if (hop.kind === "deliver") return deliver(now, envelope, arrival);
    if (hop.kind === "agent-lost") {
      const direct = { ...envelope, destinationAgent: undefined };
      return this.#go(now, { ...flight, envelope: direct }, arrival);
    }
    if (hop.kind === "stuck") return this.#stuck(flight, hop.reason);
    const strays = hop.detour || flight.tried.size > 0;
    const room = envelope.visited.length < MAX_VISITED && !envelope.visited.includes(self);
    const visited = strays && room ? [...envelope.visited, self] : envelope.visited;
    this.#send(now, hop.link, { ...envelope, visited }, flight);
  }

  #send(now: Millis, link: RingLink, routed: Envelope, flight: Flight): void {
    const { tokens, outbox } = this.#options;
    const own = flight.from === undefined;
    const envelope = own && this.leaning ? { ...routed, sourceAgent: link.address } : routed;
    flight.overdueAt = now + patience(link);
    flight.tried.add(link.link);
    const bytes = emitEnvelope({ ...envelope, hopLimit: envelope.hopLimit - 1 });
    const watched = this.#flights.size < IN_FLIGHT_MAX;
    const token = watched ? tokens.next() : 0;
    if (watched) {
      this.#flights.set(token, flight);
      this.#nextAt = Math.min(this.#nextAt, flight.overdueAt);
    }
    outbox.push({ kind: "send", link: link.link, bytes, reliable: true, token });
  }

  #stuck(flight: Flight, reason: DropReason): void {
    const { drops, outbox } = this.#options;
    const { destination: to, payloadType, payload } = flight.envelope;
    if (flight.from === undefined) {
      outbox.push({ kind: "undeliverable", to, payloadType, payload, reason });
    } else drops.count(reason);
  }
}

function newFlight(envelope: Envelope, from: RingAddress | undefined): Flight {
  return { envelope, from, tried: new Set(), overdueAt: NEVER };
}

/** The source may always try again: its copies are counted here and nowhere else. */
function triesFor({ envelope, from }: Flight): number {
  return from === undefined || envelope.visited.length === 0 ? TRIES_MAX : TRIES_AFTER_DETOUR;
}

function patience(link: RingLink): Millis {
  const usual = (link.rttMs ?? PATIENCE_CEILING_MS) * ROUND_TRIPS;
  return Math.min(Math.max(usual, PATIENCE_FLOOR_MS), PATIENCE_CEILING_MS);
}
