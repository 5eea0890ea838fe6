/**
 * Which addresses a client tries, in which order. The first follows from the client alone, so that
 * a machine that keeps its identity gets its old address even where nobody remembers it; the rest
 * is a full cycle through the range with a step of the client's own, so that clients that met on
 * one address part at once.
 */
import { concat, fromHex, utf8 } from "../base/bytes.ts";
import { type Ip, ipv4FromNumber, ipv4Number, type Subnet, subnetSize } from "../base/net.ts";
import type { CryptoSuite } from "../crypto/suite.ts";

/**
 * Addresses tried before the pool counts as full: all of a /22. In a larger range where nine of ten
 * are taken the chance to miss every free one is 10^-46.
 */
export const MAX_CANDIDATES = 1_024;
const LABEL = utf8("weft lease candidate 1");

/**
 * The candidates of a client, best first; network and broadcast address are never among them.
 * @param isFree false for addresses nobody here may lease: reserved, claimed, declined, in use here
 */
export function* candidatesOf(
  suite: CryptoSuite,
  client: string,
  range: Subnet,
  isFree: (ip: Ip) => boolean,
): Generator<Ip> {
  const hosts = subnetSize(range) - 2;
  const seed = suite.blake2b(16, concat(LABEL, fromHex(client) ?? utf8(client)));
  const view = new DataView(seed.buffer, seed.byteOffset);
  const start = view.getUint32(0, true) % hosts;
  const step = coprimeStep(view.getUint32(4, true), hosts);
  const first = ipv4Number(range.first) + 1;
  const tries = Math.min(hosts, MAX_CANDIDATES);
  for (let i = 0; i < tries; i++) {
    const ip = ipv4FromNumber(first + ((start + i * step) % hosts));
    if (isFree(ip)) yield ip;
  }
}

/** A step that visits every host before it comes back: coprime to their number. */
function coprimeStep(seed: number, hosts: number): number {
  let step = 1 + (seed % hosts);
  while (greatestCommonDivisor(step, hosts) !== 1) step++;
  return step;
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}
