/**
 * The key pairs of one session: handed to the engine, renewed every 120 s by two messages inside the
 * session, refused after 180 s.
 *
 *      A (began the newest keys)            B
 *      120 s  rekey-1 {sender, base, e} -->  installs, sealing once confirmed
 *      installs, seals at once         <--  rekey-2 {sender, receiver, e}
 *
 * B begins at 130 s if A did not. Of two that cross, the one with the smaller key goes on: a second
 * pair would push out of the engine the keys that one side still seals with. A new pair builds on the
 * chain of the pair named `base`, so it proves the handshake before it; fresh X25519 keys give forward
 * secrecy. The first rekey after a handshake comes at once where both sides can: it mixes X-Wing in
 * (rekey-exchange.ts), and by the chain that secret is in every later pair too. Where it failed, each
 * regular rekey tries again; only a retry of one that got no answer is plain, so that a way which loses
 * large messages costs the link nothing.
 */
import { compareBytes } from "../base/bytes.ts";
import type { Cipher, EngineCommand, ReceiverIndex, SessionId } from "../base/engine.ts";
import type { Millis } from "../base/time.ts";
import { directionsFor, type SessionKeys } from "../crypto/session-keys.ts";
import type { Rekey1, Rekey2 } from "../wire/link-messages.ts";
import { FirstRekey, RETRY_MS } from "./first-rekey.ts";
import {
  acceptRekey,
  concludeRekey,
  type ExchangeTools,
  type Offer,
  offerRekey,
} from "./rekey-exchange.ts";

export const REKEY_AFTER_MS: Millis = 120_000;
/** The other side waits this much longer, so that two rekeys rarely cross. */
export const REKEY_GRACE_MS: Millis = 10_000;
export const REJECT_AFTER_MS: Millis = 180_000;
/** Rekeys without an answer before a whole handshake is tried. */
const REKEYS_BEFORE_RENEWAL = 2;
/** For so long keys that were just made are not pushed out: within it their first packet comes. */
const SETTLE_MS: Millis = RETRY_MS / 2;
/** Previous, current and next. */
const MAX_GENERATIONS = 3;

export interface KeyPairFacts {
  readonly keys: SessionKeys;
  readonly initiator: boolean;
  readonly receive: ReceiverIndex;
  readonly send: ReceiverIndex;
  /** Undefined for the keys of a handshake. */
  readonly rekey?: RekeyFacts;
}

interface RekeyFacts {
  /** An X-Wing secret is in these keys: of this rekey, or of one it builds on. */
  readonly isPostQuantum: boolean;
}

interface Pending extends Offer {
  readonly base: KeyPairFacts;
}

export interface RekeyingTools extends ExchangeTools {
  readonly session: SessionId;
  /** The peer announced that it can mix X-Wing in. */
  readonly peerMixes: boolean;
}

export class Rekeying {
  readonly #tools: RekeyingTools;
  readonly #canMix: boolean;
  readonly #first = new FirstRekey();
  readonly #generations: KeyPairFacts[] = [];
  /** Pairs that wait for the peer's first packet, with the time they were made. */
  readonly #unconfirmed = new Map<ReceiverIndex, Millis>();
  /** The newest pair that both sides are known to have. */
  #inUse: KeyPairFacts | undefined;
  #pending: Pending | undefined;
  #unanswered = 0;
  #rekeyAt: Millis = Number.POSITIVE_INFINITY;
  #expiresAt: Millis = Number.POSITIVE_INFINITY;
  cipher: Cipher = "chacha20poly1305";

  constructor(tools: RekeyingTools) {
    this.#tools = tools;
    this.#canMix = tools.peerMixes && tools.suite.kem !== undefined;
  }

