/**
 * Seals the question for a certificate to one issuer, and the answer to whoever asked. One ephemeral key
 * per question: whoever reads along learns neither invite nor asker, and cannot answer in the issuer's
 * place without its key.
 *
 *      shared   = X25519(ephemeral, issuer) | psk
 *      question = ephemeral 32 B | AEAD(key "issue question", nonce 0, the ephemeral key, body)
 *      answer   = nonce 12 B | AEAD(key "issue answer", nonce, empty, body)
 *
 * The nonce of the answer is drawn anew each time, since one question may get two answers ("try again",
 * then the certificate).
 */
import { concat, utf8 } from "../base/bytes.ts";
import {
  emitQuestion,
  type IssueQuestion,
  parseQuestion,
  type SignedQuestion,
} from "../wire/issue.ts";
import type { ClusterKeys } from "./cluster-keys.ts";
import { deriveKey } from "./hkdf.ts";
import type { DhKeyPair, Identity } from "./identity.ts";
import type { CryptoSuite } from "./suite.ts";

const NONCE_BYTES = 12;
const NO_NONCE = new Uint8Array(NONCE_BYTES);
const NOTHING = new Uint8Array(0);
const LABEL = utf8("weft issue 1");
const KEY_BYTES = 32;

export interface SealedQuestion {
  readonly sealed: Uint8Array;
  /** Opens what comes back. */
  readonly answerKey: Uint8Array;
}

export interface OpenedQuestion extends SignedQuestion {
  /** 32 bytes; part of what was signed. */
  readonly ephemeral: Uint8Array;
  readonly answerKey: Uint8Array;
}

export interface Asker {
  /** Of the key that is to be certified. */
  readonly next: Identity;
  /** Of the certificate that is to be renewed; undefined with an invite. */
  readonly holder: Identity | undefined;
}

/**
 * @param to.issuer Ed25519 key of the issuer, 32 bytes
 * @param to.ephemeral a fresh X25519 pair, for this one question
 * @returns undefined when the issuer's key is none
 */
export function sealQuestion(
  suite: CryptoSuite,
  keys: ClusterKeys,
  to: { readonly issuer: Uint8Array; readonly ephemeral: DhKeyPair },
  asked: { readonly question: IssueQuestion; readonly asker: Asker },
): SealedQuestion | undefined {
  const { ephemeral } = to;
  const issuer = suite.dhPublicOf(to.issuer);
  const shared = issuer && suite.x25519(ephemeral.secretKey, issuer);
  if (issuer === undefined || shared === undefined) return undefined;
  const secrets = { shared, issuer, ephemeral: ephemeral.publicKey };
  const body = signedBody(suite, keys, ephemeral.publicKey, asked);
  const key = keyFor(suite, keys, "issue question", secrets);
  return {
    sealed: concat(ephemeral.publicKey, suite.seal(key, NO_NONCE, ephemeral.publicKey, body)),
    answerKey: keyFor(suite, keys, "issue answer", secrets),
  };
}

/** undefined: it is not for this key, or damaged, or no question. */
export function openQuestion(
  suite: CryptoSuite,
  keys: ClusterKeys,
  own: DhKeyPair,
  sealed: Uint8Array,
): OpenedQuestion | undefined {
  if (sealed.length <= KEY_BYTES) return undefined;
  const ephemeral = sealed.slice(0, KEY_BYTES);
  const shared = suite.x25519(own.secretKey, ephemeral);
  if (shared === undefined) return undefined;
  const secrets = { shared, issuer: own.publicKey, ephemeral };
  const key = keyFor(suite, keys, "issue question", secrets);
  const body = suite.open(key, NO_NONCE, ephemeral, sealed.subarray(KEY_BYTES));
  const parsed = body && parseQuestion(body);
  if (parsed?.ok !== true) return undefined;
  const answerKey = keyFor(suite, keys, "issue answer", secrets);
  return { ...parsed.value, ephemeral, answerKey };
}

/** Whether the new key, and the old one where there is one, asked this very question. */
export function isSignedByAsker(
  suite: CryptoSuite,
  keys: ClusterKeys,
  opened: OpenedQuestion,
  holder: Uint8Array | undefined,
): boolean {
  const text = signedText(keys, opened.ephemeral, opened.signed);
  if (!suite.verify(opened.question.publicKey, text, opened.signature)) return false;
  const { holderSignature } = opened;
  if (holder === undefined || holderSignature === undefined) return holder === holderSignature;
  return suite.verify(holder, text, holderSignature);
}

/** @param nonce 12 random bytes */
export function sealAnswer(
  suite: CryptoSuite,
  answerKey: Uint8Array,
  nonce: Uint8Array,
  body: Uint8Array,
): Uint8Array {
  return concat(nonce, suite.seal(answerKey, nonce, NOTHING, body));
}

export function openAnswer(
  suite: CryptoSuite,
  answerKey: Uint8Array,
  sealed: Uint8Array,
): Uint8Array | undefined {
  if (sealed.length <= NONCE_BYTES) return undefined;
  const nonce = sealed.subarray(0, NONCE_BYTES);
  return suite.open(answerKey, nonce, NOTHING, sealed.subarray(NONCE_BYTES));
}

function signedBody(
  suite: CryptoSuite,
  keys: ClusterKeys,
  ephemeral: Uint8Array,
  { question, asker }: { readonly question: IssueQuestion; readonly asker: Asker },
): Uint8Array {
  const body = emitQuestion(question);
  const text = signedText(keys, ephemeral, body);
  const sign = ({ signing }: Identity): Uint8Array => suite.sign(signing.secretKey, text);
  return concat(body, sign(asker.next), asker.holder === undefined ? NOTHING : sign(asker.holder));
}

function signedText(keys: ClusterKeys, ephemeral: Uint8Array, body: Uint8Array): Uint8Array {
  return concat(LABEL, keys.networkId, ephemeral, body);
}

function keyFor(
  suite: CryptoSuite,
  keys: ClusterKeys,
  label: string,
  secrets: {
    readonly shared: Uint8Array;
    readonly issuer: Uint8Array;
    readonly ephemeral: Uint8Array;
  },
): Uint8Array {
  const context = concat(secrets.ephemeral, secrets.issuer);
  return deriveKey(suite, concat(secrets.shared, keys.psk), { label, context }, KEY_BYTES);
}
