/** Lines that need a person, from facts of the agent; the node adds those of the protocol. */
import type { DropReason } from "../base/drop-reason.ts";

export interface HealthFacts {
  /** Peers with a session. */
  readonly peers: number;
  readonly dropped: Readonly<Partial<Record<DropReason, number>>>;
  readonly loopLagMs: number;
  /** Already lines: names without address, overlapping networks, files that cannot be written. */
  readonly conditions: readonly string[];
}

/** Strangers' scans are a few; a member with another key repeats itself. */
const FOREIGN_KEY_DATAGRAMS = 5;
/** Timers of the overlay are in hundreds of milliseconds. */
const SLOW_LOOP_MS = 500;

export function healthLines(facts: HealthFacts): string[] {
  const lines = [...facts.conditions];
  const foreign = facts.dropped["bad-mac1"] ?? 0;
  if (facts.peers === 0 && foreign >= FOREIGN_KEY_DATAGRAMS) {
    lines.push(
      `${foreign} handshakes under another network key arrived and no peer answers: compare the secret in the cluster files`,
    );
  }
  if (facts.loopLagMs > SLOW_LOOP_MS) {
    lines.push(
      `the agent runs ${Math.round(facts.loopLagMs)} ms late: this machine is short of processor time`,
    );
  }
  return lines;
}
