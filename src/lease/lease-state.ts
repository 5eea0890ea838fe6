/** Leases as the rest of the node and the state file see them. */
import type { Ip, Mac } from "../base/net.ts";
import type { Millis } from "../base/time.ts";

export interface LeaseState {
  /** hex of the DHCP client identifier */
  readonly client: string;
  readonly mac: Mac;
  readonly ip: Ip;
  readonly epoch: number;
  readonly version: number;
  /** Renewals a quorum vouched for, 0..16. */
  readonly renewals: number;
  /** Claimed without any other member: loses every clash. */
  readonly alone: boolean;
  /** (time the last acknowledged renewal was sent) + ttl: the address must not be used after it. */
  readonly expiresAt: Millis;
  readonly leaseSeconds: number;
}

/** What survives a restart: enough to ask for the same address again, nothing that could be wrong. */
export interface SavedLease {
  readonly client: string;
  readonly mac: Mac;
  readonly ip: Ip;
  readonly epoch: number;
  readonly version: number;
}
