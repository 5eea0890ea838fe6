/**
 * `npm run test:nat`: every pair, several times, as a table; `--only WORD` plays the pairs with that word,
 * `--some` those of `npm test`, `--extra YAML` adds keys to the cluster file, `--aggressive` has ports
 * guessed. Ends with status 1 when any run was not as theory says.
 */
import { parseArgs } from "node:util";
import { allPairs, SOME_PAIRS } from "./nat-pairs.ts";
import { type PairKinds, pairText } from "./nat-place.ts";
import { Gate, runPair } from "./nat-run.ts";
import { expectedPath } from "./nat-theory.ts";
import { faultsOf, runText } from "./nat-verdict.ts";

interface Row {
  readonly name: string;
  readonly runs: readonly string[];
  readonly faults: readonly string[];
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      runs: { type: "string", default: "3" },
      labs: { type: "string", default: "5" },
      only: { type: "string", default: "" },
      some: { type: "boolean", default: false },
      extra: { type: "string", default: "" },
      aggressive: { type: "boolean", default: false },
    },
  });
  const pairs = (values.some ? SOME_PAIRS : allPairs()).filter((pair) =>
    pairText(pair).includes(values.only),
  );
  const started = performance.now();
  const [labs, starts] = [new Gate(Number(values.labs)), new Gate(1)];
  const rows = await Promise.all(
    pairs.map((pair) => playPair(pair, { ...values, runs: Number(values.runs), labs, starts })),
  );
  const bad = rows.filter(({ faults }) => faults.length > 0);
  const minutes = ((performance.now() - started) / 60_000).toFixed(1);
  console.log(
    `\n${rows.length - bad.length} of ${rows.length} pairs as theory says, ${minutes} min`,
  );
  for (const { name, faults } of bad) console.log(`  ${name}: ${faults.join(" | ")}`);
  process.exitCode = bad.length > 0 ? 1 : 0;
}

interface Play {
  readonly runs: number;
  readonly labs: Gate;
  readonly starts: Gate;
  readonly extra: string;
  readonly aggressive: boolean;
}

async function playPair(pair: PairKinds, play: Play): Promise<Row> {
  const { runs, labs, starts, aggressive } = play;
  const expected = expectedPath(pair, aggressive);
  const extra = `${play.extra}\n${aggressive ? "traversal: aggressive" : ""}`;
  const options = { extra, isProbed: aggressive, limitMs: expected.withinMs };
  const texts: string[] = [];
  const faults: string[] = [];
  for (let i = 0; i < runs; i++) {
    try {
      const run = await labs.pass(() => runPair(pair, options, starts));
      texts.push(runText(run));
      faults.push(...faultsOf(run, expected));
    } catch (error) {
      texts.push("failed");
      faults.push((error as Error).message.split("\n")[0] ?? "");
    }
  }
  const name = pairText(pair);
  const mark = faults.length === 0 ? "ok  " : "BAD ";
  for (const text of texts)
    console.log(`${mark} ${name.padEnd(46)} ${expected.path.padEnd(6)} ${text}`);
  return { name, runs: texts, faults };
}

main().catch((error: unknown) => {
  console.error(`nat-all: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
});
