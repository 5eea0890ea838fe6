/**
 * Everything about certificates that goes on while a node runs in authority mode:
 *
 *      a stranger's datagram ──> this node's issuer, or routed to the one it names ──> datagram back
 *      a member's routed question ──> issuer ──> routed answer
 *      this node's own certificate ──> renewal ──> routed question ... answer ──> the new one is worn
 *
 * A stranger has no link and gets none: its datagram is answered by a datagram to where it came from, no
 * longer than its own, and nothing of it reaches ring, DHT or the interface.
 */

import { toHex } from "../base/bytes.ts";
import type { DropReason } from "../base/drop-reason.ts";
import type { SocketIndex } from "../base/engine.ts";
import type { CoreEvent } from "../base/event.ts";
import { Outbox } from "../base/machine.ts";
import type { Endpoint } from "../base/net.ts";
import { addressToBytes, type RingAddress } from "../base/ring-address.ts";
import { type Millis, NEVER } from "../base/time.ts";
import { dhKeyPairOf, type Identity, identityFromSeed } from "../crypto/identity.ts";
import { openAnswer, sealQuestion } from "../crypto/issue-seal.ts";
import { appendMacs } from "../crypto/mac.ts";
import type { OwnCertificate } from "../crypto/own-certificate.ts";
import { DropCounters } from "../link/drop-counters.ts";
import { RateWindow } from "../link/rate-window.ts";
import { TokenBucket } from "../vnet/token-bucket.ts";
import {
  emitAnswerDatagram,
  emitIssueMessage,
  type IssueAnswer,
  parseAnswer,
  parseIssueDatagram,
  parseIssueMessage,
  type Refusal,
} from "../wire/issue.ts";
import { DATAGRAM_TYPES, PAYLOAD_TYPES } from "../wire/message-type.ts";
import type { NodeReply } from "./command.ts";
import type { Invite } from "./invites.ts";
import { type InviteWish, Issuer, type IssuerOptions, type IssuerOutput } from "./issuer.ts";
import { type IssuingPeer, Renewal } from "./renewal.ts";

/** Questions on their way to another member: all that the rate lets through while one lives. */
const MAX_FORWARDED = 1_024;
/** A routed question and its answer take a few round trips. */
const FORWARDED_MS: Millis = 10_000;
/** Each costs one X25519, and 100 of them 1 % of a core; a whole class joins within a second. */
const STRANGERS_PER_SECOND = 100;
/**
 * What a member carries to others for strangers: half of what a link brings its issuer
 * (ISSUE_QUESTIONS_PER_SECOND), so that the questions of this node itself still pass the same link.
 */
const FORWARDED_PER_SECOND = 5;
/** A class that joins by this member, and still less than a link takes at once. */
const FORWARDED_BURST = 20;
/**
 * More than strangers can fill by way of others: each link brings ISSUE_QUESTIONS_PER_SECOND at most, so
 * that who holds the network key alone keeps no member from its renewal.
 */
const MEMBERS_PER_SECOND = 500;

export interface IssuingOptions extends IssuerOptions {
  readonly self: RingAddress;
}

export type IssuingOutput =
  | {
      readonly kind: "datagram";
      readonly socket: SocketIndex;
      readonly to: Endpoint;
      readonly bytes: Uint8Array;
    }
  | {
      readonly kind: "route";
      readonly to: RingAddress;
      readonly payloadType: number;
      readonly payload: Uint8Array;
    }
  | { readonly kind: "keep"; readonly keeping: number; readonly invites: readonly Invite[] }
  /** This node's own certificate was renewed. */
  | { readonly kind: "certificate"; readonly bytes: Uint8Array }
  | { readonly kind: "reply"; readonly id: number; readonly reply: NodeReply }
  | { readonly kind: "event"; readonly event: CoreEvent };

/** Where the answer to a question goes. */
type Way =
  | {
      readonly kind: "stranger";
      readonly socket: SocketIndex;
      readonly to: Endpoint;
      readonly id: number;
    }
  | { readonly kind: "member"; readonly to: RingAddress; readonly id: number };

