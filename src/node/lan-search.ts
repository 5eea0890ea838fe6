/**
 * Finds members of this network on the same switches. Announcements go to a multicast group on each
 * interface; whoever can read one answers to its sender alone; the sender asks those who answered for
 * a link.
 *
 *      start, new interface ──> announced after each of BURST_MS ──> then every PERIOD_MS
 *
 * A recorded announcement does no harm: of each start of a member a round is answered once, and no
 * answer is longer than its question. A recorded answer does none: its echo is of no announcement
 * made lately. Nobody acts on an announcement but by answering it.
 */
import { toHex } from "../base/bytes.ts";
import type { DropReason } from "../base/drop-reason.ts";
import { type Machine, Outbox } from "../base/machine.ts";
import { type Endpoint, endpointText, type Ip, isInNetwork, isIpv6 } from "../base/net.ts";
import { jitter, type Rng } from "../base/rng.ts";
import { type Millis, NEVER, TimerTable } from "../base/time.ts";
import type { CryptoSuite } from "../crypto/suite.ts";
import { TokenBucket } from "../vnet/token-bucket.ts";
import {
  emitLanHead,
  emitLanHello,
  LAN_ENDPOINTS,
  LAN_NONCE_BYTES,
  type LanHello,
  parseLanHello,
  parseSealedHello,
} from "../wire/lan-hello.ts";

/** After the start and after a change: a switch may forward late, a datagram may be lost. */
const BURST_MS: readonly Millis[] = [0, 200, 600, 1_500, 4_000];
/** Two rings on one switch find each other within this; every member answers, so it is not short. */
const PERIOD_MS = 120_000;
/** Interfaces that come and go do not make a stream of announcements. */
const ROUNDS_PER_SECOND = 1;
const ROUNDS_BURST = 6;
/** A room of hundreds that starts at once is answered by all, at their own pace. */
const ANSWERS_PER_SECOND = 10;
const ANSWERS_BURST = 20;
/** Opening a datagram costs some 20 us: a flood of junk takes one part in two hundred of a core. */
const OPENED_PER_SECOND = 250;
const OPENED_BURST = 500;
/** An answer comes within milliseconds; this waits for a machine that is busy. */
const ANSWER_WITHIN_MS = 5_000;
/** Announcements whose answers are awaited: every interface in every round of a burst. */
const AWAITED_MAX = 128;
/** Hosts have few interfaces that lead to other machines; those of containers are many. */
export const LAN_INTERFACES_MAX = 16;
/** Members whose rounds are remembered: as many as one switch may have. */
const HEARD_MAX = 1_024;
/** One member that answers is enough; the others are found over the ring. */
const FOUND_MAX = 16;
/** A member that answered none of three announcements is gone. */
const FOUND_LIFE_MS = 3 * PERIOD_MS;

/** An interface that can do multicast, with the addresses where peers reach it. */
export interface LanInterface {
  readonly name: string;
  readonly addresses: readonly { readonly ip: Ip; readonly prefix: number }[];
  /** The data port on this interface's addresses. */
  readonly endpoints: readonly Endpoint[];
}

export type LanInput =
  | { readonly kind: "timeout" }
  /** All of them, whenever one changed. */
  | { readonly kind: "interfaces"; readonly interfaces: readonly LanInterface[] }
  /** @param from of IPv6 with the zone, `fe80::1%eth0` */
  | { readonly kind: "hello"; readonly from: Endpoint; readonly bytes: Uint8Array };

export type LanOutput =
  /** To the group, by both families. */
  | { readonly kind: "announce"; readonly interface: string; readonly bytes: Uint8Array }
  | { readonly kind: "answer"; readonly to: Endpoint; readonly bytes: Uint8Array }
  /** Everybody found and not forgotten yet. */
  | { readonly kind: "found"; readonly endpoints: readonly Endpoint[] };

export interface LanOptions {
  readonly suite: CryptoSuite;
  readonly rng: Rng;
  /** 32 bytes, `ClusterKeys.lanKey` */
  readonly key: Uint8Array;
  readonly boot: bigint;
}

