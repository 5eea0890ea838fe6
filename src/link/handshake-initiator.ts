/**
 * The initiator's side of handshakes, by datagram and over the ring at once.
 *
 *      asking --message 2--> confirming --anything sealed from the peer--> gone
 *        |  message 1 at 0, 250, 750, 1750 ..      |  message 3 again at 250, 750, 1750 ..
 *        \--5 s--> failed                          \--5 tries--> unconfirmed
 *
 * The same Noise message 1 goes every way; the first valid answer decides.
 */
import { equalBytes } from "../base/bytes.ts";
import type { ReceiverIndex, SocketIndex } from "../base/engine.ts";
import { Outbox } from "../base/machine.ts";
import { type Endpoint, endpointText, familyOf, type IpFamily, sameEndpoint } from "../base/net.ts";
import type { RingAddress } from "../base/ring-address.ts";
import { jitter } from "../base/rng.ts";
import { type Millis, NEVER } from "../base/time.ts";
import { openCookieReply } from "../crypto/cookie-jar.ts";
import { mac1Of } from "../crypto/mac.ts";
import { parseCookieReply, parseVersionRefused } from "../wire/cookie.ts";
import { emitHandshake1, emitHandshake3, parseHandshake2 } from "../wire/handshake.ts";
import type { DropCounters } from "./drop-counters.ts";
import type { Channel, HandshakeResult, HandshakeSelf } from "./handshake-self.ts";
import type { ConnectTarget, LinkRole } from "./link-types.ts";

/** Handshakes under way: a join opens some twenty links, traffic may open 128 at once. */
export const MAX_CONNECTS = 256;
/** After this a peer that runs at all has answered, even through loss. */
const ASKING_MS = 5_000;
/** Waits between repetitions; the last one repeats. Odd steps spread by the jitter. */
const GAPS_MS: readonly Millis[] = [250, 500, 1_000];
const GAP_JITTER = 0.1;
/** Message 3 is repeated until the peer is heard: 250, 500, 1000, 1000 ms. */
const CONFIRM_TRIES = 5;
/** Endpoints of one attempt: the candidates of a peer and where it was last. */
const MAX_ENDPOINTS = 9;
/** Ways that message 3 takes: the ring, two families, and one that somebody forged. */
const MAX_WAYS_BACK = 4;

export interface ConnectRequest {
  readonly to: ConnectTarget;
  readonly role: LinkRole;
  /** A renewal of a link that exists: failing is nobody's news. */
  readonly isRenewal: boolean;
}

export interface FailedConnect {
  readonly kind: "failed";
  readonly request: ConnectRequest;
  readonly reason: string;
  /** The other's major version, when it refused ours. */
  readonly major?: number;
}

export type InitiatorOutput =
  | { readonly kind: "send"; readonly channel: Channel; readonly bytes: Uint8Array }
  | { readonly kind: "done"; readonly request: ConnectRequest; readonly result: HandshakeResult }
  | FailedConnect
  /** No sign that the peer has message 3: it may not hold the keys that we use. */
  | { readonly kind: "unconfirmed"; readonly peer: RingAddress };

interface Attempt {
  readonly request: ConnectRequest;
  readonly index: ReceiverIndex;
  readonly ephemeralSecret: Uint8Array;
  readonly noise1: Uint8Array;
  readonly endpoints: Endpoint[];
  readonly cookies: Map<string, Uint8Array>;
  readonly startedAt: Millis;
  /** Asking ends then. Compared as stored: a sum taken apart again may round to another number. */
  readonly endsAt: Millis;
  tries: number;
  sentAt: Millis;
  nextAt: Millis;
  confirming: Confirming | undefined;
}

interface Confirming {
  readonly peer: RingAddress;
  readonly message2: Uint8Array;
  readonly message3: Uint8Array;
  /** Where message 2 came from, each once: whoever copied it first must not be the only one. */
  readonly waysBack: Channel[];
}

/** What the initiator must know of the links. */
export interface FreshLinks {
  /** Whether a handshake with this very peer ended a moment ago. */
  isFresh(now: Millis, address: RingAddress, boot: bigint): boolean;
}