/** What this node sent out over the ring and waits for. */
type Pending = { readonly until: Millis } & (
  | { readonly kind: "stranger"; readonly way: Extract<Way, { kind: "stranger" }> }
  | {
      readonly kind: "own";
      readonly answerKey: Uint8Array;
      /** Of the command that asks for another key; undefined: the node renews what it has. */
      readonly command: number | undefined;
    }
);

export class Issuing {
  readonly #options: IssuingOptions;
  readonly #issuer: Issuer<Way>;
  readonly #renewal: Renewal;
  readonly #strangers = new RateWindow();
  readonly #forwarded = new TokenBucket(FORWARDED_PER_SECOND, FORWARDED_BURST);
  readonly #members = new RateWindow();
  /** Oldest first: all live equally long. */
  readonly #pending = new Map<number, Pending>();
  readonly #drops = new DropCounters();
  readonly #out = new Outbox<IssuingOutput>();

  constructor(options: IssuingOptions) {
    const { suite, rng, own } = options;
    this.#options = options;
    this.#issuer = new Issuer({ ...options, rng: rng.fork("issuer") });
    this.#renewal = new Renewal(suite, rng.fork("renewal"), own);
  }

  start(now: Millis): void {
    this.#renewal.start(now);
  }

  poll(): IssuingOutput | undefined {
    return this.#out.poll();
  }

  drops(): Partial<Record<DropReason, number>> {
    return this.#drops.snapshot();
  }

