import type { RingAddress } from "../base/ring-address.ts";
import type { Millis } from "../base/time.ts";
import type { Identity } from "../crypto/identity.ts";
import type { CryptoSuite } from "../crypto/suite.ts";
import type { AnswerStatus, Carried, DhtRequest, ReplicaAnswer } from "../wire/dht-messages.ts";
import { attestationText } from "./attestation.ts";
import type { RecordCheck } from "./record-check.ts";
import { type Held, isSameSigner, type Store, type Verdict } from "./store.ts";
import { carryHeld, type ReplicaState, type Sync } from "./sync.ts";

export interface ReplicaOptions {
  readonly suite: CryptoSuite;
  readonly networkId: Uint8Array;
  readonly identity: Identity;
  readonly store: Store;
  readonly check: RecordCheck;
  readonly sync: Sync;
  /** A record came that beat another signer's. */
  readonly onClash: (winner: Held, loser: Held) => void;
}

export type ServedRequest = Exclude<DhtRequest, { op: "sync" }>;

/** What one replica finds and does; the words are its own, signed by dht.ts before they travel. */
interface Outcome {
  readonly status: AnswerStatus;
  readonly carried: readonly Carried[];
  readonly stored: Held | undefined;
}

/** Answers questions about keys this node is a replica of. */
export class Replica {
  readonly #options: ReplicaOptions;

  constructor(options: ReplicaOptions) {
    this.#options = options;
  }

  /** Undefined for `merge`, which nobody waits for. */
  serve(now: Millis, request: ServedRequest): ReplicaAnswer | undefined {
    const state = this.#options.sync.replicaState(now, request.key);
    const outcome = this.#outcome(now, request, state);
    if (request.op === "merge") return undefined;
    const { status, carried, stored } = outcome;
    return {
      form: "answer",
      request: request.request,
      key: request.key,
      ready: state.ready,
      status,
      view: state.view,
      carried,
      attestation: stored && state.ready ? this.#attest(stored, state.view) : undefined,
    };
  }

  #outcome(now: Millis, request: ServedRequest, state: ReplicaState): Outcome {
    const refused: Outcome = { status: "refused", carried: [], stored: undefined };
    if (!state.isMember) return refused;
    if (request.op === "get") {
      const carried = this.#options.store.all(now, request.key).map((held) => carryHeld(now, held));
      return { status: "value", carried, stored: undefined };
    }
    // A replica that does not know what is there must not let anybody new in.
    if (!state.ready && request.op === "create") return refused;
    const verdict = this.#store(now, request.op, request.carried);
    const shown =
      verdict.status === "exists" || verdict.status === "stale" ? verdict.held : undefined;
    return {
      status: verdict.status,
      carried: shown === undefined ? [] : [carryHeld(now, shown)],
      stored: verdict.status === "stored" ? verdict.held : undefined,
    };
  }

  #store(now: Millis, op: "create" | "put" | "merge", carried: Carried): Verdict {
    const { store, check, onClash } = this.#options;
    const checked = check.check(carried.record, carried.certificate);
    if (!checked.ok) return { status: "refused" };
    const ttl = carried.record.ttlSeconds;
    const seconds = op === "merge" ? Math.min(ttl, carried.remainingSeconds) : ttl;
    const verdict = store.offer(now, checked.value, op, seconds * 1000);
    if (verdict.status === "stored" && verdict.before !== undefined) {
      if (!isSameSigner(verdict.before, verdict.held)) onClash(verdict.held, verdict.before);
    }
    return verdict;
  }

  /** Nobody vouches alone: a set of one proves nothing about what others see. */
  #attest(held: Held, view: readonly RingAddress[]): ReplicaAnswer["attestation"] {
    const { record } = held;
    if (record.kind !== "lease" || record.ttlSeconds === 0 || view.length < 2) return undefined;
    const { suite, networkId, identity } = this.#options;
    const renewals = held.vouchedRenewals;
    const text = attestationText({ networkId, record, renewals, members: view.length });
    return { renewals, signature: suite.sign(identity.signing.secretKey, text) };
  }
}
