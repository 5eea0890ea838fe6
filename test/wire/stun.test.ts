import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { utf8 } from "../../src/base/bytes.ts";
import { type Endpoint, ipFromBytes } from "../../src/base/net.ts";
import {
  emitStun,
  findStun,
  isIntact,
  MAX_STUN_ATTRIBUTES,
  parseStun,
  type ReceivedStun,
  STUN_BINDING,
  type StunAttribute,
  type StunMessage,
  stunAttributeBytes,
  stunText,
  unknownRequired,
} from "../../src/wire/stun.ts";
import { hex, spaced } from "../support/vectors.ts";

function parse(bytes: Uint8Array): ReceivedStun {
  const message = parseStun(bytes);
  if (!message.ok) throw new Error(message.reason);
  return message.value;
}

/** RFC 5769, 2.1 to 2.3: one user, one password. */
const SHORT_TERM_KEY = utf8("VOkJxbRl1RmTxUk/WvJxBt");
const REQUEST = `00 01 00 58 21 12 a4 42 b7 e7 a7 01 bc 34 d6 86 fa 87 df ae
  80 22 00 10 53 54 55 4e 20 74 65 73 74 20 63 6c 69 65 6e 74
  00 24 00 04 6e 00 01 ff  80 29 00 08 93 2f f9 b1 51 26 3b 36
  00 06 00 09 65 76 74 6a 3a 68 36 76 59 20 20 20
  00 08 00 14 9a ea a7 0c bf d8 cb 56 78 1e f2 b5 b2 d3 f2 49 c1 b5 71 a2
  80 28 00 04 e5 7a 3b cf`;
const ANSWER_4 = `01 01 00 3c 21 12 a4 42 b7 e7 a7 01 bc 34 d6 86 fa 87 df ae
  80 22 00 0b 74 65 73 74 20 76 65 63 74 6f 72 20
  00 20 00 08 00 01 a1 47 e1 12 a6 43
  00 08 00 14 2b 91 f5 99 fd 9e 90 c3 8c 74 89 f9 2a f9 ba 53 f0 6b e7 d7
  80 28 00 04 c0 7d 4c 96`;
const ANSWER_6 = `01 01 00 48 21 12 a4 42 b7 e7 a7 01 bc 34 d6 86 fa 87 df ae
  80 22 00 0b 74 65 73 74 20 76 65 63 74 6f 72 20
  00 20 00 14 00 02 a1 47 01 13 a9 fa a5 d3 f1 79 bc 25 f4 b5 be d2 b9 d9
  00 08 00 14 a3 82 95 4e 4b e6 7b f1 17 84 c9 7c 82 92 c2 75 bf e3 ed 41
  80 28 00 04 c8 fb 0b 4c`;
/** RFC 5769, 2.4: long-term credentials, no fingerprint. */
const LONG_TERM = `00 01 00 60 21 12 a4 42 78 ad 34 33 c6 ad 72 c0 29 da 41 2e
  00 06 00 12 e3 83 9e e3 83 88 e3 83 aa e3 83 83 e3 82 af e3 82 b9 00 00
  00 15 00 1c 66 2f 2f 34 39 39 6b 39 35 34 64 36 4f 4c 33 34 6f 4c 39 46 53 54 76 79 36 34 73 41
  00 14 00 0b 65 78 61 6d 70 6c 65 2e 6f 72 67 00
  00 08 00 14 f6 70 24 65 6d d6 4a 3e 02 b8 e0 71 2e 85 c9 a2 8c a8 96 66`;

describe("vectors of RFC 5769", () => {
  it("2.1 request with short-term credentials", () => {
    const message = parse(hex(REQUEST));
    expect(message).toMatchObject({ kind: "request", method: STUN_BINDING, hasFingerprint: true });
    expect(findStun(message, "software")?.value).toEqual(utf8("STUN test client"));
    expect(findStun(message, "username")?.value).toEqual(utf8("evtj:h6vY"));
    // PRIORITY must be understood by ICE and is foreign here; ICE-CONTROLLED may be ignored.
    expect(unknownRequired(message)).toEqual([0x24]);
    expect(isIntact(message, "sha1", SHORT_TERM_KEY)).toBe(true);
    expect(isIntact(message, "sha1", utf8("another"))).toBe(false);
    expect(isIntact(message, "sha256", SHORT_TERM_KEY)).toBe(false);
  });

  it.each([
    ["2.2 answer, IPv4", ANSWER_4, "192.0.2.1"],
    ["2.3 answer, IPv6", ANSWER_6, "2001:db8:1234:5678:11:2233:4455:6677"],
  ])("%s", (_name, text, ip) => {
    const message = parse(hex(text));
    expect(message).toMatchObject({ kind: "success", hasFingerprint: true });
    expect(findStun(message, "xor-mapped-address")?.endpoint).toEqual({ ip, port: 32853 });
    expect(isIntact(message, "sha1", SHORT_TERM_KEY)).toBe(true);
  });

  it("2.4 request with long-term credentials, both ways", () => {
    const user = utf8("マトリックス");
    const secret = createHash("md5").update(user).update(":example.org:TheMatrIX").digest();
    const message = parse(hex(LONG_TERM));
    expect(findStun(message, "username")?.value).toEqual(user);
    expect(findStun(message, "realm")?.value).toEqual(utf8("example.org"));
    expect(findStun(message, "nonce")?.value).toEqual(utf8("f//499k954d6OL34oL9FSTvy64sA"));
    expect(isIntact(message, "sha1", secret)).toBe(true);
    expect(spaced(emitStun(message, { sha1: secret, fingerprint: false }))).toBe(
      spaced(hex(LONG_TERM)),
    );
  });

  it("one changed byte is noticed, wherever it is", () => {
    const bytes = hex(ANSWER_4);
    // Up to the fingerprint's own type: another one there makes it another attribute.
    for (let i = 0; i < bytes.length - 8; i++) {
      const wrong = bytes.slice();
      wrong[i] = (wrong[i] ?? 0) ^ 1;
      expect(parseStun(wrong).ok, `byte ${i}`).toBe(false);
    }
  });
});

