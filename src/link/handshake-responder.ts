/**
 * The responder's side of handshakes. A message 1 whose mac1 is right makes one half-open entry and
 * one message 2; the same message 1 again gets the same message 2 again. Message 3 proves the peer.
 *
 * Bounds: half-open entries by number and age, and by source when they crowd; under load a datagram
 * must show a cookie first; handshakes over the ring are limited per source and in all.
 */
import { toHex } from "../base/bytes.ts";
import type { ReceiverIndex } from "../base/engine.ts";
import { Outbox } from "../base/machine.ts";
import { type Endpoint, ipToBytes, isIpv6, sameEndpoint } from "../base/net.ts";
import type { RingAddress } from "../base/ring-address.ts";
import { type Millis, NEVER } from "../base/time.ts";
import { CookieJar } from "../crypto/cookie-jar.ts";
import { checkMac1 } from "../crypto/mac.ts";
import type { NoiseHandshake } from "../crypto/noise.ts";
import { emitVersionRefused } from "../wire/cookie.ts";
import {
  emitHandshake2,
  PADDED_HANDSHAKE_BYTES,
  parseHandshake1,
  parseHandshake3,
  readSenderIndex,
} from "../wire/handshake.ts";
import { MAJOR_VERSION } from "../wire/message-type.ts";
import type { DropCounters } from "./drop-counters.ts";
import type { Channel, HandshakeResult, HandshakeSelf } from "./handshake-self.ts";
import { RateWindow } from "./rate-window.ts";

export const MAX_HALF_OPEN = 1_024;
/** Past this many one source has no more than its share: one that shows cookies keeps nobody out. */
const CROWDED_HALF_OPEN = MAX_HALF_OPEN / 2;
/**
 * Members behind one NAT that come at once. A source is an IPv4 address or an IPv6 /64: whoever has one
 * address of a /64 has them all (RFC 4941), so a share for each would be none. The members of one IPv6
 * network have one share together, as those behind one NAT do.
 */
const HALF_OPEN_OF_SOURCE = 64;
/** As long as an initiator asks. */
export const HALF_OPEN_MS = 5_000;
/** New handshakes by datagram in one second above which a cookie is asked for. */
export const COOKIE_ABOVE_PER_SECOND = 32;
/** A peer asks at most six times in five seconds; ten leave room for several of its attempts. */
const ROUTED_PER_SOURCE_PER_SECOND = 10;
/** 200 key exchanges take about a tenth of one core. */
const ROUTED_PER_SECOND = 200;
const MAX_ROUTED_SOURCES = 1_024;

export type ResponderOutput =
  | { readonly kind: "send"; readonly channel: Channel; readonly bytes: Uint8Array }
  | { readonly kind: "done"; readonly result: HandshakeResult };

interface HalfOpen {
  readonly key: string;
  readonly index: ReceiverIndex;
  readonly peerIndex: ReceiverIndex;
  readonly noise: NoiseHandshake;
  readonly message2: Uint8Array;
  readonly expiresAt: Millis;
  /** Datagram sources that were sent message 2; two already prove nothing, so no more are kept. */
  readonly answered: Endpoint[];
  /** Whose share it counts in; undefined when it was asked for over the ring. */
  readonly source: string | undefined;
  isDone: boolean;
}

export class HandshakeResponder {
  readonly #self: HandshakeSelf;
  readonly #drops: DropCounters;
  readonly #jar: CookieJar;
  /** Oldest first: entries live equally long. */
  readonly #halfOpen = new Map<ReceiverIndex, HalfOpen>();
  readonly #byKey = new Map<string, HalfOpen>();
  /** How many of them each source has; no source without any. */
  readonly #bySource = new Map<string, number>();
  readonly #datagrams = new RateWindow();
  readonly #routed = new RateWindow();
  readonly #routedSources = new Map<RingAddress, RateWindow>();
  readonly #out = new Outbox<ResponderOutput>();

  constructor(self: HandshakeSelf, drops: DropCounters) {
    const { suite, rng, keys } = self.options;
    this.#self = self;
    this.#drops = drops;
    this.#jar = new CookieJar({ suite, rng, mac1Key: keys.mac1Key });
  }

  get halfOpenCount(): number {
    return this.#halfOpen.size;
  }

