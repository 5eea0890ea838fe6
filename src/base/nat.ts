/** What a NAT between this node and the internet does, in the words of RFC 4787. */

/**
 * How long one outside port serves: for every destination, for one address, for one address and
 * port. "none": nothing translates, the node has a public address.
 */
export type NatMapping =
  | "none"
  | "endpoint-independent"
  | "address"
  | "address-and-port"
  | "unknown";

/** Who may send to an open outside port: everybody, addresses or ports that were sent to. */
export type NatFiltering = "endpoint-independent" | "address" | "address-and-port" | "unknown";

/** Which outside port a new mapping gets: the inside one, the one after the last, any. */
export type NatAllocation = "preserved" | "sequential" | "random" | "unknown";

export interface NatReport {
  readonly mapping: NatMapping;
  readonly filtering: NatFiltering;
  readonly allocation: NatAllocation;
  /** Ports between two mappings made one after the other; only when sequential. */
  readonly step?: number;
  /** Whether two hosts behind it reach one another by their outside ports. */
  readonly hairpin?: boolean;
}

export const UNKNOWN_NAT: NatReport = {
  mapping: "unknown",
  filtering: "unknown",
  allocation: "unknown",
};

/** One word for tables; `-` is left to whoever shows it. */
export function natKind(report: NatReport): string | undefined {
  const { mapping, filtering, allocation } = report;
  switch (mapping) {
    case "unknown":
      return undefined;
    case "none":
      return "public";
    case "endpoint-independent":
      return CONES[filtering];
    case "address":
      return "address-dependent";
    case "address-and-port":
      return allocation === "sequential" ? "symmetric-sequential" : "symmetric";
  }
}

const CONES: Readonly<Record<NatFiltering, string>> = {
  "endpoint-independent": "full-cone",
  address: "restricted",
  "address-and-port": "port-restricted",
  unknown: "cone",
};

export function sameNat(a: NatReport, b: NatReport): boolean {
  return (
    a.mapping === b.mapping &&
    a.filtering === b.filtering &&
    a.allocation === b.allocation &&
    a.step === b.step &&
    a.hairpin === b.hairpin
  );
}
