/**
 * Flooded frames: broadcast and multicast of our host to every member, and theirs to our host.
 *
 *      TAP ──> sign ──> split the ring over our links
 *      link ──> seen? signature, rate ──> carry on ──> origin may say so? ──> TAP
 *      not acknowledged ──> the range goes to the next best link
 *
 * MAC addresses are never learned from floods.
 */
import type { DropReason } from "../base/drop-reason.ts";
import { linkLocalOf, macFromBytes } from "../base/net.ts";
import { compareNearness, type RingAddress } from "../base/ring-address.ts";
import { type Millis, NEVER } from "../base/time.ts";
import {
  buildSourceTable,
  checkSource,
  claimsOf,
  type SourceClaims,
} from "../frame/source-check.ts";
import type { LinkId } from "../link/link-types.ts";
import {
  emitFlood,
  emitFloodBody,
  type Flood,
  type FloodRange,
  floodSignedText,
  parseFlood,
} from "../wire/flood.ts";
import type { Access, FloodSender } from "./access.ts";
import type { Confirmer, Verdict } from "./confirmer.ts";
import { NO_TOKEN, type VnetContext } from "./context.ts";
import { FloodOrigins, ORIGIN_PER_SECOND } from "./flood-origin.ts";
import { type Share, splitRange, standIns } from "./flood-split.ts";
import type { Host } from "./host.ts";
import type { Peers } from "./peers.ts";
import type { Question } from "./resolver.ts";
import { TokenBucket } from "./token-bucket.ts";

/** Floods of all origins a node takes a second: signatures cost some 100 us each. */
const NODE_PER_SECOND = 1_000;
/** Wrong signatures of one link that we still look at; honest links have none. */
const BAD_PER_SECOND = 20;
/** Depth at 100,000 members is 12; a re-delegated range costs a few more. */
const HOPS_MAX = 32;
/** Attempts for one range: its own node and the next best links. */
const TRIES_MAX = 4;
/** Sends that wait for their acknowledgement: a second of floods over sixteen branches. */
const SENDS_MAX = 16_384;
/** Frames that wait until the DHT says whether the origin may send them. */
const UNCONFIRMED_MAX = 1_024;
const UNCONFIRMED_PER_ORIGIN_MAX = 64;
const UNCONFIRMED_MS = 2_000;

interface Send {
  readonly flood: Omit<Flood, "body">;
  readonly tried: readonly RingAddress[];
}

interface Unconfirmed {
  readonly frame: Uint8Array;
  readonly claims: SourceClaims;
  readonly sender: FloodSender;
  readonly key: Uint8Array;
  readonly until: Millis;
}

export interface FloodParts {
  readonly host: Host;
  readonly peers: Peers;
  readonly confirmer: Confirmer;
  readonly access: Access;
}

export class Floods {
  readonly #context: VnetContext;
  readonly #host: Host;
  readonly #peers: Peers;
  readonly #confirmer: Confirmer;
  readonly #access: Access;
  readonly #origins: FloodOrigins;
  readonly #ownBucket = new TokenBucket(ORIGIN_PER_SECOND, ORIGIN_PER_SECOND);
  readonly #nodeBucket = new TokenBucket(NODE_PER_SECOND, NODE_PER_SECOND);
  readonly #badBuckets = new Map<LinkId, TokenBucket>();
  readonly #sends = new Map<number, Send>();
  #unconfirmed: Unconfirmed[] = [];
  /** How many of them each origin has. */
  readonly #waitingOf = new Map<RingAddress, number>();
  readonly #run: bigint;
  #sequence = 0;

  constructor(context: VnetContext, { host, peers, confirmer, access }: FloodParts) {
    this.#context = context;
    this.#host = host;
    this.#peers = peers;
    this.#confirmer = confirmer;
    this.#access = access;
    const { rng } = context.options;
    this.#origins = new FloodOrigins(context.options);
    this.#run = (BigInt(rng.u32()) << 32n) | BigInt(rng.u32());
  }

  setWall(wallSeconds: number): void {
    this.#origins.setWall(wallSeconds);
  }