export interface InitiatorOptions {
  readonly self: HandshakeSelf;
  readonly sockets: readonly IpFamily[];
  readonly drops: DropCounters;
  readonly links: FreshLinks;
}

export class HandshakeInitiator {
  readonly #self: HandshakeSelf;
  readonly #sockets: readonly IpFamily[];
  readonly #drops: DropCounters;
  readonly #links: FreshLinks;
  readonly #attempts = new Map<ReceiverIndex, Attempt>();
  readonly #out = new Outbox<InitiatorOutput>();

  constructor({ self, sockets, drops, links }: InitiatorOptions) {
    this.#self = self;
    this.#sockets = sockets;
    this.#drops = drops;
    this.#links = links;
  }

  start(now: Millis, request: ConnectRequest): void {
    const same = this.#find(request.to);
    if (same !== undefined) return this.#extend(same, request.to);
    if (this.#attempts.size >= MAX_CONNECTS) return this.#fail(request, "too many connects");
    const index = this.#self.drawIndex();
    const ephemeralSecret = this.#self.options.rng.bytes(32);
    const attempt: Attempt = {
      request,
      index,
      ephemeralSecret,
      noise1: this.#self.noise(true, ephemeralSecret).write(new Uint8Array(0)),
      endpoints: endpointsOf(request.to),
      cookies: new Map(),
      startedAt: now,
      endsAt: now + ASKING_MS,
      tries: 0,
      sentAt: now,
      nextAt: now,
      confirming: undefined,
    };
    this.#attempts.set(index, attempt);
    this.#repeat(now, attempt);
  }

  /** When we began to ask this address; undefined when we do not. */
  askingSince(address: RingAddress): Millis | undefined {
    for (const { request, confirming, startedAt } of this.#attempts.values()) {
      if (confirming !== undefined || request.to.kind !== "address") continue;
      if (request.to.address === address) return startedAt;
    }
    return undefined;
  }

  /** A link to this peer exists by another handshake: stop asking. */
  settle(address: RingAddress, endpoint: Endpoint | undefined): void {
    for (const [index, attempt] of this.#attempts) {
      if (attempt.confirming !== undefined) continue;
      const { to } = attempt.request;
      const isSame =
        to.kind === "address"
          ? to.address === address
          : endpoint !== undefined && sameEndpoint(to.endpoint, endpoint);
      if (isSame) this.#attempts.delete(index);
    }
  }

  /** The peer was heard under a session: it has message 3. */
  confirm(peer: RingAddress): void {
    for (const [index, { confirming }] of this.#attempts) {
      if (confirming?.peer === peer) this.#attempts.delete(index);
    }
  }

  /** Whether this message 1 is our own that came back; then the way it took is given up. */
  recognise(noise1: Uint8Array): boolean {
    for (const attempt of this.#attempts.values()) {
      if (!equalBytes(attempt.noise1, noise1)) continue;
      if (attempt.request.to.kind === "endpoint") this.#end(attempt, "self");
      return true;
    }
    return false;
  }

  receive2(now: Millis, channel: Channel, bytes: Uint8Array): void {
    const message = parseHandshake2(bytes);
    if (!message.ok) return this.#drops.count(message.reason);
    const attempt = this.#attempts.get(message.value.receiver);
    if (attempt === undefined) return this.#drops.count("unknown-receiver");
    if (attempt.confirming !== undefined) {
      return this.#receive2Again(attempt.confirming, channel, bytes);
    }
    const noise = this.#self.noise(true, attempt.ephemeralSecret);
    noise.write(new Uint8Array(0));
    const payload = noise.read(message.value.noise);
    const remoteStatic = noise.remoteStatic;
    if (payload === undefined || remoteStatic === undefined) {
      return this.#drops.count("bad-handshake");
    }
    const facts = this.#self.judge(payload, remoteStatic);
    if (!facts.ok) return this.#drops.count(facts.reason);
    const { to } = attempt.request;
    // Another member lives at an old endpoint of the one we want.
    if (to.kind === "address" && to.address !== facts.value.address) {
      return this.#drops.count("not-for-us");
    }
    if (facts.value.address === this.#self.options.address) return this.#end(attempt, "self");
    // Two of our own handshakes met: a second pair at once could push the first out of the engine.
    const isNeedless = this.#links.isFresh(now, facts.value.address, facts.value.boot);
    if (isNeedless && !attempt.request.isRenewal) {
      this.#attempts.delete(attempt.index);
      return;
    }
    const roundTripMs = now - attempt.sentAt;
    const body = emitHandshake3({
      sender: attempt.index,
      receiver: message.value.sender,
      noise: noise.write(this.#self.payload(channel)),
    });
    const message3 = this.#self.withMacs(body);
    const peer = facts.value.address;
    attempt.confirming = { peer, message2: bytes, message3, waysBack: [channel] };
    attempt.tries = 0;
    this.#repeat(now, attempt);
    const result: HandshakeResult = {
      facts: facts.value,
      keys: this.#self.sessionKeys(noise, true),
      initiator: true,
      receive: attempt.index,
      send: message.value.sender,
      channel,
      isProven: channel.kind === "socket" && isAsked(attempt, channel.endpoint),
      roundTripMs,
    };
    this.#out.push({ kind: "done", request: attempt.request, result });
  }

  receiveCookie(now: Millis, from: Endpoint, bytes: Uint8Array): void {
    const reply = parseCookieReply(bytes);
    if (!reply.ok) return this.#drops.count(reply.reason);
    const attempt = this.#attempts.get(reply.value.receiver);
    if (attempt === undefined || attempt.confirming !== undefined) {
      return this.#drops.count("unknown-receiver");
    }
    const { suite, keys } = this.#self.options;
    const cookie = openCookieReply(
      suite,
      keys.mac1Key,
      reply.value,
      mac1Of(this.#message1(attempt)),
    );
    if (!isAsked(attempt, from) || cookie === undefined) return this.#drops.count("bad-mac2");
    const isFirst = !attempt.cookies.has(endpointText(from));
    attempt.cookies.set(endpointText(from), cookie);
    if (isFirst) this.#sendMessage1(attempt, from);
    else attempt.nextAt = Math.max(attempt.nextAt, now);
  }

  receiveRefusal(bytes: Uint8Array): void {
    const refused = parseVersionRefused(bytes);
    if (!refused.ok) return this.#drops.count(refused.reason);
    const attempt = this.#attempts.get(refused.value.receiver);
    if (attempt === undefined || attempt.confirming !== undefined) {
      return this.#drops.count("unknown-receiver");
    }
    const { major } = refused.value;
    this.#attempts.delete(attempt.index);
    this.#out.push({ kind: "failed", request: attempt.request, reason: "other version", major });
  }

  timeout(now: Millis): void {
    for (const attempt of [...this.#attempts.values()]) {
      if (attempt.nextAt > now) continue;
      if (attempt.confirming !== undefined && attempt.tries >= CONFIRM_TRIES) {
        this.#attempts.delete(attempt.index);
        this.#out.push({ kind: "unconfirmed", peer: attempt.confirming.peer });
      } else if (attempt.confirming === undefined && now >= attempt.endsAt) {
        this.#end(attempt, "no answer");
      } else this.#repeat(now, attempt);
    }
  }

  deadline(): Millis {
    let earliest = NEVER;
    for (const { nextAt } of this.#attempts.values()) earliest = Math.min(earliest, nextAt);
    return earliest;
  }

  poll(): InitiatorOutput | undefined {
    return this.#out.poll();
  }

  #repeat(now: Millis, attempt: Attempt): void {
    const gapMs = GAPS_MS[Math.min(attempt.tries, GAPS_MS.length - 1)] ?? 0;
    attempt.tries++;
    attempt.sentAt = now;
    attempt.nextAt = now + jitter(this.#self.options.rng, gapMs, GAP_JITTER);
    if (attempt.confirming !== undefined) return this.#sendMessage3(attempt.confirming);
    attempt.nextAt = Math.min(attempt.nextAt, attempt.endsAt);
    for (const endpoint of attempt.endpoints) this.#sendMessage1(attempt, endpoint);
    const { to } = attempt.request;
    if (to.kind !== "address") return;
    const body = emitHandshake1({ sender: attempt.index, noise: attempt.noise1 }, false);
    const channel: Channel = { kind: "ring", address: to.address };
    this.#out.push({ kind: "send", channel, bytes: this.#self.withMacs(body) });
  }

  #message1(attempt: Attempt, cookie?: Uint8Array): Uint8Array {
    const body = emitHandshake1({ sender: attempt.index, noise: attempt.noise1 }, true);
    return this.#self.withMacs(body, cookie);
  }

  #sendMessage1(attempt: Attempt, endpoint: Endpoint): void {
    const bytes = this.#message1(attempt, attempt.cookies.get(endpointText(endpoint)));
    const { to } = attempt.request;
    const stream = to.kind === "endpoint" ? to.stream : undefined;
    const socket = stream ?? socketFor(endpoint, this.#sockets);
    if (socket === undefined) return;
    this.#out.push({ kind: "send", channel: { kind: "socket", socket, endpoint }, bytes });
  }

  #sendMessage3({ waysBack, message3 }: Confirming): void {
    for (const channel of waysBack) this.#out.push({ kind: "send", channel, bytes: message3 });
  }

  /** The peer still waits for message 3, or its message 2 came by another way first. */
  #receive2Again(
    { message2, message3, waysBack }: Confirming,
    channel: Channel,
    bytes: Uint8Array,
  ) {
    if (!equalBytes(message2, bytes)) return this.#drops.count("bad-handshake");
    if (!waysBack.some((way) => isSameChannel(way, channel))) {
      if (waysBack.length >= MAX_WAYS_BACK) return this.#drops.count("table-full");
      waysBack.push(channel);
    }
    this.#out.push({ kind: "send", channel, bytes: message3 });
  }

  #find(to: ConnectTarget): Attempt | undefined {
    for (const attempt of this.#attempts.values()) {
      if (attempt.confirming === undefined && isSameTarget(attempt.request.to, to)) return attempt;
    }
    return undefined;
  }

  #extend(attempt: Attempt, to: ConnectTarget): void {
    for (const endpoint of endpointsOf(to)) {
      if (attempt.endpoints.length >= MAX_ENDPOINTS) return;
      if (attempt.endpoints.some((known) => sameEndpoint(known, endpoint))) continue;
      attempt.endpoints.push(endpoint);
      this.#sendMessage1(attempt, endpoint);
    }
  }

  #end(attempt: Attempt, reason: string): void {
    this.#attempts.delete(attempt.index);
    this.#fail(attempt.request, reason);
  }

