/**
 * The Internet checksum (RFC 1071): the ones' complement of the ones' complement sum of 16-bit words.
 * A datagram that carries its own right checksum sums to 0.
 */

/** @param bytes an odd last byte counts as the high half of a word */
export function internetChecksum(...parts: readonly Uint8Array[]): number {
  let sum = 0;
  for (const part of parts) sum = addWords(sum, part);
  return ~sum & 0xffff;
}

/** Each part but the last must have an even length, or words would shift. */
function addWords(start: number, bytes: Uint8Array): number {
  let sum = start;
  for (let i = 0; i < bytes.length; i += 2) {
    sum += ((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0);
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x10000);
  return sum;
}
