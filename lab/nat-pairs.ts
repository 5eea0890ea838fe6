/** The pairs that are tested: all of them, and the ones that `npm test` has time for. */
import { type PairKinds, PLACE_KINDS } from "./nat-place.ts";

/** Each kind with each, itself included, and what two sites can share. */
export function allPairs(): PairKinds[] {
  const mixed = PLACE_KINDS.flatMap((a, i) => PLACE_KINDS.slice(i).map((b) => ({ a, b })));
  return [...mixed, ...SHARED];
}

const SHARED: readonly PairKinds[] = [
  { a: "portrestricted", b: "portrestricted", shared: "lan" },
  { a: "symmetric", b: "symmetric", shared: "lan" },
  { a: "portrestricted", b: "portrestricted", shared: "carrier" },
  { a: "fullcone", b: "fullcone", shared: "carrier" },
  { a: "portrestricted", b: "portrestricted", shared: "carrier-hairpin" },
  { a: "fullcone", b: "portrestricted", shared: "carrier-hairpin" },
  { a: "symmetric", b: "symmetric", shared: "carrier-hairpin" },
];

/** Each kind at least once, each reason to be direct or relayed at least once. */
export const SOME_PAIRS: readonly PairKinds[] = [
  { a: "public", b: "portrestricted" },
  { a: "dual_stack", b: "ipv6_only" },
  { a: "ipv6_only", b: "ipv6_only" },
  { a: "ipv6_only", b: "portrestricted" },
  { a: "fullcone", b: "symmetric" },
  { a: "fullcone", b: "fullcone" },
  { a: "restricted", b: "symmetric" },
  { a: "restricted", b: "address_dependent" },
  { a: "portrestricted", b: "restricted" },
  { a: "portrestricted", b: "portrestricted" },
  { a: "portrestricted", b: "symmetric" },
  { a: "portrestricted", b: "symmetric_sequential" },
  { a: "address_dependent", b: "portrestricted" },
  { a: "address_dependent", b: "fullcone" },
  { a: "symmetric", b: "symmetric" },
  { a: "symmetric", b: "one_to_one" },
  { a: "symmetric_sequential", b: "restricted" },
  { a: "one_to_one", b: "one_to_one" },
  { a: "udp_blocked", b: "portrestricted" },
  { a: "udp_blocked", b: "public" },
  { a: "cgn", b: "portrestricted" },
  { a: "cgn", b: "symmetric" },
  ...SHARED.slice(0, 1),
  ...SHARED.slice(2, 3),
  ...SHARED.slice(4, 5),
];
