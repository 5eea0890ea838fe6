import type { IpFamily } from "../base/net.ts";
import type { RingAddress } from "../base/ring-address.ts";
import type { Rng } from "../base/rng.ts";
import type { CryptoSuite } from "../crypto/suite.ts";
import type { DropCounters } from "./drop-counters.ts";
import type { LinkRole, PeerInfo } from "./link-types.ts";
import type { OwnPlace } from "./own-place.ts";

export interface LinkOptions {
  readonly suite: CryptoSuite;
  readonly rng: Rng;
  readonly drops: DropCounters;
  readonly sockets: readonly IpFamily[];
  readonly place: OwnPlace;
  readonly peer: PeerInfo;
  readonly role: LinkRole;
  /** Direct neighbours of the peer: likely relays. */
  readonly relayHints: readonly RingAddress[];
}