  /** When `begin` is due. */
  get rekeyAt(): Millis {
    return Math.min(this.#rekeyAt, this.#first.at);
  }

  /** When the newest keys are refused. */
  get expiresAt(): Millis {
    return this.#expiresAt;
  }

  /** The keys in use hold a secret that a quantum computer does not find in what was recorded. */
  get isPostQuantum(): boolean {
    return this.#inUse?.rekey?.isPostQuantum === true;
  }

  /** So many rekeys went unanswered that a whole handshake is due. */
  get isOverdue(): boolean {
    return this.#unanswered > REKEYS_BEFORE_RENEWAL;
  }

  /** Takes a new pair into use; the engine's command for it. */
  install(now: Millis, pair: KeyPairFacts): EngineCommand {
    // The third handshake message proves that its sender holds the keys (XX), so the responder may
    // seal at once and its probes need not wait. A rekey's answerer knows only with the next packet.
    const isProven = pair.initiator || this.#generations.length === 0;
    if (!isProven) this.#forgetUnconfirmed();
    this.#generations.push(pair);
    const oldest =
      this.#generations.length > MAX_GENERATIONS ? this.#generations.shift() : undefined;
    if (oldest !== undefined) this.#unconfirmed.delete(oldest.receive);
    this.#pending = undefined;
    if (pair.rekey !== undefined) this.#first.done();
    else if (pair.initiator && this.#canMix) this.#first.expect();
    if (isProven) this.#restart(now, pair);
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

  /** As in the engine, whose one place for unconfirmed keys goes to the newest. */
  #forgetUnconfirmed(): void {
    for (const receive of this.#unconfirmed.keys()) {
      const at = this.#generations.findIndex((pair) => pair.receive === receive);
      if (at >= 0) this.#generations.splice(at, 1);
    }
    this.#unconfirmed.clear();
  }

  /** The peer uses this pair: from now on its age counts. */
  confirm(receive: ReceiverIndex): void {
    const installedAt = this.#unconfirmed.get(receive);
    const pair = this.#generations.find((known) => known.receive === receive);
    if (installedAt === undefined || pair === undefined) return;
    this.#unconfirmed.clear();
    this.#restart(installedAt, pair);
  }

  /** The peer answered under the keys of the last handshake: the first rekey may begin. */
  heard(now: Millis): void {
    this.#first.heard(now);
  }

  #restart(now: Millis, pair: KeyPairFacts): void {
    this.#inUse = pair;
    this.#unanswered = 0;
    this.#rekeyAt = now + REKEY_AFTER_MS + (pair.initiator ? 0 : REKEY_GRACE_MS);
    this.#expiresAt = now + REJECT_AFTER_MS;
  }

  /** The message that begins a rekey, to be sent reliably; undefined before any keys. */
  begin(now: Millis): Rekey1 | undefined {
    const base = this.#inUse;
    if (base === undefined) return undefined;
    const isFirst = this.#first.begin(now);
    const mixes = isFirst || this.#isMixedNext;
    this.#pending = { ...offerRekey(this.#tools, base.send, mixes), base };
    if (!isFirst) {
      this.#unanswered++;
      this.#rekeyAt = now + RETRY_MS;
    }
    return this.#pending.message;
  }

  /** A regular rekey is to bring what the keys in use lack. */
  get #isMixedNext(): boolean {
    return this.#canMix && !this.isPostQuantum && this.#unanswered === 0;
  }

  /** A rekey of our own is under way and goes on: the peer answers it instead of being answered. */
  outranks(message: Rekey1): boolean {
    const ours = this.#pending?.message.publicKey;
    return ours !== undefined && compareBytes(ours, message.publicKey) < 0;
  }

  /** The peer began: the new pair and the answer; undefined when it builds on unknown keys. */
  answer(
    now: Millis,
    message: Rekey1,
  ): { readonly pair: KeyPairFacts; readonly reply: Rekey2 } | undefined {
    const base = this.#generations.find((pair) => pair.receive === message.base);
    if (base === undefined || this.#isWaitingForOther(now, message.base)) return undefined;
    const accepted = acceptRekey(this.#tools, message, base.keys.chain);
    if (accepted === undefined) return undefined;
    const { keys, reply } = accepted;
    const rekey = factsOf(base, message);
    const pair = { keys, initiator: false, receive: reply.sender, send: message.sender, rekey };
    return { pair, reply };
  }

  /**
   * The peer may seal with a pair that only its first packet confirms; new keys now would push it
   * out. A try before the one that made it comes late: the peer would not take the answer.
   */
  #isWaitingForOther(now: Millis, base: ReceiverIndex): boolean {
    for (const [receive, madeAt] of this.#unconfirmed) {
      if (receive !== base && now - madeAt < SETTLE_MS) return true;
    }
    return false;
  }

  /** The peer answered our rekey; undefined when the answer belongs to no rekey under way. */
  finish(reply: Rekey2): KeyPairFacts | undefined {
    const pending = this.#pending;
    if (pending === undefined || reply.receiver !== pending.message.sender) return undefined;
    const { message, base } = pending;
    const keys = concludeRekey(this.#tools.suite, pending, reply, base.keys.chain);
    if (keys === undefined) return undefined;
    const rekey = factsOf(base, message);
    return { keys, initiator: true, receive: message.sender, send: reply.sender, rekey };
  }
}

function factsOf(base: KeyPairFacts, message: Rekey1): RekeyFacts {
  return { isPostQuantum: message.type === "rekey-1-kem" || base.rekey?.isPostQuantum === true };
}
