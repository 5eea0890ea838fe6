/** From a finished handshake or rekey to the keys that the engine seals with. */
import { concat } from "../base/bytes.ts";
import type { DirectionKeys } from "../base/engine.ts";
import { REKEY_PROOF_BYTES } from "../wire/link-messages.ts";
import { deriveKey } from "./hkdf.ts";
import type { NoiseSplit } from "./noise.ts";
import type { CryptoSuite } from "./suite.ts";

const KEY_BYTES = 32;
const SALT_BYTES = 4;
const CHAIN_BYTES = 32;

/**
 * One key pair of a session. The same 32-byte keys serve both ciphers, which is safe because a key
 * pair is used with one of them only: the cipher was settled inside the handshake.
 */
export interface SessionKeys {
  /** From the one who began this handshake or rekey to the other. */
  readonly fromInitiator: DirectionKeys;
  readonly fromResponder: DirectionKeys;
  /** 32 bytes, secret: what the next rekey builds on, so that it proves the handshake before it. */
  readonly chain: Uint8Array;
}

/** The keys of a finished Noise handshake. */
export function deriveSession(
  suite: CryptoSuite,
  split: NoiseSplit,
  initiator: boolean,
): SessionKeys {
  const first = initiator ? split.send : split.receive;
  const second = initiator ? split.receive : split.send;
  const both = concat(first, second);
  return {
    fromInitiator: { key: first, salt: saltOf(suite, first, split.hash) },
    fromResponder: { key: second, salt: saltOf(suite, second, split.hash) },
    chain: deriveKey(suite, both, { label: "session chain", context: split.hash }, CHAIN_BYTES),
  };
}

/** What a rekey's keys are made of. */
export interface RekeySecrets {
  /** `chain` of the key pair that the new one builds on. */
  readonly previousChain: Uint8Array;
  /** X25519 of the two fresh keys, then the KEM's shared secret where one is mixed in. */
  readonly shared: Uint8Array;
  /** Both rekey messages, initiator's first, exactly as sent but for the proof. */
  readonly transcript: Uint8Array;
}

/** The keys of a rekey: fresh secrets mixed with the chain of the keys before it. */
export function deriveRekey(suite: CryptoSuite, secrets: RekeySecrets): SessionKeys {
  const { transcript } = secrets;
  const secret = concat(secrets.previousChain, secrets.shared);
  const derive = (label: string): Uint8Array =>
    deriveKey(suite, secret, { label, context: transcript }, KEY_BYTES + SALT_BYTES);
  return {
    fromInitiator: splitKeys(derive("rekey initiator")),
    fromResponder: splitKeys(derive("rekey responder")),
    chain: derive("rekey chain").slice(0, CHAIN_BYTES),
  };
}

/**
 * Shows that its maker has the keys of this rekey. A KEM refuses no changed ciphertext, it gives
 * another secret: without a proof one side would seal with keys that the other cannot open.
 */
export function deriveRekeyProof(suite: CryptoSuite, secrets: RekeySecrets): Uint8Array {
  const secret = concat(secrets.previousChain, secrets.shared);
  const purpose = { label: "rekey proof", context: secrets.transcript };
  return deriveKey(suite, secret, purpose, REKEY_PROOF_BYTES);
}

/** The two directions as one side uses them. */
export function directionsFor(
  keys: SessionKeys,
  initiator: boolean,
): { readonly sealing: DirectionKeys; readonly opening: DirectionKeys } {
  return initiator
    ? { sealing: keys.fromInitiator, opening: keys.fromResponder }
    : { sealing: keys.fromResponder, opening: keys.fromInitiator };
}

function saltOf(suite: CryptoSuite, key: Uint8Array, hash: Uint8Array): Uint8Array {
  return deriveKey(suite, key, { label: "session salt", context: hash }, SALT_BYTES);
}

function splitKeys(bytes: Uint8Array): DirectionKeys {
  return { key: bytes.slice(0, KEY_BYTES), salt: bytes.slice(KEY_BYTES) };
}
