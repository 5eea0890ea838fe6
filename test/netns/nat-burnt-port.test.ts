import { expect, it } from "vitest";
import { Gate, type PairRun, runPair } from "../../lab/nat-run.ts";
import { runText } from "../../lab/nat-verdict.ts";
import { describeWhere } from "../support/requires.ts";
import { figure, kernelNeeds } from "./cluster.ts";

const TITLE = "home routers that let early probes burn the port: another port is found";
const PAIR = { a: "portrestricted", b: "portrestricted" } as const;
const DELAY_MS = 40;
const LIMIT_MS = 20_000;
const SKEWS_MS = [0, 100, 500];
/** One each here, ten each with `npm run test:nat`. */
const RUNS = process.env["WEFT_NAT"] === "full" ? 10 : 1;
const LABS = new Gate(3);
const STARTS = new Gate(1);

describeWhere(TITLE, kernelNeeds("conntrack", "bridge", "ethtool", "g++"), () => {
  it.concurrent.for(SKEWS_MS)(
    "starts %i ms apart: relayed at once, direct within 20 s",
    { timeout: RUNS * 120_000 },
    async (skewMs) => {
      const options = { guard: false, delayMs: DELAY_MS, skewMs, limitMs: LIMIT_MS };
      const runs: PairRun[] = [];
      for (let i = 0; i < RUNS; i++) {
        const run = await LABS.pass(() => runPair(PAIR, options, STARTS));
        figure(`burnt port, ${skewMs} ms apart: ${runText(run)}`);
        runs.push(run);
      }
      const direct = runs.filter(({ settled }) => settled === "direct");
      expect(direct.length).toBeGreaterThanOrEqual(Math.ceil(RUNS * 0.9));
      for (const { firstReplyMs } of runs) expect(firstReplyMs).toBeLessThan(2_000);
      // a dead second would show as a path of no kind
      for (const { samples } of runs) expect(samples.map(({ path }) => path)).not.toContain("none");
    },
  );
});
