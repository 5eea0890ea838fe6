/** Under which key members leave their endpoints in the BitTorrent DHT. */
import { ByteWriter } from "../base/bytes.ts";
import { deriveKey } from "./hkdf.ts";
import type { CryptoSuite } from "./suite.ts";

export const INFOHASH_BYTES = 20;
const DAY_SECONDS = 86_400;

/** Days since 1970 in UTC. */
export function utcDay(unixSeconds: number): number {
  return Math.floor(unixSeconds / DAY_SECONDS);
}

/**
 * Another one each day: who does not hold the network key finds no network, and who met one day's
 * key does not follow the members into the next.
 *
 * @returns 20 bytes
 */
export function mainlineInfohash(
  suite: CryptoSuite,
  networkKey: Uint8Array,
  day: number,
): Uint8Array {
  const context = new ByteWriter().u32(day).finish();
  return deriveKey(suite, networkKey, { label: "mainline infohash", context }, INFOHASH_BYTES);
}
