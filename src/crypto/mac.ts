/**
 * mac1 and mac2, the last 32 bytes of every datagram outside a session.
 *
 * mac1 shows that the sender holds the network key; strangers cost one hash and get silence. mac2
 * shows that the sender receives at the address it claims; it is asked for only under load.
 *
 *   mac1 = BLAKE2b-128(key: mac1 key, everything before mac1)
 *   mac2 = BLAKE2b-128(key: cookie, everything before mac2), zeros without a cookie
 */
import { concat, equalSecret } from "../base/bytes.ts";
import { MAC_BYTES, MACS_BYTES } from "../wire/handshake.ts";
import type { CryptoSuite } from "./suite.ts";

/** @param bytes everything before mac1 */
export function computeMac1(
  suite: CryptoSuite,
  mac1Key: Uint8Array,
  bytes: Uint8Array,
): Uint8Array {
  return suite.blake2b(MAC_BYTES, bytes, mac1Key);
}

/** The finished datagram: `body` as the emitters of wire/ give it, mac1, mac2. */
export function appendMacs(
  suite: CryptoSuite,
  mac1Key: Uint8Array,
  body: Uint8Array,
  cookie?: Uint8Array,
): Uint8Array {
  const signed = concat(body, computeMac1(suite, mac1Key, body));
  const mac2 =
    cookie === undefined ? new Uint8Array(MAC_BYTES) : computeMac2(suite, cookie, signed);
  return concat(signed, mac2);
}

/** The engine has checked this for datagrams off a socket; routed handshakes are checked here. */
export function checkMac1(suite: CryptoSuite, mac1Key: Uint8Array, datagram: Uint8Array): boolean {
  if (datagram.length < MACS_BYTES) return false;
  const body = datagram.subarray(0, datagram.length - MACS_BYTES);
  return equalSecret(computeMac1(suite, mac1Key, body), mac1Of(datagram));
}

/** @param cookie 16 bytes */
export function checkMac2(suite: CryptoSuite, cookie: Uint8Array, datagram: Uint8Array): boolean {
  if (datagram.length < MACS_BYTES) return false;
  const signed = datagram.subarray(0, datagram.length - MAC_BYTES);
  return equalSecret(computeMac2(suite, cookie, signed), datagram.subarray(signed.length));
}

/** The mac1 of a datagram of at least 32 bytes. */
export function mac1Of(datagram: Uint8Array): Uint8Array {
  return datagram.slice(datagram.length - MACS_BYTES, datagram.length - MAC_BYTES);
}

function computeMac2(suite: CryptoSuite, cookie: Uint8Array, signed: Uint8Array): Uint8Array {
  return suite.blake2b(MAC_BYTES, signed, cookie);
}