  receive1(now: Millis, channel: Channel, bytes: Uint8Array): void {
    const message = parseHandshake1(bytes);
    if (!message.ok) {
      if (message.reason === "unknown-version") this.#refuseVersion(channel, bytes);
      return this.#drops.count(message.reason);
    }
    // What asks from a socket must not be shorter than the answer.
    if (channel.kind === "socket" && bytes.length !== PADDED_HANDSHAKE_BYTES) {
      return this.#drops.count("truncated");
    }
    const key = `${message.value.sender} ${toHex(message.value.noise)}`;
    const known = this.#byKey.get(key);
    if (known !== undefined) return this.#answer(channel, known);
    if (!this.#isAdmitted(now, channel, bytes)) return;
    this.#open(now, channel, { key, ...message.value });
  }

  receive3(now: Millis, channel: Channel, bytes: Uint8Array): void {
    const message = parseHandshake3(bytes);
    if (!message.ok) return this.#drops.count(message.reason);
    const entry = this.#halfOpen.get(message.value.receiver);
    const isKnown = entry !== undefined && entry.expiresAt > now;
    if (!isKnown || entry.peerIndex !== message.value.sender) {
      return this.#drops.count("unknown-receiver");
    }
    if (entry.isDone) return;
    const payload = entry.noise.read(message.value.noise);
    const remoteStatic = entry.noise.remoteStatic;
    if (payload === undefined || remoteStatic === undefined) {
      return this.#drops.count("bad-handshake");
    }
    entry.isDone = true;
    const facts = this.#self.judge(payload, remoteStatic);
    if (!facts.ok) return this.#drops.count(facts.reason);
    if (facts.value.address === this.#self.options.address) return;
    const result: HandshakeResult = {
      facts: facts.value,
      keys: this.#self.sessionKeys(entry.noise, false),
      initiator: false,
      receive: entry.index,
      send: entry.peerIndex,
      channel,
      isProven: channel.kind === "socket" && isOnly(entry.answered, channel.endpoint),
      roundTripMs: 0,
    };
    this.#out.push({ kind: "done", result });
  }

  timeout(now: Millis): void {
    for (const entry of this.#halfOpen.values()) {
      if (entry.expiresAt > now) return;
      this.#halfOpen.delete(entry.index);
      this.#byKey.delete(entry.key);
      this.#countSource(entry.source, -1);
    }
  }

  deadline(): Millis {
    return this.#halfOpen.values().next().value?.expiresAt ?? NEVER;
  }

  poll(): ResponderOutput | undefined {
    return this.#out.poll();
  }

  #open(
    now: Millis,
    channel: Channel,
    asked: { readonly key: string; readonly sender: number; readonly noise: Uint8Array },
  ): void {
    this.timeout(now);
    if (this.#halfOpen.size >= MAX_HALF_OPEN) return this.#drops.count("table-full");
    const source = channel.kind === "socket" ? sourceOf(channel.endpoint) : undefined;
    if (this.#isOverShare(source)) return this.#drops.count("rate-limited");
    const noise = this.#self.noise(false, this.#self.options.rng.bytes(32));
    if (noise.read(asked.noise) === undefined) return this.#drops.count("bad-handshake");
    const index = this.#self.drawIndex();
    const body = emitHandshake2({
      sender: index,
      receiver: asked.sender,
      noise: noise.write(this.#self.payload(channel)),
    });
    const entry: HalfOpen = {
      key: asked.key,
      index,
      peerIndex: asked.sender,
      noise,
      message2: this.#self.withMacs(body),
      expiresAt: now + HALF_OPEN_MS,
      answered: [],
      source,
      isDone: false,
    };
    this.#halfOpen.set(index, entry);
    this.#byKey.set(asked.key, entry);
    this.#countSource(source, 1);
    this.#answer(channel, entry);
  }

  #isOverShare(source: string | undefined): boolean {
    if (source === undefined || this.#halfOpen.size < CROWDED_HALF_OPEN) return false;
    return (this.#bySource.get(source) ?? 0) >= HALF_OPEN_OF_SOURCE;
  }

  #countSource(source: string | undefined, by: 1 | -1): void {
    if (source === undefined) return;
    const held = (this.#bySource.get(source) ?? 0) + by;
    if (held === 0) this.#bySource.delete(source);
    else this.#bySource.set(source, held);
  }

  #answer(channel: Channel, entry: HalfOpen): void {
    if (channel.kind === "socket") noteAnswered(entry.answered, channel.endpoint);
    this.#out.push({ kind: "send", channel, bytes: entry.message2 });
  }

  #isAdmitted(now: Millis, channel: Channel, bytes: Uint8Array): boolean {
    if (channel.kind === "ring") return this.#isRoutedAdmitted(now, channel.address, bytes);
    if (this.#datagrams.add(now) <= COOKIE_ABOVE_PER_SECOND) return true;
    if (this.#jar.checkMac2(now, channel.endpoint, bytes)) return true;
    const reply = this.#jar.reply(now, channel.endpoint, bytes);
    if (reply !== undefined) this.#out.push({ kind: "send", channel, bytes: reply });
    this.#drops.count("bad-mac2");
    return false;
  }

  #isRoutedAdmitted(now: Millis, source: RingAddress, bytes: Uint8Array): boolean {
    const { suite, keys } = this.#self.options;
    if (!checkMac1(suite, keys.mac1Key, bytes)) {
      this.#drops.count("bad-mac1");
      return false;
    }
    const window = this.#routedSources.get(source) ?? new RateWindow();
    this.#routedSources.delete(source);
    this.#routedSources.set(source, window);
    this.#forgetOldSource();
    const isWithin =
      window.add(now) <= ROUTED_PER_SOURCE_PER_SECOND && this.#routed.add(now) <= ROUTED_PER_SECOND;
    if (!isWithin) this.#drops.count("rate-limited");
    return isWithin;
  }

  #forgetOldSource(): void {
    if (this.#routedSources.size <= MAX_ROUTED_SOURCES) return;
    for (const source of this.#routedSources.keys()) {
      this.#routedSources.delete(source);
      return;
    }
  }

  #refuseVersion(channel: Channel, bytes: Uint8Array): void {
    const receiver = readSenderIndex(bytes);
    const { suite, keys } = this.#self.options;
    if (receiver === undefined || !checkMac1(suite, keys.mac1Key, bytes)) return;
    const body = emitVersionRefused({ receiver, major: MAJOR_VERSION });
    this.#out.push({ kind: "send", channel, bytes: this.#self.withMacs(body) });
  }
}

/** An IPv4 address, or the /64 of an IPv6 one. */
function sourceOf({ ip }: Endpoint): string {
  return isIpv6(ip) ? toHex(ipToBytes(ip).subarray(0, 8)) : ip;
}

function noteAnswered(answered: Endpoint[], endpoint: Endpoint): void {
  const isNews = !answered.some((known) => sameEndpoint(known, endpoint));
  if (isNews && answered.length < 2) answered.push(endpoint);
}

function isOnly(answered: readonly Endpoint[], endpoint: Endpoint): boolean {
  const [first] = answered;
  return answered.length === 1 && first !== undefined && sameEndpoint(first, endpoint);
}
