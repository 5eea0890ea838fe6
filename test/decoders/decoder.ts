/** What the tables of decoders are made of, and how much a decoded value holds. */

/** One decoder of bytes or text that come from outside. */
export interface Decoder {
  /** `src/wire/echo.ts:parseEcho`, as the scan of the sources names it. */
  readonly name: string;
  /** A typed value or a typed refusal; anything thrown is a fault unless `refuses` names it. */
  readonly decode: (input: Uint8Array) => unknown;
  /** Valid messages: what mutations start from. */
  readonly samples: readonly Uint8Array[];
  /** Bytes that a value may hold whatever the input's length: fixed fields, words of an enumeration. */
  readonly fixedBytes?: number;
  /** Decoders whose contract is a typed error instead of a value. */
  readonly refuses?: (error: unknown) => boolean;
}

/** Fields of fixed size in the largest of our messages (a certificate, a DHCP message). */
const USUAL_FIXED_BYTES = 1_024;
/** What the design allows a decoder to make of its input. */
const GROWTH = 10;
/** A slot, a number, a reference. */
const SLOT_BYTES = 8;

export function mostBytes(decoder: Decoder, inputBytes: number): number {
  return GROWTH * inputBytes + (decoder.fixedBytes ?? USUAL_FIXED_BYTES);
}

/** Bytes that a value keeps alive: its text, its arrays, a slot for each field. */
export function weigh(value: unknown): number {
  if (typeof value === "string") return 2 * value.length;
  if (ArrayBuffer.isView(value)) return value.byteLength;
  if (typeof value !== "object" || value === null) return SLOT_BYTES;
  const parts = value instanceof Map ? [...value.entries()].flat() : Object.values(value);
  return parts.reduce<number>((sum, part) => sum + SLOT_BYTES + weigh(part), SLOT_BYTES);
}

/** Whether the decoder took the input: a Parsed value, anything but undefined, no Refusal. */
export function isTaken(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return value !== undefined;
  if ("ok" in value) return value.ok === true;
  return value.constructor.name !== "Refusal";
}
