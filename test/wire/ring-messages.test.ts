import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { fromHex, toHex } from "../../src/base/bytes.ts";
import { SeededRng } from "../../src/base/rng.ts";
import * as ring from "../../src/wire/ring-messages.ts";

const ENVELOPE: ring.Envelope = {
  source: 0x11n << 152n,
  destination: 0x22n << 152n,
  nearest: false,
  excludeSource: false,
  hopLimit: 128,
  payloadType: 0x25,
  sourceAgent: undefined,
  destinationAgent: undefined,
  visited: [],
  payload: Uint8Array.of(0xab, 0xcd),
};
const ENTRY: ring.NeighbourEntry = {
  address: 0x33n << 152n,
  inRing: true,
  name: "lab1",
  endpoints: [{ ip: "192.0.2.7", port: 4711 }],
};
const ZEROS = "00 ".repeat(19);
const ENTRY_HEX = `01 33 ${ZEROS} 04 6c616231 01 04 c0000207 6712`;

/** [name, value, hex, emit, parse] */
const GOLDEN = [
  [
    "envelope, exact",
    ENVELOPE,
    `10 00 80 25 11 ${ZEROS} 22 ${ZEROS} abcd`,
    ring.emitEnvelope,
    ring.parseEnvelope,
  ],
  [
    "envelope, nearest, of a joining node on a detour",
    {
      ...ENVELOPE,
      ...{ nearest: true, excludeSource: true, payloadType: 0x20, hopLimit: 7 },
      ...{ sourceAgent: 0x44n << 152n, destinationAgent: 0x55n << 152n },
      ...{ visited: [0x66n << 152n], payload: new Uint8Array(0) },
    },
    `10 1f 07 20 11 ${ZEROS} 22 ${ZEROS} 44 ${ZEROS} 55 ${ZEROS} 01 66 ${ZEROS}`,
    ring.emitEnvelope,
    ring.parseEnvelope,
  ],
  [
    "neighbours",
    { wantsReply: true, inRing: true, gap: 0x010203n, entries: [ENTRY] },
    `11 03 0302010000000000 01 ${ENTRY_HEX}`,
    ring.emitNeighbours,
    ring.parseNeighbours,
  ],
  [
    "probe-request",
    { nonce: 0x01020304, target: 0x77n << 152n },
    `12 04030201 77 ${ZEROS}`,
    ring.emitProbeRequest,
    ring.parseProbeRequest,
  ],
  [
    "probe-report",
    { nonce: 0x01020304, target: 0x77n << 152n, reachable: true },
    `13 04030201 77 ${ZEROS} 01`,
    ring.emitProbeReport,
    ring.parseProbeReport,
  ],
  [
    "connect-to-me",
    { nonce: 9, name: "n", endpoints: [{ ip: "2001:db8::1", port: 1 }] },
    "09000000 01 6e 01 06 20010db8000000000000000000000001 0100",
    ring.emitConnectToMe,
    ring.parseConnectToMe,
  ],
  [
    "neighbours-answer and find-answer",
    { nonce: 10, entries: [ENTRY] },
    `0a000000 01 ${ENTRY_HEX}`,
    ring.emitListAnswer,
    ring.parseListAnswer,
  ],
  ["find", 0xdeadbeef, "efbeadde", ring.emitFind, ring.parseFind],
] as const;

type Emit = (value: unknown) => Uint8Array;
type Parse = (bytes: Uint8Array) => { readonly ok: boolean; readonly value?: unknown };

const PARSERS: readonly Parse[] = GOLDEN.map(([, , , , parse]) => parse as Parse);

const address = fc.bigInt({ min: 0n, max: (1n << 160n) - 1n });
const endpoint = fc.record({
  ip: fc.oneof(fc.ipV4(), fc.constant("2001:db8::7")),
  port: fc.integer({ min: 1, max: 65_535 }),
});
const endpoints = fc.array(endpoint, { maxLength: 3 });
const name = fc.string({ maxLength: 63, unit: "grapheme-ascii" });
const entry = fc.record({ address, inRing: fc.boolean(), name, endpoints });
const entries = fc.array(entry, { maxLength: ring.MAX_NEIGHBOURS });
const nonce = fc.nat({ max: 0xffff_ffff });

describe("golden bytes", () => {
  for (const [title, value, hex, emit, parse] of GOLDEN) {
    it(title, () => {
      const bytes = fromHex(hex) ?? new Uint8Array(0);
      expect(toHex((emit as Emit)(value))).toBe(toHex(bytes));
      expect((parse as Parse)(bytes)).toEqual({ ok: true, value });
    });
  }
});

