/**
 * The seal of simulations: a keyed checksum, no secrecy. It finds wrong keys, wrong nonces and every
 * changed byte with a chance of failure near 2^-32, and costs about a nanosecond per byte.
 */
import type { Cipher, DirectionKeys } from "../src/base/engine.ts";
import { TAG_BYTES } from "./datagram.ts";

/** Seals and opens in place of the real ciphers. `from` is where the plaintext begins. */
export interface Aead {
  /** Prepares one direction's key; the result is handed back to `seal` and `open`. */
  prepare(cipher: Cipher, keys: DirectionKeys): unknown;
  /** Seals bytes [from, length - 16) in place and writes the tag into the last 16. */
  seal(key: unknown, nonce: Uint8Array, datagram: Uint8Array, from: number): void;
  /** The plaintext (it may be a view into `datagram`), or undefined when the tag is wrong. */
  open(key: unknown, nonce: Uint8Array, datagram: Uint8Array, from: number): Uint8Array | undefined;
}

export const CHEAP_AEAD: Aead = {
  prepare: (cipher, keys) => mix(mix(cipher.length, keys.key, 0, keys.key.length), keys.salt, 0, 3),
  seal(key, nonce, datagram, from) {
    const end = datagram.length - TAG_BYTES;
    writeTag(datagram, end, checksum(key as number, nonce, datagram, from));
  },
  open(key, nonce, datagram, from) {
    const end = datagram.length - TAG_BYTES;
    if (end < from) return undefined;
    const matches = tagMatches(datagram, end, checksum(key as number, nonce, datagram, from));
    return matches ? datagram.subarray(from, end) : undefined;
  },
};

function checksum(key: number, nonce: Uint8Array, datagram: Uint8Array, from: number): number {
  return mix(mix(key, nonce, 0, nonce.length), datagram, from, datagram.length - TAG_BYTES);
}

/** A chain of multiply-rotate steps: every byte moves every bit of the result. */
function mix(start: number, bytes: Uint8Array, from: number, to: number): number {
  let hash = (start ^ Math.imul(to - from, 0x9e3779b1)) | 0;
  for (let i = from; i < to; i++) {
    hash = Math.imul(hash ^ (bytes[i] as number), 0x85ebca6b);
    hash ^= hash >>> 15;
  }
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) | 0;
}

/** Four words, each the sum stirred with its place, so that a tag's every bit is checked. */
function word(sum: number, place: number): number {
  return Math.imul(sum ^ Math.imul(place + 1, 0x27d4eb2f), 0x165667b1);
}

function writeTag(bytes: Uint8Array, at: number, sum: number): void {
  for (let place = 0; place < 4; place++) {
    const value = word(sum, place);
    for (let i = 0; i < 4; i++) bytes[at + 4 * place + i] = value >>> (8 * i);
  }
}

function tagMatches(bytes: Uint8Array, at: number, sum: number): boolean {
  for (let place = 0; place < 4; place++) {
    const value = word(sum, place);
    for (let i = 0; i < 4; i++) {
      if (bytes[at + 4 * place + i] !== ((value >>> (8 * i)) & 255)) return false;
    }
  }
  return true;
}
