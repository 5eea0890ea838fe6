/** The crypto suite on libsodium, whose module is injected: loading it takes a promise. */
import { assert } from "../base/assert.ts";
import { KEM_CIPHERTEXT_BYTES, KEM_PUBLIC_BYTES } from "../wire/link-messages.ts";
import { type CryptoSuite, KEM_ENCAPSULATION_BYTES, KEM_SEED_BYTES, type Kem } from "./suite.ts";

/** The part of `libsodium-wrappers` that weft uses. An empty array stands for "none". */
export interface Sodium {
  crypto_generichash(length: number, message: Uint8Array, key: Uint8Array): Uint8Array;
  crypto_scalarmult(secret: Uint8Array, peer: Uint8Array): Uint8Array;
  crypto_scalarmult_base(secret: Uint8Array): Uint8Array;
  crypto_aead_chacha20poly1305_ietf_encrypt(
    plain: Uint8Array,
    ad: Uint8Array,
    secretNonce: Uint8Array,
    nonce: Uint8Array,
    key: Uint8Array,
  ): Uint8Array;
  crypto_aead_chacha20poly1305_ietf_decrypt(
    secretNonce: Uint8Array,
    sealed: Uint8Array,
    ad: Uint8Array,
    nonce: Uint8Array,
    key: Uint8Array,
  ): Uint8Array;
  crypto_sign_seed_keypair(seed: Uint8Array): { publicKey: Uint8Array; privateKey: Uint8Array };
  crypto_sign_detached(message: Uint8Array, secretKey: Uint8Array): Uint8Array;
  crypto_sign_verify_detached(
    signature: Uint8Array,
    message: Uint8Array,
    publicKey: Uint8Array,
  ): boolean;
  crypto_sign_ed25519_pk_to_curve25519(publicKey: Uint8Array): Uint8Array;
  crypto_sign_ed25519_sk_to_curve25519(secretKey: Uint8Array): Uint8Array;
  crypto_kem_xwing_seed_keypair(seed: Uint8Array): { publicKey: Uint8Array };
  crypto_kem_xwing_enc_deterministic(
    publicKey: Uint8Array,
    seed: Uint8Array,
  ): { ciphertext: Uint8Array; sharedSecret: Uint8Array };
  crypto_kem_xwing_dec(ciphertext: Uint8Array, secretKey: Uint8Array): Uint8Array;
}

const NONE = new Uint8Array(0);
const TAG_BYTES = 16;

/** @param sodium the module after its `ready` has resolved */
export function createSodiumSuite(sodium: Sodium): CryptoSuite {
  return { ...hashAndAead(sodium), ...exchange(sodium), ...signatures(sodium), kem: kemOf(sodium) };
}

function hashAndAead(sodium: Sodium): Pick<CryptoSuite, "blake2b" | "seal" | "open"> {
  return {
    blake2b(length, message, key = NONE) {
      assert(length >= 16 && length <= 64, "BLAKE2b output length");
      assert(key === NONE || (key.length >= 16 && key.length <= 64), "BLAKE2b key length");
      return sodium.crypto_generichash(length, message, key);
    },
    seal(key, nonce, ad, plain) {
      return sodium.crypto_aead_chacha20poly1305_ietf_encrypt(plain, ad, NONE, nonce, key);
    },
    open(key, nonce, ad, sealed) {
      assert(key.length === 32 && nonce.length === 12, "AEAD key and nonce lengths");
      if (sealed.length < TAG_BYTES) return undefined;
      return attempt(() =>
        sodium.crypto_aead_chacha20poly1305_ietf_decrypt(NONE, sealed, ad, nonce, key),
      );
    },
  };
}

function exchange(
  sodium: Sodium,
): Pick<CryptoSuite, "x25519" | "x25519Public" | "dhPublicOf" | "dhSecretOf"> {
  return {
    x25519(secret, peer) {
      assert(secret.length === 32 && peer.length === 32, "X25519 lengths");
      return attempt(() => sodium.crypto_scalarmult(secret, peer));
    },
    x25519Public: (secret) => sodium.crypto_scalarmult_base(secret),
    dhPublicOf(signingPublic) {
      assert(signingPublic.length === 32, "Ed25519 public key length");
      return attempt(() => sodium.crypto_sign_ed25519_pk_to_curve25519(signingPublic));
    },
    dhSecretOf: (signingSecret) => sodium.crypto_sign_ed25519_sk_to_curve25519(signingSecret),
  };
}

function signatures(sodium: Sodium): Pick<CryptoSuite, "signingKeyPair" | "sign" | "verify"> {
  return {
    signingKeyPair(seed) {
      const pair = sodium.crypto_sign_seed_keypair(seed);
      return { publicKey: pair.publicKey, secretKey: pair.privateKey };
    },
    sign: (secretKey, message) => sodium.crypto_sign_detached(message, secretKey),
    verify(publicKey, message, signature) {
      if (publicKey.length !== 32 || signature.length !== 64) return false;
      return sodium.crypto_sign_verify_detached(signature, message, publicKey);
    },
  };
}

function kemOf(sodium: Sodium): Kem {
  return {
    publicKey: (seed) => sodium.crypto_kem_xwing_seed_keypair(seed).publicKey,
    encapsulate(publicKey, seed) {
      assert(publicKey.length === KEM_PUBLIC_BYTES, "X-Wing public key length");
      assert(seed.length === KEM_ENCAPSULATION_BYTES, "X-Wing encapsulation seed length");
      return attempt(() => sodium.crypto_kem_xwing_enc_deterministic(publicKey, seed));
    },
    decapsulate(seed, ciphertext) {
      assert(seed.length === KEM_SEED_BYTES, "X-Wing secret key length");
      assert(ciphertext.length === KEM_CIPHERTEXT_BYTES, "X-Wing ciphertext length");
      // The secret key is the seed: libsodium expands it at each use.
      return attempt(() => sodium.crypto_kem_xwing_dec(ciphertext, seed));
    },
  };
}

/** libsodium's binding throws when it refuses an input; lengths of our own were checked before. */
function attempt<T>(run: () => T): T | undefined {
  try {
    return run();
  } catch {
    return undefined;
  }
}