describe("what was written is read back", () => {
  const rounds = { numRuns: 300 };

  it("envelopes", () => {
    const envelope: fc.Arbitrary<ring.Envelope> = fc.record({
      ...{ source: address, destination: address, nearest: fc.boolean() },
      ...{ excludeSource: fc.boolean(), hopLimit: fc.nat(255), payloadType: fc.nat(255) },
      sourceAgent: fc.option(address, { nil: undefined }),
      destinationAgent: fc.option(address, { nil: undefined }),
      visited: fc.array(address, { maxLength: ring.MAX_VISITED }),
      payload: fc.uint8Array({ maxLength: 200 }),
    });
    const check = fc.property(envelope, (value) => {
      expect(ring.parseEnvelope(ring.emitEnvelope(value))).toEqual({ ok: true, value });
    });
    fc.assert(check, rounds);
  });

  it("neighbour lists, answers and requests", () => {
    const list: fc.Arbitrary<ring.Neighbours> = fc.record({
      ...{ wantsReply: fc.boolean(), inRing: fc.boolean(), entries },
      gap: fc.bigInt({ min: 0n, max: (1n << 48n) - 1n }),
    });
    const answer: fc.Arbitrary<ring.ListAnswer> = fc.record({ nonce, entries });
    const connect: fc.Arbitrary<ring.ConnectToMe> = fc.record({ nonce, name, endpoints });
    const check = fc.property(list, answer, connect, (one, two, three) => {
      expect(ring.parseNeighbours(ring.emitNeighbours(one))).toEqual({ ok: true, value: one });
      expect(ring.parseListAnswer(ring.emitListAnswer(two))).toEqual({ ok: true, value: two });
      expect(ring.parseConnectToMe(ring.emitConnectToMe(three))).toEqual({
        ok: true,
        value: three,
      });
    });
    fc.assert(check, rounds);
  });

  it("names that cannot travel are left out, long lists are cut", () => {
    const odd = { ...ENTRY, name: "größer" };
    const many = Array.from({ length: 40 }, () => odd);
    const back = ring.parseListAnswer(ring.emitListAnswer({ nonce: 1, entries: many }));
    if (!back.ok) throw new Error(back.reason);
    expect(back.value.entries.length).toBe(ring.MAX_NEIGHBOURS);
    expect(back.value.entries[0]?.name).toBe("");
  });
});

describe("what strangers send", () => {
  it("a cut or lengthened message is refused", () => {
    for (const [title, , hex, , parse] of GOLDEN) {
      const bytes = fromHex(hex) ?? new Uint8Array(0);
      const isEnvelope = title.startsWith("envelope");
      for (let length = 0; length < bytes.length; length++) {
        const cut = (parse as Parse)(bytes.subarray(0, length));
        if (!isEnvelope || length < 44) expect(cut.ok, `${title} cut to ${length}`).toBe(false);
      }
      const longer = Uint8Array.from([...bytes, 0]);
      if (!isEnvelope)
        expect((parse as Parse)(longer)).toEqual({ ok: false, reason: "trailing-bytes" });
    }
  });

  it("fields outside their range are refused", () => {
    const envelope = ring.emitEnvelope(ENVELOPE);
    envelope[1] = 32;
    expect(ring.parseEnvelope(envelope)).toEqual({ ok: false, reason: "bad-field" });
    envelope[1] = 16;
    expect(ring.parseEnvelope(envelope)).toEqual({ ok: false, reason: "bad-field" });
    const long = ring.emitEnvelope({
      ...ENVELOPE,
      payload: new Uint8Array(ring.MAX_ROUTED_PAYLOAD + 1),
    });
    expect(ring.parseEnvelope(long)).toEqual({ ok: false, reason: "too-long" });
    const list = ring.emitNeighbours({ wantsReply: false, inRing: false, gap: 1n, entries: [] });
    list[1] = 4;
    expect(ring.parseNeighbours(list).ok).toBe(false);
    list[1] = 0;
    list[9] = 1;
    expect(ring.parseNeighbours(list).ok).toBe(false);
    list[9] = 0;
    list[10] = ring.MAX_NEIGHBOURS + 1;
    expect(ring.parseNeighbours(list).ok).toBe(false);
  });

  it("random bytes never throw", () => {
    const rng = new SeededRng(1);
    for (let i = 0; i < 20_000; i++) {
      const bytes = rng.bytes(rng.u32() % 120);
      if (bytes.length > 0 && i % 2 === 0) bytes[0] = 0x10 + (i % 4);
      for (const parse of PARSERS) parse(bytes);
    }
  });

  it("one changed byte never throws", () => {
    for (const [, , hex, , parse] of GOLDEN) {
      const bytes = fromHex(hex) ?? new Uint8Array(0);
      for (let at = 0; at < bytes.length; at++) {
        for (const value of [0, 1, 0x7f, 0xff]) {
          const changed = bytes.slice();
          changed[at] = value;
          (parse as Parse)(changed);
        }
      }
    }
  });
});
