/** A node's own keys: one Ed25519 pair; its X25519 form is the Noise static key. */
import type { CryptoSuite, KeyPair } from "./suite.ts";

/** An X25519 key pair, 32 bytes each. */
export interface DhKeyPair {
  readonly publicKey: Uint8Array;
  readonly secretKey: Uint8Array;
}

export interface Identity {
  readonly signing: KeyPair;
  readonly dh: DhKeyPair;
}

/** @param seed 32 random bytes, kept in the state folder */
export function identityFromSeed(suite: CryptoSuite, seed: Uint8Array): Identity {
  const signing = suite.signingKeyPair(seed);
  return { signing, dh: dhKeyPairOf(suite, suite.dhSecretOf(signing.secretKey)) };
}

/** @param secretKey 32 bytes */
export function dhKeyPairOf(suite: CryptoSuite, secretKey: Uint8Array): DhKeyPair {
  return { publicKey: suite.x25519Public(secretKey), secretKey };
}
