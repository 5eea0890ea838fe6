import type { Label, PathIndex, PathTarget, SessionId } from "../base/engine.ts";
import { isIpv6 } from "../base/net.ts";
import type { RingAddress } from "../base/ring-address.ts";
import { below, type Rng } from "../base/rng.ts";
import { type Millis, NEVER } from "../base/time.ts";
import { LossMeter } from "./loss-meter.ts";
import type { OwnPlace } from "./own-place.ts";
import { type PathKind, PathSize } from "./path-size.ts";
import { ProbeSchedule, PUNCHING_GAPS_MS, TRYING_GAPS_MS } from "./probe-schedule.ts";
import { RttEstimate } from "./rtt.ts";
import { isStream } from "./stream-sockets.ts";

/** Firewalls forget a flow of UDP after 30 s at the earliest. */
const KEEPALIVE_MS = 20_000;
const KEEPALIVE_SPREAD_MS = 5_001;
/**
 * Behind a NAT of which nothing is known this much of it, 7 to 8.75 s: RFC 4787 asks for 120 s, but NATs
 * that forget a mapping after 10 s exist, and an empty message in eight seconds is next to nothing.
 */
const NAT_KEEPALIVE_FRACTION = 0.35;
/** Of the life that was measured: a keepalive may be late, or lost. */
const LIFE_FRACTION = 0.7;
/** A NAT that forgets sooner than this is of no use; nobody fills a line with keepalives for it. */
const SHORTEST_KEEPALIVE_MS: Millis = 1_000;
/** A spare path is asked rarely, but often enough to keep its mapping. */
export const SPARE_PERIOD_MS: Millis = 20_000;
/** A path through a relay is asked this often: 50 probes find a relay that drops within a minute. */
export const RELAY_PERIOD_MS: Millis = 1_000;
/** Another path must be this much faster to be worth the change. */
const FASTER_FRACTION = 0.8;
const FASTER_MS = 2;

/** One way to the peer of a session, with what probes found out about it. */
export interface Path {
  readonly index: PathIndex;
  readonly to: PathTarget;
  /** The relaying member; undefined for a direct path. */
  readonly via: RingAddress | undefined;
  readonly keepaliveMs: Millis;
  readonly rtt: RttEstimate;
  readonly schedule: ProbeSchedule;
  readonly size: PathSize;
  readonly origin: PathOrigin;
  /** Its first probe is to die on the way: it opens our NATs and meets none of the peer's. */
  wantsOpener: boolean;
  readonly loss: LossMeter;
  isGood: boolean;
  /** An end of it moved, most likely: the first probe without answer counts. */
  isDoubted: boolean;
  lastAckAt: Millis;
}

/**
 * How a path became known: the peer told the address; an authenticated datagram came from there, so that
 * the peer may have moved once it answers; a relay; or it is no path for traffic but asks the peer where
 * it sees one of our sockets.
 */
export type PathOrigin = "told" | "seen" | "relay" | "question";

export interface NewPath extends Pick<Path, "to" | "via" | "origin"> {
  /** NATs may have to be opened on both sides. */
  readonly isPunched: boolean;
}

/** What names a relay path within a session. */
export interface RelayHop {
  readonly via: SessionId;
  readonly label: Label;
}

/** A path that has not answered yet; its first probe is due at once. */
export function newPath(now: Millis, index: PathIndex, asked: NewPath, rng: Rng): Path {
  const { to, via, origin, isPunched } = asked;
  return {
    to,
    via,
    origin,
    index,
    keepaliveMs: KEEPALIVE_MS + below(rng, KEEPALIVE_SPREAD_MS),
    rtt: new RttEstimate(),
    schedule: new ProbeSchedule(
      now,
      isPunched ? PUNCHING_GAPS_MS : TRYING_GAPS_MS,
      SPARE_PERIOD_MS,
    ),
    size: new PathSize(sizeKindOf(to)),
    wantsOpener: isPunched,
    loss: new LossMeter(),
    isGood: false,
    isDoubted: false,
    lastAckAt: Number.NEGATIVE_INFINITY,
  };
}

function sizeKindOf(to: PathTarget): PathKind {
  if (to.kind === "relay") return "relayed";
  return isIpv6(to.endpoint.ip) ? "v6" : "v4";
}

/** How long the path may be silent before the engine sends an empty message. */
export function keepaliveOf({ keepaliveMs }: Path, place: OwnPlace): Millis {
  const { isBehindNat, mappingLifeMs = NEVER } = place;
  if (!isBehindNat) return keepaliveMs;
  const measuredMs = Math.max(mappingLifeMs * LIFE_FRACTION, SHORTEST_KEEPALIVE_MS);
  return Math.round(Math.min(keepaliveMs * NAT_KEEPALIVE_FRACTION, measuredMs));
}

/**
 * Straight by UDP; straight by stream, where a lost segment holds up what is behind it; by a relay,
 * which is a stranger's bandwidth and one more machine that may fail.
 */
export function rankOf({ to }: Path): number {
  if (to.kind === "relay") return 2;
  return isStream(to.socket) ? 1 : 0;
}

/** Whether to leave `active` for `path`; two that work are never equally good. */
export function isBetter(path: Path, active: Path): boolean {
  if (!active.isGood) return true;
  if (active.schedule.misses > 1 && path.schedule.misses === 0) {
    return path.lastAckAt > active.schedule.startedAt;
  }
  if (rankOf(path) !== rankOf(active)) return rankOf(path) < rankOf(active);
  if (path.loss.isLossy !== active.loss.isLossy && path.to.kind === "relay") {
    return active.loss.isLossy;
  }
  const [ours, theirs] = [path.rtt.meanMs, active.rtt.meanMs];
  if (ours === undefined || theirs === undefined) return false;
  return ours < theirs * FASTER_FRACTION && theirs - ours > FASTER_MS;
}

export function worksWell({ isGood, schedule, loss }: Path): boolean {
  return isGood && schedule.misses === 0 && !loss.isLossy;
}

export function isUdp(to: PathTarget): to is Extract<PathTarget, { kind: "direct" }> {
  return to.kind === "direct" && !isStream(to.socket);
}
