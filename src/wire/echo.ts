/**
 * Echo over the overlay: payload types 0x25 (request) and 0x26 (reply), the same bytes back.
 *
 *      0                8
 *     +----------------+---------------+
 *     | nonce u64      | fill 0..1,000 |
 *     +----------------+---------------+
 */
import { ByteReader, ByteWriter } from "../base/bytes.ts";
import { dropped, type Parsed, parsed } from "../base/drop-reason.ts";

/** Keeps an echo within one control fragment. */
export const ECHO_FILL_MAX = 1_000;

export interface Echo {
  readonly nonce: bigint;
  /** Bytes of fill, all zero when sent, not looked at when received. */
  readonly fill: number;
}

export function emitEcho(echo: Echo): Uint8Array {
  return new ByteWriter().u64(echo.nonce).zeros(echo.fill).finish();
}

export function parseEcho(bytes: Uint8Array): Parsed<Echo> {
  const reader = new ByteReader(bytes);
  const nonce = reader.u64();
  if (!reader.ok) return dropped("truncated");
  if (reader.remaining > ECHO_FILL_MAX) return dropped("too-long");
  return parsed({ nonce, fill: reader.remaining });
}
