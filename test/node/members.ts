/** Members of a simulated cluster in authority mode: their keys, and what the authority says of them. */
import { fastSuite } from "../../sim/fast-suite.ts";
import { SeededRng } from "../../src/base/rng.ts";
import { type Identity, identityFromSeed } from "../../src/crypto/identity.ts";
import type { NodeConfig } from "../../src/node/config.ts";

export const AUTHORITY = fastSuite.signingKeyPair(new Uint8Array(32).fill(0xa0));

/** As sim/cluster.ts draws it. */
export function networkKeyOf(seed: number): Uint8Array {
  return new SeededRng(seed).fork("key").bytes(32);
}

export function identityOf(member: number): Identity {
  return identityFromSeed(fastSuite, seedOf(member));
}

export function configOfMember(_seed: number, member: number): Partial<NodeConfig> {
  return { authority: AUTHORITY.publicKey, identitySeed: seedOf(member) };
}

function seedOf(member: number): Uint8Array {
  return new Uint8Array(32).fill(member + 1);
}