  #fail(request: ConnectRequest, reason: string): void {
    this.#out.push({ kind: "failed", request, reason });
  }
}

/**
 * The first socket of the endpoint's family; undefined when this host has none, so that the endpoint
 * cannot be reached.
 */
export function socketFor(
  endpoint: Endpoint,
  sockets: readonly IpFamily[],
): SocketIndex | undefined {
  const socket = sockets.indexOf(familyOf(endpoint.ip));
  return socket < 0 ? undefined : socket;
}

function isAsked({ endpoints }: Attempt, from: Endpoint): boolean {
  return endpoints.some((endpoint) => sameEndpoint(endpoint, from));
}

function isSameChannel(a: Channel, b: Channel): boolean {
  if (a.kind === "ring") return b.kind === "ring";
  return b.kind === "socket" && a.socket === b.socket && sameEndpoint(a.endpoint, b.endpoint);
}

function endpointsOf(to: ConnectTarget): Endpoint[] {
  return to.kind === "endpoint" ? [to.endpoint] : to.endpoints.slice(0, MAX_ENDPOINTS);
}

function isSameTarget(a: ConnectTarget, b: ConnectTarget): boolean {
  if (a.kind === "endpoint") {
    return b.kind === "endpoint" && a.stream === b.stream && sameEndpoint(a.endpoint, b.endpoint);
  }
  return b.kind === "address" && a.address === b.address;
}
