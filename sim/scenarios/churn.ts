/**
 * The swarm: members join, crash, restart, freeze and are cut off for ten virtual minutes under loss,
 * with options drawn from the seed; then everything heals and everything must hold within a bound.
 *
 *      |<---- faults, safety checked every second ---->|<-- heal, liveness bounded -->|
 */
import { below, type Rng, SeededRng, unit } from "../../src/base/rng.ts";
import type { Millis } from "../../src/base/time.ts";
import {
  checkBounds,
  checkLeases,
  checkMutual,
  checkOnline,
  checkRights,
  checkRing,
} from "../checkers/invariants.ts";
import { checkLookups, checkPings } from "../checkers/reachability.ts";
import { Cluster, underlayIp } from "../cluster.ts";
import type { Host } from "../host.ts";
import { CALM, type NetworkOptions } from "../network.ts";
import type { Run } from "../scenario.ts";

export const FAULT_PHASE_MS: Millis = 600_000;
/** After the last fault: detection, repair, renewed leases. */
const HEAL_LIMIT_MS = 120_000;
/** A conflict between two holders is settled within this long (docs/PROTOCOL.md, Leases). */
const CONFLICT_LIMIT_MS = 60_000;
const CHECK_EVERY_MS = 1_000;
const LOOKUP_AGAIN_MS = 5_000;
/** Leases up to this long are watched over a whole life after healing. */
const WATCHED_LEASE_SECONDS = 60;

interface Swarm {
  readonly size: number;
  readonly network: NetworkOptions;
  /** Mean time between faults. */
  readonly faultEveryMs: Millis;
  readonly withPartitions: boolean;
  /** A short life brings renewals, and ends while a partition lasts, into ten minutes. */
  readonly leaseSeconds: number;
  /** Of the range; a tight one makes members meet on one address. */
  readonly prefix: number;
  /** Mean time between one-way cuts and slow machines; 0 = none. */
  readonly unevenEveryMs: Millis;
}

export function runChurn(seed: number, phaseMs: Millis = FAULT_PHASE_MS): Run {
  const rng = new SeededRng(seed, 0xc0ffee);
  const swarm = drawSwarm(rng);
  const bootstrap = swarm.size > 3 ? [0, 1] : [0];
  const { size, network, leaseSeconds, prefix } = swarm;
  const config = { leaseSeconds, range: { first: "10.99.0.0", prefix } };
  const cluster = new Cluster({ seed, size, network, bootstrap, config });
  cluster.host(0).start();
  if (swarm.unevenEveryMs > 0) playUneven(cluster, rng.fork("uneven"), swarm, phaseMs);
  const failures = playFaults(cluster, rng, swarm, phaseMs);
  if (failures.length === 0) failures.push(...heal(cluster));
  if (failures.length === 0) failures.push(...checkKept(cluster, leaseSeconds));
  return { cluster, failures };
}

function drawSwarm(rng: Rng): Swarm {
  const more = rng.fork("options");
  return {
    size: 2 + below(rng, 31),
    network: {
      latencyMs: 1 + below(rng, 60),
      jitterMs: below(rng, 20),
      lossFraction: [0, 0, 0.01, 0.05][below(rng, 4)] ?? 0,
      duplicateFraction: [0, 0.01][below(rng, 2)] ?? 0,
    },
    faultEveryMs: 4_000 + below(rng, 40_000),
    withPartitions: below(rng, 4) === 0,
    leaseSeconds: [60, 300, 3_600][below(more, 3)] ?? 60,
    prefix: [24, 26][below(more, 2)] ?? 24,
    unevenEveryMs: [0, 20_000][below(more, 2)] ?? 0,
  };
}

function playFaults(cluster: Cluster, rng: Rng, swarm: Swarm, phaseMs: Millis): string[] {
  let nextFault = 1_000;
  let conflictSince: Millis | undefined;
  let unentitledBefore: readonly string[] = [];
  while (cluster.world.now < phaseMs) {
    cluster.world.runUntil(cluster.world.now + CHECK_EVERY_MS);
    if (cluster.world.now >= nextFault) {
      playFault(cluster, rng, swarm);
      nextFault = cluster.world.now + swarm.faultEveryMs * (0.5 + unit(rng));
    }
    const unentitled = checkRights(cluster.up);
    const stillUnentitled = unentitled.filter((one) => unentitledBefore.includes(one));
    unentitledBefore = unentitled;
    const broken = [...checkBounds(cluster.up), ...stillUnentitled];
    if (broken.length > 0) return broken;
    const conflicts = checkLeases(cluster.up);
    conflictSince = conflicts.length === 0 ? undefined : (conflictSince ?? cluster.world.now);
    if (conflictSince !== undefined && cluster.world.now - conflictSince > CONFLICT_LIMIT_MS) {
      return conflicts.map((conflict) => `${conflict} for over ${CONFLICT_LIMIT_MS / 1000} s`);
    }
  }
  return [];
}

