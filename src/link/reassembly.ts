/** Puts fragments together and recognises what was delivered before, within fixed memory. */
import type { DropReason } from "../base/drop-reason.ts";
import type { Millis } from "../base/time.ts";
import { type ControlEnvelope, MAX_MESSAGE_BYTES } from "../wire/control.ts";

/** Bytes of unfinished messages of one link. */
export const REASSEMBLY_BYTES = 262_144;
/** Unfinished messages of one link: all that may be in flight, and as many that the peer gave up. */
const MAX_PARTIAL = 64;
/** Longer than a sender tries. */
const PARTIAL_LIFE_MS = 15_000;
/** Twice the sender's window, so that anything older is surely a repetition. */
const REMEMBERED_IDS = 1_024;

type Fragment = Extract<ControlEnvelope, { form: "fragment" }>;

export type AddOutcome =
  | { readonly kind: "part" }
  | { readonly kind: "whole"; readonly bytes: Uint8Array }
  | {
      readonly kind: "refused";
      readonly reason: DropReason;
      /** It was delivered before: the sender missed our acknowledgement. */
      readonly isDelivered: boolean;
    };

interface Partial {
  readonly parts: (Uint8Array | undefined)[];
  readonly startedAt: Millis;
  missing: number;
  bytes: number;
}

const PART: AddOutcome = { kind: "part" };

export class Reassembly {
  readonly #partials = new Map<number, Partial>();
  readonly #delivered = new Set<number>();
  #newest: number | undefined;
  #bytes = 0;

  add(now: Millis, fragment: Fragment): AddOutcome {
    const id = fragment.messageId;
    if (this.#isRepetition(id)) return refused("duplicate-fragment", true);
    const partial = this.#partials.get(id) ?? this.#start(now, fragment);
    if (partial === undefined) return refused("reassembly-full");
    if (partial.parts.length !== fragment.count) return refused("bad-field");
    if (partial.parts[fragment.index] !== undefined) return refused("duplicate-fragment");
    return this.#addPart(id, partial, fragment);
  }

  #addPart(id: number, partial: Partial, { index, part }: Fragment): AddOutcome {
    if (this.#bytes + part.length > REASSEMBLY_BYTES) return refused("reassembly-full");
    if (partial.bytes + part.length > MAX_MESSAGE_BYTES) return refused("too-long");
    partial.parts[index] = part;
    partial.missing--;
    partial.bytes += part.length;
    this.#bytes += part.length;
    if (partial.missing > 0) return PART;
    this.#forget(id);
    this.#remember(id);
    return { kind: "whole", bytes: join(partial) };
  }

  #start(now: Millis, { messageId, count }: Fragment): Partial | undefined {
    if (this.#partials.size >= MAX_PARTIAL) this.#expire(now);
    if (this.#partials.size >= MAX_PARTIAL) return undefined;
    const parts = new Array<Uint8Array | undefined>(count).fill(undefined);
    const partial = { parts, startedAt: now, missing: count, bytes: 0 };
    this.#partials.set(messageId, partial);
    this.#expire(now);
    return partial;
  }

  #expire(now: Millis): void {
    for (const [id, { startedAt }] of this.#partials) {
      if (startedAt + PARTIAL_LIFE_MS > now) return;
      this.#forget(id);
    }
  }

  #forget(id: number): void {
    this.#bytes -= this.#partials.get(id)?.bytes ?? 0;
    this.#partials.delete(id);
  }

  #isRepetition(id: number): boolean {
    if (this.#delivered.has(id)) return true;
    if (this.#newest === undefined) return false;
    const behind = (this.#newest - id) >>> 0;
    return behind >= REMEMBERED_IDS && behind < 2 ** 31;
  }

  #remember(id: number): void {
    this.#delivered.add(id);
    if (this.#newest === undefined || (id - this.#newest) >>> 0 < 2 ** 31) this.#newest = id;
    if (this.#delivered.size <= REMEMBERED_IDS) return;
    for (const oldest of this.#delivered) {
      this.#delivered.delete(oldest);
      return;
    }
  }
}

function refused(reason: DropReason, isDelivered = false): AddOutcome {
  return { kind: "refused", reason, isDelivered };
}

function join(partial: Partial): Uint8Array {
  const bytes = new Uint8Array(partial.bytes);
  let at = 0;
  for (const part of partial.parts) {
    if (part === undefined) continue;
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
