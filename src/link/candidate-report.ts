/** What became of each address of a peer: for people, and for nothing else. */
import { type Endpoint, sameEndpoint } from "../base/net.ts";
import type { Millis } from "../base/time.ts";
import type { Path } from "./path.ts";

export interface CandidateReport {
  readonly endpoint: Endpoint;
  /** "silent": not tried at present; it did not answer when it was. */
  readonly result: "active" | "works" | "trying" | "silent";
  readonly rttMs: Millis | undefined;
}

/** @param active the path that carries traffic */
export function reportCandidates(
  candidates: readonly Endpoint[],
  direct: readonly Path[],
  active: Path | undefined,
): CandidateReport[] {
  const tried = direct.flatMap((path): CandidateReport[] => {
    if (path.to.kind !== "direct") return [];
    const result = path === active ? "active" : path.isGood ? "works" : "trying";
    return [{ endpoint: path.to.endpoint, result, rttMs: path.rtt.meanMs }];
  });
  const others = candidates
    .filter((endpoint) => !tried.some((report) => sameEndpoint(report.endpoint, endpoint)))
    .map((endpoint): CandidateReport => ({ endpoint, result: "silent", rttMs: undefined }));
  return [...tried, ...others];
}
