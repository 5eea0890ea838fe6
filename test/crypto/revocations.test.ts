import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { concat } from "../../src/base/bytes.ts";
import { parseCertificate } from "../../src/crypto/certificate.ts";
import { deriveClusterKeys } from "../../src/crypto/cluster-keys.ts";
import { identityFromSeed } from "../../src/crypto/identity.ts";
import { signAsAuthority, signAsMember } from "../../src/crypto/issuing.ts";
import { Membership } from "../../src/crypto/membership.ts";
import { NoticeBoard, signNotice } from "../../src/crypto/notice-board.ts";
import {
  emitRevocations,
  MAX_REVOKED_KEYS,
  MAX_REVOKED_SERIALS,
  parseRevocations,
  Revocations,
  type RevokedLists,
} from "../../src/crypto/revocations.ts";
import { MAX_NOTICE_BODY, type NoticeKind } from "../../src/wire/notice.ts";
import { suite } from "../support/suite.ts";
import { hex, spaced } from "../support/vectors.ts";

const keyOf = (fill: number) => new Uint8Array(32).fill(fill);
const LISTS: RevokedLists = { keys: [keyOf(0xaa), keyOf(0xbb)], serials: [1n, 2n ** 64n - 1n] };
const GOLDEN = `02 00 ${"aa ".repeat(32)}${"bb ".repeat(32)}02 00 01 00 00 00 00 00 00 00 ff ff ff ff ff ff ff ff`;

const authority = suite.signingKeyPair(new Uint8Array(32).fill(3));
const keys = deriveClusterKeys(suite, new Uint8Array(32).fill(7), authority.publicKey);
const { networkId } = keys;

/** A list that the authority signed, or somebody else. */
function listOf(number: number, lists: RevokedLists, signer = authority): Uint8Array {
  const body = emitRevocations(lists);
  return signNotice(suite, signer, { kind: "revocations", number, networkId, body });
}

function noticeOf(kind: NoticeKind, number: number, text: string): Uint8Array {
  const body = new Uint8Array(Buffer.from(text));
  return signNotice(suite, authority, { kind, number, networkId, body });
}

describe("a list of revocations", () => {
  it("golden, both ways, whatever order it is made in", () => {
    expect(spaced(emitRevocations(LISTS))).toBe(GOLDEN);
    expect(parseRevocations(hex(GOLDEN))).toEqual({ ok: true, value: LISTS });
    const turned = { keys: [...LISTS.keys].reverse(), serials: [...LISTS.serials].reverse() };
    expect(spaced(emitRevocations(turned))).toBe(GOLDEN);
  });

  it("docs/WIRE.md shows the golden bytes", () => {
    const document = readFileSync(new URL("../../docs/WIRE.md", import.meta.url), "utf8");
    const shown = "02 00 aa x 32 bb x 32 02 00 01 00 00 00 00 00 00 00 ff ff ff ff ff ff ff ff";
    expect(document.replace(/\s+/g, " ")).toContain(shown);
  });

  it("the longest one fits a notice", () => {
    const numbers = (count: number) => Array.from({ length: count }, (_, i) => i + 1);
    const keyed = numbers(MAX_REVOKED_KEYS).map((i) =>
      concat(keyOf(i >> 8).slice(1), Uint8Array.of(i)),
    );
    const serials = numbers(MAX_REVOKED_SERIALS).map(BigInt);
    const body = emitRevocations({ keys: keyed, serials });
    expect(body.length).toBeLessThanOrEqual(MAX_NOTICE_BODY);
    expect(parseRevocations(body).ok).toBe(true);
  });

  it("has one form: order, repetitions, serial 0, counts past their bounds and tails are refused", () => {
    const reasons = [
      ["02 00", "truncated"],
      [`02 00 ${"bb ".repeat(32)}${"aa ".repeat(32)}00 00`, "bad-field"],
      [`02 00 ${"aa ".repeat(64)}00 00`, "bad-field"],
      ["00 00 01 00 00 00 00 00 00 00 00 00", "bad-field"],
      [`00 00 02 00 ${"01 00 00 00 00 00 00 00 ".repeat(2).trim()}`, "bad-field"],
      ["01 04", "bad-field"],
      ["00 00 01 0c", "bad-field"],
      ["00 00 00 00 00", "trailing-bytes"],
    ] as const;
    for (const [bytes, reason] of reasons) {
      expect(parseRevocations(hex(bytes)), bytes).toEqual({ ok: false, reason });
    }
  });

  it("random bytes never throw", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        expect(typeof parseRevocations(bytes).ok).toBe("boolean");
      }),
    );
  });

  it("covers by key, by serial number, and whoever stands below", () => {
    const list = new Revocations(1, { keys: [keyOf(1)], serials: [9n] });
    expect(list.isRevoked(keyOf(1), 1n)).toBe(true);
    expect(list.isRevoked(keyOf(2), 9n)).toBe(true);
    expect(list.isRevoked(keyOf(2), 1n)).toBe(false);
    const leaf = { publicKey: keyOf(2), serial: 1n };
    expect(list.covers([leaf, { publicKey: keyOf(1), serial: 2n }])).toBe(true);
    expect(list.covers([leaf, { publicKey: keyOf(3), serial: 9n }])).toBe(true);
    expect(list.covers([leaf, { publicKey: keyOf(3), serial: 2n }])).toBe(false);
  });
});