interface Found {
  readonly endpoints: readonly Endpoint[];
  readonly at: Millis;
}

export class LanSearch implements Machine<LanInput, LanOutput> {
  readonly #options: LanOptions;
  readonly #timers = new TimerTable<"announce" | "forget">();
  readonly #outbox = new Outbox<LanOutput>();
  readonly #rounds = new TokenBucket(ROUNDS_PER_SECOND, ROUNDS_BURST);
  readonly #answers = new TokenBucket(ANSWERS_PER_SECOND, ANSWERS_BURST);
  readonly #opened = new TokenBucket(OPENED_PER_SECOND, OPENED_BURST);
  readonly #drops = new Map<DropReason, number>();
  #interfaces: readonly LanInterface[] = [];
  #round = 0;
  /** Next of BURST_MS; past its end the period counts. */
  #step = 0;
  #burstAt: Millis = 0;
  /** Nonces of own announcements, with the time their answers end. */
  readonly #awaited = new Map<string, Millis>();
  /** Last round answered, by boot number and family, longest silent first. */
  readonly #heard = new Map<string, number>();
  readonly #found = new Map<bigint, Found>();

  constructor(options: LanOptions) {
    this.#options = options;
  }

  handle(now: Millis, input: LanInput): void {
    switch (input.kind) {
      case "timeout":
        return this.#timeout(now);
      case "interfaces":
        this.#interfaces = input.interfaces.slice(0, LAN_INTERFACES_MAX);
        return this.#startBurst(now);
      case "hello":
        return this.#receive(now, input.from, input.bytes);
    }
  }

  poll(): LanOutput | undefined {
    return this.#outbox.poll();
  }

  deadline(): Millis {
    return this.#timers.deadline();
  }

  drops(): Partial<Record<DropReason, number>> {
    return Object.fromEntries(this.#drops);
  }

  #timeout(now: Millis): void {
    for (const name of this.#timers.takeExpired(now)) {
      if (name === "announce") this.#announce(now);
      else this.#forget(now);
    }
  }

  #startBurst(now: Millis): void {
    this.#step = 0;
    this.#burstAt = now;
    if (this.#interfaces.length === 0) this.#timers.clear("announce");
    else this.#announce(now);
  }

