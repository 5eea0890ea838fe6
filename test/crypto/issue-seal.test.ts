import { describe, expect, it } from "vitest";
import { deriveClusterKeys } from "../../src/crypto/cluster-keys.ts";
import { dhKeyPairOf } from "../../src/crypto/identity.ts";
import {
  isSignedByAsker,
  openAnswer,
  openQuestion,
  sealAnswer,
  sealQuestion,
} from "../../src/crypto/issue-seal.ts";
import type { IssueQuestion } from "../../src/wire/issue.ts";
import { suite } from "../support/suite.ts";
import { identityOf, Papers } from "./papers.ts";

const { keys } = new Papers();
const [issuer, asker, next, other] = [identityOf(1), identityOf(2), identityOf(3), identityOf(4)];
const ephemeral = dhKeyPairOf(suite, new Uint8Array(32).fill(0x44));
const to = { issuer: issuer.signing.publicKey, ephemeral };

const redeem: IssueQuestion = {
  kind: "redeem",
  invite: 3n,
  secret: new Uint8Array(32).fill(5),
  publicKey: asker.signing.publicKey,
};
const renew: IssueQuestion = {
  kind: "renew",
  certificate: Uint8Array.of(1, 2),
  publicKey: next.signing.publicKey,
};

function sealed(
  question: IssueQuestion,
  by: { next: typeof asker; holder: typeof asker | undefined },
) {
  const made = sealQuestion(suite, keys, to, { question, asker: by });
  if (made === undefined) throw new Error("not sealed");
  return made;
}

describe("a sealed question", () => {
  const question = sealed(redeem, { next: asker, holder: undefined });

  it("opens for the issuer alone, with the network's key", () => {
    expect(openQuestion(suite, keys, issuer.dh, question.sealed)?.question).toEqual(redeem);
    expect(openQuestion(suite, keys, other.dh, question.sealed)).toBeUndefined();
    const foreign = deriveClusterKeys(suite, new Uint8Array(32).fill(9));
    expect(openQuestion(suite, foreign, issuer.dh, question.sealed)).toBeUndefined();
  });

  it("no byte of it can be another one, none be missing", () => {
    for (let at = 0; at < question.sealed.length; at++) {
      const changed = Uint8Array.from(question.sealed);
      changed[at] = (changed[at] ?? 0) ^ 0x01;
      expect(openQuestion(suite, keys, issuer.dh, changed), `byte ${at}`).toBeUndefined();
      expect(openQuestion(suite, keys, issuer.dh, question.sealed.subarray(0, at))).toBeUndefined();
    }
  });

  it("proves that who asks has the key", () => {
    const opened = openQuestion(suite, keys, issuer.dh, question.sealed);
    expect(opened && isSignedByAsker(suite, keys, opened, undefined)).toBe(true);
    const borrowed = sealed(redeem, { next: other, holder: undefined });
    const wrong = openQuestion(suite, keys, issuer.dh, borrowed.sealed);
    expect(wrong && isSignedByAsker(suite, keys, wrong, undefined)).toBe(false);
  });

  it("a renewal is signed by both keys, old and new", () => {
    const holder = asker.signing.publicKey;
    const check = (by: Parameters<typeof sealed>[1]): boolean => {
      const opened = openQuestion(suite, keys, issuer.dh, sealed(renew, by).sealed);
      return opened !== undefined && isSignedByAsker(suite, keys, opened, holder);
    };
    expect(check({ next, holder: asker })).toBe(true);
    expect(check({ next, holder: other })).toBe(false);
    expect(check({ next: other, holder: asker })).toBe(false);
  });

  it("a key that is no point of the curve is no issuer", () => {
    const none = { issuer: new Uint8Array(32).fill(0xff), ephemeral };
    const asked = { question: redeem, asker: { next: asker, holder: undefined } };
    expect(sealQuestion(suite, keys, none, asked)).toBeUndefined();
  });
});

it("the answer opens for who asked alone", () => {
  const { answerKey, sealed: bytes } = sealed(redeem, { next: asker, holder: undefined });
  const opened = openQuestion(suite, keys, issuer.dh, bytes);
  const answer = sealAnswer(
    suite,
    opened?.answerKey ?? answerKey,
    new Uint8Array(12),
    Uint8Array.of(9),
  );
  expect(openAnswer(suite, answerKey, answer)).toEqual(Uint8Array.of(9));
  expect(openAnswer(suite, new Uint8Array(32), answer)).toBeUndefined();
  expect(openAnswer(suite, answerKey, answer.subarray(0, 12))).toBeUndefined();
});