describe("what hangs on the board", () => {
  const none: RevokedLists = { keys: [], serials: [] };

  it("is the newest: an older one never replaces a newer one", () => {
    const board = new NoticeBoard(suite, keys);
    expect(board.number("revocations")).toBe(0);
    const fifth = listOf(5, LISTS);
    expect(board.post(fifth)).toMatchObject({ outcome: "newer", number: 5 });
    expect(board.post(fifth)).toMatchObject({ outcome: "same" });
    expect(board.post(listOf(4, none))).toMatchObject({ outcome: "older", newest: 5 });
    expect(board.revocations.isRevoked(keyOf(0xaa), 0n)).toBe(true);
    expect(board.bytes("revocations")).toEqual(fifth);
    expect(board.post(listOf(6, none))).toMatchObject({ outcome: "newer", number: 6 });
    expect(board.revocations.isRevoked(keyOf(0xaa), 0n)).toBe(false);
  });

  it("of two with one number the first", () => {
    const board = new NoticeBoard(suite, keys);
    board.post(listOf(5, LISTS));
    expect(board.post(listOf(5, none))).toMatchObject({ outcome: "conflict", number: 5 });
    expect(board.revocations.keys.length).toBe(2);
  });

  it("nothing that the authority did not sign for this network", () => {
    const stranger = suite.signingKeyPair(new Uint8Array(32).fill(4));
    const board = new NoticeBoard(suite, keys);
    const bad = (bytes: Uint8Array) => board.post(bytes);
    expect(bad(listOf(1, LISTS, stranger))).toEqual({ outcome: "bad", reason: "bad-signature" });
    const elsewhere = new NoticeBoard(
      suite,
      deriveClusterKeys(suite, new Uint8Array(32).fill(8), authority.publicKey),
    );
    expect(elsewhere.post(listOf(1, LISTS))).toEqual({ outcome: "bad", reason: "foreign-network" });
    const secretMode = new NoticeBoard(suite, deriveClusterKeys(suite, new Uint8Array(32).fill(7)));
    expect(secretMode.post(listOf(1, LISTS))).toEqual({ outcome: "bad", reason: "bad-signature" });
    expect(bad(noticeOf("revocations", 1, "no list"))).toMatchObject({ outcome: "bad" });
    expect(board.number("revocations")).toBe(0);
  });

  it("no notice with any one bit turned", () => {
    const bytes = listOf(5, LISTS);
    for (let bit = 0; bit < bytes.length * 8; bit += 7) {
      const turned = bytes.map((byte, i) => (i === bit >> 3 ? byte ^ (1 << (bit & 7)) : byte));
      expect(new NoticeBoard(suite, keys).post(turned).outcome, `bit ${bit}`).toBe("bad");
    }
  });

  it("each kind is numbered for itself", () => {
    const board = new NoticeBoard(suite, keys);
    board.post(listOf(5, LISTS));
    expect(board.post(noticeOf("shared", 1, "{}"))).toMatchObject({ outcome: "newer" });
    expect([board.number("revocations"), board.number("shared")]).toEqual([5, 1]);
  });
});

