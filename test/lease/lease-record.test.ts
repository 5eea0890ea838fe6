import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { fromHex } from "../../src/base/bytes.ts";
import {
  emitLeaseBody,
  type LeaseBody,
  leaseKey,
  parseLeaseBody,
  parseLeaseRecord,
} from "../../src/lease/lease-record.ts";
import { makeWho, signRecord } from "../dht/world.ts";
import { suite } from "../support/suite.ts";

const signature = new Uint8Array(64).fill(0xee);
const body: LeaseBody = {
  ip: "10.9.0.5",
  mac: "02:00:5e:10:00:01",
  holder: 3n,
  client: "0a0b",
  alone: true,
  renewals: 2,
  attestations: [{ replica: new Uint8Array(3).fill(0xcc), signature, members: 3, renewals: 2 }],
};
const golden = `
  01 01 02 03  0a 09 00 05  02 00 5e 10 00 01  ${"00 ".repeat(19)} 03
  02 0a 0b  01 03 00 cc cc cc ${"ee ".repeat(64)}`;

describe("lease body", () => {
  it("has its golden bytes, both ways", () => {
    expect(emitLeaseBody(body)).toEqual(fromHex(golden));
    expect(parseLeaseBody(fromHex(golden) as Uint8Array)).toEqual({ ok: true, value: body });
  });

  it("decodes what it encodes", () => {
    const octets = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
    const fields = fc.record({
      ip: octets(4).map((bytes) => bytes.join(".")),
      mac: octets(6).map((bytes) =>
        [...bytes].map((b) => b.toString(16).padStart(2, "0")).join(":"),
      ),
      holder: fc.bigInt({ min: 0n, max: (1n << 160n) - 1n }),
      client: fc
        .uint8Array({ minLength: 1, maxLength: 255 })
        .map((bytes) => [...bytes].map((b) => b.toString(16).padStart(2, "0")).join("")),
      alone: fc.boolean(),
    });
    fc.assert(
      fc.property(fields, fc.integer({ min: 0, max: 5 }), (some, count) => {
        const renewals = count === 0 ? 0 : 7;
        const attestations = Array.from({ length: count }, () => {
          return { replica: new Uint8Array(9), signature, members: 5, renewals };
        });
        const one: LeaseBody = { ...some, renewals, attestations };
        expect(parseLeaseBody(emitLeaseBody(one))).toEqual({ ok: true, value: one });
      }),
    );
  });

  it("never throws, and refuses renewals without proof", () => {
    const good = fromHex(golden) as Uint8Array;
    for (let at = 0; at < good.length; at++) {
      expect(parseLeaseBody(good.subarray(0, at)).ok).toBe(false);
      for (let value = 0; value < 256; value += 15) {
        parseLeaseBody(Uint8Array.from(good).fill(value, at, at + 1));
      }
    }
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => void parseLeaseBody(bytes)),
    );
    expect(parseLeaseBody(emitLeaseBody({ ...body, attestations: [] })).ok).toBe(false);
    expect(parseLeaseBody(emitLeaseBody({ ...body, renewals: 17 })).ok).toBe(false);
    expect(parseLeaseBody(emitLeaseBody({ ...body, client: "" })).ok).toBe(false);
  });
});

describe("lease record", () => {
  it("is kept under a key of its network and address", () => {
    const [a, b] = [new Uint8Array(16), new Uint8Array(16).fill(1)];
    const keys = [leaseKey(suite, a, "10.9.0.5"), leaseKey(suite, a, "10.9.0.6")];
    expect(new Set([...keys, leaseKey(suite, b, "10.9.0.5")]).size).toBe(3);
  });

  it("tells its facts, the signer included", () => {
    const who = makeWho(0);
    const record = signRecord(who, { key: 1n, kind: "lease", body: emitLeaseBody(body) });
    const facts = parseLeaseRecord(record);
    expect(facts).toMatchObject({
      ok: true,
      value: { ip: "10.9.0.5", client: "0a0b", holderKey: who.identity.signing.publicKey },
    });
    expect(parseLeaseRecord({ ...record, kind: "mac" }).ok).toBe(false);
  });
});
