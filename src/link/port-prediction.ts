/**
 * Where a NAT that counts its ports up will see our next destinations, from where it saw the last ones
 * (RFC 5128, section 3.4). Both ends of a pair try what they were told in the order told, so that the
 * first mapping of one end meets the first guess of the other.
 */
import type { NatReport } from "../base/nat.ts";
import type { Endpoint } from "../base/net.ts";
import type { NatKind } from "./birthday.ts";

/** Guesses for one round: the paths that a link may try at once, less one for what arrives by itself. */
const PREDICTIONS = 5;
const PORTS = 65_536;
/** A sequence that begins again is below its last ports by more than this. */
const HALF_OF_PORTS = PORTS / 2;

/** Whether the outside port of the next destination can be foretold. */
export function isPredictable({ mapping, allocation }: NatKind): boolean {
  const differs = mapping === "address" || mapping === "address-and-port";
  return differs && allocation === "sequential";
}

/**
 * @param seen where witnesses saw a socket just now
 * @returns where it will be seen next, the likeliest first; `seen` itself where nothing can be foretold
 */
export function predictEndpoints(nat: NatReport, seen: readonly Endpoint[]): readonly Endpoint[] {
  const last = seen.reduce<Endpoint | undefined>(laterOf, undefined);
  if (last === undefined || !isPredictable(nat)) return seen;
  const step = nat.step ?? 1;
  const next = Array.from({ length: PREDICTIONS }, (_, i) => last.port + (i + 1) * step);
  return next.filter((port) => port < PORTS).map((port) => ({ ip: last.ip, port }));
}

function laterOf(a: Endpoint | undefined, b: Endpoint): Endpoint {
  if (a === undefined) return b;
  const ahead = (b.port - a.port + PORTS) % PORTS;
  return ahead < HALF_OF_PORTS ? b : a;
}
