import { expect, it } from "vitest";
import { type PairKinds, pairText } from "../../lab/nat-place.ts";
import { Gate, type PairRun, runPair } from "../../lab/nat-run.ts";
import { expectedPath } from "../../lab/nat-theory.ts";
import { runText } from "../../lab/nat-verdict.ts";
import { describeWhere, requireCommand } from "../support/requires.ts";
import { figure, kernelNeeds } from "./cluster.ts";

const IS_FULL = process.env["WEFT_NAT"] === "full";
const RUNS = IS_FULL ? 10 : 1;
/** Nine in ten. */
const DIRECT_MIN = Math.ceil(0.9 * RUNS);
/** Issued to people, for whoever guards a network between. */
const PER_SECOND_MAX = 50;
const TOTAL_MAX = 1_200;

const PAIRS: readonly PairKinds[] = [
  { a: "symmetric_sequential", b: "symmetric_sequential" },
  { a: "symmetric", b: "portrestricted" },
];

/** Runs at once, and how many of them may be starting agents. */
const LABS = new Gate(2);
const STARTS = new Gate(1);

const OPTIONS = { extra: "traversal: aggressive", isProbed: true };

/** A path in time, whatever the wire saw. */
function isDirect(run: PairRun, withinMs: number): boolean {
  return run.settled === "direct" && run.settledMs <= withinMs;
}

const needs = [...kernelNeeds("conntrack", "bridge"), requireCommand("tcpdump")];

describeWhere("pairs that theory relays, with traversal: aggressive", needs, () => {
  it.concurrent.for(PAIRS.map((pair) => [pairText(pair), pair] as const))(
    `%s: direct in nine of ten, at most ${PER_SECOND_MAX} probes a second, ${TOTAL_MAX} in all`,
    { timeout: 120_000 + RUNS * 120_000 },
    async ([name, pair]) => {
      const { path, withinMs } = expectedPath(pair, true);
      expect([expectedPath(pair).path, path]).toEqual(["relay", "direct"]);
      const play = () => LABS.pass(() => runPair(pair, { ...OPTIONS, limitMs: withinMs }, STARTS));
      const runs: PairRun[] = [];
      while (runs.length < RUNS) runs.push(await play());
      // One search in fifty finds nothing: two in a row never do.
      if (!IS_FULL && !runs.some((run) => isDirect(run, withinMs))) runs.push(await play());
      for (const run of runs) figure(`${name}: ${seconds(run.settledMs)} ${runText(run)}`);
      const direct = runs.filter((run) => isDirect(run, withinMs));
      figure(`${name}: ${direct.length} of ${runs.length} direct`);
      for (const { wire } of runs) {
        expect(wire?.total).toBeGreaterThan(0);
        expect(wire?.total).toBeLessThanOrEqual(TOTAL_MAX);
        expect(wire?.perSecond).toBeLessThanOrEqual(PER_SECOND_MAX);
      }
      expect(direct.length).toBeGreaterThanOrEqual(DIRECT_MIN);
    },
  );
});

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
