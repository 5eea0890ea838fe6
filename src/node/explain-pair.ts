/**
 * Why two members reach one another as they do, and what would help. One table for all pairs of NATs:
 *
 *                      b: sends to all     a: address        port-restricted    symmetric
 *                         from one port
 *      who may send in    everybody        asked addresses   asked endpoints    asked endpoints
 *      a: one port           direct           direct             direct         direct unless a lets in
 *                                                                               asked endpoints only
 *      a: a port for each    direct           direct             relayed            relayed
 *
 * A mapping that differs by destination cannot be told to the peer; it is learned from the packet that
 * arrives, and arrives only where ports that were never sent to are let in.
 */
import type { NatFiltering, NatMapping } from "../base/nat.ts";

export interface PairEnd {
  readonly name: string;
  readonly mapping: NatMapping;
  readonly filtering: NatFiltering;
  /** "blocked" when UDP does not come back to it; known of this node only. */
  readonly udp: "works" | "blocked" | "unknown";
}

export type PairVerdict =
  | "direct"
  | "udp-blocked"
  | "nat-unknown"
  | "both-symmetric"
  | "symmetric-and-restricted"
  | "should-be-direct";

export interface PairReason {
  readonly verdict: PairVerdict;
  readonly reason: string;
  /** Empty when nothing needs a cure. */
  readonly cure: string;
}

/** Whether two ends with these NATs can reach one another without a relay; undefined = cannot be told. */
export function canBeDirect(a: PairEnd, b: PairEnd): boolean | undefined {
  if (a.mapping === "unknown" || b.mapping === "unknown") return undefined;
  return !((isHard(a) && isStrict(b)) || (isHard(b) && isStrict(a)));
}

/** @param isDirect a direct path carries their traffic now */
export function explainPair(a: PairEnd, b: PairEnd, isDirect: boolean): PairReason {
  if (isDirect) return { verdict: "direct", reason: "a direct path works", cure: "" };
  const blocked = [a, b].find(({ udp }) => udp === "blocked");
  if (blocked !== undefined) return REASONS["udp-blocked"](blocked.name, "");
  const unknown = [a, b].filter(({ mapping }) => mapping === "unknown").map(({ name }) => name);
  if (unknown.length > 0) return REASONS["nat-unknown"](unknown.join(" and "), "");
  if (canBeDirect(a, b) === true) return REASONS["should-be-direct"](a.name, b.name);
  if (isHard(a) && isHard(b)) return REASONS["both-symmetric"](a.name, b.name);
  const [hard, strict] = isHard(a) ? [a, b] : [b, a];
  return REASONS["symmetric-and-restricted"](hard.name, strict.name);
}

function isHard({ mapping }: PairEnd): boolean {
  return mapping === "address" || mapping === "address-and-port";
}

/** Where nobody could tell, a NAT is taken for the usual kind and a public address for an open one. */
function isStrict({ mapping, filtering }: PairEnd): boolean {
  if (filtering === "unknown") return mapping !== "none";
  return filtering === "address-and-port";
}

const OPEN_ONE = "forward its UDP port (or turn UPnP on) at one of the two routers";

const REASONS: Readonly<
  Record<Exclude<PairVerdict, "direct">, (one: string, other: string) => PairReason>
> = {
  "udp-blocked": (name) => ({
    verdict: "udp-blocked",
    reason: `UDP does not come back to ${name}`,
    cure: `let UDP out of the network of ${name}`,
  }),
  "nat-unknown": (names) => ({
    verdict: "nat-unknown",
    reason: `the NAT of ${names} is not known yet`,
    cure: `run weft netcheck at ${names}; where no member is public, set stun_servers`,
  }),
  "both-symmetric": (one, other) => ({
    verdict: "both-symmetric",
    reason: `the NATs of ${one} and ${other} both use another port for each destination, so neither can be told where to send`,
    cure: `${OPEN_ONE}; where both NATs count their ports up, traversal: aggressive at both ends may do`,
  }),
  "symmetric-and-restricted": (hard, strict) => ({
    verdict: "symmetric-and-restricted",
    reason: `the NAT of ${hard} uses another port for each destination, and that of ${strict} lets in only endpoints it has sent to`,
    cure: `set traversal: aggressive at both ends; or ${OPEN_ONE}`,
  }),
  "should-be-direct": (one, other) => ({
    verdict: "should-be-direct",
    reason: `the NATs of ${one} and ${other} allow a direct path, but none answers yet`,
    cure: "wait some seconds; if it stays, a firewall between them drops UDP: open the port of one of them",
  }),
};
