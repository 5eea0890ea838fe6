import { concat, toHex } from "../base/bytes.ts";
import type { CoreEvent } from "../base/event.ts";
import { type Machine, Outbox } from "../base/machine.ts";
import { addressText, type RingAddress } from "../base/ring-address.ts";
import type { Rng } from "../base/rng.ts";
import type { Millis } from "../base/time.ts";
import type { Identity } from "../crypto/identity.ts";
import type { Membership } from "../crypto/membership.ts";
import type { CryptoSuite } from "../crypto/suite.ts";
import type { RingView, RouteMode } from "../ring/ring.ts";
import {
  answerText,
  COPY,
  type DhtAnswer,
  type DhtRequest,
  emitAnswerBody,
  emitRequest,
  MAX_PASSES,
  parseAnswer,
  parseRequest,
  type ReplicaAnswer,
  type SignedAnswer,
} from "../wire/dht-messages.ts";
import { PAYLOAD_TYPES } from "../wire/message-type.ts";
import { type DhtRecord, signedBytes } from "../wire/record.ts";
import type { Heard } from "./answers.ts";
import { type AttestationTools, isGenuine } from "./attestation.ts";
import { Coordinator } from "./coordinator.ts";
import { MemberCache } from "./member-cache.ts";
import { RecordCheck } from "./record-check.ts";
import { type CheckedRecord, type RecordRules, VERSION_RULE } from "./record-rule.ts";
import { Replica, type ServedRequest } from "./replica.ts";
import { ownerOf } from "./replica-set.ts";
import type { DhtOwner, DhtResult } from "./result.ts";
import { type Held, Store } from "./store.ts";
import { Sync } from "./sync.ts";

export type { Attestation, DhtOwner, DhtResult } from "./result.ts";

export type DhtInput =
  | { readonly kind: "timeout" }
  | { readonly kind: "view"; readonly view: RingView }
  | {
      readonly kind: "deliver";
      readonly source: RingAddress;
      readonly payloadType: number;
      readonly payload: Uint8Array;
    }
  | {
      readonly kind: "undeliverable";
      readonly to: RingAddress;
      readonly payloadType: number;
      readonly payload: Uint8Array;
    }
  | {
      readonly kind: "get";
      readonly owner: DhtOwner;
      readonly request: number;
      readonly key: RingAddress;
    }
  /**
   * create: only where nobody else holds the key. put: same signer, higher (epoch, version).
   * remove: a signed record with ttlSeconds 0 and a higher version.
   */
  | {
      readonly kind: "create" | "put" | "remove";
      readonly owner: DhtOwner;
      readonly request: number;
      readonly record: DhtRecord;
    }
  /** The node decided that no other member can be reached: it is the ring. */
  | { readonly kind: "lone"; readonly lone: boolean }
  /** Wall clock, only for the dates of certificates; 0 until told. */
  | { readonly kind: "wall"; readonly wallSeconds: number }
  /** The authority shut somebody out: its records go, and no new ones of it come in. */
  | { readonly kind: "revoked" };

export type DhtOutput =
  | {
      readonly kind: "route";
      readonly to: RingAddress;
      readonly mode: RouteMode;
      readonly payloadType: number;
      readonly payload: Uint8Array;
    }
  | {
      readonly kind: "result";
      readonly owner: DhtOwner;
      readonly request: number;
      readonly key: RingAddress;
      readonly result: DhtResult;
    }
  | { readonly kind: "event"; readonly event: CoreEvent };

export interface DhtOptions {
  readonly suite: CryptoSuite;
  readonly rng: Rng;
  readonly membership: Membership;
  readonly identity: Identity;
  /** This node's own, as it travels. */
  readonly certificate: Uint8Array;
  readonly self: RingAddress;
  readonly networkId: Uint8Array;
  /** What the kinds' owners know about them; a kind without a rule is settled by version and hash. */
  readonly rules?: Partial<RecordRules>;
}

/**
 * The distributed hash table at one node: asks replicas (coordinator), is one (replica, store) and
 * keeps its range complete (sync). This class only dispatches, signs and checks what travels.
 */
export class Dht implements Machine<DhtInput, DhtOutput> {
  readonly #options: DhtOptions;
  readonly #outbox = new Outbox<DhtOutput>();
  readonly #members: MemberCache;
  readonly #check: RecordCheck;
  readonly #store: Store;
  readonly #sync: Sync;
  readonly #replica: Replica;
  readonly #coordinator: Coordinator;

  /** The deadline since the last input; undefined = to be found again. */
  #wakeAt: Millis | undefined;

