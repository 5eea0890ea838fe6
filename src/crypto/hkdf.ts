/** HMAC (RFC 2104) and HKDF (RFC 5869) over BLAKE2b-512, as the Noise framework uses them. */
import { assert } from "../base/assert.ts";
import { concat, utf8 } from "../base/bytes.ts";
import type { CryptoSuite } from "./suite.ts";

/** BLAKE2b's output. */
export const HASH_BYTES = 64;
/** BLAKE2b's block. */
const BLOCK_BYTES = 128;

/** Keeps weft's derivations apart from any other use of the same secret. */
const EXTRACT_SALT = utf8("weft key schedule 1");

/**
 * A subkey for one purpose: one block of HKDF with `info` = label | 0 | context.
 *
 * @param label ASCII without zero bytes; each purpose has its own
 * @param length 1..64 bytes
 */
export function deriveKey(
  suite: CryptoSuite,
  secret: Uint8Array,
  purpose: { readonly label: string; readonly context?: Uint8Array },
  length: number,
): Uint8Array {
  assert(length >= 1 && length <= HASH_BYTES, "HKDF output of one block");
  const extracted = hmac(suite, EXTRACT_SALT, secret);
  const context = purpose.context ?? new Uint8Array(0);
  const info = concat(utf8(purpose.label), Uint8Array.of(0), context, Uint8Array.of(1));
  return hmac(suite, extracted, info).slice(0, length);
}

/** HKDF of the Noise specification, section 4.3: that many outputs of 64 bytes. */
export function noiseHkdf(
  suite: CryptoSuite,
  chainingKey: Uint8Array,
  input: Uint8Array,
  outputs: 2 | 3,
): readonly Uint8Array[] {
  const extracted = hmac(suite, chainingKey, input);
  const blocks: Uint8Array[] = [];
  let last = new Uint8Array(0);
  for (let i = 1; i <= outputs; i++) {
    last = Uint8Array.from(hmac(suite, extracted, concat(last, Uint8Array.of(i))));
    blocks.push(last);
  }
  return blocks;
}

/** HMAC-BLAKE2b-512; not BLAKE2b's own keyed mode, because Noise names HMAC. */
export function hmac(suite: CryptoSuite, key: Uint8Array, message: Uint8Array): Uint8Array {
  const block = new Uint8Array(BLOCK_BYTES);
  block.set(key.length > BLOCK_BYTES ? suite.blake2b(HASH_BYTES, key) : key);
  const inner = block.map((byte) => byte ^ 0x36);
  const outer = block.map((byte) => byte ^ 0x5c);
  return suite.blake2b(
    HASH_BYTES,
    concat(outer, suite.blake2b(HASH_BYTES, concat(inner, message))),
  );
}