  deadline(): Millis {
    const oldest = this.#pending.values().next().value?.until ?? NEVER;
    return Math.min(oldest, this.#renewal.deadline());
  }

  health(wallSeconds: number): string | undefined {
    return this.#renewal.health(wallSeconds);
  }

  /** @param issuers linked members that may issue */
  timeout(now: Millis, wallSeconds: number, issuers: () => readonly IssuingPeer[]): void {
    for (const [id, pending] of this.#pending) {
      if (pending.until > now) break;
      this.#pending.delete(id);
      if (pending.kind === "own") this.#gaveUp(now, pending, "no issuer answered");
    }
    const issuer = this.#renewal.due(now, wallSeconds, issuers);
    if (issuer !== undefined) this.#askFor(now, issuer, this.#options.identity, undefined);
  }

  /** A question of somebody without a link, or an answer that nobody here asked for. */
  datagram(
    now: Millis,
    wallSeconds: number,
    got: { readonly socket: SocketIndex; readonly from: Endpoint; readonly bytes: Uint8Array },
  ): void {
    const parsed = parseIssueDatagram(got.bytes);
    if (!parsed.ok) return this.#drops.count(parsed.reason);
    if (got.from.port === 0) return this.#drops.count("bad-field");
    const { id, issuer, sealed } = parsed.value;
    const way = { kind: "stranger", socket: got.socket, to: got.from, id } as const;
    if (this.#strangers.add(now) > STRANGERS_PER_SECOND) return this.#drops.count("rate-limited");
    if (issuer === this.#options.self) return this.#ask(wallSeconds, way, sealed);
    if (!this.#forwarded.take(now)) return this.#drops.count("rate-limited");
    const own = this.#remember(now, { kind: "stranger", way, until: now + FORWARDED_MS });
    if (own !== undefined) this.#route(issuer, "issue-question", { id: own, sealed });
  }

  routed(
    now: Millis,
    wallSeconds: number,
    got: {
      readonly source: RingAddress;
      readonly payloadType: number;
      readonly payload: Uint8Array;
    },
  ): void {
    const parsed = parseIssueMessage(got.payload);
    if (!parsed.ok) return this.#drops.count(parsed.reason);
    const { id, sealed } = parsed.value;
    if (got.payloadType === PAYLOAD_TYPES["issue-question"]) {
      if (this.#members.add(now) > MEMBERS_PER_SECOND) return this.#drops.count("rate-limited");
      return this.#ask(wallSeconds, { kind: "member", to: got.source, id }, sealed);
    }
    const pending = this.#pending.get(id);
    if (pending === undefined) return this.#drops.count("not-for-us");
    if (pending.kind === "own") return this.#answered(now, id, pending, sealed);
    this.#pending.delete(id);
    this.#answer(pending.way, sealed);
  }

  invite(wallSeconds: number, id: number, wish: InviteWish): void {
    this.#issuer.invite(wallSeconds, id, wish);
    this.#drain();
  }

  kept(keeping: number, ok: boolean): void {
    this.#issuer.kept(keeping, ok);
    this.#drain();
  }

  /** Asks for a certificate of another key of this node. @param seed 32 bytes of the new key */
  rotate(
    now: Millis,
    id: number,
    asked: { readonly seed: Uint8Array; readonly issuers: readonly IssuingPeer[] },
  ): void {
    const { suite, own } = this.#options;
    const [issuer] = [...this.#renewal.issuers(), ...asked.issuers];
    const { certificate, issuers } = own.member;
    // Members refuse both: what the authority granted itself is the authority's to grant again.
    const isTheAuthoritys = certificate.mayIssue || issuers.length === 0;
    if (isTheAuthoritys || issuer === undefined) {
      const detail = "only the authority can sign another key for this node: use weft sign";
      return this.#reply(id, { kind: "failed", code: "unavailable", detail });
    }
    this.#askFor(now, issuer, identityFromSeed(suite, asked.seed), id);
  }

  #ask(wallSeconds: number, way: Way, sealed: Uint8Array): void {
    const reason = this.#issuer.ask(wallSeconds, way, sealed);
    if (reason !== undefined) this.#drops.count(reason);
    this.#drain();
  }

  #askFor(now: Millis, issuer: IssuingPeer, next: Identity, command: number | undefined): void {
    const { suite, rng, keys, identity, own } = this.#options;
    const ephemeral = dhKeyPairOf(suite, rng.bytes(32));
    const to = { issuer: issuer.publicKey, ephemeral };
    const { publicKey } = next.signing;
    const question = { kind: "renew", certificate: own.bytes, publicKey } as const;
    const asker = { next, holder: identity };
    const sealed = sealQuestion(suite, keys, to, { question, asker });
    const until = now + FORWARDED_MS;
    const pending = sealed && { kind: "own" as const, answerKey: sealed.answerKey, command, until };
    const id = pending && this.#remember(now, pending);
    if (sealed === undefined || id === undefined) {
      return this.#gaveUp(now, { command }, "the issuer cannot be asked now");
    }
    this.#route(issuer.address, "issue-question", { id, sealed: sealed.sealed });
  }

  #answered(
    now: Millis,
    id: number,
    pending: Extract<Pending, { kind: "own" }>,
    sealed: Uint8Array,
  ): void {
    const body = openAnswer(this.#options.suite, pending.answerKey, sealed);
    const answer = body && parseAnswer(body);
    // Made up by somebody else: the true one may still come.
    if (answer?.ok !== true) return this.#drops.count("bad-tag");
    this.#pending.delete(id);
    this.#takeAnswer(now, pending, answer.value);
  }

  #takeAnswer(
    now: Millis,
    { command }: Extract<Pending, { kind: "own" }>,
    answer: IssueAnswer,
  ): void {
    if (answer.kind === "refused") return this.#refused(now, { command }, answer.reason);
    const { certificate } = answer;
    if (command !== undefined) {
      return this.#reply(command, { kind: "certificate", certificate: toHex(certificate) });
    }
    if (!this.#options.own.replace(certificate)) {
      return this.#gaveUp(now, { command }, "the new certificate is not for this node");
    }
    this.#renewal.renewed(now);
    this.#out.push({ kind: "certificate", bytes: certificate });
    this.#out.push({ kind: "event", event: renewedEvent(this.#options.own) });
  }

  /** An issuer that is up and will not: another line than for one that is not up. */
  #refused(
    now: Millis,
    { command }: { readonly command: number | undefined },
    reason: Refusal,
  ): void {
    if (command === undefined || reason !== "too-much") {
      return this.#gaveUp(now, { command }, reason);
    }
    const detail =
      "the issuer signs no other key for this node now (one a day at most, and only groups and addresses it has itself): try again tomorrow, or use weft sign";
    this.#reply(command, { kind: "failed", code: "unavailable", detail });
  }

  #gaveUp(now: Millis, { command }: { readonly command: number | undefined }, why: string): void {
    if (command === undefined) return this.#renewal.failed(now, why);
    const detail = `the issuer gave no certificate (${why}): see that a member that may issue is up`;
    this.#reply(command, { kind: "failed", code: "unavailable", detail });
  }

  #remember(now: Millis, pending: Pending): number | undefined {
    for (const [id, { until }] of this.#pending) if (until <= now) this.#pending.delete(id);
    if (this.#pending.size >= MAX_FORWARDED) {
      this.#drops.count("table-full");
      return undefined;
    }
    const id = this.#options.rng.u32();
    this.#pending.set(id, pending);
    return id;
  }

  #drain(): void {
    for (let out = this.#issuer.poll(); out !== undefined; out = this.#issuer.poll()) {
      this.#takeIssuer(out);
    }
  }

