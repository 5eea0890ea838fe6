/**
 * STUN among members (docs/WIRE.md): short-term credentials of RFC 8489 whose password every member
 * derives from the network key. The request is padded to the longest answer, so that whoever forges a
 * source or repeats a request cannot make a member send more than was received.
 */
import { equalBytes, utf8 } from "../base/bytes.ts";
import {
  emitStun,
  findStun,
  isIntact,
  type ReceivedStun,
  STUN_BINDING,
  type StunAttribute,
  type StunMessage,
  stunAttributeBytes,
} from "../wire/stun.ts";

/** IPv6 throughout: header, mapped, origin, other, integrity, fingerprint. */
export const LONGEST_ANSWER_BYTES = 20 + 3 * stunAttributeBytes(20) + stunAttributeBytes(32) + 8;

const USERNAME = utf8("weft");

/** What is asked beyond "how do you see me" (RFC 5780). */
export interface BindingWish {
  readonly change?: { readonly ip: boolean; readonly port: boolean };
  /** Answer to this port of ours. */
  readonly responsePort?: number;
}

/** @param key undefined = as a stranger would ask, unpadded */
export function emitBindingRequest(
  transaction: Uint8Array,
  wish: BindingWish,
  key: Uint8Array | undefined,
): Uint8Array {
  const attributes: StunAttribute[] = [];
  const { change, responsePort } = wish;
  if (change !== undefined) attributes.push({ type: "change-request", ...change });
  if (responsePort !== undefined) attributes.push({ type: "response-port", port: responsePort });
  const message = { kind: "request", method: STUN_BINDING, transaction } as const;
  if (key === undefined) return emitStun({ ...message, attributes }, { fingerprint: true });
  attributes.push({ type: "username", value: USERNAME });
  const seal = { sha256: key, fingerprint: true };
  const bare = emitStun({ ...message, attributes }, seal).length;
  const padding = new Uint8Array(LONGEST_ANSWER_BYTES - bare - stunAttributeBytes(0));
  attributes.push({ type: "padding", value: padding });
  return emitStun({ ...message, attributes }, seal);
}

/** Whether it claims to come from a member; cheap, and to be asked before the integrity is. */
export function claimsMembership(message: ReceivedStun): boolean {
  const username = findStun(message, "username");
  return (
    message.sha256 !== undefined &&
    message.hasFingerprint &&
    username !== undefined &&
    equalBytes(username.value, USERNAME)
  );
}

export function isFromMember(message: ReceivedStun, key: Uint8Array): boolean {
  return claimsMembership(message) && isIntact(message, "sha256", key);
}

/** @param key undefined = for a stranger */
export function emitBindingAnswer(message: StunMessage, key: Uint8Array | undefined): Uint8Array {
  return emitStun(message, {
    ...(key === undefined ? {} : { sha256: key }),
    fingerprint: true,
  });
}
