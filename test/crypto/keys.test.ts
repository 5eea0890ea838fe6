import { describe, expect, it } from "vitest";
import { toHex, utf8 } from "../../src/base/bytes.ts";
import { deriveClusterKeys, handshakePrologue } from "../../src/crypto/cluster-keys.ts";
import { identityFromSeed } from "../../src/crypto/identity.ts";
import {
  deriveRekey,
  deriveRekeyProof,
  deriveSession,
  directionsFor,
} from "../../src/crypto/session-keys.ts";
import { suite } from "../support/suite.ts";
import { hex, spaced } from "../support/vectors.ts";

const networkKey = Uint8Array.from({ length: 32 }, (_, i) => i);

describe("cluster keys", () => {
  it("golden", () => {
    const keys = deriveClusterKeys(suite, networkKey);
    const golden: readonly (readonly [Uint8Array, string])[] = [
      [keys.networkId, "a1a72611ddd3e77d90bcea828dcb9716"],
      [keys.psk, "5d4d487df3adccf74e0d721850600740ca466f1c86c5724c51938fef0f72d915"],
      [keys.mac1Key, "ada35adff224b6f3a8a66256be26c334b0d1d0eee2a366b5c607741568513992"],
      [keys.signing.publicKey, "d6e88675f949d3784293b58ba0ca5781abb54abf0be20d6f866316761e7ed50a"],
      [keys.saltKey, "c82de7ad9c5a76ecae9208f290a066010dd38ca4447be0bb5c6175257e808b41"],
    ];
    for (const [bytes, text] of golden) expect(toHex(bytes)).toBe(text);
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
    const golden: readonly (readonly [Uint8Array, string])[] = [
      [ours.fromInitiator.key, "0101010101010101010101010101010101010101010101010101010101010101"],
      [ours.fromInitiator.salt, "6bb84006"],
      [ours.fromResponder.salt, "bd7e3f2f"],
      [ours.chain, "d44735de7527084f6f087827c24a76f9f3e23f491a17b8b221d93229b047183a"],
    ];
    for (const [bytes, text] of golden) expect(toHex(bytes)).toBe(text);
  });

  it("a rekey depends on chain, secret and transcript, and gives four different values", () => {
    const secrets = { previousChain: ours.chain, shared: a, transcript: utf8("transcript") };
    const base = deriveRekey(suite, secrets);
    const changed = [
      { ...secrets, previousChain: b },
      { ...secrets, shared: b },
      { ...secrets, transcript: utf8("transcripu") },
    ];
    const others = changed.map((each) => deriveRekey(suite, each));
    const chains = [ours, base, ...others].map((keys) => spaced(keys.chain));
    const sealing = [ours, base, ...others].flatMap((keys) => [
      spaced(keys.fromInitiator.key),
      spaced(keys.fromResponder.key),
    ]);
    expect(new Set([...chains, ...sealing]).size).toBe(15);
    expect(base.fromInitiator.key.length).toBe(32);
    expect(base.fromInitiator.salt.length).toBe(4);
    expect(base.chain.length).toBe(32);
    expect(base.chain).toEqual(
      hex(`
      30 cb 15 7c b9 0d 6b 7b 06 a9 26 1c 69 6f e4 7e e2 c6 67 5b 9b 24 6f 2c ac 74 6f
      84 36 72 a9 01
    `),
    );
    const proofs = [secrets, ...changed].map((each) => spaced(deriveRekeyProof(suite, each)));
    expect(new Set(proofs).size).toBe(4);
    expect(proofs[0]?.split(" ")).toHaveLength(16);
    expect(spaced(base.chain)).not.toContain(proofs[0]);
  });
});
