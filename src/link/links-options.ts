import type { IpFamily } from "../base/net.ts";
import type { RingAddress } from "../base/ring-address.ts";
import type { Rng } from "../base/rng.ts";
import type { ClusterKeys } from "../crypto/cluster-keys.ts";
import type { Identity } from "../crypto/identity.ts";
import type { Membership } from "../crypto/membership.ts";
import type { CryptoSuite } from "../crypto/suite.ts";
import type { RelayPolicy } from "./relay-policy.ts";

/** What this node is, and what its engine has. */
export interface LinksOptions {
  readonly suite: CryptoSuite;
  readonly rng: Rng;
  readonly membership: Membership;
  readonly keys: ClusterKeys;
  readonly identity: Identity;
  readonly certificate: Uint8Array;
  readonly address: RingAddress;
  readonly name: string;
  readonly boot: bigint;
  readonly digest: Uint8Array;
  /** The family of each of the engine's UDP sockets, in order. */
  readonly sockets: readonly IpFamily[];
  readonly hasAes: boolean;
  /** What this node relays for others; default: DEFAULT_RELAY_POLICY. */
  readonly relay?: RelayPolicy;
}
