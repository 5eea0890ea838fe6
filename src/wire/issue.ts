/**
 * How a certificate is asked for: by whoever holds an invite (`redeem`), or by a member whose own one is
 * about to end or gets another key (`renew`). The question is sealed to the issuer and goes to any member,
 * which routes it there; nobody in between reads it, and whoever asks has no link to anybody.
 *
 *   datagram 197   197 | 0 u8 | 0 u16 | id u32 | issuer's ring address 20 B | length u16, sealed question
 *                  | zeros up to 1,200 bytes with the two MACs: no answer is longer than what asked for it
 *   datagram 198   198 | 0 u8 | 0 u16 | id u32 | sealed answer | mac1 16 B | mac2 16 B
 *   payloads       0x2a question, 0x2b answer: id u32 | sealed
 *
 *   question       1 redeem | invite u64 | its secret 32 B | new key 32 B | signature by the new key 64 B
 *                  2 renew  | certificate u16 + bytes | new key 32 B | signature by the new key 64 B
 *                           | signature by the certificate's key 64 B
 *   answer         0 granted | certificate u16 + bytes
 *                  1 refused | reason u8 | date u64, unix seconds, 0 where there is none
 *
 * Keys are Ed25519. The emitters of datagrams write everything before mac1; the parsers take the whole.
 */
import { assert } from "../base/assert.ts";
import { ByteReader, ByteWriter } from "../base/bytes.ts";
import { dropped, type Parsed, parsed } from "../base/drop-reason.ts";
import {
  ADDRESS_BYTES,
  addressFromBytes,
  addressToBytes,
  type RingAddress,
} from "../base/ring-address.ts";
import { MAX_CHAIN_BYTES } from "./certificate-block.ts";
import { MACS_BYTES, PADDED_HANDSHAKE_BYTES } from "./handshake.ts";
import { DATAGRAM_TYPES } from "./message-type.ts";

export const INVITE_SECRET_BYTES = 32;
const KEY_BYTES = 32;
const SIGNATURE_BYTES = 64;
/** A renewal with the longest chain, its ephemeral key and tag: 864 bytes. */
export const MAX_SEALED_BYTES = 1_000;

export interface IssueDatagram {
  readonly id: number;
  readonly issuer: RingAddress;
  readonly sealed: Uint8Array;
}

export interface IssueMessage {
  readonly id: number;
  readonly sealed: Uint8Array;
}

export type IssueQuestion =
  | {
      readonly kind: "redeem";
      readonly invite: bigint;
      readonly secret: Uint8Array;
      readonly publicKey: Uint8Array;
    }
  | {
      readonly kind: "renew";
      /** The asker's certificate, or chain. */
      readonly certificate: Uint8Array;
      /** The key of the new one: the same as before, or another. */
      readonly publicKey: Uint8Array;
    };

export interface SignedQuestion {
  readonly question: IssueQuestion;
  /** The bytes that the signatures cover. */
  readonly signed: Uint8Array;
  /** By the new key. */
  readonly signature: Uint8Array;
  /** By the certificate's key; undefined with an invite. */
  readonly holderSignature: Uint8Array | undefined;
}

/** By number on the wire, from 1. */
export const REFUSALS = [
  /** This member made no such invite, or forgot it long ago. */
  "unknown",
  "used",
  /** With the date. */
  "ended",
  /** This member has no certificate that lets it issue, now. */
  "may-not-issue",
  /** It could not write down that the invite is used. */
  "not-saved",
  "bad-question",
  /** What is to be renewed is no valid certificate of this network. */
  "not-valid",
  /** It grants groups or claims that this issuer does not have. */
  "too-much",
] as const;

export type Refusal = (typeof REFUSALS)[number];

export type IssueAnswer =
  | { readonly kind: "granted"; readonly certificate: Uint8Array }
  | { readonly kind: "refused"; readonly reason: Refusal; readonly date: number };

export function emitIssueDatagram({ id, issuer, sealed }: IssueDatagram): Uint8Array {
  assert(sealed.length <= MAX_SEALED_BYTES, "a question fits into its datagram");
  const writer = new ByteWriter().u8(DATAGRAM_TYPES["issue-question"]).u8(0).u16(0).u32(id);
  writer.bytes(addressToBytes(issuer)).block(sealed);
  return writer.zeros(PADDED_HANDSHAKE_BYTES - MACS_BYTES - writer.length).finish();
}

