/**
 * SHA-1 and SHA-256 (FIPS 180-4) and their HMAC (RFC 2104), for STUN alone: its message integrity
 * names them, and the cryptographic library weft is built on has neither. weft's own protocol uses
 * BLAKE2b. Written for short messages; nothing here depends on secret data but through values.
 */
import { concat } from "./bytes.ts";

export const SHA1_BYTES = 20;
export const SHA256_BYTES = 32;
/** Both hash in blocks of this many bytes. */
const BLOCK_BYTES = 64;

export type ShaName = "sha1" | "sha256";

export function sha1(message: Uint8Array): Uint8Array {
  return digest(message, SHA1_START, SHA1_BYTES, compressSha1);
}

export function sha256(message: Uint8Array): Uint8Array {
  return digest(message, SHA256_START, SHA256_BYTES, compressSha256);
}

/** 20 bytes for SHA-1, 32 for SHA-256. */
export function hmacSha(name: ShaName, key: Uint8Array, message: Uint8Array): Uint8Array {
  const hash = name === "sha1" ? sha1 : sha256;
  const block = new Uint8Array(BLOCK_BYTES);
  block.set(key.length > BLOCK_BYTES ? hash(key) : key);
  const inner = block.map((byte) => byte ^ 0x36);
  const outer = block.map((byte) => byte ^ 0x5c);
  return hash(concat(outer, hash(concat(inner, message))));
}

type Compress = (state: Uint32Array, word: (index: number) => number) => void;

function digest(
  message: Uint8Array,
  start: readonly number[],
  length: number,
  compress: Compress,
): Uint8Array {
  const blocks = padded(message);
  const view = new DataView(blocks.buffer);
  const state = Uint32Array.from(start);
  for (let at = 0; at < blocks.length; at += BLOCK_BYTES) {
    compress(state, (index) => view.getUint32(at + 4 * index));
  }
  const out = new DataView(new ArrayBuffer(4 * state.length));
  state.forEach((word, i) => {
    out.setUint32(4 * i, word);
  });
  return new Uint8Array(out.buffer).slice(0, length);
}

/** The message, one bit, zeros, and its length in bits in the last eight bytes. */
function padded(message: Uint8Array): Uint8Array {
  const length = Math.ceil((message.length + 9) / BLOCK_BYTES) * BLOCK_BYTES;
  const out = new Uint8Array(length);
  out.set(message);
  out[message.length] = 0x80;
  new DataView(out.buffer).setBigUint64(length - 8, 8n * BigInt(message.length));
  return out;
}

function rotateLeft(word: number, bits: number): number {
  return (word << bits) | (word >>> (32 - bits));
}

function rotateRight(word: number, bits: number): number {
  return (word >>> bits) | (word << (32 - bits));
}

const SHA1_START = [0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0];

function compressSha1(state: Uint32Array, word: (index: number) => number): void {
  const w = new Uint32Array(80);
  for (let i = 0; i < 16; i++) w[i] = word(i);
  for (let i = 16; i < 80; i++) {
    w[i] = rotateLeft(at(w, i - 3) ^ at(w, i - 8) ^ at(w, i - 14) ^ at(w, i - 16), 1);
  }
  let [a, b, c, d, e] = [0, 1, 2, 3, 4].map((i) => at(state, i)) as Five;
  for (let i = 0; i < 80; i++) {
    const sum = (rotateLeft(a, 5) + sha1Choice(i, b, c, d) + e + at(w, i)) | 0;
    [a, b, c, d, e] = [sum, a, rotateLeft(b, 30), c, d];
  }
  [a, b, c, d, e].forEach((value, i) => {
    state[i] = at(state, i) + value;
  });
}

type Five = [number, number, number, number, number];

/** The round's function and its constant. */
function sha1Choice(round: number, b: number, c: number, d: number): number {
  if (round < 20) return ((b & c) | (~b & d)) + 0x5a827999;
  if (round < 40) return (b ^ c ^ d) + 0x6ed9eba1;
  if (round < 60) return ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdc;
  return (b ^ c ^ d) + 0xca62c1d6;
}

/** Fractional parts of the square roots of the first eight primes. */
const SHA256_START = [
  0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
];

/** Fractional parts of the cube roots of the first 64 primes. */
const SHA256_ROUNDS = [
  0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
  0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
  0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
  0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
  0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
  0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
  0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
  0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
];

function compressSha256(state: Uint32Array, word: (index: number) => number): void {
  const w = new Uint32Array(64);
  for (let i = 0; i < 16; i++) w[i] = word(i);
  for (let i = 16; i < 64; i++) {
    const [near, far] = [at(w, i - 2), at(w, i - 15)];
    const s0 = rotateRight(far, 7) ^ rotateRight(far, 18) ^ (far >>> 3);
    const s1 = rotateRight(near, 17) ^ rotateRight(near, 19) ^ (near >>> 10);
    w[i] = at(w, i - 16) + s0 + at(w, i - 7) + s1;
  }
  const v = Uint32Array.from(state);
  for (let i = 0; i < 64; i++) {
    const [a, b, c, e, f, g] = [at(v, 0), at(v, 1), at(v, 2), at(v, 4), at(v, 5), at(v, 6)];
    const s1 = rotateRight(e, 6) ^ rotateRight(e, 11) ^ rotateRight(e, 25);
    const t1 = at(v, 7) + s1 + ((e & f) ^ (~e & g)) + (SHA256_ROUNDS[i] ?? 0) + at(w, i);
    const s0 = rotateRight(a, 2) ^ rotateRight(a, 13) ^ rotateRight(a, 22);
    const t2 = s0 + ((a & b) ^ (a & c) ^ (b & c));
    v.copyWithin(1, 0, 7);
    v[4] = at(v, 4) + t1;
    v[0] = t1 + t2;
  }
  for (let i = 0; i < 8; i++) state[i] = at(state, i) + at(v, i);
}

function at(words: Uint32Array, index: number): number {
  return words[index] ?? 0;
}
