/**
 * Addresses that the shared part of the cluster file keeps for machines behind any site. The one
 * machine is known by its MAC, its DHCP client identifier, or the host name that it sends.
 */
import type { Ip, Mac } from "../base/net.ts";

export interface Reservation {
  readonly ip: Ip;
  readonly by: ReservedBy;
}

export type ReservedBy =
  | { readonly kind: "mac"; readonly mac: Mac }
  /** hex, as option 61 carries it */
  | { readonly kind: "client"; readonly client: string }
  /** option 12 in lower case; goes with DHCP messages only, so no record can prove it */
  | { readonly kind: "name"; readonly name: string };

/** What is known about the machine that asks. */
export interface Asker {
  /** hex */
  readonly client: string;
  readonly mac: Mac;
  readonly name?: string | undefined;
}

/** The reserved address of a machine; the most exact kind counts when several name it. */
export function reservedFor(reservations: readonly Reservation[], asker: Asker): Ip | undefined {
  const own = reservations.filter((one) => isReservedFor(one, asker));
  const best = (["client", "mac", "name"] as const).flatMap((kind) =>
    own.filter((one) => one.by.kind === kind),
  );
  return best[0]?.ip;
}

export function isReservedFor({ by }: Reservation, asker: Asker): boolean {
  switch (by.kind) {
    case "mac":
      return by.mac === asker.mac;
    case "client":
      return by.client === asker.client;
    case "name":
      return by.name === asker.name;
  }
}
