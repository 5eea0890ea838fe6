/**
 * Routed messages on their way through this node: chooses the next hop, hands the message to that
 * link reliably, and goes on by the next best link when the link could not deliver it.
 *
 *      in -> chosen -> sent ok -> forgotten
 *                  \-> not ok -> next best link (<= TRIES_MAX) -> stuck: at the source undeliverable
 */
import type { DropReason } from "../base/drop-reason.ts";
import type { Outbox } from "../base/machine.ts";
import type { RingAddress } from "../base/ring-address.ts";
import type { Millis } from "../base/time.ts";
import type { LinkId } from "../link/link-types.ts";
import { type Envelope, emitEnvelope } from "../wire/ring-messages.ts";
import type { Drops } from "./drops.ts";
import type { LinkTable, RingLink } from "./link-table.ts";
import type { RingOutput } from "./ring.ts";
import { chooseNextHop, type Place } from "./route.ts";
import type { Tokens } from "./tokens.ts";

/** Hops without shortcuts are N/8: enough for 1,000 members before their first shortcut. */
export const HOP_LIMIT = 128;
/** A link gives up after four tries of its own; a third link that fails means the peer is the cause. */
const TRIES_MAX = 4;
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
}

export class Forwarder {
  readonly #options: ForwarderOptions;
  readonly #flights = new Map<number, Flight>();
  /** Set by the owner: this node routes for others. */
  inRing = false;

  constructor(options: ForwarderOptions) {
    this.#options = options;
  }

  /** A message of our own. */
  start(now: Millis, envelope: Envelope): void {
    this.#go(now, { envelope, from: undefined, tried: new Set() });
  }

  /** A message of our own that takes this link first, whatever greedy would say. */
  startThrough(envelope: Envelope, link: RingLink): void {
    this.#send(link, envelope, { envelope, from: undefined, tried: new Set() });
  }

  /** A message that came over a link. */
  pass(now: Millis, envelope: Envelope, from: RingLink): void {
    if (envelope.hopLimit === 0) return this.#options.drops.count("hop-limit");
    const forUs = envelope.destinationAgent === this.#options.self;
    const through = forUs ? { ...envelope, destinationAgent: undefined } : envelope;
    this.#go(now, { envelope: through, from: from.address, tried: new Set() }, from.link);
  }

  /** @returns false when the token is not one of ours */
  sent(now: Millis, token: number, ok: boolean): boolean {
    const flight = this.#flights.get(token);
    if (flight === undefined) return false;
    this.#flights.delete(token);
    if (ok) return true;
    if (flight.tried.size >= TRIES_MAX) this.#stuck(flight, "no-progress");
    else this.#go(now, flight);
    return true;
  }

  #go(now: Millis, flight: Flight, arrival?: LinkId): void {
    const { self, links, deliver } = this.#options;
    const { envelope, from, tried } = flight;
    const place: Place = { self, inRing: this.inRing, links: links.all(), from, tried };
    const hop = chooseNextHop(envelope, place);
    if (hop.kind === "deliver") return deliver(now, envelope, arrival);
    if (hop.kind === "stuck") return this.#stuck(flight, hop.reason);
    const visited = hop.detour ? [...envelope.visited, self] : envelope.visited;
    this.#send(hop.link, { ...envelope, visited }, flight);
  }

  #send(link: RingLink, envelope: Envelope, flight: Flight): void {
    const { tokens, outbox } = this.#options;
    flight.tried.add(link.link);
    const bytes = emitEnvelope({ ...envelope, hopLimit: envelope.hopLimit - 1 });
    const watched = this.#flights.size < IN_FLIGHT_MAX;
    const token = watched ? tokens.next() : 0;
    if (watched) this.#flights.set(token, flight);
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
