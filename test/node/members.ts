/** Members of a simulated cluster in authority mode: their keys, and what the authority says of them. */
import { fastSuite } from "../../sim/fast-suite.ts";
import { SeededRng } from "../../src/base/rng.ts";
import { deriveClusterKeys } from "../../src/crypto/cluster-keys.ts";
import { type Identity, identityFromSeed } from "../../src/crypto/identity.ts";
import { signAsAuthority } from "../../src/crypto/issuing.ts";
import type { NodeConfig } from "../../src/node/config.ts";

export const AUTHORITY = fastSuite.signingKeyPair(new Uint8Array(32).fill(0xa0));

/** As sim/cluster.ts draws it. */
export function networkKeyOf(seed: number): Uint8Array {
  return new SeededRng(seed).fork("key").bytes(32);
}

export function identityOf(member: number): Identity {
  return identityFromSeed(fastSuite, seedOf(member));
}

export interface MemberFacts {
  /** Default: the usual one of this member. */
  readonly name?: string;
  readonly serial?: bigint;
  readonly salt?: Uint8Array;
}

export function serialOf(member: number): bigint {
  return BigInt(1_000 + member);
}

export function configOfMember(
  seed: number,
  member: number,
  facts: MemberFacts = {},
): Partial<NodeConfig> {
  const { name = `n${member}`, serial = serialOf(member) } = facts;
  const { salt = new Uint8Array(16).fill(member) } = facts;
  const { networkId } = deriveClusterKeys(fastSuite, networkKeyOf(seed));
  const certificate = signAsAuthority(fastSuite, AUTHORITY, networkId, {
    publicKey: identityOf(member).signing.publicKey,
    ...{ salt, serial, name, groups: [], claims: [], mayIssue: false },
    ...{ wallSeconds: 1_800_000_000, days: 365 },
  });
  return { authority: AUTHORITY.publicKey, identitySeed: seedOf(member), certificate };
}

function seedOf(member: number): Uint8Array {
  return new Uint8Array(32).fill(member + 1);
}