describe("golden bytes", () => {
  const transaction = hex("01 02 03 04 05 06 07 08 09 0a 0b 0c");
  const HEADER = "21 12 a4 42 01 02 03 04 05 06 07 08 09 0a 0b 0c";
  const endpoint: Endpoint = { ip: "192.0.2.9", port: 3479 };
  const CASES: readonly (readonly [string, StunMessage, string])[] = [
    [
      "error with the attributes that were not understood",
      {
        kind: "error",
        method: STUN_BINDING,
        transaction,
        attributes: [
          { type: "error-code", code: 420, reason: utf8("no") },
          { type: "unknown-attributes", types: [0x0003] },
        ],
      },
      `01 11 00 14 ${HEADER} 00 09 00 06 00 00 04 14 6e 6f 00 00 00 0a 00 02 00 03 00 00`,
    ],
    [
      "behaviour discovery: question",
      {
        kind: "request",
        method: STUN_BINDING,
        transaction,
        attributes: [
          { type: "change-request", ip: true, port: false },
          { type: "response-port", port: 4660 },
          { type: "padding", value: hex("00 00 00") },
        ],
      },
      `00 01 00 18 ${HEADER} 00 03 00 04 00 00 00 04 00 27 00 04 12 34 00 00 00 26 00 03 00 00 00 00`,
    ],
    [
      "behaviour discovery: answer",
      {
        kind: "success",
        method: STUN_BINDING,
        transaction,
        attributes: [
          { type: "mapped-address", endpoint },
          { type: "response-origin", endpoint },
          { type: "other-address", endpoint },
        ],
      },
      `01 01 00 24 ${HEADER} 00 01 00 08 00 01 0d 97 c0 00 02 09` +
        ` 80 2b 00 08 00 01 0d 97 c0 00 02 09 80 2c 00 08 00 01 0d 97 c0 00 02 09`,
    ],
    [
      "another port of the same address",
      {
        kind: "success",
        method: STUN_BINDING,
        transaction,
        attributes: [{ type: "other-port", port: 3_479 }],
      },
      `01 01 00 08 ${HEADER} c0 f7 00 04 0d 97 00 00`,
    ],
  ];

  it.each(CASES)("%s", (_name, message, text) => {
    const bytes = emitStun(message, { fingerprint: false });
    expect(spaced(bytes)).toBe(text);
    expect(parse(bytes)).toMatchObject(message);
    expect(stunText(message)).toBe(
      `stun binding ${message.kind}, ${message.attributes.length} attributes`,
    );
  });
});

const bytesOf = (min: number, max = min) => fc.uint8Array({ minLength: min, maxLength: max });
const port = fc.integer({ min: 1, max: 0xffff });
const endpoint = fc.record({ ip: fc.oneof(bytesOf(4), bytesOf(16)).map(ipFromBytes), port });
const attribute: fc.Arbitrary<StunAttribute> = fc.oneof(
  fc.record({
    type: fc.constantFrom(
      "mapped-address",
      "xor-mapped-address",
      "response-origin",
      "other-address",
    ),
    endpoint,
  }),
  fc.record({
    type: fc.constantFrom("username", "realm", "nonce", "software", "padding"),
    value: bytesOf(0, 64),
  }),
  fc.record({ type: fc.constant("change-request"), ip: fc.boolean(), port: fc.boolean() }),
  fc.record({ type: fc.constantFrom("response-port", "other-port"), port }),
  fc.record({
    type: fc.constant("error-code"),
    code: fc.integer({ min: 300, max: 699 }),
    reason: bytesOf(0, 20),
  }),
  fc.record({
    type: fc.constant("unknown-attributes"),
    types: fc.array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 5 }),
  }),
  fc.record({
    type: fc.constant("other"),
    number: fc.constantFrom(0x24, 0x7fff, 0x8001, 0xffff),
    value: bytesOf(0, 20),
  }),
);
const anyMessage: fc.Arbitrary<StunMessage> = fc.record({
  kind: fc.constantFrom("request", "indication", "success", "error"),
  method: fc.integer({ min: 0, max: 0xfff }),
  transaction: bytesOf(12),
  attributes: fc.array(attribute, { maxLength: 8 }),
});
const keys = fc.option(bytesOf(1, 80), { nil: undefined });

