/** The primitives every part of weft is built on, injected so that the core names no library. */

/** An Ed25519 key pair in libsodium's form: the secret key is seed 32 B | public key 32 B. */
export interface KeyPair {
  /** 32 bytes */
  readonly publicKey: Uint8Array;
  /** 64 bytes */
  readonly secretKey: Uint8Array;
}

/** X-Wing (draft-connolly-cfrg-xwing-kem): ML-KEM-768 and X25519 in one, safe while either of them is. */
export interface Kem {
  /** Of a 32-byte seed, which is the secret key too; 1216 bytes. */
  publicKey(seed: Uint8Array): Uint8Array;
  /**
   * A shared secret of 32 bytes, and the 1120 bytes that tell it to the key's owner; undefined when
   * the public key is none.
   *
   * @param seed 64 random bytes, used once
   */
  encapsulate(
    publicKey: Uint8Array,
    seed: Uint8Array,
  ): { readonly ciphertext: Uint8Array; readonly sharedSecret: Uint8Array } | undefined;
  /**
   * The shared secret. A changed ciphertext gives another secret, and only rarely undefined.
   *
   * @param seed the public key's
   */
  decapsulate(seed: Uint8Array, ciphertext: Uint8Array): Uint8Array | undefined;
}

/** Random bytes that X-Wing takes for a key pair and for a shared secret. */
export const KEM_SEED_BYTES = 32;
export const KEM_ENCAPSULATION_BYTES = 64;

/**
 * Argument lengths are the caller's duty: a wrong one is a bug and throws. Contents that came from
 * outside (points, ciphertexts, signatures) never throw: they give undefined or false.
 */
export interface CryptoSuite {
  /** BLAKE2b (RFC 7693) of 16..64 bytes, keyed when a key of 16..64 bytes is given. */
  blake2b(length: number, message: Uint8Array, key?: Uint8Array): Uint8Array;
  /** X25519 (RFC 7748); undefined when the result is all zero (a point of low order). */
  x25519(secret: Uint8Array, peer: Uint8Array): Uint8Array | undefined;
  x25519Public(secret: Uint8Array): Uint8Array;
  /** ChaCha20-Poly1305 (RFC 8439), key 32 B, nonce 12 B; the 16-byte tag ends the result. */
  seal(key: Uint8Array, nonce: Uint8Array, ad: Uint8Array, plain: Uint8Array): Uint8Array;
  /** Undefined when the tag is wrong or missing. */
  open(
    key: Uint8Array,
    nonce: Uint8Array,
    ad: Uint8Array,
    sealed: Uint8Array,
  ): Uint8Array | undefined;
  /** Ed25519 (RFC 8032) key pair of a 32-byte seed. */
  signingKeyPair(seed: Uint8Array): KeyPair;
  /** 64 bytes */
  sign(secretKey: Uint8Array, message: Uint8Array): Uint8Array;
  verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean;
  /** Ed25519 public key to X25519; undefined when it is no point of the prime-order group. */
  dhPublicOf(signingPublic: Uint8Array): Uint8Array | undefined;
  /** Ed25519 secret key (64 B) to X25519 (32 B). */
  dhSecretOf(signingSecret: Uint8Array): Uint8Array;
  /** Without it a member announces no post-quantum exchange. */
  readonly kem?: Kem;
}
