/**
 * From what was seen to what the NAT does (RFC 4787, RFC 5780). Pure: the same samples, the same
 * answer, in whatever order they are given but for the time each carries.
 */

import type { NatAllocation, NatFiltering, NatMapping, NatReport } from "../base/nat.ts";
import { type Endpoint, isIpv6, isPrivate, sameEndpoint } from "../base/net.ts";
import type { Millis } from "../base/time.ts";

export type NatSample =
  /** `destination` saw us at `mapped`. */
  | {
      readonly kind: "mapping";
      /** Names the local socket: mappings of one socket are compared with one another only. */
      readonly socket: number;
      readonly localPort: number;
      /** `mapped` is an address of this host: nothing translated on this way. */
      readonly isOwn: boolean;
      readonly destination: Endpoint;
      readonly mapped: Endpoint;
      /** When the mapping was made, as far as that is known. */
      readonly at: Millis;
    }
  /** A destination was asked to answer from elsewhere; it answered us by itself before. */
  | {
      readonly kind: "filtering";
      readonly from: "another-address" | "another-port";
      readonly answered: boolean;
    }
  | { readonly kind: "hairpin"; readonly answered: boolean };

type Mapped = Extract<NatSample, { kind: "mapping" }>;

/** Ports that other traffic of the same NAT may take between two mappings of ours. */
const MAX_STEP = 32;
/** Mappings made within this time count as made one after the other. */
const TOGETHER_MS = 5_000;
/** One step in four may be spoilt: the range wrapped, or much traffic passed. */
const SPOILT_SHARE = 0.25;

export function classifyNat(samples: readonly NatSample[]): NatReport {
  const mapped = samples.filter((sample) => sample.kind === "mapping").filter(tellsOfNat(samples));
  const mapping = mappingOf(mapped);
  const { allocation, step } = allocationOf(mapped, mapping);
  const hairpin = samples.findLast((sample) => sample.kind === "hairpin")?.answered;
  return {
    mapping,
    filtering: filteringOf(samples),
    allocation,
    ...(step === undefined ? {} : { step }),
    ...(hairpin === undefined ? {} : { hairpin }),
  };
}

/**
 * A host beside us sees us untranslated whatever the router does, and one inside a carrier's NAT
 * sees the first translation only: as soon as somebody on the internet saw us, only they count.
 */
function tellsOfNat(samples: readonly NatSample[]): (sample: Mapped) => boolean {
  const isOutside = (sample: NatSample): boolean =>
    sample.kind === "mapping" && !isPrivate(sample.destination.ip);
  if (samples.some(isOutside)) return isOutside;
  return (sample) => !sample.isOwn;
}

function mappingOf(samples: readonly Mapped[]): NatMapping {
  if (samples.length === 0) return "unknown";
  if (samples.every((sample) => sample.isOwn)) return "none";
  const verdicts = pairs(samples).map(([a, b]) => compare(a, b));
  for (const verdict of ["address-and-port", "address"] as const) {
    if (verdicts.includes(verdict)) return verdict;
  }
  // The port differs by address; whether by port too, nobody could tell: the harder kind is assumed.
  if (verdicts.includes("differs")) {
    return verdicts.includes("same-port-of-address") ? "address" : "address-and-port";
  }
  if (verdicts.includes("endpoint-independent")) return "endpoint-independent";
  // One address tells a NAT that maps by address from a cone only where inside ports are kept.
  const areKept = samples.every(({ mapped, localPort }) => mapped.port === localPort);
  return areKept && verdicts.includes("same-port-of-address") ? "endpoint-independent" : "unknown";
}

type Comparison =
  | "endpoint-independent"
  | "address"
  | "address-and-port"
  | "differs"
  | "same-port-of-address"
  | "nothing";

/** What two mappings of one socket say. */
function compare(a: Mapped, b: Mapped): Comparison {
  const isSameHost = a.destination.ip === b.destination.ip;
  if (isSameHost && a.destination.port === b.destination.port) return "nothing";
  const isSame = sameEndpoint(a.mapped, b.mapped);
  if (isSameHost) return isSame ? "same-port-of-address" : "address-and-port";
  return isSame ? "endpoint-independent" : "differs";
}

function pairs(samples: readonly Mapped[]): [Mapped, Mapped][] {
  return samples.flatMap((a, i) =>
    samples
      .slice(i + 1)
      .filter((b) => b.socket === a.socket && isIpv6(a.mapped.ip) === isIpv6(b.mapped.ip))
      .map((b): [Mapped, Mapped] => [a, b]),
  );
}

function allocationOf(
  samples: readonly Mapped[],
  mapping: NatMapping,
): { allocation: NatAllocation; step?: number } {
  if (samples.length === 0) return { allocation: "unknown" };
  if (samples.every(({ mapped, localPort }) => mapped.port === localPort)) {
    return { allocation: "preserved" };
  }
  if (mapping === "none" || mapping === "unknown") return { allocation: "unknown" };
  const steps = stepsOf(samples);
  if (steps.length === 0) return { allocation: "unknown" };
  const regular = steps.filter((step) => step >= 1 && step <= MAX_STEP);
  if (regular.length < Math.ceil(steps.length * (1 - SPOILT_SHARE)))
    return { allocation: "random" };
  return { allocation: "sequential", step: regular.reduce(greatestCommon) };
}

/** Differences of ports of mappings made shortly after one another, over every socket. */
function stepsOf(samples: readonly Mapped[]): number[] {
  const made = [...samples].sort((a, b) => a.at - b.at || a.mapped.port - b.mapped.port);
  const fresh = made.filter(
    (sample, i) => !made.slice(0, i).some((other) => sameEndpoint(other.mapped, sample.mapped)),
  );
  return fresh.slice(1).flatMap((sample, i) => {
    const before = fresh[i];
    if (before === undefined || sample.at - before.at > TOGETHER_MS) return [];
    return [sample.mapped.port - before.mapped.port];
  });
}

function greatestCommon(a: number, b: number): number {
  return b === 0 ? a : greatestCommon(b, a % b);
}

/** The later word counts; an answer from another address says more than one from another port. */
function filteringOf(samples: readonly NatSample[]): NatFiltering {
  const tests = samples.filter((sample) => sample.kind === "filtering");
  const address = tests.findLast((test) => test.from === "another-address")?.answered;
  const port = tests.findLast((test) => test.from === "another-port")?.answered;
  if (address === true) return "endpoint-independent";
  if (port === undefined) return "unknown";
  return port ? "address" : "address-and-port";
}
