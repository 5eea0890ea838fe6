/**
 * The 32-byte network key of a cluster: everything secret in `secret:` mode follows from it, so it
 * must come from a random source. Text that somebody made up is refused.
 */
import { randomBytes } from "node:crypto";

export const NETWORK_KEY_BYTES = 32;

/**
 * 32 random bytes have about 30 distinct values; fewer than this happens once in 10^12 keys, but
 * nearly always with words, repeated digits and keyboard patterns.
 */
const MIN_DISTINCT_BYTES = 20;

export type KeyCheck =
  | { readonly ok: true; readonly key: Uint8Array }
  | { readonly ok: false; readonly cause: string };

export function generateNetworkKey(): string {
  return randomBytes(NETWORK_KEY_BYTES).toString("base64");
}

/** @param text base64, with or without padding */
export function parseNetworkKey(text: string): KeyCheck {
  const trimmed = text.trim();
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(trimmed)) return refuse("is not base64");
  const key = new Uint8Array(Buffer.from(trimmed, "base64"));
  if (key.length !== NETWORK_KEY_BYTES) {
    return refuse(`is ${key.length} bytes long, not ${NETWORK_KEY_BYTES}`);
  }
  if (Buffer.from(key).toString("base64").replace(/=+$/, "") !== trimmed.replace(/=+$/, "")) {
    return refuse("is not base64 of whole bytes (mistyped?)");
  }
  return looksRandom(key) ? { ok: true, key } : refuse("looks made up by hand, not random");
}

function looksRandom(key: Uint8Array): boolean {
  return new Set(key).size >= MIN_DISTINCT_BYTES && key.some((byte) => byte < 0x20 || byte > 0x7e);
}

function refuse(cause: string): KeyCheck {
  return { ok: false, cause };
}
