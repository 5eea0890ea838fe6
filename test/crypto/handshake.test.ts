import { describe, expect, it } from "vitest";
import type { Parsed } from "../../src/base/drop-reason.ts";
import { deriveClusterKeys, handshakePrologue } from "../../src/crypto/cluster-keys.ts";
import { type Identity, identityFromSeed } from "../../src/crypto/identity.ts";
import { appendMacs, checkMac1 } from "../../src/crypto/mac.ts";
import { Membership } from "../../src/crypto/membership.ts";
import { NoiseHandshake } from "../../src/crypto/noise.ts";
import { deriveSession, directionsFor } from "../../src/crypto/session-keys.ts";
import { dataNonce } from "../../src/wire/data.ts";
import {
  emitHandshake1,
  emitHandshake2,
  emitHandshake3,
  PADDED_HANDSHAKE_BYTES,
  parseHandshake1,
  parseHandshake2,
  parseHandshake3,
} from "../../src/wire/handshake.ts";
import {
  emitHandshakePayload,
  type HandshakePayload,
  parseHandshakePayload,
} from "../../src/wire/handshake-payload.ts";
import { suite } from "../support/suite.ts";

const keys = deriveClusterKeys(suite, new Uint8Array(32).fill(1));
const foreign = deriveClusterKeys(suite, new Uint8Array(32).fill(2));
const NONE = new Uint8Array(0);

function take<T>(outcome: Parsed<T>): T {
  if (!outcome.ok) throw new Error(outcome.reason);
  return outcome.value;
}

interface Side {
  readonly identity: Identity;
  readonly noise: NoiseHandshake;
  readonly payload: Uint8Array;
}

function newSide(seed: number, initiator: boolean, cluster = keys): Side {
  const identity = identityFromSeed(suite, new Uint8Array(32).fill(seed));
  const own = new Membership(suite, cluster).issueOwn(identity, `node-${seed}`);
  const payload: HandshakePayload = {
    minorVersion: 0,
    capabilities: 0,
    revocation: 0,
    digest: new Uint8Array(32),
    boot: BigInt(seed),
    ciphers: 1,
    certificate: own.bytes,
    candidates: new Array(8).fill({ ip: "2001:db8::1", port: seed }),
    relays: new Array(8).fill(own.address),
  };
  const noise = new NoiseHandshake({
    suite,
    initiator,
    prologue: handshakePrologue(cluster.networkId),
    psk: cluster.psk,
    static: identity.dh,
    ephemeralSecret: new Uint8Array(32).fill(seed + 100),
  });
  return { identity, noise, payload: emitHandshakePayload(payload) };
}

const finish = (body: Uint8Array) => appendMacs(suite, keys.mac1Key, body);

describe("a whole handshake over its wire form", () => {
  const [alice, bob] = [newSide(1, true), newSide(2, false)];
  const one = finish(emitHandshake1({ sender: 11, noise: alice.noise.write(NONE) }, true));
  const gotOne = bob.noise.read(take(parseHandshake1(one)).noise);
  const noise2 = bob.noise.write(bob.payload);
  const two = finish(emitHandshake2({ sender: 22, receiver: 11, noise: noise2 }));
  const gotTwo = alice.noise.read(take(parseHandshake2(two)).noise);
  const noise3 = alice.noise.write(alice.payload);
  const three = finish(emitHandshake3({ sender: 11, receiver: 22, noise: noise3 }));
  const gotThree = bob.noise.read(take(parseHandshake3(three)).noise);

  it("each message arrives, passes mac1 and is no longer than the first", () => {
    expect([gotOne, gotTwo, gotThree]).toEqual([NONE, bob.payload, alice.payload]);
    for (const bytes of [one, two, three]) {
      expect(checkMac1(suite, keys.mac1Key, bytes)).toBe(true);
      expect(bytes.length).toBeLessThanOrEqual(PADDED_HANDSHAKE_BYTES);
    }
  });

  it("each learns the other's certificate, which belongs to the proven key", () => {
    const membership = new Membership(suite, keys);
    const seen = [
      { payload: gotTwo, by: alice, of: bob, name: "node-2" },
      { payload: gotThree, by: bob, of: alice, name: "node-1" },
    ];
    for (const { payload, by, of, name } of seen) {
      const { certificate } = take(parseHandshakePayload(payload ?? NONE));
      const member = take(membership.verifyPeer(certificate, by.noise.remoteStatic ?? NONE, 0));
      expect(member.certificate.name).toBe(name);
      expect(member.certificate.publicKey).toEqual(of.identity.signing.publicKey);
    }
  });

  it("one seals, the other opens, both ways", () => {
    const ours = directionsFor(deriveSession(suite, alice.noise.split(), true), true);
    const theirs = directionsFor(deriveSession(suite, bob.noise.split(), false), false);
    for (const [from, to] of [
      [ours.sealing, theirs.opening],
      [theirs.sealing, ours.opening],
    ] as const) {
      const sealed = suite.seal(from.key, dataNonce(from.salt, 0, 1n), NONE, one);
      expect(suite.open(to.key, dataNonce(to.salt, 0, 1n), NONE, sealed)).toEqual(one);
      expect(suite.open(to.key, dataNonce(to.salt, 1, 1n), NONE, sealed)).toBeUndefined();
    }
  });
});

it("another cluster gets no further than message 1", () => {
  const [alice, bob] = [newSide(1, true, foreign), newSide(2, false)];
  expect(bob.noise.read(alice.noise.write(NONE))).toBeUndefined();
});
