/** Plays scenarios by hand: `npm run sim -- churn 17`, `npm run sim -- joins 0,2,1 5`. */
import { explainFailure, type Run, reportOf } from "./scenario.ts";
import { runChurn } from "./scenarios/churn.ts";
import { runJoins } from "./scenarios/joins.ts";

const USAGE = "usage: npm run sim -- churn SEED [COUNT] | joins ORDER SEED   (ORDER: 0,2,1)";

function main(args: readonly string[]): number {
  const [scenario = "", ...rest] = args;
  if (scenario === "churn") return playChurn(Number(rest[0]), Number(rest[1] ?? 1));
  if (scenario === "joins" && rest.length === 2) {
    const order = (rest[0] ?? "").split(",").map(Number);
    return show("joins", rest.join(" "), runJoins(order, Number(rest[1])));
  }
  console.error(USAGE);
  return 2;
}

function playChurn(seed: number, count: number): number {
  if (!Number.isInteger(seed) || !Number.isInteger(count)) {
    console.error(USAGE);
    return 2;
  }
  let worst = 0;
  for (let i = 0; i < count; i++)
    worst = Math.max(worst, show("churn", `${seed + i}`, runChurn(seed + i)));
  return worst;
}

function show(scenario: string, parameters: string, run: Run): number {
  const report = reportOf(scenario, parameters, run);
  console.log(
    `${scenario} ${parameters}: ${report.virtualSeconds} virtual s, ${report.datagrams} datagrams, hash ${report.hash}, ${report.failures.length} failures`,
  );
  if (run.failures.length === 0) return 0;
  console.error(explainFailure(scenario, parameters, run));
  return 1;
}

process.exitCode = main(process.argv.slice(2));
