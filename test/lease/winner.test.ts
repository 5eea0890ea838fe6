import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { attestationText } from "../../src/dht/attestation.ts";
import { BY_CLASS, BY_HASH, BY_MERIT, type CheckedRecord } from "../../src/dht/record-rule.ts";
import type { Attestation } from "../../src/dht/result.ts";
import { emitLeaseBody, type LeaseBody, leaseKey } from "../../src/lease/lease-record.ts";
import { compareLeases, leaseRule } from "../../src/lease/winner.ts";
import { makeWho, membership, networkId, signRecord, type Who } from "../dht/world.ts";
import { suite } from "../support/suite.ts";

const [holder, ...others] = Array.from({ length: 6 }, (_, i) => makeWho(i)) as [Who, ...Who[]];
const ip = "10.9.0.20";
const rule = leaseRule({
  suite,
  networkId,
  membership,
  range: { first: "10.9.0.0", prefix: 24 },
  claims: [{ name: "node-0", ip: "10.9.0.21" }],
});

function lease(who: Who, over: Partial<LeaseBody> = {}) {
  const body: LeaseBody = {
    ip,
    mac: "02:00:00:00:00:01",
    holder: who.address,
    client: "aa",
    alone: false,
    renewals: 0,
    attestations: [],
    ...over,
  };
  const key = leaseKey(suite, networkId, body.ip);
  return signRecord(who, { key, kind: "lease", body: emitLeaseBody(body) });
}

function inspect(who: Who, over: Partial<LeaseBody> = {}) {
  const member = membership.verify(who.bytes, 0);
  if (!member.ok) throw new Error(member.reason);
  return rule.inspect(lease(who, over), { ...member.value, bytes: who.bytes }, 0);
}

function attest(by: readonly Who[], renewals: number, members: number): Attestation[] {
  const text = attestationText({ networkId, record: lease(holder), renewals, members });
  return by.map((who) => ({
    replica: who.bytes,
    signature: suite.sign(who.identity.signing.secretKey, text),
    members,
    renewals,
  }));
}

describe("the standing of a lease", () => {
  it("rises with a claim in the file and falls when made alone", () => {
    expect(inspect(holder)).toEqual({ ok: true, value: { seniority: 1, renewals: 0 } });
    expect(inspect(holder, { alone: true })).toMatchObject({ value: { seniority: 0 } });
    expect(inspect(holder, { ip: "10.9.0.21" })).toMatchObject({ value: { seniority: 3 } });
    const other = others[0] as Who;
    expect(inspect(other, { ip: "10.9.0.21" })).toMatchObject({ value: { seniority: 1 } });
  });

  it("counts renewals that a quorum signed, and refuses any other proof", () => {
    const proven = (attestations: Attestation[]) => {
      return inspect(holder, { renewals: attestations[0]?.renewals ?? 0, attestations });
    };
    expect(proven(attest(others.slice(0, 3), 4, 5))).toMatchObject({ value: { renewals: 4 } });
    const wrong = { ok: false, reason: "bad-signature" };
    expect(proven(attest(others.slice(0, 2), 4, 5))).toEqual(wrong);
    const [first] = attest(others, 4, 5) as [Attestation];
    expect(proven([first, first, first])).toEqual(wrong);
    const more = attest(others.slice(0, 3), 4, 5).map((one) => ({ ...one, renewals: 5 }));
    expect(proven(more)).toEqual(wrong);
    const fewer = attest(others.slice(0, 2), 4, 5).map((one) => ({ ...one, members: 2 }));
    expect(proven(fewer)).toEqual(wrong);
    expect(proven(attest(others.slice(0, 1), 4, 1))).toEqual(wrong);
  });

  it("refuses a record that is not what its key or signer says", () => {
    const bad = { ok: false, reason: "bad-field" };
    expect(inspect(holder, { holder: 5n })).toEqual(bad);
    expect(inspect(holder, { ip: "10.8.0.20" })).toEqual(bad);
    const member = membership.verify(holder.bytes, 0);
    const elsewhere = { ...lease(holder), key: 9n };
    const signer = member.ok && { ...member.value, bytes: holder.bytes };
    expect(signer && rule.inspect(elsewhere, signer, 0)).toEqual(bad);
  });
});

describe("the winner rule", () => {
  const standing = fc.record({
    seniority: fc.integer({ min: 0, max: 3 }),
    renewals: fc.integer({ min: 0, max: 16 }),
  });
  const candidate = fc
    .record({ standing, rank: fc.uint8Array({ minLength: 16, maxLength: 16 }) })
    .map((fields) => fields as CheckedRecord);

  it("is antisymmetric, transitive and total", () => {
    fc.assert(
      fc.property(candidate, candidate, candidate, (a, b, c) => {
        const [ab, ba] = [compareLeases(a, b), compareLeases(b, a)];
        expect(ab + ba).toBe(0);
        if (ab < 0 && compareLeases(b, c) < 0) expect(compareLeases(a, c)).toBeLessThan(0);
        const equal = Buffer.compare(a.rank, b.rank) === 0;
        if (!equal) expect(ab).not.toBe(0);
      }),
      { numRuns: 500 },
    );
  });

  it("goes by class, then merit, then hash, and says by which", () => {
    const make = (seniority: number, renewals: number, rank: number) => {
      return { standing: { seniority, renewals }, rank: Uint8Array.of(rank) } as CheckedRecord;
    };
    expect(compareLeases(make(1, 0, 9), make(0, 16, 0))).toBe(-BY_CLASS);
    expect(compareLeases(make(1, 2, 9), make(1, 1, 0))).toBe(-BY_MERIT);
    expect(compareLeases(make(1, 2, 3), make(1, 2, 4))).toBe(-BY_HASH);
  });
});
