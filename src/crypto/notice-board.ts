/**
 * The newest notice of each kind that this node knows, checked. What hangs here was signed by the
 * authority for this network, and its number only grows: an older one never replaces a newer one.
 */
import { equalBytes } from "../base/bytes.ts";
import type { DropReason } from "../base/drop-reason.ts";
import {
  emitNotice,
  MAX_NOTICE_BYTES,
  type Notice,
  type NoticeFacts,
  type NoticeKind,
  noticeText,
  parseNotice,
} from "../wire/notice.ts";
import type { ClusterKeys } from "./cluster-keys.ts";
import { NO_REVOCATIONS, parseRevocations, Revocations } from "./revocations.ts";
import type { CryptoSuite, KeyPair } from "./suite.ts";

export type Posting =
  | { readonly outcome: "newer" | "same"; readonly kind: NoticeKind; readonly number: number }
  /** Of a kind whose newest is `newest`. */
  | {
      readonly outcome: "older";
      readonly kind: NoticeKind;
      readonly number: number;
      readonly newest: number;
    }
  /** The authority signed two of one number: the first one stays. */
  | { readonly outcome: "conflict"; readonly kind: NoticeKind; readonly number: number }
  | { readonly outcome: "bad"; readonly reason: DropReason };

interface Posted {
  readonly number: number;
  readonly bytes: Uint8Array;
  readonly body: Uint8Array;
}

export class NoticeBoard {
  readonly #suite: CryptoSuite;
  readonly #keys: ClusterKeys;
  readonly #posted = new Map<NoticeKind, Posted>();
  #revocations: Revocations = NO_REVOCATIONS;

  constructor(suite: CryptoSuite, keys: ClusterKeys) {
    this.#suite = suite;
    this.#keys = keys;
  }

  get revocations(): Revocations {
    return this.#revocations;
  }

  /** 0: there was never one. */
  number(kind: NoticeKind): number {
    return this.#posted.get(kind)?.number ?? 0;
  }

  /** As it travels; undefined when there is none. */
  bytes(kind: NoticeKind): Uint8Array | undefined {
    return this.#posted.get(kind)?.bytes;
  }

  body(kind: NoticeKind): Uint8Array | undefined {
    return this.#posted.get(kind)?.body;
  }

  post(bytes: Uint8Array): Posting {
    if (bytes.length > MAX_NOTICE_BYTES) return { outcome: "bad", reason: "too-long" };
    const outcome = parseNotice(bytes);
    if (!outcome.ok) return { outcome: "bad", reason: outcome.reason };
    const { kind, number } = outcome.value;
    const newest = this.#posted.get(kind);
    if (newest !== undefined && number < newest.number) {
      return { outcome: "older", kind, number, newest: newest.number };
    }
    if (newest?.number === number && equalBytes(newest.bytes, bytes)) {
      return { outcome: "same", kind, number };
    }
    const reason = this.#judge(outcome.value);
    if (reason !== undefined) return { outcome: "bad", reason };
    if (newest?.number === number) return { outcome: "conflict", kind, number };
    const { body } = outcome.value;
    this.#posted.set(kind, { number, bytes: bytes.slice(), body });
    return { outcome: "newer", kind, number };
  }

  /** Sets the list, if it is one. @returns why the authority's word cannot be taken */
  #judge(notice: Notice): DropReason | undefined {
    const { authority, networkId } = this.#keys;
    if (!equalBytes(notice.networkId, networkId)) return "foreign-network";
    const isSigned =
      authority !== undefined &&
      this.#suite.verify(authority, noticeText(notice), notice.signature);
    if (!isSigned) return "bad-signature";
    if (notice.kind !== "revocations") return undefined;
    const lists = parseRevocations(notice.body);
    if (!lists.ok) return lists.reason;
    if (notice.number > this.#revocations.number) {
      this.#revocations = new Revocations(notice.number, lists.value);
    }
    return undefined;
  }
}

/** @param authority the pair whose public half stands in the cluster file */
export function signNotice(suite: CryptoSuite, authority: KeyPair, facts: NoticeFacts): Uint8Array {
  const signature = suite.sign(authority.secretKey, noticeText(facts));
  return emitNotice({ ...facts, signature });
}
