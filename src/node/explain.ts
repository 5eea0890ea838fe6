/** All that this node knows of the way to a member: for `weft explain`. */
import { natKind } from "../base/nat.ts";
import { endpointText } from "../base/net.ts";
import type { LinkView } from "../link/link-types.ts";
import { explainPair, type PairEnd, type PairReason } from "./explain-pair.ts";
import type { Parts } from "./parts.ts";

export interface ExplainedEnd {
  readonly name: string;
  readonly nat: string | undefined;
  /** Where it may be found, with what came of trying; of this node: where others were told to try. */
  readonly candidates: readonly {
    readonly endpoint: string;
    readonly result: "active" | "works" | "trying" | "silent" | "told";
    readonly rttMs: number | undefined;
  }[];
}

export interface Explained extends PairReason {
  /** Of the pair; undefined for two other members, whose link only they know. */
  readonly link: "direct" | "relay" | "connecting" | undefined;
  readonly relay: string | undefined;
  readonly endpoint: string | undefined;
  readonly rttMs: number | undefined;
  readonly lossFraction: number | undefined;
  readonly from: ExplainedEnd;
  readonly to: ExplainedEnd;
}

/** @param ownName name of this node; it may be either end */
export function explain(
  parts: Parts,
  ownName: string,
  ends: { readonly from: string; readonly to: string },
): Explained | { readonly unknown: string } {
  const views = parts.links.views();
  const find = (name: string): LinkView | "self" | undefined =>
    name === ownName ? "self" : views.find((view) => view.peer.name === name);
  const [from, to] = [find(ends.from), find(ends.to)];
  if (from === undefined) return { unknown: ends.from };
  if (to === undefined) return { unknown: ends.to };
  const link = from === "self" ? to : from;
  const isOwn = from === "self" || to === "self";
  const isDirect = isOwn && link !== "self" && link.path.kind === "direct";
  const reason = explainPair(pairEnd(parts, ownName, from), pairEnd(parts, ownName, to), isDirect);
  return {
    ...reason,
    ...linkOf(parts, isOwn && link !== "self" ? link : undefined),
    from: end(parts, ownName, from),
    to: end(parts, ownName, to),
  };
}

function linkOf(parts: Parts, view: LinkView | undefined) {
  const path = view?.path;
  const relay = path?.kind === "relay" ? parts.links.byAddress(path.via)?.peer.name : undefined;
  return {
    link: path === undefined ? undefined : path.kind === "none" ? "connecting" : path.kind,
    relay,
    endpoint: path?.kind === "direct" ? endpointText(path.endpoint) : undefined,
    rttMs: view?.rttMs,
    lossFraction: view?.lossFraction,
  } as const;
}

function pairEnd(parts: Parts, ownName: string, end: LinkView | "self"): PairEnd {
  if (end === "self") {
    const { nat, udp } = parts.stun.view();
    return { name: ownName, udp, ...nat };
  }
  const { name } = end.peer;
  const nat = end.nat ?? { mapping: "unknown", filtering: "unknown", allocation: "unknown" };
  return { name, udp: "unknown", ...nat };
}

function end(parts: Parts, ownName: string, view: LinkView | "self"): ExplainedEnd {
  if (view === "self") {
    const told = parts.links.whereabouts().endpoints;
    return {
      name: ownName,
      nat: natKind(parts.stun.view().nat),
      candidates: told.map((endpoint) => ({
        endpoint: endpointText(endpoint),
        result: "told",
        rttMs: undefined,
      })),
    };
  }
  return {
    name: view.peer.name,
    nat: view.nat === undefined ? undefined : natKind(view.nat),
    candidates: view.candidates().map((report) => ({
      ...report,
      endpoint: endpointText(report.endpoint),
    })),
  };
}
