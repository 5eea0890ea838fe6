import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { concat } from "../../src/base/bytes.ts";
import {
  type CertificateFacts,
  emitCertificate,
  signCertificate,
} from "../../src/crypto/certificate.ts";
import { emitChain, parseChain } from "../../src/crypto/certificate-chain.ts";
import { deriveClusterKeys } from "../../src/crypto/cluster-keys.ts";
import { signAsMember } from "../../src/crypto/issuing.ts";
import { Membership } from "../../src/crypto/membership.ts";
import { MAX_CHAIN_BYTES } from "../../src/wire/certificate-block.ts";
import { MAX_CERTIFICATE_BLOCK_BYTES } from "../../src/wire/handshake-payload.ts";
import { suite } from "../support/suite.ts";
import { certificateIn, DAY, identityOf, NOW, Papers } from "./papers.ts";

const papers = new Papers();
const membership = new Membership(suite, papers.keys);
const [first, second, other] = [identityOf(1), identityOf(2), identityOf(3)];
const ISSUING = { mayIssue: true, groups: ["ops", "web"], claims: ["10.0.0.1"] };
const issuer = { identity: first, bytes: papers.signed(first, ISSUING) };
const bad = { ok: false, reason: "bad-certificate" };

/** A chain whose leaf, or whose issuer's certificate, says that. */
function leaf(facts: Partial<CertificateFacts>): Uint8Array {
  return papers.chain(issuer, second, facts);
}
function under(facts: Partial<CertificateFacts>): Uint8Array {
  const bytes = papers.signed(first, { ...ISSUING, ...facts });
  return papers.chain({ identity: first, bytes }, second);
}

describe("what an authority signed", () => {
  it("is a member, with groups, claims and serial", () => {
    const bytes = papers.signed(second, { groups: ["ops"], claims: ["10.0.0.9"], serial: 77n });
    const member = membership.verify(bytes, NOW);
    expect(member).toMatchObject({
      ok: true,
      value: { certificate: { groups: ["ops"], claims: ["10.0.0.9"], serial: 77n }, issuers: [] },
    });
  });

  it("through a member that may issue, too; the one above it is told", () => {
    const member = membership.verify(leaf({ groups: ["web"], claims: ["10.0.0.1"] }), NOW);
    expect(member).toMatchObject({ ok: true, value: { certificate: { name: "beta" } } });
    expect(member.ok && member.value.issuers).toEqual([certificateIn(issuer.bytes)]);
  });

  it("a renewed certificate with the same salt has the same place on the ring", () => {
    const [old, next] = [leaf({ serial: 1n }), leaf({ serial: 2n, notAfter: NOW + 40 * DAY })];
    const addressOf = (bytes: Uint8Array) => {
      const member = membership.verify(bytes, NOW);
      return member.ok ? member.value.address : undefined;
    };
    expect(addressOf(next)).toBeDefined();
    expect(addressOf(next)).toBe(addressOf(old));
    expect(addressOf(leaf({ salt: new Uint8Array(16) }))).not.toBe(addressOf(old));
  });
});

describe("each rule, broken by itself", () => {
  const secretMode = new Membership(suite, deriveClusterKeys(suite, papers.networkKey));
  const selfMade = emitCertificate(
    signCertificate(suite, first.signing, papers.facts(first, ISSUING)),
  );
  const notIssuing = { identity: second, bytes: papers.signed(second) };
  const stranger = suite.signingKeyPair(new Uint8Array(32).fill(0xb0));

  it.each<[string, Uint8Array]>([
    ["another key signed than the issuer's", papers.chain({ ...issuer, identity: other }, second)],
    ["a holder of the network key signs itself", secretMode.issueOwn(second, "beta").bytes],
    ["the issuer may not issue", papers.chain(notIssuing, other)],
    ["the issuer signed itself in", papers.chain({ identity: first, bytes: selfMade }, second)],
    ["the leaf may issue", leaf({ mayIssue: true })],
    ["a group that the issuer has not", leaf({ groups: ["root"] })],
    ["a claim that the issuer has not", leaf({ claims: ["10.0.0.2"] })],
    ["it outlives the issuer's", leaf({ notAfter: NOW + 366 * DAY })],
    ["it never ends, the issuer's does", leaf({ notAfter: 0 })],
    ["it has not begun", leaf({ notBefore: NOW + 1 })],
    ["it ended", leaf({ notAfter: NOW - 1 })],
    ["the issuer's has not begun", under({ notBefore: NOW + 1 })],
    ["the issuer's ended, the leaf with it", under({ notAfter: NOW - 1 })],
    ["the key is no point of the curve", leaf({ publicKey: new Uint8Array(32).fill(0xff) })],
  ])("%s", (_, bytes) => {
    expect(membership.verify(bytes, NOW)).toEqual(bad);
  });

  it("of another network, leaf or issuer", () => {
    const networkId = new Uint8Array(16).fill(9);
    const foreign = { ok: false, reason: "foreign-network" };
    expect(membership.verify(leaf({ networkId }), NOW)).toEqual(foreign);
    expect(membership.verify(under({ networkId }), NOW)).toEqual(foreign);
    expect(membership.verify(papers.signed(second, { networkId }), NOW)).toEqual(foreign);
  });

  it("under another authority the same bytes are nothing", () => {
    const keys = deriveClusterKeys(suite, papers.networkKey, stranger.publicKey);
    expect(new Membership(suite, keys).verify(issuer.bytes, NOW)).toEqual(bad);
    expect(new Membership(suite, keys).verify(leaf({}), NOW)).toEqual(bad);
    expect(secretMode.verify(leaf({}), NOW)).toEqual(bad);
    expect(secretMode.verify(issuer.bytes, NOW)).toEqual(bad);
  });

  it("a chain of three has no form", () => {
    const { bytes } = issuer;
    const head = Uint8Array.of(2, bytes.length & 255, bytes.length >> 8);
    expect(parseChain(concat(head, bytes, bytes)).ok).toBe(true);
    expect(parseChain(concat(head, bytes, concat(head, bytes, bytes))).ok).toBe(false);
  });
});

