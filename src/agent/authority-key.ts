/** The authority's public key as it stands in a cluster file: base64 of 32 bytes (Ed25519). */

const PUBLIC_KEY_BYTES = 32;

/** undefined: it is no key, or text that says the same key in another way. */
export function parseAuthorityKey(text: string): Uint8Array | undefined {
  const key = new Uint8Array(Buffer.from(text, "base64"));
  const isKey = key.length === PUBLIC_KEY_BYTES && authorityKeyText(key) === text;
  return isKey ? key : undefined;
}

export function authorityKeyText(key: Uint8Array): string {
  return Buffer.from(key).toString("base64");
}
