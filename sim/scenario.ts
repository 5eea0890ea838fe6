/**
 * A scenario plays one run from its parameters and returns what was broken. Every failing run prints
 * its seed, the invariant, the last datagrams as a sequence diagram and the command that replays it.
 */
import type { Cluster } from "./cluster.ts";

/** Ends the head of an explanation. */
const DETAILS = "last datagrams:";

export interface Run {
  readonly cluster: Cluster;
  readonly failures: readonly string[];
}

export interface RunReport {
  readonly scenario: string;
  readonly parameters: string;
  readonly failures: readonly string[];
  readonly hash: string;
  readonly virtualSeconds: number;
  readonly datagrams: number;
}

export function reportOf(scenario: string, parameters: string, run: Run): RunReport {
  return {
    scenario,
    parameters,
    failures: run.failures,
    hash: run.cluster.trace.hash(),
    virtualSeconds: Math.round(run.cluster.world.now / 1000),
    datagrams: run.cluster.trace.datagrams,
  };
}

/** Everything a person needs to understand and repeat a failing run. */
export function explainFailure(scenario: string, parameters: string, run: Run): string {
  const { cluster } = run;
  const journal = cluster.hosts.flatMap((host) =>
    host.events.slice(-12).map(({ at, event }) => ({
      at,
      line: `${(at / 1000).toFixed(3).padStart(10)} s  ${host.name}: ${event.what}: ${event.condition} -> ${event.action}`,
    })),
  );
  journal.sort((a, b) => a.at - b.at);
  return [
    `scenario ${scenario} ${parameters} broke ${run.failures.length} invariants:`,
    ...run.failures.slice(0, 20).map((failure) => `  ${failure}`),
    DETAILS,
    cluster.trace.diagram(),
    "journals:",
    ...journal.slice(-60).map(({ line }) => line),
    replayLine(scenario, parameters),
  ].join("\n");
}

/** A run that threw is a bug of the core or of the simulator: its stack says where. */
export function explainThrow(scenario: string, parameters: string, error: unknown): string {
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return [
    `scenario ${scenario} ${parameters} threw:`,
    stack,
    replayLine(scenario, parameters),
  ].join("\n");
}

/** What was broken and how to replay it, without diagram and journals. */
export function headOf(explanation: string): string {
  const lines = explanation.split("\n");
  const details = lines.indexOf(DETAILS);
  return details < 0 ? explanation : [...lines.slice(0, details), ...lines.slice(-1)].join("\n");
}

function replayLine(scenario: string, parameters: string): string {
  return `replay: npm run sim -- ${scenario} ${parameters}`;
}