describe("bytes that somebody changed", () => {
  it("no byte of a chain can be another one", () => {
    const whole = leaf({ groups: ["web"] });
    for (let at = 0; at < whole.length; at++) {
      const other = Uint8Array.from(whole);
      other[at] = (other[at] ?? 0) ^ 0x01;
      expect(membership.verify(other, NOW).ok, `byte ${at}`).toBe(false);
    }
    for (let cut = 0; cut < whole.length; cut++) {
      expect(membership.verify(whole.subarray(0, cut), NOW).ok).toBe(false);
    }
    expect(membership.verify(concat(whole, Uint8Array.of(0)), NOW).ok).toBe(false);
  });

  it("random bytes never throw, behind either form's first byte", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 700 }), fc.constantFrom(0, 1, 2), (bytes, form) => {
        const from = concat(Uint8Array.of(form), bytes);
        expect(membership.verify(from, NOW).ok).toBe(false);
        expect(membership.dateFault(from, NOW)).toBeUndefined();
      }),
    );
  });

  it("the longest chain fits into a handshake whose lists are full", () => {
    expect(MAX_CHAIN_BYTES).toBeLessThanOrEqual(MAX_CERTIFICATE_BLOCK_BYTES);
    expect(emitChain(new Uint8Array(300), new Uint8Array(MAX_CHAIN_BYTES - 303))).toBeDefined();
    expect(emitChain(new Uint8Array(300), new Uint8Array(MAX_CHAIN_BYTES - 302))).toBeUndefined();
  });
});

describe("dates", () => {
  it("say which certificate is wrong, and only when nothing else is", () => {
    const early = leaf({ notBefore: NOW + 60 });
    expect(membership.dateFault(early, NOW)).toEqual({
      name: "beta",
      kind: "early",
      date: NOW + 60,
    });
    expect(membership.dateFault(under({ notAfter: NOW + 31 * DAY }), NOW + 40 * DAY)).toEqual({
      name: "beta",
      kind: "ended",
      date: NOW + 30 * DAY,
    });
    expect(membership.dateFault(under({ notBefore: NOW + 5 }), NOW)?.name).toBe("alpha");
    expect(
      membership.dateFault(leaf({ groups: ["root"], notAfter: NOW - 1 }), NOW),
    ).toBeUndefined();
    expect(membership.dateFault(leaf({}), NOW)).toBeUndefined();
  });

  it("do not matter to one's own certificate, its key does", () => {
    const ended = leaf({ notAfter: NOW - 1 });
    expect(membership.adoptOwn(second, ended).ok).toBe(true);
    expect(membership.adoptOwn(other, ended)).toEqual(bad);
    expect(membership.adoptOwn(second, leaf({ groups: ["root"] }))).toEqual(bad);
  });
});

describe("a member that issues", () => {
  const grant = {
    publicKey: second.signing.publicKey,
    salt: new Uint8Array(16),
    serial: 5n,
    name: "beta",
    groups: ["web"],
    claims: [],
  };
  const signer = {
    signing: first.signing,
    certificate: certificateIn(issuer.bytes),
    bytes: issuer.bytes,
  };

  it("signs for 30 days, and begins a little earlier for slow clocks", () => {
    const bytes = signAsMember(suite, signer, grant, NOW) ?? new Uint8Array(0);
    const member = membership.verify(bytes, NOW - 3_600);
    expect(member.ok && member.value.certificate.notAfter).toBe(NOW + 30 * DAY);
    expect(membership.verify(bytes, NOW - 3_601)).toEqual(bad);
  });

  it("never beyond its own end, its groups, its key", () => {
    const soon = certificateIn(papers.signed(first, { ...ISSUING, notAfter: NOW + 5 * DAY }));
    const bytes = signAsMember(suite, { ...signer, certificate: soon }, grant, NOW);
    const chain = parseChain(bytes ?? new Uint8Array(0));
    expect(chain.ok && chain.value.leaf.certificate.notAfter).toBe(NOW + 5 * DAY);
    expect(signAsMember(suite, signer, { ...grant, groups: ["root"] }, NOW)).toBeUndefined();
    const own = { ...grant, publicKey: first.signing.publicKey };
    expect(signAsMember(suite, signer, own, NOW)).toBeUndefined();
  });
});
