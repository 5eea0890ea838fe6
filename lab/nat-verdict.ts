/** Holds what was seen of a pair against what theory says. */
import type { PairRun } from "./nat-run.ts";
import type { Verdict } from "./nat-theory.ts";

/** Issued to people as the bound of a fresh start. */
export const FIRST_REPLY_MS = 2_000;
/** Ten pings a second: half a second of silence. The last one may still be on its way. */
const LOST_MAX = 5;

/** What was not as it should be; empty when all was well. */
export function faultsOf(run: PairRun, { path: expected, withinMs }: Verdict): string[] {
  const faults: string[] = [];
  const { firstReplyMs, settled, settledMs } = run;
  if (firstReplyMs === undefined) faults.push("no reply");
  else if (firstReplyMs > FIRST_REPLY_MS) faults.push(`first reply ${seconds(firstReplyMs)}`);
  if (settled !== expected) faults.push(`${settled} instead of ${expected}`);
  // the last sample may be a little late; before that a relayed pair has nothing to wait for
  else if (settled === "direct" && settledMs > withinMs) {
    faults.push(`direct after ${seconds(settledMs)}`);
  }
  if (run.answered > 0 && run.sent - run.answered > LOST_MAX) {
    faults.push(`${run.sent - run.answered} of ${run.sent} pings lost`);
  }
  if (changes(run) > 1) faults.push(`flaps: ${pathsText(run)}`);
  return faults;
}

/** From relay to direct is one change; one more is one too many. */
function changes({ samples }: PairRun): number {
  const certain = samples.filter(({ path }) => path === "direct" || path === "relay");
  return certain.filter((sample, i) => i > 0 && sample.path !== certain[i - 1]?.path).length;
}

/** One letter a second: d(irect), r(elay), b(oth), n(one). */
export function pathsText({ samples }: PairRun): string {
  return samples.map(({ path }) => path[0]).join("");
}

export function runText(run: PairRun): string {
  const { firstReplyMs, sent, answered, probes, wire, settled } = run;
  const first = firstReplyMs === undefined ? "never" : seconds(firstReplyMs);
  const lost = `${sent - answered}/${sent} lost`;
  const { total, perSecond } = wire ?? probes;
  const sought = `probes ${total} (${perSecond}/s)`;
  return `${settled.padEnd(9)} first ${first.padEnd(7)} ${pathsText(run).padEnd(10)} ${lost} ${sought}`;
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(2)} s`;
}
