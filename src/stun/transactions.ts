/**
 * STUN requests under way and their repetition (RFC 8489, 6.2.1), bounded more tightly than there:
 * who has not answered after 7.5 s is asked again at the next occasion.
 *
 *      sent at 0, 500, 1500, 3500 ms; given up at 7500 ms
 */
import { toHex } from "../base/bytes.ts";
import type { EngineCommand, SocketIndex } from "../base/engine.ts";
import { type Endpoint, sameEndpoint } from "../base/net.ts";
import type { Rng } from "../base/rng.ts";
import { type Millis, NEVER } from "../base/time.ts";
import { findStun, isIntact, type ReceivedStun, STUN_TRANSACTION_BYTES } from "../wire/stun.ts";
import { type BindingWish, emitBindingRequest } from "./member-request.ts";

/** RFC 8489: half a second where nothing is known of the round trip. */
const FIRST_TIMEOUT_MS = 500;
/** The standard's seven would wait 39.5 s. */
const MAX_SENDINGS = 4;
/** Fourteen sockets whose silence is measured, seven of a survey, two of each of four data sockets. */
export const MAX_TRANSACTIONS = 32;

export interface StunAsked<P> {
  readonly socket: SocketIndex;
  readonly to: Endpoint;
  readonly wish: BindingWish;
  /** Of members; undefined for other servers. */
  readonly key: Uint8Array | undefined;
  readonly purpose: P;
  /** Sendings until it is given up, when not MAX_SENDINGS. */
  readonly sendings?: number;
}

export type StunOutcome<P> = { readonly asked: StunAsked<P> } & (
  | {
      readonly ok: true;
      /** When it was sent first: a new mapping was made then. */
      readonly askedAt: Millis;
      /** How the answerer sees us. */
      readonly mapped: Endpoint;
      /** Where the answer came from, and where it arrived. */
      readonly from: Endpoint;
      readonly socket: SocketIndex;
      readonly other: Endpoint | undefined;
      /** Another port of the answerer that answers. */
      readonly otherPort: number | undefined;
      /** Where the answerer takes itself to be; a NAT in front of it makes the difference. */
      readonly origin: Endpoint | undefined;
    }
  | { readonly ok: false }
);

interface Pending<P> {
  readonly asked: StunAsked<P>;
  readonly bytes: Uint8Array;
  readonly askedAt: Millis;
  sent: number;
  nextAt: Millis;
}

export class Transactions<P> {
  readonly #rng: Rng;
  readonly #pending = new Map<string, Pending<P>>();

  constructor(rng: Rng) {
    this.#rng = rng;
  }

  /** The datagram to send now; undefined when too many are under way. */
  ask(now: Millis, asked: StunAsked<P>): EngineCommand | undefined {
    if (this.#pending.size >= MAX_TRANSACTIONS) return undefined;
    const transaction = this.#rng.bytes(STUN_TRANSACTION_BYTES);
    const bytes = emitBindingRequest(transaction, asked.wish, asked.key);
    const pending = { asked, bytes, askedAt: now, sent: 0, nextAt: now };
    this.#pending.set(toHex(transaction), pending);
    return send(now, pending);
  }

  /** The end of what it answers; undefined when it answers nothing of ours as it should. */
  receive(socket: SocketIndex, from: Endpoint, message: ReceivedStun): StunOutcome<P> | undefined {
    const id = toHex(message.transaction);
    const pending = this.#pending.get(id);
    if (pending === undefined) return undefined;
    const { asked } = pending;
    const isElsewhere = asked.wish.change !== undefined;
    if (!isElsewhere && !sameEndpoint(from, asked.to)) return undefined;
    if (asked.key !== undefined && !isIntact(message, "sha256", asked.key)) return undefined;
    this.#pending.delete(id);
    const mapped = (findStun(message, "xor-mapped-address") ?? findStun(message, "mapped-address"))
      ?.endpoint;
    if (message.kind !== "success" || mapped === undefined) return { asked, ok: false };
    const other = findStun(message, "other-address")?.endpoint;
    const otherPort = findStun(message, "other-port")?.port;
    const origin = findStun(message, "response-origin")?.endpoint;
    const { askedAt } = pending;
    return { asked, ok: true, askedAt, mapped, from, socket, other, otherPort, origin };
  }

  /** Repeats what is due and gives up what was repeated enough. */
  timeout(now: Millis): { commands: EngineCommand[]; failed: StunOutcome<P>[] } {
    const commands: EngineCommand[] = [];
    const failed: StunOutcome<P>[] = [];
    for (const [id, pending] of this.#pending) {
      if (pending.nextAt > now) continue;
      if (pending.sent < (pending.asked.sendings ?? MAX_SENDINGS)) {
        commands.push(send(now, pending));
      } else {
        this.#pending.delete(id);
        failed.push({ asked: pending.asked, ok: false });
      }
    }
    return { commands, failed };
  }

  deadline(): Millis {
    let earliest = NEVER;
    for (const { nextAt } of this.#pending.values()) earliest = Math.min(earliest, nextAt);
    return earliest;
  }
}

function send<P>(now: Millis, pending: Pending<P>): EngineCommand {
  pending.nextAt = now + FIRST_TIMEOUT_MS * 2 ** pending.sent;
  pending.sent++;
  const { socket, to } = pending.asked;
  return { op: "datagram", socket, to, bytes: pending.bytes };
}
