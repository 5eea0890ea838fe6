/**
 * Bound of a member's certificate with the one above it, wherever they travel: two ordinary ones of about
 * 230 B, or one full one. A handshake payload with every list full has room for
 * MAX_CERTIFICATE_BLOCK_BYTES; the rest of that is kept for fields of later minor versions.
 */
export const MAX_CHAIN_BYTES = 640;
