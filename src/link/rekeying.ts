/**
 * The key pairs of one session: handed to the engine, renewed every 120 s by two messages inside the
 * session, refused after 180 s.
 *
 *      A (began the newest keys)            B
 *      120 s  rekey-1 {sender, base, e} -->  installs, sealing once confirmed
 *      installs, seals at once         <--  rekey-2 {sender, receiver, e}
 *
 * B begins at 130 s if A did not. Of two that cross, the one with the smaller key goes on: a second
 * pair would push out of the engine the keys that one side still seals with. A new pair builds on the chain of the pair named `base`, so it
 * proves the handshake before it; fresh X25519 keys give forward secrecy.
 */
import { compareBytes, concat } from "../base/bytes.ts";
import type { Cipher, EngineCommand, ReceiverIndex, SessionId } from "../base/engine.ts";
import type { Rng } from "../base/rng.ts";
import type { Millis } from "../base/time.ts";
import { deriveRekey, directionsFor, type SessionKeys } from "../crypto/session-keys.ts";
import type { CryptoSuite } from "../crypto/suite.ts";
import { emitLinkMessage, type LinkMessage } from "../wire/link-messages.ts";

export const REKEY_AFTER_MS: Millis = 120_000;
/** The other side waits this much longer, so that two rekeys rarely cross. */
export const REKEY_GRACE_MS: Millis = 10_000;
export const REJECT_AFTER_MS: Millis = 180_000;
/** A rekey unanswered for this long is begun again. */
const RETRY_MS: Millis = 10_000;
/** Previous, current and next, as in the engine. */
const MAX_GENERATIONS = 3;

type Rekey1 = Extract<LinkMessage, { type: "rekey-1" }>;
type Rekey2 = Extract<LinkMessage, { type: "rekey-2" }>;

export interface KeyPairFacts {
  readonly keys: SessionKeys;
  readonly initiator: boolean;
  readonly receive: ReceiverIndex;
  readonly send: ReceiverIndex;
}

interface Pending {
  readonly message: Rekey1;
  readonly secret: Uint8Array;
  readonly chain: Uint8Array;
}

export interface RekeyingTools {
  readonly suite: CryptoSuite;
  readonly rng: Rng;
  readonly session: SessionId;
}

export class Rekeying {
  readonly #tools: RekeyingTools;
  readonly #generations: KeyPairFacts[] = [];
  /** Pairs that wait for the peer's first packet, with the time they were made. */
  readonly #unconfirmed = new Map<ReceiverIndex, Millis>();
  #pending: Pending | undefined;
  #rekeyAt: Millis = Number.POSITIVE_INFINITY;
  #expiresAt: Millis = Number.POSITIVE_INFINITY;
  cipher: Cipher = "chacha20poly1305";

  constructor(tools: RekeyingTools) {
    this.#tools = tools;
  }

  /** When `begin` is due. */
  get rekeyAt(): Millis {
    return this.#rekeyAt;
  }

  /** When the newest keys are refused. */
  get expiresAt(): Millis {
    return this.#expiresAt;
  }

  /** Takes a new pair into use; the engine's command for it. */
  install(now: Millis, pair: KeyPairFacts): EngineCommand {
    this.#generations.push(pair);
    const oldest =
      this.#generations.length > MAX_GENERATIONS ? this.#generations.shift() : undefined;
    if (oldest !== undefined) this.#unconfirmed.delete(oldest.receive);
    this.#pending = undefined;
    // The third handshake message proves that its sender holds the keys (XX), so the responder may
    // seal at once and its probes need not wait. A rekey's answerer knows only with the next packet.
    const isProven = pair.initiator || this.#generations.length === 1;
    if (isProven) this.#restart(now, pair.initiator);
    else this.#unconfirmed.set(pair.receive, now);
    return {
      op: "keys",
      session: this.#tools.session,
      receive: pair.receive,
      send: pair.send,
      use: isProven ? "now" : "confirmed",
      cipher: this.cipher,
      ...directionsFor(pair.keys, pair.initiator),
      rejectAfterMs: REJECT_AFTER_MS,
    };
  }

  /** The peer uses this pair: from now on its age counts. */
  confirm(receive: ReceiverIndex): void {
    const installedAt = this.#unconfirmed.get(receive);
    if (installedAt === undefined) return;
    this.#unconfirmed.clear();
    this.#restart(installedAt, false);
  }

  #restart(now: Millis, initiator: boolean): void {
    this.#rekeyAt = now + REKEY_AFTER_MS + (initiator ? 0 : REKEY_GRACE_MS);
    this.#expiresAt = now + REJECT_AFTER_MS;
  }

  /** The message that begins a rekey, to be sent reliably; undefined before any keys. */
  begin(now: Millis): Rekey1 | undefined {
    const newest = this.#generations.at(-1);
    if (newest === undefined) return undefined;
    const { suite, rng } = this.#tools;
    const secret = rng.bytes(32);
    const message: Rekey1 = {
      type: "rekey-1",
      sender: rng.u32() || 1,
      base: newest.send,
      publicKey: suite.x25519Public(secret),
    };
    this.#pending = { message, secret, chain: newest.keys.chain };
    this.#rekeyAt = now + RETRY_MS;
    return message;
  }

  /** A rekey of our own is under way and goes on: the peer answers it instead of being answered. */
  outranks(message: Rekey1): boolean {
    const ours = this.#pending?.message.publicKey;
    return ours !== undefined && compareBytes(ours, message.publicKey) < 0;
  }

  /** The peer began: the new pair and the answer; undefined when it builds on unknown keys. */
  answer(message: Rekey1): { readonly pair: KeyPairFacts; readonly reply: Rekey2 } | undefined {
    const base = this.#generations.find((pair) => pair.receive === message.base);
    const { suite, rng } = this.#tools;
    const secret = rng.bytes(32);
    const shared = suite.x25519(secret, message.publicKey);
    if (base === undefined || shared === undefined || message.sender === 0) return undefined;
    const reply: Rekey2 = {
      type: "rekey-2",
      sender: rng.u32() || 1,
      receiver: message.sender,
      publicKey: suite.x25519Public(secret),
    };
    const keys = deriveRekey(suite, base.keys.chain, shared, transcriptOf(message, reply));
    const pair = { keys, initiator: false, receive: reply.sender, send: message.sender };
    return { pair, reply };
  }

  /** The peer answered our rekey; undefined when the answer belongs to no rekey under way. */
  finish(reply: Rekey2): KeyPairFacts | undefined {
    const pending = this.#pending;
    if (pending === undefined || reply.receiver !== pending.message.sender) return undefined;
    const { suite } = this.#tools;
    const shared = suite.x25519(pending.secret, reply.publicKey);
    if (shared === undefined || reply.sender === 0) return undefined;
    const transcript = transcriptOf(pending.message, reply);
    const keys = deriveRekey(suite, pending.chain, shared, transcript);
    return { keys, initiator: true, receive: pending.message.sender, send: reply.sender };
  }
}

function transcriptOf(first: Rekey1, second: Rekey2): Uint8Array {
  return concat(emitLinkMessage(first), emitLinkMessage(second));
}