function playFault(cluster: Cluster, rng: Rng, swarm: Swarm): void {
  const host = cluster.host(below(rng, swarm.size));
  if (!host.isUp) return host.start();
  const draw = below(rng, 10);
  if (draw < 3) host.crash();
  else if (draw < 4) host.command({ name: "stop" });
  else if (draw < 5) freezeFor(cluster, host, 2_000 + below(rng, 60_000));
  else if (draw < 6 && swarm.withPartitions) partition(cluster, rng);
  else if (draw < 7) cluster.network.heal();
  else startOne(cluster);
}

function startOne(cluster: Cluster): void {
  cluster.hosts.find((host) => !host.isUp)?.start();
}

function freezeFor(cluster: Cluster, host: Host, ms: Millis): void {
  host.freeze();
  cluster.world.schedule(cluster.world.now + ms, () => host.thaw());
}

function partition(cluster: Cluster, rng: Rng): void {
  const groups = cluster.hosts.map((_, i): [string, number] => [underlayIp(i), below(rng, 2)]);
  cluster.network.partition(new Map(groups));
}

/** One direction of a pair is cut, or one machine is slow, for a while. */
function playUneven(cluster: Cluster, rng: Rng, swarm: Swarm, phaseMs: Millis): void {
  const { world, network } = cluster;
  for (let at = 5_000; at < phaseMs; at += swarm.unevenEveryMs * (0.5 + unit(rng))) {
    const [from, to] = [underlayIp(below(rng, swarm.size)), underlayIp(below(rng, swarm.size))];
    const endsAt = Math.min(phaseMs, at + 5_000 + below(rng, 60_000));
    if (below(rng, 2) === 0) {
      world.schedule(at, () => network.blockWay(from, to));
      world.schedule(endsAt, () => network.unblock(from, to));
    } else {
      world.schedule(at, () => network.slow(from, 100 + below(rng, 400)));
      world.schedule(endsAt, () => network.slow(from, 0));
    }
  }
}

/** A quiet cluster keeps every address over a whole life of its lease. */
function checkKept(cluster: Cluster, leaseSeconds: number): string[] {
  if (leaseSeconds > WATCHED_LEASE_SECONDS) return [];
  const before = cluster.up.map((host) => ({ host, ip: host.ip }));
  const since = cluster.world.now;
  cluster.world.runUntil(since + leaseSeconds * 1_200);
  return before.flatMap(({ host, ip }) => {
    const lost = host.events.some(({ at, event }) => at > since && event.what === "lease-lost");
    const isKept = host.ip === ip && !lost && checkRights([host]).length === 0;
    return isKept ? [] : [`${host.name} did not keep ${ip} while nothing happened`];
  });
}

function heal(cluster: Cluster): string[] {
  cluster.network.heal();
  cluster.network.setOptions(CALM);
  for (const host of cluster.hosts) {
    host.thaw();
    host.start();
  }
  const end = cluster.world.now + HEAL_LIMIT_MS;
  const wrong = () => [
    ...checkRing(cluster.up),
    ...checkMutual(cluster.up),
    ...checkOnline(cluster.up),
    ...checkBounds(cluster.up),
  ];
  cluster.world.runUntilHolds(() => wrong().length === 0, HEAL_LIMIT_MS, 500);
  let failures = wrong();
  // A record whose replicas all went comes back when its holder checks it (every 30 s).
  while (failures.length === 0) {
    failures = checkLookups(cluster);
    if (failures.length === 0) return checkPings(cluster);
    if (cluster.world.now >= end) return failures;
    cluster.world.runUntil(cluster.world.now + LOOKUP_AGAIN_MS);
    failures = wrong();
  }
  return failures;
}