  constructor(options: DhtOptions) {
    const { suite, networkId, identity, self, rng } = options;
    const rules: RecordRules = { lease: VERSION_RULE, mac: VERSION_RULE, ...options.rules };
    const onClash = (winner: Held, loser: Held) => this.#reportClash(winner, loser);
    this.#options = options;
    this.#members = new MemberCache(suite, (bytes, wallSeconds) =>
      options.membership.verify(bytes, wallSeconds),
    );
    this.#check = new RecordCheck({ suite, networkId, members: this.#members, rules });
    this.#store = new Store(rules, identity.signing.publicKey);
    const parts = { store: this.#store, check: this.#check, onClash };
    this.#sync = new Sync({
      ...parts,
      self,
      rng: rng.fork("sync"),
      send: (to, request) => this.#sendRequest(to, "exact", request),
    });
    this.#replica = new Replica({ ...parts, suite, networkId, identity, sync: this.#sync });
    this.#coordinator = new Coordinator({
      rng: rng.fork("coordinator"),
      self,
      rules,
      sync: this.#sync,
      send: (to, mode, request) => this.#sendRequest(to, mode, request),
      serveHere: (now, request) => this.#serveHere(now, request),
      finish: (asker, key, result) => {
        if (asker !== undefined) this.#outbox.push({ kind: "result", ...asker, key, result });
      },
      isGenuine: (own, given) => isGenuine(this.#attestationTools(), own.record, given),
      tombstone: (record) => this.#tombstone(record),
    });
  }

  handle(now: Millis, input: DhtInput): void {
    this.#wakeAt = undefined;
    switch (input.kind) {
      case "timeout":
        this.#sync.timeout(now);
        return this.#coordinator.timeout(now);
      case "view":
        return this.#coordinator.refresh(now, this.#sync.setView(now, input.view));
      case "lone":
        this.#sync.setLone(input.lone);
        return this.#coordinator.refresh(now, false);
      case "wall":
        this.#members.setWall(input.wallSeconds);
        return this.#check.forget();
      case "revoked":
        this.#members.forget();
        this.#check.forget();
        return this.#store.dropWhere(({ bytes }) => this.#options.membership.isRevoked(bytes));
      case "deliver":
        if (input.payloadType === PAYLOAD_TYPES["dht-request"]) this.#onRequest(now, input);
        else if (input.payloadType === PAYLOAD_TYPES["dht-answer"]) this.#onAnswer(now, input);
        return;
      case "undeliverable":
        // Every question has its own timer: a lost message and an undeliverable one are the same.
        return;
      case "get":
        return this.#coordinator.get(now, askerOf(input), input.key);
      case "create":
        return this.#write(now, askerOf(input), "create", input.record);
      case "put":
      case "remove":
        return this.#write(now, askerOf(input), "put", input.record);
    }
  }

  poll(): DhtOutput | undefined {
    return this.#outbox.poll();
  }

  deadline(): Millis {
    this.#wakeAt ??= Math.min(this.#sync.deadline(), this.#coordinator.deadline());
    return this.#wakeAt;
  }

  /** What this node keeps for others and for itself. */
  size(): { records: number; bytes: number } {
    return this.#store.size();
  }

  #write(
    now: Millis,
    asker: { owner: DhtOwner; request: number },
    op: "create" | "put",
    record: DhtRecord,
  ): void {
    const checked = this.#check.check(record, this.#options.certificate);
    if (checked.ok) return this.#coordinator.write(now, asker, op, checked.value);
    const result: DhtResult = { status: "unavailable" };
    this.#outbox.push({ kind: "result", ...asker, key: record.key, result });
  }

  #onRequest(now: Millis, input: { source: RingAddress; payload: Uint8Array }): void {
    const outcome = parseRequest(input.payload);
    if (!outcome.ok) return;
    const request = outcome.value;
    if (request.op === "sync") {
      if (request.requester !== input.source) return;
      return this.#sendAnswer(request.requester, this.#sync.serve(now, request));
    }
    if (request.passes === COPY) return this.#serve(now, request);
    const { view, isMember } = this.#sync.replicaState(now, request.key);
    if (!isMember) return this.#passOn(request);
    const { self } = this.#options;
    const copy = { ...request, passes: COPY };
    for (const to of view) if (to !== self) this.#sendRequest(to, "exact", copy);
    this.#serve(now, request);
  }

  /** Routes were stale: a neighbour is nearer to the key. */
  #passOn(request: ServedRequest): void {
    if (request.passes >= MAX_PASSES) return;
    const owner = ownerOf(this.#sync.members, request.key);
    if (owner === this.#options.self) return;
    this.#sendRequest(owner, "exact", { ...request, passes: request.passes + 1 });
  }

  #serve(now: Millis, request: ServedRequest): void {
    const answer = this.#replica.serve(now, request);
    if (answer !== undefined) this.#sendAnswer(request.requester, answer);
  }

  #serveHere(now: Millis, request: ServedRequest): Heard | undefined {
    const answer = this.#replica.serve(now, request);
    const { self, certificate } = this.#options;
    return answer && this.#hear(self, certificate, answer);
  }

  #onAnswer(now: Millis, input: { payload: Uint8Array }): void {
    const outcome = parseAnswer(input.payload);
    if (!outcome.ok) return;
    const { answer, certificate } = outcome.value;
    if (answer.form === "answer" && !this.#coordinator.expects(answer)) return;
    const replica = this.#authorOf(outcome.value);
    if (replica === undefined) return;
    if (answer.form === "answer") {
      const heard = this.#hear(replica, certificate, answer);
      if (heard !== undefined) this.#coordinator.accept(now, answer.request, heard);
    } else if (this.#sync.accept(now, replica, answer)) {
      this.#coordinator.refresh(now, false);
    }
  }

  /** Who signed an answer to this node; undefined when nobody of this network did. */
  #authorOf(signed: SignedAnswer): RingAddress | undefined {
    const { suite, networkId, self } = this.#options;
    const member = this.#members.memberOf(signed.certificate);
    if (member === undefined) return undefined;
    const text = answerText(networkId, self, signed.body);
    const good = suite.verify(member.certificate.publicKey, text, signed.signature);
    return good ? member.address : undefined;
  }

  /** Checks what an answer carries; undefined when the replica showed something forged. */
  #hear(replica: RingAddress, certificate: Uint8Array, answer: ReplicaAnswer): Heard | undefined {
    const shown: Heard["shown"][number][] = [];
    for (const { record, certificate: signer, remainingSeconds } of answer.carried) {
      if (record.key !== answer.key) return undefined;
      const checked = this.#check.check(record, signer);
      // The replica may not know yet.
      if (!checked.ok && this.#options.membership.isRevoked(signer)) continue;
      if (!checked.ok) return undefined;
      const clamped = Math.min(record.ttlSeconds, remainingSeconds);
      shown.push({ checked: checked.value, remainingSeconds: clamped });
    }
    const { view, status } = answer;
    const given = answer.attestation;
    const attestation = given && { ...given, replica: certificate, members: view.length };
    return { replica, view, status, shown, attestation };
  }

  #sendRequest(to: RingAddress, mode: RouteMode, request: DhtRequest): void {
    const payload = emitRequest(request);
    const payloadType = PAYLOAD_TYPES["dht-request"];
    this.#outbox.push({ kind: "route", to, mode, payloadType, payload });
  }

  #sendAnswer(to: RingAddress, answer: DhtAnswer): void {
    const { suite, networkId, identity, certificate } = this.#options;
    const body = emitAnswerBody(answer, certificate);
    const signature = suite.sign(identity.signing.secretKey, answerText(networkId, to, body));
    this.#outbox.push({
      kind: "route",
      to,
      mode: "exact",
      payloadType: PAYLOAD_TYPES["dht-answer"],
      payload: concat(body, signature),
    });
  }

  #tombstone(own: CheckedRecord): CheckedRecord {
    const { suite, networkId, identity, certificate } = this.#options;
    const { kind, key, signer, epoch, version } = own.record;
    const body = new Uint8Array(0);
    const plain = { kind, key, signer, epoch, version: version + 1, ttlSeconds: 0, body };
    const signature = suite.sign(identity.signing.secretKey, signedBytes(networkId, plain));
    const checked = this.#check.check({ ...plain, signature }, certificate);
    return checked.ok ? checked.value : own;
  }

  #attestationTools(): AttestationTools {
    const { suite, networkId } = this.#options;
    return { suite, networkId, memberOf: (bytes) => this.#members.memberOf(bytes) };
  }

  #reportClash(winner: Held, loser: Held): void {
    const { record } = winner;
    this.#outbox.push({
      kind: "event",
      event: {
        area: "dht",
        what: "clash-settled",
        condition: `two members hold ${record.kind} record ${addressText(record.key)}`,
        action: `kept the one of ${winner.signer.certificate.name}`,
        effect: `${loser.signer.certificate.name} has to let go of it`,
        coolDownMs: 0,
        fields: {
          key: addressText(record.key),
          winner: toHex(record.signer.subarray(0, 4)),
          loser: toHex(loser.record.signer.subarray(0, 4)),
        },
      },
    });
  }
}

function askerOf(input: { owner: DhtOwner; request: number }): {
  owner: DhtOwner;
  request: number;
} {
  return { owner: input.owner, request: input.request };
}
