import { describe, expect, it } from "vitest";
import { utf8 } from "../../src/base/bytes.ts";
import { deriveClusterKeys, handshakePrologue } from "../../src/crypto/cluster-keys.ts";
import { identityFromSeed } from "../../src/crypto/identity.ts";
import { deriveRekey, deriveSession, directionsFor } from "../../src/crypto/session-keys.ts";
import { suite } from "../support/suite.ts";
import { spaced } from "../support/vectors.ts";

const networkKey = Uint8Array.from({ length: 32 }, (_, i) => i);

describe("cluster keys", () => {
  it("golden", () => {
    const keys = deriveClusterKeys(suite, networkKey);
    expect({
      networkId: spaced(keys.networkId),
      psk: spaced(keys.psk),
      mac1Key: spaced(keys.mac1Key),
      signing: spaced(keys.signing.publicKey),
      saltKey: spaced(keys.saltKey),
    }).toMatchInlineSnapshot(`
      {
        "mac1Key": "ad a3 5a df f2 24 b6 f3 a8 a6 62 56 be 26 c3 34 b0 d1 d0 ee e2 a3 66 b5 c6 07 74 15 68 51 39 92",
        "networkId": "a1 a7 26 11 dd d3 e7 7d 90 bc ea 82 8d cb 97 16",
        "psk": "5d 4d 48 7d f3 ad cc f7 4e 0d 72 18 50 60 07 40 ca 46 6f 1c 86 c5 72 4c 51 93 8f ef 0f 72 d9 15",
        "saltKey": "c8 2d e7 ad 9c 5a 76 ec ae 92 08 f2 90 a0 66 01 0d d3 8c a4 44 7b e0 bb 5c 61 75 25 7e 80 8b 41",
        "signing": "d6 e8 86 75 f9 49 d3 78 42 93 b5 8b a0 ca 57 81 ab b5 4a bf 0b e2 0d 6f 86 63 16 76 1e 7e d5 0a",
      }
    `);
  });

  it("each is another when one bit of the network key changes", () => {
    const a = deriveClusterKeys(suite, networkKey);
    const b = deriveClusterKeys(
      suite,
      networkKey.map((byte, i) => (i === 31 ? byte ^ 1 : byte)),
    );
    const all = [a, b].flatMap((k) => [k.psk, k.mac1Key, k.saltKey, k.signing.publicKey]);
    expect(new Set(all.map(spaced)).size).toBe(8);
    expect(a.networkId).not.toEqual(b.networkId);
  });

  it("a network key of another length is refused", () => {
    expect(() => deriveClusterKeys(suite, new Uint8Array(31))).toThrow("32 bytes");
  });

  it("the prologue names version and network", () => {
    expect(spaced(handshakePrologue(new Uint8Array(16).fill(0xaa)))).toBe(
      "77 65 66 74 01 aa aa aa aa aa aa aa aa aa aa aa aa aa aa aa aa",
    );
  });
});

it("an identity's X25519 pair belongs to its Ed25519 key", () => {
  const identity = identityFromSeed(suite, networkKey);
  expect(suite.dhPublicOf(identity.signing.publicKey)).toEqual(identity.dh.publicKey);
  expect(suite.x25519Public(identity.dh.secretKey)).toEqual(identity.dh.publicKey);
});

describe("session keys", () => {
  const [a, b] = [new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)];
  const hash = new Uint8Array(64).fill(3);
  const ours = deriveSession(suite, { send: a, receive: b, hash }, true);
  const theirs = deriveSession(suite, { send: b, receive: a, hash }, false);

  it("both sides derive the same, mirrored", () => {
    expect(ours).toEqual(theirs);
    expect(directionsFor(ours, true).sealing).toEqual(directionsFor(theirs, false).opening);
    expect(directionsFor(ours, true).opening).toEqual(directionsFor(theirs, false).sealing);
  });

  it("golden", () => {
    expect({
      key: spaced(ours.fromInitiator.key),
      saltOut: spaced(ours.fromInitiator.salt),
      saltIn: spaced(ours.fromResponder.salt),
      chain: spaced(ours.chain),
    }).toMatchInlineSnapshot(`
      {
        "chain": "d4 47 35 de 75 27 08 4f 6f 08 78 27 c2 4a 76 f9 f3 e2 3f 49 1a 17 b8 b2 21 d9 32 29 b0 47 18 3a",
        "key": "01 01 01 01 01 01 01 01 01 01 01 01 01 01 01 01 01 01 01 01 01 01 01 01 01 01 01 01 01 01 01 01",
        "saltIn": "bd 7e 3f 2f",
        "saltOut": "6b b8 40 06",
      }
    `);
  });

  it("a rekey depends on chain, secret and transcript, and gives four different values", () => {
    const base = deriveRekey(suite, ours.chain, a, utf8("transcript"));
    const others = [
      deriveRekey(suite, b, a, utf8("transcript")),
      deriveRekey(suite, ours.chain, b, utf8("transcript")),
      deriveRekey(suite, ours.chain, a, utf8("transcripu")),
    ];
    const chains = [ours, base, ...others].map((keys) => spaced(keys.chain));
    const sealing = [ours, base, ...others].flatMap((keys) => [
      spaced(keys.fromInitiator.key),
      spaced(keys.fromResponder.key),
    ]);
    expect(new Set([...chains, ...sealing]).size).toBe(15);
    expect(base.fromInitiator.key.length).toBe(32);
    expect(base.fromInitiator.salt.length).toBe(4);
    expect(base.chain.length).toBe(32);
    expect(spaced(base.chain)).toMatchInlineSnapshot(`"30 cb 15 7c b9 0d 6b 7b 06 a9 26 1c 69 6f e4 7e e2 c6 67 5b 9b 24 6f 2c ac 74 6f 84 36 72 a9 01"`);
  });
});
