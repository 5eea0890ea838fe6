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

/** `wantsPort`: a member asks; with a socket of this family and another port it would be answered better. */
export interface ServerOutcome {
  readonly answer?: EngineCommand;
  readonly wantsPort?: IpFamily;
}

export class StunServer {
  readonly #options: StunServerOptions;
  readonly #sources = new Map<Ip, RateWindow>();
  readonly #strangers = new RateWindow();
  readonly #members = new RateWindow();

  constructor(options: StunServerOptions) {
    this.#options = options;
  }

  answer(now: Millis, question: StunQuestion, sockets: readonly BoundSocket[]): ServerOutcome {
    const { message, socket } = question;
    const { drops } = this.#options;
    const admitted = this.#admit(now, question);
    if (admitted === undefined) return {};
    const own = sockets.find((bound) => bound.socket === socket);
    if (message.method !== STUN_BINDING || own === undefined) {
      drops.count(own === undefined ? "not-for-us" : "unknown-type");
      return {};
    }
    const hasPort = elsewhere(own, ANOTHER_PORT, sockets) !== undefined;
    const wantsPort = admitted === "member" && !hasPort ? familyOf(own.endpoint.ip) : undefined;
    const change = findStun(message, "change-request");
    if (wantsPort !== undefined && change?.port === true && !change.ip) return { wantsPort };
    const answer = this.#answerFrom(own, { question, admitted, sockets });
    return {
      ...(answer === undefined ? {} : { answer }),
      ...(wantsPort === undefined ? {} : { wantsPort }),
    };
  }

  #answerFrom(own: BoundSocket, { question, admitted, sockets }: Admitted) {
    const { message, from, socket } = question;
    const { drops, key } = this.#options;
    const isMember = admitted === "member";
    const change = findStun(message, "change-request") ?? { ip: false, port: false };
    const sender = change.ip || change.port ? elsewhere(own, change, sockets) : own;
    const unknown = [...unknownRequired(message), ...(sender === undefined ? [3] : [])];
    const isRefused = unknown.length > 0 || sender === undefined;
    const attributes = isRefused ? refusal(unknown) : mappedAnswer(from, sender, sockets);
    if (!isRefused && isMember) attributes.push(...otherPort(sender, attributes, sockets));
    const { method, transaction } = message;
    const kind = isRefused ? "error" : "success";
    const answer = { kind, method, transaction, attributes } as const;
    const bytes = emitBindingAnswer(answer, isMember ? key : undefined);
    if (isMember && bytes.length > message.bytes.length) return void drops.count("truncated");
    const port = findStun(message, "response-port")?.port ?? from.port;
    const to = { ip: from.ip, port };
    return { op: "datagram", socket: sender?.socket ?? socket, to, bytes } as const;
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

interface Admitted {
  readonly question: StunQuestion;
  readonly admitted: "member" | "stranger";
  readonly sockets: readonly BoundSocket[];
}

const ANOTHER_PORT = { ip: false, port: true } as const;

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

/**
 * A member without a second address is a second destination all the same (RFC 5780 knows only servers
 * with two): whether the mapping differs by port shows at the other port of its one address.
 */
function otherPort(
  sender: BoundSocket,
  told: readonly StunAttribute[],
  sockets: readonly BoundSocket[],
): StunAttribute[] {
  if (told.some(({ type }) => type === "other-address")) return [];
  const port = elsewhere(sender, ANOTHER_PORT, sockets)?.endpoint.port;
  return port === undefined ? [] : [{ type: "other-port", port }];
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
