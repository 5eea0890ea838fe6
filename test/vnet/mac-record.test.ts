import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { macFromBytes } from "../../src/base/net.ts";
import type { Signer } from "../../src/dht/record-rule.ts";
import { emitMacBody, macKey, macRule, parseMacRecord } from "../../src/vnet/mac-record.ts";
import type { DhtRecord } from "../../src/wire/record.ts";
import { suite } from "../support/suite.ts";
import { spaced } from "../support/vectors.ts";

const record = (body: Uint8Array): DhtRecord => ({
  key: 0n,
  kind: "mac",
  signer: new Uint8Array(32).fill(9),
  epoch: 1,
  version: 1,
  ttlSeconds: 60,
  body,
  signature: new Uint8Array(64),
});

describe("MAC record", () => {
  it("golden, both ways, as docs/WIRE.md shows it", () => {
    const body = emitMacBody("02:00:00:00:00:01", 3n);
    expect(spaced(body)).toBe(`01 00 02 00 00 00 00 01 ${"00 ".repeat(19)}03`);
    const document = readFileSync(new URL("../../docs/WIRE.md", import.meta.url), "utf8");
    expect(document).toContain("01 00 02 00 00 00 00 01 | 00 x 19 03");
    const facts = { mac: "02:00:00:00:00:01", holder: 3n, holderKey: new Uint8Array(32).fill(9) };
    expect(parseMacRecord(record(body))).toEqual({ ok: true, value: facts });
  });

  it("decode(encode(x)) = x", () => {
    const mac = fc.uint8Array({ minLength: 6, maxLength: 6 }).map(macFromBytes);
    const address = fc.bigInt({ min: 0n, max: (1n << 160n) - 1n });
    fc.assert(
      fc.property(mac, address, (anyMac, holder) => {
        const outcome = parseMacRecord(record(emitMacBody(anyMac, holder)));
        expect(outcome).toMatchObject({ ok: true, value: { mac: anyMac, holder } });
      }),
    );
  });

  it("refuses other kinds, forms, cuts and tails; random bodies never throw", () => {
    const body = emitMacBody("02:00:00:00:00:01", 3n);
    for (let n = 0; n < body.length; n++) {
      expect(parseMacRecord(record(body.subarray(0, n))).ok).toBe(false);
    }
    expect(parseMacRecord(record(Uint8Array.of(...body, 0))).ok).toBe(false);
    expect(parseMacRecord({ ...record(body), kind: "lease" }).ok).toBe(false);
    expect(parseMacRecord(record(Uint8Array.of(2, ...body.subarray(1)))).ok).toBe(false);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        expect(typeof parseMacRecord(record(bytes)).ok).toBe("boolean");
      }),
    );
  });

  it("the DHT's rule wants the right key and the signer as holder", () => {
    const networkId = new Uint8Array(16).fill(1);
    const rule = macRule(suite, networkId);
    const key = macKey(suite, networkId, "02:00:00:00:00:01");
    const good = { ...record(emitMacBody("02:00:00:00:00:01", 3n)), key };
    const signer = (address: bigint): Signer => ({ address }) as Signer;
    expect(rule.inspect(good, signer(3n), 0).ok).toBe(true);
    expect(rule.inspect(good, signer(4n), 0).ok).toBe(false);
    expect(rule.inspect({ ...good, key: 5n }, signer(3n), 0).ok).toBe(false);
    expect(rule.inspect({ ...good, body: new Uint8Array(3) }, signer(3n), 0).ok).toBe(false);
  });

  it("keys of two networks differ", () => {
    const one = macKey(suite, new Uint8Array(16).fill(1), "02:00:00:00:00:01");
    expect(macKey(suite, new Uint8Array(16).fill(2), "02:00:00:00:00:01")).not.toBe(one);
  });
});