describe("properties", () => {
  it("what was written is read, and only the right key holds", () => {
    fc.assert(
      fc.property(anyMessage, keys, keys, fc.boolean(), (message, one, two, fingerprint) => {
        const seal = {
          fingerprint,
          ...(one === undefined ? {} : { sha1: one }),
          ...(two === undefined ? {} : { sha256: two }),
        };
        const read = parse(emitStun(message, seal));
        expect(read).toMatchObject({ ...message, hasFingerprint: fingerprint });
        expect(isIntact(read, "sha1", one ?? utf8("x"))).toBe(one !== undefined);
        expect(isIntact(read, "sha256", two ?? utf8("x"))).toBe(two !== undefined);
        expect(isIntact(read, "sha256", utf8("a key nobody drew"))).toBe(false);
      }),
    );
  });

  it("random bytes and damaged messages never throw", () => {
    const header = bytesOf(12, 200).map((rest) => {
      const bytes = Uint8Array.from([0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, ...rest]);
      const length = bytes.length - 20;
      bytes[3] = length > 0 ? length & 0xfc : 0;
      return bytes.slice(0, 20 + (bytes[3] ?? 0));
    });
    const damaged = fc
      .tuple(anyMessage, fc.nat(), fc.nat(255), fc.nat(40))
      .map(([message, at, value, cut]) => {
        const bytes = emitStun(message, { sha256: utf8("key"), fingerprint: true });
        bytes[at % bytes.length] = value;
        return bytes.slice(0, bytes.length - cut);
      });
    fc.assert(
      fc.property(fc.oneof(bytesOf(0, 300), header, damaged), (bytes) => {
        const message = parseStun(bytes);
        if (message.ok) {
          isIntact(message.value, "sha1", utf8("key"));
          isIntact(message.value, "sha256", utf8("key"));
        }
      }),
      { numRuns: 2_000 },
    );
  });
});

describe("what is refused", () => {
  const empty = hex("00 01 00 00 21 12 a4 42 01 02 03 04 05 06 07 08 09 0a 0b 0c");
  const withBody = (text: string) => {
    const bytes = new Uint8Array([...empty, ...hex(text)]);
    bytes[3] = bytes.length - 20;
    return bytes;
  };
  const reasonOf = (bytes: Uint8Array) => {
    const message = parseStun(bytes);
    return message.ok ? "ok" : message.reason;
  };

  it.each([
    ["a short header", empty.slice(0, 19), "truncated"],
    ["another cookie", empty.with(4, 0x22), "unknown-type"],
    ["a first byte that is not STUN's", empty.with(0, 0x40), "unknown-type"],
    ["bytes after the end", new Uint8Array([...empty, 0, 0, 0, 0]), "trailing-bytes"],
    ["an attribute past the end", withBody("00 06 00 05 61 62 63 64"), "truncated"],
    ["an address of no family", withBody("00 01 00 08 00 03 00 01 01 02 03 04"), "bad-field"],
    ["port 0", withBody("00 01 00 08 00 01 00 00 01 02 03 04"), "bad-field"],
    ["an integrity of another length", withBody("00 08 00 04 00 00 00 00"), "bad-field"],
    ["a wrong fingerprint", withBody("80 28 00 04 00 00 00 00"), "bad-field"],
    ["a length that is no multiple of 4", empty.with(3, 2), "bad-field"],
  ])("%s", (_name, bytes, reason) => {
    expect(reasonOf(bytes)).toBe(reason);
  });

  it("more attributes than a message may have", () => {
    expect(reasonOf(withBody("80 30 00 00".repeat(MAX_STUN_ATTRIBUTES)))).toBe("ok");
    expect(reasonOf(withBody("80 30 00 00".repeat(MAX_STUN_ATTRIBUTES + 1)))).toBe("too-long");
  });

  it("what follows an integrity is not believed", () => {
    const bytes = emitStun(
      { kind: "request", method: 1, transaction: new Uint8Array(12), attributes: [] },
      { sha1: utf8("key"), fingerprint: false },
    );
    const forged = new Uint8Array([...bytes, ...hex("00 06 00 04 65 76 69 6c")]);
    forged[3] = forged.length - 20;
    expect(findStun(parse(forged), "username")).toBeUndefined();
  });

  it("attributes take whole words", () => {
    expect([0, 1, 4, 5].map(stunAttributeBytes)).toEqual([4, 8, 8, 12]);
  });
});
