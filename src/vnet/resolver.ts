/**
 * Who is behind an address: questions to the DHT, one request per question however many ask, with
 * short memories of every kind of answer.
 */
import type { Ip, Mac } from "../base/net.ts";
import type { RingAddress } from "../base/ring-address.ts";
import type { Millis } from "../base/time.ts";
import type { DhtResult } from "../dht/dht.ts";
import { leaseKey, parseLeaseRecord } from "../lease/leases.ts";
import type { VnetContext } from "./context.ts";
import { macKey, parseMacRecord } from "./mac-record.ts";
import { TokenBucket } from "./token-bucket.ts";

export type Question =
  | { readonly kind: "lease"; readonly ip: Ip }
  | { readonly kind: "mac"; readonly mac: Mac };

/** A record as it stood in the DHT when it was asked for. */
export interface Binding {
  readonly mac: Mac;
  /** undefined when it comes from a MAC record */
  readonly ip: Ip | undefined;
  readonly holder: RingAddress;
  readonly holderKey: Uint8Array;
  /** The record dies then unless renewed. */
  readonly expiresAt: Millis;
}

export type Answer =
  | { readonly status: "found"; readonly binding: Binding }
  | { readonly status: "absent" }
  | { readonly status: "unavailable" };

export interface Settled {
  readonly question: Question;
  readonly answer: Answer;
}

/** Questions that went to the DHT, by what they asked for. */
export interface Lookups {
  readonly lease: number;
  readonly mac: number;
}

/** A moved address is found again within a minute even without any other sign. */
const FOUND_TTL_MS = 60_000;
/** Of the record's rest: the fence looks again at a half, and must then get a new answer. */
const FOUND_FRACTION = 1 / 4;
/** ARP repeats each second: one question for two repeats. */
const ABSENT_TTL_MS = 1_500;
/**
 * Somebody asks for address after address that nobody has: each is remembered for longer, so that
 * the scanner's repetitions cost nothing. A host that boots asks for a handful.
 */
const SCAN_ABSENT_TTL_MS = 20_000;
const ABSENT_BURST = 16;
const ABSENT_PER_SECOND = 1;
/** Below every caller's retry, above a burst of the same question. */
const UNAVAILABLE_TTL_MS = 500;
/** A host that scans a /16 must not flood the DHT; ordinary hosts ask a few a minute. */
const ASKS_PER_SECOND = 200;
const ASKS_BURST = 400;
/** Requests under way: the rate times the DHT's own 3 s, rounded up. */
const PENDING_MAX = 1_024;
/** The DHT answers within 3 s by its contract; past this the request counts as lost. */
const PENDING_LOST_MS = 10_000;
const CACHE_MAX = 8_192;

export class Resolver {
  readonly #context: VnetContext;
  readonly #bucket = new TokenBucket(ASKS_PER_SECOND, ASKS_BURST);
  readonly #cache = new Map<string, { answer: Answer; until: Millis }>();
  readonly #pending = new Map<string, { request: number; question: Question; at: Millis }>();
  readonly #byRequest = new Map<number, string>();
  readonly #absent = new TokenBucket(ABSENT_PER_SECOND, ABSENT_BURST);
  readonly #lookups = { lease: 0, mac: 0 };

  constructor(context: VnetContext) {
    this.#context = context;
  }

  /** The remembered answer, or `asked`: it comes with `settle`. Over the rate: `unavailable`. */
  ask(now: Millis, question: Question): Answer | "asked" {
    const name = questionName(question);
    const known = this.#cache.get(name);
    if (known !== undefined && known.until > now) return known.answer;
    this.#cache.delete(name);
    const pending = this.#pending.get(name);
    if (pending !== undefined && now - pending.at < PENDING_LOST_MS) return "asked";
    if (pending !== undefined) this.#forgetPending(name, pending.request);
    if (this.#pending.size >= PENDING_MAX || !this.#bucket.take(now)) {
      this.#context.drop("rate-limited");
      return { status: "unavailable" };
    }
    this.#send(now, name, question);
    return "asked";
  }

  lookups(): Lookups {
    return { ...this.#lookups };
  }

  /** The next `ask` goes to the DHT. */
  forget(question: Question): void {
    this.#cache.delete(questionName(question));
  }

  /** @returns undefined when the request is none of ours */
  settle(now: Millis, request: number, result: DhtResult): Settled | undefined {
    const name = this.#byRequest.get(request);
    const pending = name === undefined ? undefined : this.#pending.get(name);
    if (name === undefined || pending === undefined) return undefined;
    this.#forgetPending(name, request);
    const answer = readAnswer(now, pending.question, result);
    this.#remember(now, name, answer);
    return { question: pending.question, answer };
  }

  #send(now: Millis, name: string, question: Question): void {
    const { suite, networkId } = this.#context.options;
    const request = this.#context.nextRequest();
    this.#pending.set(name, { request, question, at: now });
    this.#byRequest.set(request, name);
    const key =
      question.kind === "lease"
        ? leaseKey(suite, networkId, question.ip)
        : macKey(suite, networkId, question.mac);
    this.#lookups[question.kind]++;
    this.#context.dht({ kind: "get", owner: "vnet", request, key });
  }

  #forgetPending(name: string, request: number): void {
    this.#pending.delete(name);
    this.#byRequest.delete(request);
  }

  #remember(now: Millis, name: string, answer: Answer): void {
    this.#cache.delete(name);
    const oldest = this.#cache.keys().next();
    if (this.#cache.size >= CACHE_MAX && !oldest.done) this.#cache.delete(oldest.value);
    this.#cache.set(name, { answer, until: now + this.#memoryMs(now, answer) });
  }

  #memoryMs(now: Millis, answer: Answer): Millis {
    switch (answer.status) {
      case "found":
        return Math.min(FOUND_TTL_MS, (answer.binding.expiresAt - now) * FOUND_FRACTION);
      case "absent":
        return this.#absent.take(now) ? ABSENT_TTL_MS : SCAN_ABSENT_TTL_MS;
      case "unavailable":
        return UNAVAILABLE_TTL_MS;
    }
  }
}

function questionName(question: Question): string {
  return question.kind === "lease" ? question.ip : question.mac;
}

/** A record that does not say what its key promises is as good as none. */
function readAnswer(now: Millis, question: Question, result: DhtResult): Answer {
  if (result.status === "absent") return { status: "absent" };
  if (result.status !== "found") return { status: "unavailable" };
  const expiresAt = now + result.remainingSeconds * 1_000;
  if (question.kind === "mac") {
    const facts = parseMacRecord(result.record);
    if (!facts.ok || facts.value.mac !== question.mac) return { status: "absent" };
    return { status: "found", binding: { ...facts.value, ip: undefined, expiresAt } };
  }
  const facts = parseLeaseRecord(result.record);
  if (!facts.ok || facts.value.ip !== question.ip) return { status: "absent" };
  const { mac, ip, holder, holderKey } = facts.value;
  return { status: "found", binding: { mac, ip, holder, holderKey, expiresAt } };
}
