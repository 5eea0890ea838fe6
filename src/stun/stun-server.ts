/**
 * Tells others how they are seen from here (RFC 8489), and answers from elsewhere where there is an
 * elsewhere (RFC 5780). Who is not served gets silence, so that a stranger learns of nobody here.
 *
 *      members:  requests with the network's credentials, padded to the answer's size
 *      anyone:   any well-formed request too, a few a second
 */
import type { EngineCommand, SocketIndex } from "../base/engine.ts";
import { type Endpoint, familyOf, type Ip, type IpFamily } from "../base/net.ts";
import type { Millis } from "../base/time.ts";
import type { DropCounters } from "../link/drop-counters.ts";
import { RateWindow } from "../link/rate-window.ts";
import {
  findStun,
  type ReceivedStun,
  STUN_BINDING,
  type StunAttribute,
  unknownRequired,
} from "../wire/stun.ts";
import { claimsMembership, emitBindingAnswer, isFromMember } from "./member-request.ts";

export type StunMode = "members" | "anyone" | "off";

/** A client repeats within half a second; ten at once behind one NAT are served. */
export const MAX_STRANGER_PER_SECOND = 10;
/** At 100 bytes each this is 160 kbit/s, less than anybody would forge sources for. */
export const MAX_STRANGERS_PER_SECOND = 200;
/** Members ask a few times a minute; what is above this was recorded and is being repeated. */
export const MAX_MEMBERS_PER_SECOND = 500;
/** Sources whose rate is kept: all that the total rate lets in during five seconds. */
const MAX_SOURCES = 1_000;

/** A UDP socket of the engine; its address may be the wildcard of its family. */
export interface BoundSocket {
  readonly socket: SocketIndex;
  readonly endpoint: Endpoint;
}

export interface StunQuestion {
  readonly socket: SocketIndex;
  readonly from: Endpoint;
  readonly message: ReceivedStun;
}

export interface StunServerOptions {
  readonly mode: StunMode;
  /** 32 bytes, of members */
  readonly key: Uint8Array;
  readonly drops: DropCounters;
}

/** `wantsPort`: a member asks for an answer from another port, and there is no socket to send from. */
export type ServerOutcome =
  | { readonly kind: "answer"; readonly command: EngineCommand }
  | { readonly kind: "wants-port"; readonly family: IpFamily }
  | undefined;

export class StunServer {
  readonly #options: StunServerOptions;
  readonly #sources = new Map<Ip, RateWindow>();
  readonly #strangers = new RateWindow();
  readonly #members = new RateWindow();

  constructor(options: StunServerOptions) {
    this.#options = options;
  }

  answer(now: Millis, question: StunQuestion, sockets: readonly BoundSocket[]): ServerOutcome {
    const { message, from, socket } = question;
    const { drops, key } = this.#options;
    const admitted = this.#admit(now, question);
    if (admitted === undefined) return undefined;
    if (message.method !== STUN_BINDING) return void drops.count("unknown-type");
    const own = sockets.find((bound) => bound.socket === socket);
    if (own === undefined) return void drops.count("not-for-us");
    const change = findStun(message, "change-request") ?? { ip: false, port: false };
    const wants = change.ip || change.port;
    const sender = wants ? elsewhere(own, change, sockets) : own;
    if (sender === undefined && admitted === "member" && change.port && !change.ip) {
      return { kind: "wants-port", family: familyOf(own.endpoint.ip) };
    }
    const unknown = [...unknownRequired(message), ...(sender === undefined ? [3] : [])];
    const attributes =
      unknown.length > 0 ? refusal(unknown) : mappedAnswer(from, sender ?? own, sockets);
    const { method, transaction } = message;
    const bytes = emitBindingAnswer(
      { kind: unknown.length > 0 ? "error" : "success", method, transaction, attributes },
      admitted === "member" ? key : undefined,
    );
    if (admitted === "member" && bytes.length > message.bytes.length) {
      return void drops.count("truncated");
    }
    const port = findStun(message, "response-port")?.port ?? from.port;
    const to = { ip: from.ip, port };
    const through = sender?.socket ?? socket;
    return { kind: "answer", command: { op: "datagram", socket: through, to, bytes } };
  }

  /** The cheap checks first: whoever only floods costs no HMAC. */
  #admit(now: Millis, { message, from }: StunQuestion): "member" | "stranger" | undefined {
    const { mode, key, drops } = this.#options;
    if (mode === "off") return void drops.count("not-for-us");
    if (claimsMembership(message)) {
      if (this.#members.add(now) > MAX_MEMBERS_PER_SECOND) return void drops.count("rate-limited");
      return isFromMember(message, key) ? "member" : void drops.count("bad-tag");
    }
    if (mode === "members") return void drops.count("not-for-us");
    return this.#isTooFast(now, from.ip) ? void drops.count("rate-limited") : "stranger";
  }

  #isTooFast(now: Millis, ip: Ip): boolean {
    const source = this.#sources.get(ip) ?? new RateWindow();
    this.#sources.delete(ip);
    this.#sources.set(ip, source);
    for (const oldest of this.#sources.keys()) {
      if (this.#sources.size <= MAX_SOURCES) break;
      this.#sources.delete(oldest);
    }
    if (source.add(now) > MAX_STRANGER_PER_SECOND) return true;
    return this.#strangers.add(now) > MAX_STRANGERS_PER_SECOND;
  }
}

/** A socket of the same family whose address and port differ just as wished. */
function elsewhere(
  own: BoundSocket,
  change: { readonly ip: boolean; readonly port: boolean },
  sockets: readonly BoundSocket[],
): BoundSocket | undefined {
  const { ip, port } = own.endpoint;
  return sockets.find(
    ({ endpoint }) =>
      familyOf(endpoint.ip) === familyOf(ip) &&
      (endpoint.ip !== ip) === change.ip &&
      (endpoint.port !== port) === change.port,
  );
}

function mappedAnswer(
  from: Endpoint,
  sender: BoundSocket,
  sockets: readonly BoundSocket[],
): StunAttribute[] {
  const attributes: StunAttribute[] = [{ type: "xor-mapped-address", endpoint: from }];
  if (isWildcard(sender.endpoint.ip)) return attributes;
  attributes.push({ type: "response-origin", endpoint: sender.endpoint });
  const other = elsewhere(sender, { ip: true, port: true }, sockets);
  if (other === undefined || isWildcard(other.endpoint.ip)) return attributes;
  return [...attributes, { type: "other-address", endpoint: other.endpoint }];
}

function refusal(types: readonly number[]): StunAttribute[] {
  const shown = types.slice(0, 8);
  return [
    { type: "error-code", code: 420, reason: new Uint8Array(0) },
    { type: "unknown-attributes", types: shown },
  ];
}

function isWildcard(ip: Ip): boolean {
  return ip === "0.0.0.0" || ip === "::";
}