  /** Frames of whoever was shut out go no further. */
  revoked(): void {
    this.#origins.forget();
  }

  /** A group frame of our host. What no receiver would accept is not sent. */
  fromTap(now: Millis, frame: Uint8Array): void {
    const own = this.#host.entryOf(macFromBytes(frame.subarray(6)));
    const reason = checkSource(frame, buildSourceTable(own));
    if (reason !== undefined) return this.#context.drop(reason);
    if (!this.#ownBucket.take(now)) return this.#context.drop("rate-limited");
    const { suite, networkId, identity, self, certificate } = this.#context.options;
    const sequence = this.#sequence++;
    const body = { run: this.#run, sequence, certificate, frame };
    const signed = emitFloodBody(body);
    const text = floodSignedText(networkId, signed);
    const signature = suite.sign(identity.signing.secretKey, text);
    const range = { from: self, to: self };
    this.#carryOn({ hops: HOPS_MAX, range, signed, signature });
  }

  /** Message flood from a peer. */
  received(now: Millis, link: LinkId, bytes: Uint8Array): void {
    const flood = parseFlood(bytes);
    const reason = flood.ok ? this.#take(now, link, flood.value) : flood.reason;
    if (reason !== undefined) this.#context.drop(reason);
  }

  /** @returns true when the token was one of ours */
  sent(token: number, ok: boolean): boolean {
    const send = this.#sends.get(token);
    if (send === undefined) return false;
    this.#sends.delete(token);
    if (!ok) this.#delegateAgain(send);
    return true;
  }

  linkDown(link: LinkId): void {
    this.#badBuckets.delete(link);
  }

  /** The DHT answered: frames that wait for this may pass now. */
  answered(now: Millis, question: Question): void {
    this.#retry(now, ({ claims }) =>
      question.kind === "mac" ? claims.mac === question.mac : claims.ips.includes(question.ip),
    );
  }

  timeout(now: Millis): void {
    this.#retry(now, (item) => item.until <= now);
  }

  deadline(): Millis {
    let earliest = NEVER;
    for (const { until } of this.#unconfirmed) earliest = Math.min(earliest, until);
    return earliest;
  }

  /** Cheapest checks first; what is not paid for by a signature must not cost one. */
  #take(now: Millis, link: LinkId, flood: Flood): DropReason | undefined {
    const known = this.#origins.known(flood);
    const { body } = flood;
    const { frame } = body;
    if (known?.look(body) === "spent") return "duplicate-flood";
    if (!this.#badBucket(link).hasToken(now) || !this.#nodeBucket.hasToken(now)) {
      return "rate-limited";
    }
    if (known?.bucket.hasToken(now) === false) return "rate-limited";
    const claims = claimsOf(frame);
    if (typeof claims === "string") return claims;
    const verified = this.#origins.verify(flood);
    if (!verified.ok) {
      this.#badBucket(link).take(now);
      return verified.reason;
    }
    const origin = verified.value;
    if (!origin.bucket.take(now) || !this.#nodeBucket.take(now)) return "rate-limited";
    // Our own flood comes back when we are to stand in for somebody: carried on, not delivered.
    const isOwn = origin.address === this.#context.options.self;
    const isNew = !isOwn && origin.look(body) === "new";
    origin.mark(body);
    if (flood.hops > 0) this.#carryOn({ ...flood, hops: flood.hops - 1 });
    if (!isNew) return "duplicate-flood";
    this.#confirm(now, {
      frame,
      claims,
      sender: origin,
      key: origin.publicKey,
      until: now + UNCONFIRMED_MS,
    });
    return undefined;
  }

