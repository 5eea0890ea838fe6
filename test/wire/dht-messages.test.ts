import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { concat, fromHex, toHex } from "../../src/base/bytes.ts";
import {
  answerText,
  type Carried,
  COPY,
  type DhtAnswer,
  type DhtRequest,
  emitAnswerBody,
  emitRequest,
  parseAnswer,
  parseRequest,
} from "../../src/wire/dht-messages.ts";
import { emitRecord } from "../../src/wire/record.ts";

const address = (last: string) => `${"00 ".repeat(19)} ${last}`;
const certificate = new Uint8Array(3).fill(0xcc);
const signature = new Uint8Array(64).fill(0xee);
const record = {
  key: 2n,
  kind: "lease",
  signer: new Uint8Array(32).fill(0xaa),
  epoch: 1,
  version: 2,
  ttlSeconds: 60,
  body: Uint8Array.of(0xde),
  signature: new Uint8Array(64).fill(0xbb),
} as const;
const carried: Carried = { remainingSeconds: 59, certificate, record };
const carriedHex = `3b 00 00 00  03 00 cc cc cc  85 00 ${toHex(emitRecord(record))}`;
const head = { request: 7, requester: 1n, key: 2n, passes: 0 };
const headHex = `07 00 00 00 ${address("01")} ${address("02")}`;

const requests: readonly [DhtRequest, string][] = [
  [{ ...head, op: "get" }, `01 00 ${headHex}`],
  [{ ...head, op: "create", passes: COPY, carried }, `02 ff ${headHex} ${carriedHex}`],
  [{ ...head, op: "put", passes: 2, carried }, `03 02 ${headHex} ${carriedHex}`],
  [{ ...head, op: "merge", carried }, `04 00 ${headHex} ${carriedHex}`],
  [
    { ...head, op: "sync", members: [1n, 2n], digest: new Uint8Array(8).fill(0xdd) },
    `05 00 ${headHex} 02 ${address("01")} ${address("02")} ${"dd ".repeat(8)}`,
  ],
];

const answerHead = { form: "answer", request: 7, key: 2n, ready: true } as const;
const answers: readonly [DhtAnswer, string][] = [
  [
    {
      ...answerHead,
      status: "stored",
      view: [1n, 2n],
      carried: [],
      attestation: { renewals: 3, signature },
    },
    `01 07 00 00 00 ${address("02")} 00 01  02 ${address("01")} ${address("02")}  00
     03 ${"ee ".repeat(64)} 03 00 cc cc cc`,
  ],
  [
    {
      ...answerHead,
      ready: false,
      status: "value",
      view: [],
      carried: [carried],
      attestation: undefined,
    },
    `01 07 00 00 00 ${address("02")} 01 00 00 01 ${carriedHex} 00 03 00 cc cc cc`,
  ],
  [
    {
      form: "page",
      request: 7,
      key: 2n,
      informed: true,
      same: false,
      next: 9n,
      carried: [carried],
    },
    `02 07 00 00 00 ${address("02")} 00 00 01 ${address("09")} 01 ${carriedHex} 03 00 cc cc cc`,
  ],
  [
    {
      form: "page",
      request: 7,
      key: 2n,
      informed: false,
      same: true,
      next: undefined,
      carried: [],
    },
    `02 07 00 00 00 ${address("02")} 01 01 00 ${address("00")} 00 03 00 cc cc cc`,
  ],
];

describe("dht requests and answers", () => {
  it("have their golden bytes, both ways", () => {
    for (const [request, text] of requests) {
      const bytes = fromHex(text) as Uint8Array;
      expect(emitRequest(request)).toEqual(bytes);
      expect(parseRequest(bytes)).toEqual({ ok: true, value: request });
    }
    for (const [answer, text] of answers) {
      const body = fromHex(text) as Uint8Array;
      expect(emitAnswerBody(answer, certificate)).toEqual(body);
      const whole = concat(body, signature);
      expect(parseAnswer(whole)).toEqual({
        ok: true,
        value: { answer, certificate, signature, body },
      });
    }
  });

  it("never throw on cut, lengthened, flipped or random bytes", () => {
    const all = [
      ...requests.map(([one]) => ({ bytes: emitRequest(one), parse: parseRequest })),
      ...answers.map(([one]) => {
        return { bytes: concat(emitAnswerBody(one, certificate), signature), parse: parseAnswer };
      }),
    ];
    for (const { bytes, parse } of all) {
      for (let at = 0; at < bytes.length; at++) {
        expect(parse(bytes.subarray(0, at)).ok).toBe(false);
        for (const mask of [0xff, 0x01, 0x80]) {
          const flipped = bytes.slice();
          flipped[at] = (flipped[at] as number) ^ mask;
          parse(flipped);
        }
      }
      expect(parse(concat(bytes, Uint8Array.of(0))).ok).toBe(false);
    }
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 600 }),
        fc.integer({ min: 0, max: 5 }),
        (bytes, op) => {
          if (bytes.length > 0) bytes[0] = op;
          parseRequest(bytes);
          parseAnswer(bytes);
        },
      ),
      { numRuns: 1_000 },
    );
  });

  it("refuse counts past their maximum, views out of order, pages that go back", () => {
    const [stored] = answers[0] as [DhtAnswer, string];
    if (stored.form !== "answer") throw new Error("form");
    const six = { ...stored, view: [1n, 2n, 3n, 4n, 5n, 6n] };
    const turned = { ...stored, view: [2n, 1n] };
    const twice = { ...stored, view: [1n, 1n] };
    const back = { ...(answers[2] as [DhtAnswer, string])[0], next: 2n } as DhtAnswer;
    for (const bad of [six, turned, twice, back]) {
      expect(parseAnswer(concat(emitAnswerBody(bad, certificate), signature)).ok).toBe(false);
    }
    const sync = { ...head, op: "sync" as const, digest: new Uint8Array(8) };
    const ten = Array.from({ length: 10 }, (_, i) => BigInt(i));
    expect(parseRequest(emitRequest({ ...sync, members: ten })).ok).toBe(false);
    expect(parseRequest(emitRequest({ ...sync, members: ten.slice(1) })).ok).toBe(true);
    expect(parseRequest(emitRequest({ ...head, op: "get", passes: 3 })).ok).toBe(false);
    const astray = emitRequest({ ...head, key: 3n, op: "put", carried });
    expect(parseRequest(astray)).toEqual({ ok: false, reason: "bad-field" });
  });

  it("bind an answer to its network and requester", () => {
    const [network, body] = [new Uint8Array(16), Uint8Array.of(1)];
    expect(answerText(network, 1n, body)).not.toEqual(answerText(network, 2n, body));
    expect(answerText(network.slice().fill(1), 1n, body)).not.toEqual(
      answerText(network, 1n, body),
    );
  });
});
