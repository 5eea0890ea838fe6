/**
 * Places on the ring: 160-bit unsigned integers, distance modulo 2^160 (as in Chord and Brunet).
 * A ring address names a node everywhere in the overlay; it follows from the node's certificate.
 */
import { toHex } from "./bytes.ts";

export type RingAddress = bigint;

export const ADDRESS_BYTES = 20;
const SIZE = 1n << 160n;
const MASK = SIZE - 1n;

/**
 * Big endian, so that the order of hex strings is the order of addresses. No bytes at all, as a
 * `ByteReader` gives past the end, are 0 and no exception.
 */
export function addressFromBytes(bytes: Uint8Array): RingAddress {
  return BigInt(`0x0${toHex(bytes.subarray(0, ADDRESS_BYTES))}`);
}

export function addressToBytes(address: RingAddress): Uint8Array {
  const out = new Uint8Array(ADDRESS_BYTES);
  const view = new DataView(out.buffer);
  view.setUint32(0, Number(address >> 128n));
  view.setBigUint64(4, address >> 64n);
  view.setBigUint64(12, address);
  return out;
}

/** The first eight hex digits: for people's eyes only, never compared. */
export function addressText(address: RingAddress): string {
  return address.toString(16).padStart(40, "0").slice(0, 8);
}

/** Steps from `from` to `to` going clockwise (towards larger addresses), in [0, 2^160). */
export function clockwise(from: RingAddress, to: RingAddress): bigint {
  return (to - from) & MASK;
}

/** The shorter way round between two addresses. */
export function ringDistance(a: RingAddress, b: RingAddress): bigint {
  const one = clockwise(a, b);
  const other = SIZE - one;
  return one < other ? one : other;
}

/** Negative when `a` is nearer to `key` than `b`; a tie goes to the one clockwise of the key. */
export function compareNearness(key: RingAddress, a: RingAddress, b: RingAddress): number {
  const da = ringDistance(key, a);
  const db = ringDistance(key, b);
  if (da !== db) return da < db ? -1 : 1;
  if (a === b) return 0;
  return clockwise(key, a) === da ? -1 : 1;
}

/** The address of `candidates` nearest to the key; undefined when there are none. */
export function nearestTo(
  key: RingAddress,
  candidates: Iterable<RingAddress>,
): RingAddress | undefined {
  let best: RingAddress | undefined;
  for (const candidate of candidates) {
    if (best === undefined || compareNearness(key, candidate, best) < 0) best = candidate;
  }
  return best;
}