  #announce(now: Millis): void {
    if (!this.#rounds.take(now))
      return this.#timers.set("announce", now + 1_000 / ROUNDS_PER_SECOND);
    this.#round++;
    for (const { name, endpoints } of this.#interfaces) {
      const { nonce, bytes } = this.#seal({
        kind: "announcement",
        boot: this.#options.boot,
        round: this.#round,
        echo: new Uint8Array(LAN_NONCE_BYTES),
        endpoints: endpoints.slice(0, LAN_ENDPOINTS),
      });
      this.#expectAnswer(now, nonce);
      this.#outbox.push({ kind: "announce", interface: name, bytes });
    }
    this.#step++;
    const step = BURST_MS[this.#step];
    const next = step === undefined ? now + PERIOD_MS : this.#burstAt + step;
    this.#timers.set("announce", now + jitter(this.#options.rng, Math.max(0, next - now), 0.2));
  }

  #expectAnswer(now: Millis, nonce: Uint8Array): void {
    for (const [known, until] of this.#awaited) {
      if (until <= now || this.#awaited.size >= AWAITED_MAX) this.#awaited.delete(known);
    }
    this.#awaited.set(toHex(nonce), now + ANSWER_WITHIN_MS);
  }

  #seal(hello: LanHello): { nonce: Uint8Array; bytes: Uint8Array } {
    const { suite, rng, key } = this.#options;
    const nonce = rng.bytes(LAN_NONCE_BYTES);
    const head = emitLanHead(nonce);
    const sealed = suite.seal(key, nonce, head, emitLanHello(hello));
    const bytes = new Uint8Array(head.length + sealed.length);
    bytes.set(head);
    bytes.set(sealed, head.length);
    return { nonce, bytes };
  }

  #receive(now: Millis, from: Endpoint, bytes: Uint8Array): void {
    const outer = parseSealedHello(bytes);
    if (!outer.ok) return this.#drop(outer.reason);
    // No host sends from port 0: such a source is forged, and no socket sends there.
    if (from.port === 0) return this.#drop("bad-field");
    if (!this.#opened.take(now)) return this.#drop("rate-limited");
    const { head, nonce, sealed } = outer.value;
    const body = this.#options.suite.open(this.#options.key, nonce, head, sealed);
    if (body === undefined) return this.#drop("foreign-network");
    const hello = parseLanHello(body);
    if (!hello.ok) return this.#drop(hello.reason);
    // The group loops back to its sender.
    if (hello.value.boot === this.#options.boot) return;
    if (hello.value.kind === "announcement") this.#answer(now, from, { ...hello.value, nonce });
    else this.#takeAnswer(now, from, hello.value);
  }

  #answer(now: Millis, from: Endpoint, hello: LanHello & { readonly nonce: Uint8Array }): void {
    const here = this.#interfaces.find((known) => isOn(known, from.ip));
    if (here === undefined) return;
    // A host of both families announces by both: either may be the only one that comes back.
    const who = `${hello.boot} ${isIpv6(from.ip) ? 6 : 4}`;
    if (hello.round <= (this.#heard.get(who) ?? 0)) return this.#drop("replayed");
    if (!this.#answers.take(now)) return this.#drop("rate-limited");
    this.#hear(who, hello.round);
    const { bytes } = this.#seal({
      kind: "answer",
      boot: this.#options.boot,
      round: hello.round,
      echo: hello.nonce,
      endpoints: here.endpoints.slice(0, LAN_ENDPOINTS),
    });
    this.#outbox.push({ kind: "answer", to: from, bytes });
  }

  #hear(who: string, round: number): void {
    this.#heard.delete(who);
    this.#heard.set(who, round);
    for (const [longest] of this.#heard) {
      if (this.#heard.size <= HEARD_MAX) break;
      this.#heard.delete(longest);
    }
  }

  #takeAnswer(now: Millis, from: Endpoint, hello: LanHello): void {
    if ((this.#awaited.get(toHex(hello.echo)) ?? 0) <= now) return this.#drop("replayed");
    // What the answer came from is known to work; one way to each member is enough.
    const heard = hello.endpoints.filter((endpoint) => endpoint.ip === from.ip);
    const before = this.#found.get(hello.boot);
    if (before === undefined && this.#found.size >= FOUND_MAX) return;
    const endpoints = heard.length > 0 ? heard : (before?.endpoints ?? hello.endpoints);
    this.#found.set(hello.boot, { endpoints, at: now });
    this.#timers.setEarlier("forget", now + FOUND_LIFE_MS);
    if (before === undefined || texts(before.endpoints) !== texts(endpoints)) this.#tell();
  }

  #forget(now: Millis): void {
    const before = this.#found.size;
    let next = NEVER;
    for (const [boot, { at }] of this.#found) {
      if (at + FOUND_LIFE_MS <= now) this.#found.delete(boot);
      else next = Math.min(next, at + FOUND_LIFE_MS);
    }
    if (next !== NEVER) this.#timers.set("forget", next);
    if (this.#found.size !== before) this.#tell();
  }

  #tell(): void {
    const endpoints = [...this.#found.values()].flatMap((found) => found.endpoints);
    this.#outbox.push({ kind: "found", endpoints });
  }

  #drop(reason: DropReason): void {
    this.#drops.set(reason, (this.#drops.get(reason) ?? 0) + 1);
  }
}

function texts(endpoints: readonly Endpoint[]): string {
  return endpoints.map(endpointText).join(" ");
}

/** A link-local IPv6 address names its interface; others are of one of its networks. */
function isOn({ name, addresses }: LanInterface, from: Ip): boolean {
  const zone = from.split("%")[1];
  if (zone !== undefined) return zone === name;
  return addresses.some((network) => isInNetwork(network, from));
}
