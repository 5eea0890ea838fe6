/** Byte strings: little endian throughout, unless a standard format (ARP, IP, DHCP) says big endian. */

/** Two lower-case digits of every byte value. */
export const HEX: readonly string[] = Array.from({ length: 256 }, (_, i) =>
  i.toString(16).padStart(2, "0"),
);

export function toHex(bytes: Uint8Array): string {
  let out = "";
  for (const byte of bytes) out += HEX[byte];
  return out;
}

/** Hex digits, white space ignored; undefined when anything else is in it. */
export function fromHex(text: string): Uint8Array | undefined {
  const digits = text.replace(/\s+/g, "");
  if (digits.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(digits)) return undefined;
  const out = new Uint8Array(digits.length / 2);
  for (let i = 0; i < out.length; i++) out[i] = Number.parseInt(digits.slice(2 * i, 2 * i + 2), 16);
  return out;
}

export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += part.length;
  const out = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** Equality of public values. For secrets and MACs use `equalSecret`. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** Equality whose time depends on the lengths alone. */
export function equalSecret(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  let difference = 0;
  for (let i = 0; i < a.length; i++) difference |= (a[i] ?? 0) ^ (b[i] ?? 0);
  return difference === 0;
}

/** Lexicographic order, shorter first. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const difference = (a[i] ?? 0) - (b[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

/** UTF-8 without a host object: the core has no TextEncoder. Lone surrogates become U+FFFD. */
export function utf8(text: string): Uint8Array {
  const out: number[] = [];
  for (const symbol of text) pushUtf8(out, symbol.codePointAt(0) ?? 0);
  return Uint8Array.from(out);
}

function pushUtf8(out: number[], symbol: number): void {
  const code = symbol >= 0xd800 && symbol <= 0xdfff ? 0xfffd : symbol;
  if (code < 0x80) out.push(code);
  else if (code < 0x800) out.push(0xc0 | (code >> 6), 0x80 | (code & 63));
  else if (code < 0x10000)
    out.push(0xe0 | (code >> 12), 0x80 | ((code >> 6) & 63), 0x80 | (code & 63));
  else
    out.push(
      0xf0 | (code >> 18),
      0x80 | ((code >> 12) & 63),
      0x80 | ((code >> 6) & 63),
      0x80 | (code & 63),
    );
}

/** Printable ASCII of a byte string; undefined when a byte is outside 0x20..0x7e. */
export function asciiText(bytes: Uint8Array): string | undefined {
  let out = "";
  for (const byte of bytes) {
    if (byte < 0x20 || byte > 0x7e) return undefined;
    out += String.fromCharCode(byte);
  }
  return out;
}

/**
 * Reads fields off a byte string that came from outside. Running past the end returns zeros and
 * clears `ok` for good; callers read every field and check `finished()` once.
 */
export class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;
  ok = true;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get remaining(): number {
    return this.#bytes.length - this.#at;
  }

  /** True when every read was inside and nothing is left over. */
  finished(): boolean {
    return this.ok && this.remaining === 0;
  }

  #take(length: number): number {
    if (!this.ok || length > this.remaining) {
      this.ok = false;
      return -1;
    }
    this.#at += length;
    return this.#at - length;
  }

  u8(): number {
    const at = this.#take(1);
    return at < 0 ? 0 : this.#view.getUint8(at);
  }

  u16(): number {
    const at = this.#take(2);
    return at < 0 ? 0 : this.#view.getUint16(at, true);
  }

  u32(): number {
    const at = this.#take(4);
    return at < 0 ? 0 : this.#view.getUint32(at, true);
  }

  u64(): bigint {
    const at = this.#take(8);
    return at < 0 ? 0n : this.#view.getBigUint64(at, true);
  }

  u16be(): number {
    const at = this.#take(2);
    return at < 0 ? 0 : this.#view.getUint16(at, false);
  }

  u32be(): number {
    const at = this.#take(4);
    return at < 0 ? 0 : this.#view.getUint32(at, false);
  }

  /** A copy, so that the datagram's buffer can be reused. */
  bytes(length: number): Uint8Array {
    const at = this.#take(length);
    return at < 0 ? new Uint8Array(0) : this.#bytes.slice(at, at + length);
  }

  /** A u16 length, at most `max`, then that many bytes. */
  block(max: number): Uint8Array {
    const length = this.u16();
    if (length > max) this.ok = false;
    return this.bytes(length);
  }

  rest(): Uint8Array {
    return this.bytes(this.ok ? this.remaining : 0);
  }

  skip(length: number): void {
    this.#take(length);
  }
}

/** Most control messages fit without growing. */
const WRITER_START_BYTES = 512;

/** Builds a message; grows by doubling. The result is a copy owned by the caller. */
export class ByteWriter {
  #bytes = new Uint8Array(WRITER_START_BYTES);
  #view = new DataView(this.#bytes.buffer);
  #at = 0;

  get length(): number {
    return this.#at;
  }

  #room(length: number): number {
    const at = this.#at;
    this.#at += length;
    if (this.#at > this.#bytes.length) this.#grow();
    return at;
  }

  #grow(): void {
    let size = this.#bytes.length;
    while (size < this.#at) size *= 2;
    const bytes = new Uint8Array(size);
    bytes.set(this.#bytes);
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer);
  }

  u8(value: number): this {
    const at = this.#room(1);
    this.#view.setUint8(at, value);
    return this;
  }

  u16(value: number): this {
    const at = this.#room(2);
    this.#view.setUint16(at, value, true);
    return this;
  }

  u32(value: number): this {
    const at = this.#room(4);
    this.#view.setUint32(at, value, true);
    return this;
  }

  u64(value: bigint): this {
    const at = this.#room(8);
    this.#view.setBigUint64(at, value, true);
    return this;
  }

  u16be(value: number): this {
    const at = this.#room(2);
    this.#view.setUint16(at, value, false);
    return this;
  }

  u32be(value: number): this {
    const at = this.#room(4);
    this.#view.setUint32(at, value, false);
    return this;
  }

  bytes(bytes: Uint8Array): this {
    const at = this.#room(bytes.length);
    this.#bytes.set(bytes, at);
    return this;
  }

  /** A u16 length, then the bytes: the inverse of `ByteReader.block`. */
  block(bytes: Uint8Array): this {
    return this.u16(bytes.length).bytes(bytes);
  }

  zeros(length: number): this {
    this.#room(length);
    return this;
  }

  finish(): Uint8Array {
    return this.#bytes.slice(0, this.#at);
  }
}
