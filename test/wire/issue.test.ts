import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { concat } from "../../src/base/bytes.ts";
import { MACS_BYTES, PADDED_HANDSHAKE_BYTES } from "../../src/wire/handshake.ts";
import {
  emitAnswer,
  emitAnswerDatagram,
  emitIssueDatagram,
  emitIssueMessage,
  emitQuestion,
  type IssueAnswer,
  type IssueQuestion,
  MAX_SEALED_BYTES,
  parseAnswer,
  parseAnswerDatagram,
  parseIssueDatagram,
  parseIssueMessage,
  parseQuestion,
  REFUSALS,
} from "../../src/wire/issue.ts";
import { hex, spaced } from "../support/vectors.ts";

const key = new Uint8Array(32).fill(0xee);
const secret = new Uint8Array(32).fill(0x5e);
const signature = new Uint8Array(64).fill(0x51);
const holderSignature = new Uint8Array(64).fill(0x52);
const macs = new Uint8Array(MACS_BYTES);
const [E, S] = ["ee ".repeat(32).trim(), "5e ".repeat(32).trim()];

const REDEEM: IssueQuestion = { kind: "redeem", invite: 1n, secret, publicKey: key };
const RENEW: IssueQuestion = {
  kind: "renew",
  certificate: Uint8Array.of(0xab, 0xcd),
  publicKey: key,
};
const QUESTIONS: readonly (readonly [IssueQuestion, string])[] = [
  [REDEEM, `01 01 00 00 00 00 00 00 00 ${S} ${E}`],
  [RENEW, `02 02 00 ab cd ${E}`],
];

const ANSWERS: readonly (readonly [IssueAnswer, string])[] = [
  [{ kind: "granted", certificate: Uint8Array.of(0xab, 0xcd) }, "00 02 00 ab cd"],
  [{ kind: "refused", reason: "unknown", date: 0 }, "01 01 00 00 00 00 00 00 00 00"],
  [{ kind: "refused", reason: "ended", date: 1_802_121_856 }, "01 03 80 32 6a 6b 00 00 00 00"],
  [{ kind: "refused", reason: "too-much", date: 0 }, "01 08 00 00 00 00 00 00 00 00"],
];

describe("a question for a certificate", () => {
  it.each(QUESTIONS)("golden bytes of %o", (question, golden) => {
    expect(spaced(emitQuestion(question))).toBe(golden);
    const isRenewal = question.kind === "renew";
    const rest = isRenewal ? concat(signature, holderSignature) : signature;
    expect(parseQuestion(concat(hex(golden), rest))).toEqual({
      ok: true,
      value: {
        question,
        signed: hex(golden),
        signature,
        holderSignature: isRenewal ? holderSignature : undefined,
      },
    });
  });

  it("cut, longer, or of another kind it is refused", () => {
    const whole = concat(emitQuestion(RENEW), signature, holderSignature);
    for (let cut = 0; cut < whole.length; cut++) {
      expect(parseQuestion(whole.subarray(0, cut)).ok).toBe(false);
    }
    expect(parseQuestion(concat(whole, Uint8Array.of(0))).ok).toBe(false);
    expect(parseQuestion(concat(Uint8Array.of(3), whole.subarray(1))).ok).toBe(false);
  });
});

describe("the answer", () => {
  it.each(ANSWERS)("golden bytes of %o", (answer, golden) => {
    expect(spaced(emitAnswer(answer))).toBe(golden);
    expect(parseAnswer(hex(golden))).toEqual({ ok: true, value: answer });
    for (let cut = 0; cut < emitAnswer(answer).length; cut++) {
      expect(parseAnswer(hex(golden).subarray(0, cut)).ok).toBe(false);
    }
  });

  it("each reason has its number, none has two", () => {
    const numbers = REFUSALS.map(
      (reason) => emitAnswer({ kind: "refused", reason, date: 0 })[1] ?? 0,
    );
    expect(numbers).toEqual(REFUSALS.map((_, i) => i + 1));
    expect(parseAnswer(hex("01 00 00 00 00 00 00 00 00 00")).ok).toBe(false);
    expect(parseAnswer(hex("01 09 00 00 00 00 00 00 00 00")).ok).toBe(false);
    expect(parseAnswer(hex("01 03 ff ff ff ff ff ff ff ff")).ok).toBe(false);
  });
});

describe("datagrams and payloads around them", () => {
  const sealed = Uint8Array.of(1, 2, 3);

  it("the question has its full length, zeros behind it", () => {
    const body = emitIssueDatagram({ id: 7, issuer: 0x11n << 152n, sealed });
    const head = `c5 00 00 00 07 00 00 00 11 ${"00 ".repeat(19)}03 00 01 02 03`;
    expect(spaced(body.subarray(0, 33))).toBe(head);
    expect(body.subarray(33).every((byte) => byte === 0)).toBe(true);
    const whole = concat(body, macs);
    expect(whole).toHaveLength(PADDED_HANDSHAKE_BYTES);
    const value = { id: 7, issuer: 0x11n << 152n, sealed };
    expect(parseIssueDatagram(whole)).toEqual({ ok: true, value });
    expect(parseIssueDatagram(whole.subarray(1))).toEqual({ ok: false, reason: "truncated" });
    for (const at of [1, 2, 3, 40]) {
      const other = Uint8Array.from(whole);
      other[at] = 1;
      expect(parseIssueDatagram(other)).toEqual({ ok: false, reason: "bad-field" });
    }
  });

  it("the longest answer is no longer than any question", () => {
    const longest = emitAnswerDatagram({ id: 1, sealed: new Uint8Array(MAX_SEALED_BYTES) });
    expect(longest.length + MACS_BYTES).toBeLessThanOrEqual(PADDED_HANDSHAKE_BYTES);
  });

  it("answer and payload, both ways", () => {
    const answer = emitAnswerDatagram({ id: 7, sealed });
    expect(spaced(answer)).toBe("c6 00 00 00 07 00 00 00 01 02 03");
    expect(parseAnswerDatagram(concat(answer, macs))).toEqual({
      ok: true,
      value: { id: 7, sealed },
    });
    const payload = emitIssueMessage({ id: 7, sealed });
    expect(spaced(payload)).toBe("07 00 00 00 01 02 03");
    expect(parseIssueMessage(payload)).toEqual({ ok: true, value: { id: 7, sealed } });
  });

  it("random bytes never throw", () => {
    const parsers = [
      parseIssueDatagram,
      parseAnswerDatagram,
      parseIssueMessage,
      parseQuestion,
      parseAnswer,
    ];
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 1_300 }),
        fc.constantFrom(197, 198, 0, 1),
        (bytes, first) => {
          const from = Uint8Array.from(bytes);
          from[0] = first;
          for (const parse of parsers) parse(from);
        },
      ),
    );
  });
});