/** Reasons: truncated (it must have its full length), unknown-type, bad-field. */
export function parseIssueDatagram(bytes: Uint8Array): Parsed<IssueDatagram> {
  if (bytes.length !== PADDED_HANDSHAKE_BYTES) return dropped("truncated");
  const reader = new ByteReader(bytes.subarray(0, bytes.length - MACS_BYTES));
  if (reader.u8() !== DATAGRAM_TYPES["issue-question"]) return dropped("unknown-type");
  const isPlain = reader.u8() === 0 && reader.u16() === 0;
  const id = reader.u32();
  const issuer = addressFromBytes(reader.bytes(ADDRESS_BYTES));
  const sealed = reader.block(MAX_SEALED_BYTES);
  const isPadded = reader.rest().every((byte) => byte === 0);
  return isPlain && reader.ok && isPadded ? parsed({ id, issuer, sealed }) : dropped("bad-field");
}

export function emitAnswerDatagram({ id, sealed }: IssueMessage): Uint8Array {
  const writer = new ByteWriter().u8(DATAGRAM_TYPES["issue-answer"]).u8(0).u16(0).u32(id);
  return writer.bytes(sealed).finish();
}

/** Reasons: truncated, too-long, unknown-type, bad-field. */
export function parseAnswerDatagram(bytes: Uint8Array): Parsed<IssueMessage> {
  if (bytes.length > PADDED_HANDSHAKE_BYTES) return dropped("too-long");
  if (bytes.length < 8 + MACS_BYTES) return dropped("truncated");
  const reader = new ByteReader(bytes.subarray(0, bytes.length - MACS_BYTES));
  if (reader.u8() !== DATAGRAM_TYPES["issue-answer"]) return dropped("unknown-type");
  if (reader.u8() !== 0 || reader.u16() !== 0) return dropped("bad-field");
  return parsed({ id: reader.u32(), sealed: reader.rest() });
}

export function emitIssueMessage({ id, sealed }: IssueMessage): Uint8Array {
  return new ByteWriter().u32(id).bytes(sealed).finish();
}

/** Reasons: truncated, too-long. */
export function parseIssueMessage(bytes: Uint8Array): Parsed<IssueMessage> {
  if (bytes.length > 4 + MAX_SEALED_BYTES) return dropped("too-long");
  const reader = new ByteReader(bytes);
  const message = { id: reader.u32(), sealed: reader.rest() };
  return reader.ok ? parsed(message) : dropped("truncated");
}

/** What the signatures cover, without them. */
export function emitQuestion(question: IssueQuestion): Uint8Array {
  const writer = new ByteWriter();
  if (question.kind === "redeem") writer.u8(1).u64(question.invite).bytes(question.secret);
  else writer.u8(2).block(question.certificate);
  return writer.bytes(question.publicKey).finish();
}

/** Reasons: bad-field. */
export function parseQuestion(bytes: Uint8Array): Parsed<SignedQuestion> {
  const reader = new ByteReader(bytes);
  const question = readQuestion(reader);
  const signed = bytes.subarray(0, bytes.length - reader.remaining);
  const signature = reader.bytes(SIGNATURE_BYTES);
  const isRenewal = question?.kind === "renew";
  const holderSignature = isRenewal ? reader.bytes(SIGNATURE_BYTES) : undefined;
  if (question === undefined || !reader.finished()) return dropped("bad-field");
  return parsed({ question, signed, signature, holderSignature });
}

export function emitAnswer(answer: IssueAnswer): Uint8Array {
  if (answer.kind === "granted") return new ByteWriter().u8(0).block(answer.certificate).finish();
  const reason = 1 + REFUSALS.indexOf(answer.reason);
  return new ByteWriter().u8(1).u8(reason).u64(BigInt(answer.date)).finish();
}

/** Reasons: bad-field. */
export function parseAnswer(bytes: Uint8Array): Parsed<IssueAnswer> {
  const reader = new ByteReader(bytes);
  const form = reader.u8();
  if (form === 0) {
    const certificate = reader.block(MAX_CHAIN_BYTES);
    return reader.finished() ? parsed({ kind: "granted", certificate }) : dropped("bad-field");
  }
  const reason = REFUSALS[reader.u8() - 1];
  const date = Number(reader.u64());
  const good = form === 1 && reader.finished() && Number.isSafeInteger(date);
  if (!good || reason === undefined) return dropped("bad-field");
  return parsed({ kind: "refused", reason, date });
}

function readQuestion(reader: ByteReader): IssueQuestion | undefined {
  switch (reader.u8()) {
    case 1: {
      const invite = reader.u64();
      const secret = reader.bytes(INVITE_SECRET_BYTES);
      return { kind: "redeem", invite, secret, publicKey: reader.bytes(KEY_BYTES) };
    }
    case 2: {
      const certificate = reader.block(MAX_CHAIN_BYTES);
      return { kind: "renew", certificate, publicKey: reader.bytes(KEY_BYTES) };
    }
    default:
      return undefined;
  }
}
