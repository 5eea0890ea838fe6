/**
 * The fresh secrets of one rekey: X25519, and X-Wing beside it where the post-quantum secret is to be
 * mixed in.
 *
 *      offer                                  accept
 *      e, [X-Wing public key]   -- rekey-1 -->
 *                               <-- rekey-2 --  e, [ciphertext, proof]
 *      conclude
 */
import { concat, equalSecret } from "../base/bytes.ts";
import type { ReceiverIndex } from "../base/engine.ts";
import type { Rng } from "../base/rng.ts";
import { deriveRekey, deriveRekeyProof, type SessionKeys } from "../crypto/session-keys.ts";
import { type CryptoSuite, KEM_ENCAPSULATION_BYTES, KEM_SEED_BYTES } from "../crypto/suite.ts";
import {
  emitLinkMessage,
  REKEY_PROOF_BYTES,
  type Rekey1,
  type Rekey2,
} from "../wire/link-messages.ts";

const SECRET_BYTES = 32;

/** In the handshake's capabilities: the sender answers rekeys that carry an X-Wing key. */
export const CAPABILITY_POST_QUANTUM = 4;

export interface ExchangeTools {
  readonly suite: CryptoSuite;
  readonly rng: Rng;
}

/** A rekey that waits for its answer. */
export interface Offer {
  readonly message: Rekey1;
  readonly secret: Uint8Array;
  /** Of the X-Wing key, where one was offered. */
  readonly kemSeed: Uint8Array | undefined;
}

/** @param mixes an X-Wing key goes along; the suite must have a KEM */
export function offerRekey(tools: ExchangeTools, base: ReceiverIndex, mixes: boolean): Offer {
  const { suite, rng } = tools;
  const secret = rng.bytes(SECRET_BYTES);
  const body = { sender: rng.u32() || 1, base, publicKey: suite.x25519Public(secret) };
  if (!mixes || suite.kem === undefined) {
    return { message: { type: "rekey-1", ...body }, secret, kemSeed: undefined };
  }
  const kemSeed = rng.bytes(KEM_SEED_BYTES);
  const kemPublic = suite.kem.publicKey(kemSeed);
  return { message: { type: "rekey-1-kem", ...body, kemPublic }, secret, kemSeed };
}

export interface Accepted {
  readonly keys: SessionKeys;
  readonly reply: Rekey2;
}

/** Undefined when a public key is none, or when X-Wing is asked of a suite without it. */
export function acceptRekey(
  { suite, rng }: ExchangeTools,
  message: Rekey1,
  previousChain: Uint8Array,
): Accepted | undefined {
  const secret = rng.bytes(SECRET_BYTES);
  const dh = suite.x25519(secret, message.publicKey);
  if (dh === undefined || message.sender === 0) return undefined;
  const publicKey = suite.x25519Public(secret);
  const body = { sender: rng.u32() || 1, receiver: message.sender, publicKey };
  if (message.type === "rekey-1") {
    const reply: Rekey2 = { type: "rekey-2", ...body };
    const transcript = transcriptOf(message, reply);
    return { reply, keys: deriveRekey(suite, { previousChain, shared: dh, transcript }) };
  }
  const mixed = suite.kem?.encapsulate(message.kemPublic, rng.bytes(KEM_ENCAPSULATION_BYTES));
  if (mixed === undefined) return undefined;
  const unproven = { type: "rekey-2-kem", ...body, ciphertext: mixed.ciphertext } as const;
  const transcript = transcriptOf(message, {
    ...unproven,
    proof: new Uint8Array(REKEY_PROOF_BYTES),
  });
  const secrets = { previousChain, shared: concat(dh, mixed.sharedSecret), transcript };
  const proof = deriveRekeyProof(suite, secrets);
  return { reply: { ...unproven, proof }, keys: deriveRekey(suite, secrets) };
}

/** Undefined when the answer does not fit the offer, or does not prove the same keys. */
export function concludeRekey(
  suite: CryptoSuite,
  offer: Offer,
  reply: Rekey2,
  previousChain: Uint8Array,
): SessionKeys | undefined {
  const { message, secret, kemSeed } = offer;
  const dh = suite.x25519(secret, reply.publicKey);
  if (dh === undefined || reply.sender === 0) return undefined;
  const transcript = transcriptOf(message, reply);
  if (reply.type === "rekey-2") {
    // An answer without the part that was asked for would take it out of the keys unseen.
    if (kemSeed !== undefined) return undefined;
    return deriveRekey(suite, { previousChain, shared: dh, transcript });
  }
  if (kemSeed === undefined) return undefined;
  const mixed = suite.kem?.decapsulate(kemSeed, reply.ciphertext);
  if (mixed === undefined) return undefined;
  const secrets = { previousChain, shared: concat(dh, mixed), transcript };
  if (!equalSecret(deriveRekeyProof(suite, secrets), reply.proof)) return undefined;
  return deriveRekey(suite, secrets);
}

/** Both messages as sent, but for the proof, which is made from this. */
function transcriptOf(first: Rekey1, second: Rekey2): Uint8Array {
  const bytes = emitLinkMessage(second);
  const end = second.type === "rekey-2" ? bytes.length : bytes.length - REKEY_PROOF_BYTES;
  return concat(emitLinkMessage(first), bytes.subarray(0, end));
}