  #takeIssuer(out: IssuerOutput<Way>): void {
    switch (out.kind) {
      case "answer":
        return this.#answer(out.way, out.sealed);
      case "keep":
        return this.#out.push(out);
      case "not-invited":
        return this.#reply(out.id, { kind: "failed", code: "unavailable", detail: out.why });
      case "invited": {
        const { invite, secret } = out.invited;
        const { identity, self } = this.#options;
        const issuer = toHex(identity.signing.publicKey);
        const said = { number: invite.number, name: invite.name, ends: invite.ends };
        const address = toHex(addressToBytes(self));
        const invited = { ...said, secret: toHex(secret), issuer, address };
        return this.#reply(out.id, { kind: "invited", invited });
      }
    }
  }

  #answer(way: Way, sealed: Uint8Array): void {
    if (way.kind === "member") return this.#route(way.to, "issue-answer", { id: way.id, sealed });
    const { suite, keys } = this.#options;
    const bytes = appendMacs(suite, keys.mac1Key, emitAnswerDatagram({ id: way.id, sealed }));
    this.#out.push({ kind: "datagram", socket: way.socket, to: way.to, bytes });
  }

  #route(
    to: RingAddress,
    type: "issue-question" | "issue-answer",
    message: { readonly id: number; readonly sealed: Uint8Array },
  ): void {
    const payloadType = PAYLOAD_TYPES[type];
    this.#out.push({ kind: "route", to, payloadType, payload: emitIssueMessage(message) });
  }

  #reply(id: number, reply: NodeReply): void {
    this.#out.push({ kind: "reply", id, reply });
  }
}

/** Datagrams of types 197 and 198 concern nobody else. */
export function isIssueDatagram(bytes: Uint8Array): boolean {
  const type = bytes[0];
  return type === DATAGRAM_TYPES["issue-question"] || type === DATAGRAM_TYPES["issue-answer"];
}

export function isIssuePayload(payloadType: number): boolean {
  return (
    payloadType === PAYLOAD_TYPES["issue-question"] || payloadType === PAYLOAD_TYPES["issue-answer"]
  );
}

function renewedEvent(own: OwnCertificate): CoreEvent {
  const { name, notAfter } = own.member.certificate;
  return {
    area: "node",
    what: "certificate-renewed",
    condition: "this node's certificate is past the middle of its life",
    action: "asked a member that may issue for a new one, and told the peers",
    effect: "links go on under the new one",
    coolDownMs: 0,
    fields: { name, notAfter },
  };
}