describe("a certificate", () => {
  const issuerIdentity = identityFromSeed(suite, new Uint8Array(32).fill(20));
  const leafIdentity = identityFromSeed(suite, new Uint8Array(32).fill(21));
  const wallSeconds = 1_800_000_000;
  const grantOf = (publicKey: Uint8Array, serial: bigint, name: string) => ({
    ...{ publicKey, serial, name, groups: [], claims: [] },
    salt: new Uint8Array(16).fill(1),
  });
  const issuerBytes = signAsAuthority(suite, authority, networkId, {
    ...grantOf(issuerIdentity.signing.publicKey, 100n, "issuer"),
    ...{ mayIssue: true, wallSeconds, days: 300 },
  });
  const issuer = parseCertificate(issuerBytes);
  if (!issuer.ok) throw new Error(issuer.reason);
  const signer = { signing: issuerIdentity.signing, certificate: issuer.value, bytes: issuerBytes };
  const leafOf = (serial: bigint, name: string, atSeconds = wallSeconds) =>
    signAsMember(suite, signer, grantOf(leafIdentity.signing.publicKey, serial, name), atSeconds) ??
    new Uint8Array(0);

  function judged(lists: Partial<RevokedLists>, bytes: Uint8Array): string {
    const board = new NoticeBoard(suite, keys);
    board.post(listOf(1, { keys: [], serials: [], ...lists }));
    const member = new Membership(suite, keys, board).verify(bytes, wallSeconds);
    return member.ok ? "member" : member.reason;
  }

  it("of a revoked key is refused whatever else it says: renamed, issued anew, in other bytes", () => {
    const lists = { keys: [leafIdentity.signing.publicKey] };
    const [first, renamed, renewed] = [
      leafOf(1n, "laptop"),
      leafOf(1n, "desktop"),
      leafOf(2n, "laptop", wallSeconds + 60),
    ];
    for (const bytes of [first, renamed, renewed]) {
      expect(judged({}, bytes)).toBe("member");
      expect(judged(lists, bytes)).toBe("revoked");
    }
    const authoritys = signAsAuthority(suite, authority, networkId, {
      ...grantOf(leafIdentity.signing.publicKey, 3n, "laptop"),
      ...{ mayIssue: false, wallSeconds, days: 10 },
    });
    expect(judged(lists, authoritys)).toBe("revoked");
    for (let at = 0; at < first.length; at++) {
      const other = first.map((byte, i) => (i === at ? byte ^ 1 : byte));
      expect(judged(lists, other), `byte ${at}`).not.toBe("member");
    }
  });

  it("of a revoked serial number is refused, with whatever key", () => {
    expect(judged({ serials: [1n] }, leafOf(1n, "laptop"))).toBe("revoked");
    expect(judged({ serials: [2n] }, leafOf(1n, "laptop"))).toBe("member");
  });

  it("falls with its issuer, by key and by serial number; the issuer stands without it", () => {
    const leaf = leafOf(1n, "laptop");
    expect(judged({ keys: [issuerIdentity.signing.publicKey] }, leaf)).toBe("revoked");
    expect(judged({ serials: [100n] }, leaf)).toBe("revoked");
    expect(judged({ keys: [leafIdentity.signing.publicKey] }, issuerBytes)).toBe("member");
  });

  it("that has ended is still known as revoked, so that its live session is cut", () => {
    const board = new NoticeBoard(suite, keys);
    board.post(listOf(1, { keys: [leafIdentity.signing.publicKey], serials: [] }));
    const membership = new Membership(suite, keys, board);
    const past = membership.verify(leafOf(1n, "laptop"), wallSeconds + 9e8);
    expect(past).toEqual({ ok: false, reason: "revoked" });
    expect(membership.isRevoked(leafOf(1n, "laptop"))).toBe(true);
    expect(membership.verifyPast(leafOf(1n, "laptop"), wallSeconds).ok).toBe(true);
  });
});
