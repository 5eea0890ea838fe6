/**
 * Carries what the authority signed to every member: one flood for the revocations and for the shared
 * part of the file, each member sending on what is news to it.
 *
 *      posted here, or received ─ newer ─> kept, told to every link that has an older one
 *      handshake says the peer has an older one ─> told before anything else
 *      not acknowledged ─> again each RETRY_MS, as long as the link lasts
 *
 * Both ends of a link compare numbers at every handshake, so a member that slept hears of it from the
 * first one it meets.
 */
import type { DropReason } from "../base/drop-reason.ts";
import type { CoreEvent } from "../base/event.ts";
import { Outbox } from "../base/machine.ts";
import { type Millis, NEVER } from "../base/time.ts";
import type { NoticeBoard, Posting } from "../crypto/notice-board.ts";
import type { LinkId } from "../link/link-types.ts";
import { emitNoticeMessage, NOTICE_KINDS, type NoticeKind } from "../wire/notice.ts";
import { noticeConflict, noticeName, noticeRefused, noticeTaken } from "./notice-events.ts";

/** A link that carried nothing for four transmissions is rarely well a second later. */
const RETRY_MS: Millis = 2_000;

export type NoticesOutput =
  | {
      readonly kind: "send";
      readonly link: LinkId;
      readonly bytes: Uint8Array;
      readonly token: number;
    }
  /** The newest of this kind is another one now; also right after the start. */
  | { readonly kind: "newer"; readonly notice: NoticeKind }
  | { readonly kind: "event"; readonly event: CoreEvent };

/** Of one kind, as far as a peer is concerned. */
interface Known {
  /** What the peer has, or a later one. */
  number: number;
  /** The message under way, 0 = none. */
  token: number;
  sending: number;
  retryAt: Millis;
}

export class Notices {
  readonly #board: NoticeBoard;
  readonly #out = new Outbox<NoticesOutput>();
  /** As many as there are links. */
  readonly #peers = new Map<LinkId, Record<NoticeKind, Known>>();
  /** Kinds of which the authority signed two with one number. */
  readonly #conflicts = new Map<NoticeKind, number>();
  #nextToken = 1;

  constructor(board: NoticeBoard) {
    this.#board = board;
  }

  poll(): NoticesOutput | undefined {
    return this.#out.poll();
  }

  deadline(): Millis {
    let at = NEVER;
    for (const known of this.#peers.values()) {
      for (const kind of NOTICE_KINDS) at = Math.min(at, known[kind].retryAt);
    }
    return at;
  }

  timeout(now: Millis): void {
    for (const [link, known] of this.#peers) {
      for (const kind of NOTICE_KINDS) if (known[kind].retryAt <= now) this.#tell(link, kind);
    }
  }

  /** After each handshake. */
  greeted(link: LinkId, numbers: Readonly<Record<NoticeKind, number>>): void {
    const known = this.#peers.get(link) ?? { revocations: unknown(), shared: unknown() };
    this.#peers.set(link, known);
    for (const kind of NOTICE_KINDS) {
      // What it has it may have lost; what is under way is acknowledged or said again.
      known[kind].number = numbers[kind];
      this.#tell(link, kind);
    }
  }

  linkDown(link: LinkId): void {
    this.#peers.delete(link);
  }

  /** @returns why the message was dropped, if it was */
  receive(link: LinkId, bytes: Uint8Array): DropReason | undefined {
    const posting = this.post(bytes.subarray(1), link);
    if (posting.outcome === "bad") return posting.reason;
    if (posting.outcome === "older") this.#tell(link, posting.kind);
    return posting.outcome === "conflict" ? "stale-version" : undefined;
  }

  /** A notice out of the state file, from a person, or from a peer. */
  post(bytes: Uint8Array, from?: LinkId): Posting {
    const posting = this.#board.post(bytes);
    if (posting.outcome === "bad") return posting;
    const { kind, number, outcome } = posting;
    const known = from === undefined ? undefined : this.#peers.get(from)?.[kind];
    if (known !== undefined) known.number = Math.max(known.number, number);
    if (outcome === "conflict") this.#noteConflict(kind, number);
    if (outcome !== "newer") return posting;
    this.#conflicts.delete(kind);
    this.#event(noticeTaken(kind, number, from === undefined));
    // Before the news is acted on: whoever is shut out hears why, as the last thing.
    for (const link of this.#peers.keys()) this.#tell(link, kind);
    this.#out.push({ kind: "newer", notice: kind });
    return posting;
  }

  /** Out of the state file: one that the authority did not sign is told to people, and left out. */
  restore(saved: readonly Uint8Array[]): void {
    for (const bytes of saved) {
      const posting = this.post(bytes);
      if (posting.outcome !== "bad") continue;
      this.#event(noticeRefused(posting.reason));
    }
  }

  /** @returns whether the token was one of ours */
  sent(now: Millis, token: number, ok: boolean): boolean {
    for (const known of this.#peers.values()) {
      for (const kind of NOTICE_KINDS) {
        const one = known[kind];
        if (one.token !== token || token === 0) continue;
        one.token = 0;
        if (ok) one.number = Math.max(one.number, one.sending);
        if (one.number < this.#board.number(kind)) one.retryAt = now + (ok ? 0 : RETRY_MS);
        return true;
      }
    }
    return false;
  }

  /** Lines for people. */
  lines(): string[] {
    return [...this.#conflicts].map(
      ([kind, number]) =>
        `two notices (${noticeName(kind)}) have number ${number}, and members keep the one they heard first: sign one with a higher number`,
    );
  }

  /** Unless the peer has it, or it is on its way. */
  #tell(link: LinkId, kind: NoticeKind): void {
    const known = this.#peers.get(link)?.[kind];
    const bytes = this.#board.bytes(kind);
    if (known === undefined || bytes === undefined) return;
    known.retryAt = NEVER;
    const number = this.#board.number(kind);
    if (known.number >= number || known.token !== 0) return;
    known.token = this.#nextToken++;
    known.sending = number;
    const { token } = known;
    this.#out.push({ kind: "send", link, bytes: emitNoticeMessage(bytes), token });
  }

  #noteConflict(kind: NoticeKind, number: number): void {
    if (this.#conflicts.get(kind) === number) return;
    this.#conflicts.set(kind, number);
    this.#event(noticeConflict(kind, number));
  }

  #event(event: CoreEvent): void {
    this.#out.push({ kind: "event", event });
  }
}

function unknown(): Known {
  return { number: 0, token: 0, sending: 0, retryAt: NEVER };
}
