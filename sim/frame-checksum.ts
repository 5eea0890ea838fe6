import type { Descriptor } from "./datagram.ts";

const LAYER4_TCP = 1;
const LAYER4_UDP = 2;

/**
 * Finishes an inner checksum that the sender's kernel left partial (its field holds the pseudo-header
 * sum; RFC 1071 arithmetic). Returns a new frame; undefined when the descriptor makes no sense.
 */
export function completeChecksum(frame: Uint8Array, form: Descriptor): Uint8Array | undefined {
  const start = form.checksumStart;
  const field = start + (form.layer4 === LAYER4_TCP ? 16 : 6);
  const isKnown = form.layer4 === LAYER4_TCP || form.layer4 === LAYER4_UDP;
  if (!isKnown || start < 14 || field + 2 > frame.length) return undefined;
  const sum = ~onesSum(frame, start) & 0xffff;
  const value = sum === 0 && form.layer4 === LAYER4_UDP ? 0xffff : sum;
  const out = frame.slice();
  out[field] = value >>> 8;
  out[field + 1] = value;
  return out;
}

function onesSum(bytes: Uint8Array, from: number): number {
  let sum = 0;
  for (let i = from; i < bytes.length; i += 2) {
    sum += ((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0);
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return sum;
}
