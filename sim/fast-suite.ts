/**
 * The crypto of simulations: every function has the right shapes and the right equalities (both sides
 * of a key agreement get one secret, a changed byte fails), and none is secure. Runs that ask for it
 * use the real suite instead; the core cannot tell.
 */
import { concat, equalBytes } from "../src/base/bytes.ts";
import type { CryptoSuite, Kem } from "../src/crypto/suite.ts";
import { KEM_CIPHERTEXT_BYTES, KEM_PUBLIC_BYTES } from "../src/wire/link-messages.ts";

/** Largest prime below 2^26, so that products stay exact in doubles. */
const PRIME = 67_108_859;
const GENERATOR = 2;
const TAG_BYTES = 16;

/** A key agreement with a fresh key, padded to X-Wing's sizes. */
const fastKem: Kem = {
  publicKey: (seed) => padded(fastSuite.x25519Public(seed), KEM_PUBLIC_BYTES),
  encapsulate(publicKey, seed) {
    const ciphertext = padded(fastSuite.x25519Public(seed), KEM_CIPHERTEXT_BYTES);
    return { ciphertext, sharedSecret: kemSecret(seed, publicKey, ciphertext) };
  },
  decapsulate: (seed, ciphertext) => kemSecret(seed, ciphertext, ciphertext),
};

export const fastSuite: CryptoSuite = {
  blake2b: (length, message, key) => expand(length, ...state(message, key)),
  x25519: (secret, peer) =>
    fastSuite.blake2b(32, element(power(numberOf(peer), exponentOf(secret)))),
  x25519Public: (secret) => element(power(GENERATOR, exponentOf(secret))),
  seal: (key, nonce, ad, plain) => concat(plain, tagOf(key, nonce, ad, plain)),
  open(key, nonce, ad, sealed) {
    if (sealed.length < TAG_BYTES) return undefined;
    const plain = sealed.slice(0, sealed.length - TAG_BYTES);
    const tag = sealed.subarray(sealed.length - TAG_BYTES);
    return equalBytes(tag, tagOf(key, nonce, ad, plain)) ? plain : undefined;
  },
  signingKeyPair(seed) {
    const hash = fastSuite.blake2b(32, seed);
    const publicKey = concat(hash.subarray(0, 28), fastSuite.x25519Public(seed).subarray(0, 4));
    return { publicKey, secretKey: concat(seed, publicKey) };
  },
  sign: (secretKey, message) => signature(secretKey.subarray(32), message),
  verify: (publicKey, message, given) => equalBytes(given, signature(publicKey, message)),
  dhPublicOf: (signingPublic) => element(numberOf(signingPublic.subarray(28))),
  dhSecretOf: (signingSecret) => signingSecret.slice(0, 32),
  kem: fastKem,
};

function kemSecret(own: Uint8Array, peer: Uint8Array, ciphertext: Uint8Array): Uint8Array {
  const shared = element(power(numberOf(peer), exponentOf(own)));
  return fastSuite.blake2b(32, ciphertext, shared);
}

function padded(bytes: Uint8Array, length: number): Uint8Array {
  const out = new Uint8Array(length);
  out.set(bytes);
  return out;
}

function signature(publicKey: Uint8Array, message: Uint8Array): Uint8Array {
  return fastSuite.blake2b(64, message, publicKey);
}

function tagOf(key: Uint8Array, nonce: Uint8Array, ad: Uint8Array, plain: Uint8Array): Uint8Array {
  const [a, b] = state(ad, key);
  const [c, d] = state(plain, nonce);
  return expand(TAG_BYTES, Math.imul(a ^ c, 0x9e3779b1), b ^ d);
}

function numberOf(bytes: Uint8Array): number {
  const [a = 0, b = 0, c = 0, d = 0] = bytes;
  return ((a | (b << 8) | (c << 16) | (d << 24)) >>> 0) % PRIME;
}

function exponentOf(secret: Uint8Array): number {
  return (state(secret, undefined)[0] >>> 0) % (PRIME - 1);
}

function element(value: number): Uint8Array {
  const out = new Uint8Array(32);
  for (let i = 0; i < 4; i++) out[i] = value >>> (8 * i);
  out[4] = 9;
  return out;
}

function power(base: number, exponent: number): number {
  let result = 1;
  let square = base % PRIME;
  for (let rest = exponent; rest > 0; rest = Math.floor(rest / 2)) {
    if (rest % 2 === 1) result = (result * square) % PRIME;
    square = (square * square) % PRIME;
  }
  return result;
}

/** 64 bits over key and message. */
function state(message: Uint8Array, key: Uint8Array | undefined): [number, number] {
  const pair: [number, number] = [0x243f6a88 ^ message.length, 0x13198a2e];
  if (key !== undefined) absorb(pair, key);
  absorb(pair, message);
  return pair;
}

function absorb(pair: [number, number], bytes: Uint8Array): void {
  let [a, b] = pair;
  for (let i = 0; i < bytes.length; i++) {
    a = Math.imul(a ^ (bytes[i] as number), 0x85ebca6b);
    a ^= a >>> 15;
    b = (Math.imul(b ^ a, 0xc2b2ae35) + 0x165667b1) | 0;
    b ^= b >>> 13;
  }
  pair[0] = a;
  pair[1] = b;
}

/** splitmix-like output of any length. */
function expand(length: number, a: number, b: number): Uint8Array {
  const out = new Uint8Array(length);
  for (let i = 0; i < length; i += 4) {
    let word = Math.imul(a ^ Math.imul(i + 1, 0x9e3779b1), 0x85ebca6b) ^ b;
    word = Math.imul(word ^ (word >>> 16), 0x21f0aaad);
    word = Math.imul(word ^ (word >>> 15) ^ a, 0x735a2d97);
    word ^= word >>> 15;
    for (let j = 0; j < 4 && i + j < length; j++) out[i + j] = word >>> (8 * j);
  }
  return out;
}