  #badBucket(link: LinkId): TokenBucket {
    const bucket = this.#badBuckets.get(link) ?? new TokenBucket(BAD_PER_SECOND, BAD_PER_SECOND);
    this.#badBuckets.set(link, bucket);
    return bucket;
  }

  #carryOn(flood: Omit<Flood, "body">): void {
    const linked = [...this.#peers.addresses()];
    const gap = this.#share(flood, linked);
    const { self } = this.#context.options;
    if (flood.range.from === self || gap === undefined) return;
    // We stand in for a node that does not answer: who is nearer to it knows who follows it.
    const next = standIns(gap, linked)[0];
    const isNearer = next !== undefined && compareNearness(gap.from, next, self) < 0;
    if (isNearer) this.#give(flood, { to: next, range: gap }, []);
  }

  /** @returns the stretch before the first node we know in the range; undefined when it is empty */
  #share(flood: Omit<Flood, "body">, linked: readonly RingAddress[]): FloodRange | undefined {
    const shares = splitRange(flood.range, linked);
    for (const share of shares) this.#give(flood, share, []);
    const gap = { from: flood.range.from, to: shares[0]?.to ?? flood.range.to };
    return isEmptyRange(gap) ? undefined : gap;
  }

  #give(flood: Omit<Flood, "body">, share: Share, tried: readonly RingAddress[]): void {
    const peer = this.#peers.byAddress(share.to);
    if (peer === undefined) return;
    const given = { ...flood, range: share.range };
    const isFull = this.#sends.size >= SENDS_MAX;
    const token = isFull ? NO_TOKEN : this.#context.nextToken();
    if (!isFull) this.#sends.set(token, { flood: given, tried: [...tried, share.to] });
    this.#context.send(peer.link, emitFlood(given), token);
  }

  /** The node the range was given to does not answer: others take the range without it. */
  #delegateAgain({ flood, tried }: Send): void {
    const linked = [...this.#peers.addresses()].filter((address) => !tried.includes(address));
    const gap = this.#share(flood, linked);
    if (gap === undefined) return;
    const next = standIns(gap, linked)[0];
    if (next === undefined || tried.length >= TRIES_MAX) return this.#context.drop("no-path");
    this.#give(flood, { to: next, range: gap }, tried);
  }

  #retry(now: Millis, isDue: (item: Unconfirmed) => boolean): void {
    const due = this.#unconfirmed.filter(isDue);
    if (due.length === 0) return;
    this.#unconfirmed = this.#unconfirmed.filter((item) => !isDue(item));
    for (const item of due) {
      this.#waitingOf.set(item.sender.address, (this.#waitingOf.get(item.sender.address) ?? 1) - 1);
      this.#confirm(now, item);
    }
    if (this.#unconfirmed.length === 0) this.#waitingOf.clear();
  }

  #confirm(now: Millis, item: Unconfirmed): void {
    const verdict = this.#verdictOn(now, item);
    if (verdict === "own") {
      if (!this.#access.letsIn(now, item.sender, item.frame)) return this.#context.drop("acl");
      return this.#context.engine({ op: "frame-to-tap", bytes: item.frame });
    }
    if (verdict === "foreign") return this.#context.drop("source-mac");
    if (item.until <= now) return this.#context.drop("waiting-expired");
    const ofOrigin = this.#waitingOf.get(item.sender.address) ?? 0;
    const isFull =
      this.#unconfirmed.length >= UNCONFIRMED_MAX || ofOrigin >= UNCONFIRMED_PER_ORIGIN_MAX;
    if (isFull) return this.#context.drop("fence-full");
    this.#unconfirmed.push(item);
    this.#waitingOf.set(item.sender.address, ofOrigin + 1);
  }

  /** Every address the frame claims must be the origin's; a frame without any claims its MAC. */
  #verdictOn(now: Millis, { key, claims }: Unconfirmed): Verdict["is"] {
    const { mac, ips } = claims;
    const linkLocal = linkLocalOf(mac);
    const asked = ips.length === 0 ? [linkLocal] : ips;
    const verdicts = asked.map((ip) => this.#confirmer.confirm(now, key, { mac, ip }).is);
    const order: readonly Verdict["is"][] = ["foreign", "asking", "unknown"];
    return order.find((verdict) => verdicts.includes(verdict)) ?? "own";
  }
}

/** The node itself was the whole range: nobody behind it misses the frame. */
function isEmptyRange(range: FloodRange): boolean {
  return range.from + 1n === range.to;
}
