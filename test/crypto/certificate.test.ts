import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compareBytes, concat } from "../../src/base/bytes.ts";
import { ipFromBytes, ipToBytes } from "../../src/base/net.ts";
import {
  type Certificate,
  type CertificateFacts,
  emitCertificate,
  hasValidSignature,
  isValidName,
  MAX_CERTIFICATE_BYTES,
  parseCertificate,
  signCertificate,
} from "../../src/crypto/certificate.ts";
import { suite } from "../support/suite.ts";
import { spaced } from "../support/vectors.ts";

const signer = suite.signingKeyPair(new Uint8Array(32).fill(5));

const FACTS: CertificateFacts = {
  networkId: new Uint8Array(16).fill(0x11),
  publicKey: new Uint8Array(32).fill(0x22),
  salt: new Uint8Array(16).fill(0x33),
  name: "node-1",
  groups: ["db", "web"],
  claims: ["10.9.0.7", "fd00::7"],
  notBefore: 1_700_000_000,
  notAfter: 1_800_000_000,
  serial: 42n,
  mayIssue: true,
};

const certificate = signCertificate(suite, signer, FACTS);

const bytesOf = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const label = (max: number) => fc.stringMatching(new RegExp(`^[a-z0-9-]{1,${max}}$`));
const ip = fc.oneof(bytesOf(4), bytesOf(16)).map((bytes) => ipFromBytes(bytes));

const anyCertificate: fc.Arbitrary<Certificate> = fc.record({
  networkId: bytesOf(16),
  publicKey: bytesOf(32),
  salt: bytesOf(16),
  name: label(63),
  groups: fc.uniqueArray(label(8), { maxLength: 8 }).map((groups) => groups.sort()),
  claims: fc.uniqueArray(ip, { maxLength: 5 }).map((ips) => ips.sort(compareIps)),
  notBefore: fc.maxSafeNat(),
  notAfter: fc.maxSafeNat(),
  serial: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  mayIssue: fc.boolean(),
  issuer: bytesOf(32),
  signature: bytesOf(64),
});

function compareIps(a: string, b: string): number {
  const [x, y] = [ipToBytes(a), ipToBytes(b)];
  return x.length - y.length || compareBytes(x, y);
}

describe("form", () => {
  it("golden bytes, both ways", () => {
    const bytes = emitCertificate({
      ...certificate,
      issuer: new Uint8Array(32).fill(0x44),
      signature: new Uint8Array(64).fill(0x55),
    });
    const text = [
      "01 01",
      "11 ".repeat(16).trim(),
      "22 ".repeat(32).trim(),
      "33 ".repeat(16).trim(),
      "00 f1 53 65 00 00 00 00",
      "00 d2 49 6b 00 00 00 00",
      "2a 00 00 00 00 00 00 00",
      "06 6e 6f 64 65 2d 31",
      "02 02 64 62 03 77 65 62",
      "02 04 0a 09 00 07",
      "06 fd 00 00 00 00 00 00 00 00 00 00 00 00 00 00 07",
      "44 ".repeat(32).trim(),
      "55 ".repeat(64).trim(),
    ].join(" ");
    expect(spaced(bytes)).toBe(text);
    expect(parseCertificate(bytes)).toMatchObject({ ok: true, value: FACTS });
  });

  it("decode(encode(x)) = x, within 512 bytes", () => {
    fc.assert(
      fc.property(anyCertificate, (value) => {
        const bytes = emitCertificate(value);
        expect(bytes.length).toBeLessThanOrEqual(MAX_CERTIFICATE_BYTES);
        expect(parseCertificate(bytes)).toEqual({ ok: true, value });
      }),
    );
  });

  it("bytes that parse are the only encoding of what they say", () => {
    const bytes = emitCertificate(certificate);
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
        const other = bytes.slice();
        other[at] = (other[at] ?? 0) ^ change;
        const outcome = parseCertificate(other);
        if (outcome.ok) expect(emitCertificate(outcome.value)).toEqual(other);
      }),
      { numRuns: 2_000 },
    );
  });

  it("every truncation and every extra byte is refused", () => {
    const bytes = emitCertificate(certificate);
    for (let length = 0; length < bytes.length; length++) {
      expect(parseCertificate(bytes.subarray(0, length)).ok).toBe(false);
    }
    expect(parseCertificate(concat(bytes, Uint8Array.of(0)))).toEqual({
      ok: false,
      reason: "trailing-bytes",
    });
    expect(parseCertificate(new Uint8Array(513))).toEqual({ ok: false, reason: "too-long" });
    expect(parseCertificate(bytes.fill(2, 0, 1))).toEqual({ ok: false, reason: "unknown-version" });
  });

  it("random bytes never throw", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => {
        parseCertificate(bytes);
        parseCertificate(concat(Uint8Array.of(1, 0), bytes));
      }),
      { numRuns: 1_000 },
    );
  });

  it("lists out of order, doubled or too long are refused", () => {
    const sign = (facts: Partial<CertificateFacts>) => () =>
      emitCertificate(signCertificate(suite, signer, { ...FACTS, ...facts }));
    expect(sign({ groups: ["web", "db"] })).toThrow("canonical");
    expect(sign({ groups: ["db", "db"] })).toThrow("canonical");
    expect(sign({ claims: ["fd00::7", "10.9.0.7"] })).toThrow("canonical");
    expect(sign({ groups: "abcdefghi".split("") })).toThrow("canonical");
    expect(sign({ name: "" })).toThrow("name");
    expect(sign({ name: "A" })).toThrow("name");
    expect(sign({ notAfter: 2 ** 53 })).toThrow("canonical");
  });

  it("names", () => {
    for (const name of ["a", "0", "-", "x".repeat(63), "node-1"])
      expect(isValidName(name)).toBe(true);
    for (const name of ["", "A", "a_b", "a.b", "é", "a b", "a\n", "x".repeat(64)]) {
      expect(isValidName(name)).toBe(false);
    }
  });
});

describe("signature", () => {
  const bytes = emitCertificate(certificate);

  it("covers every byte before it", () => {
    expect(hasValidSignature(suite, certificate, bytes)).toBe(true);
    for (let at = 0; at < bytes.length; at++) {
      const other = bytes.slice();
      other[at] = (other[at] ?? 0) ^ 1;
      const outcome = parseCertificate(other);
      if (!outcome.ok) continue;
      expect(hasValidSignature(suite, outcome.value, other), `byte ${at}`).toBe(false);
    }
  });

  it("is not malleable: S + L is refused", () => {
    const order = 2n ** 252n + 27742317777372353535851937790883648493n;
    const other = bytes.slice();
    let s = order;
    for (let i = 0; i < 32; i++) s += BigInt(bytes.at(-32 + i) ?? 0) << BigInt(8 * i);
    for (let i = 0; i < 32; i++) other[bytes.length - 32 + i] = Number((s >> BigInt(8 * i)) & 255n);
    const outcome = parseCertificate(other);
    expect(outcome.ok && hasValidSignature(suite, outcome.value, other)).toBe(false);
  });
});
