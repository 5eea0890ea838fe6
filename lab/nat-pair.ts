/**
 * `node dist/lab/nat-pair.js KIND_A KIND_B [options]`: one pair of sites behind NATs, measured while
 * somebody looks. Needs root. Ends with status 1 when it was not as theory says.
 */
import { parseArgs } from "node:util";
import { isPlaceKind, type PairKinds, PLACE_KINDS, pairText, type Shared } from "./nat-place.ts";
import { type PairRun, type RunOptions, runPair } from "./nat-run.ts";
import { expectedPath } from "./nat-theory.ts";
import { faultsOf, runText } from "./nat-verdict.ts";

const USAGE = `usage: nat-pair KIND_A KIND_B [--shared lan|carrier|carrier-hairpin] [--delay MS] [--skew MS]
       [--loss PERCENT] [--hole BYTES]
       [--no-guard] [--traversal off|standard|aggressive] [--extra YAML] [--runs N] [--seconds N] [--logs FOLDER]
kinds: ${PLACE_KINDS.join(" ")}`;
const SHARED: readonly string[] = ["lan", "carrier", "carrier-hairpin"] satisfies Shared[];

async function main(): Promise<void> {
  const { kinds, options, runs } = readWords();
  const verdict = expectedPath(kinds, options.isProbed);
  console.log(`${pairText(kinds)}: theory says ${verdict.path} (${verdict.because})`);
  let failed = 0;
  for (let i = 1; i <= runs; i++) {
    const run = await runPair(kinds, options);
    for (const row of rowsOf(run)) console.log(row);
    const faults = faultsOf(run, verdict);
    if (faults.length > 0) failed++;
    const word = faults.length === 0 ? "as it should be" : faults.join("; ");
    console.log(`run ${i}: ${runText(run)}: ${word}`);
  }
  if (runs > 1) console.log(`${runs - failed} of ${runs} runs were as they should be`);
  process.exitCode = failed > 0 ? 1 : 0;
}

function rowsOf({ leaseMs, samples }: PairRun): string[] {
  const head = `both have an address after ${(leaseMs / 1000).toFixed(1)} s`;
  return [
    head,
    "  after   path    via public  direct  sent elsewhere a/b  weft says a/b",
    ...samples.map(({ atMs, path, counts, saidByA, saidByB }) => {
      const cells = [
        `${(atMs / 1000).toFixed(1)} s`.padStart(7),
        path.padEnd(6),
        `${counts.viaPublic}`.padStart(10),
        `${counts.direct}`.padStart(7),
        `${counts.sentByA}/${counts.sentByB}`.padStart(19),
        `${saidByA}/${saidByB}`,
      ];
      return cells.join("  ");
    }),
  ];
}

function readWords(): { kinds: PairKinds; options: RunOptions; runs: number } {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      shared: { type: "string" },
      delay: { type: "string", default: "0" },
      skew: { type: "string", default: "0" },
      loss: { type: "string", default: "0" },
      hole: { type: "string", default: "65535" },
      "no-guard": { type: "boolean", default: false },
      traversal: { type: "string" },
      extra: { type: "string", default: "" },
      runs: { type: "string", default: "1" },
      seconds: { type: "string", default: "10" },
      logs: { type: "string" },
    },
  });
  const [a = "", b = "", ...more] = positionals;
  const { shared, traversal, logs } = values;
  if (!isPlaceKind(a) || !isPlaceKind(b) || more.length > 0) refuse();
  if (shared !== undefined && !isShared(shared)) refuse();
  const mode = traversal === undefined ? "" : `traversal: ${traversal}\n`;
  const options: RunOptions = {
    delayMs: Number(values.delay),
    skewMs: Number(values.skew),
    faults: { lossPercent: Number(values.loss), holeBytes: Number(values.hole) },
    guard: !values["no-guard"],
    extra: `${mode}${values.extra.replaceAll("\\n", "\n")}`,
    limitMs: Number(values.seconds) * 1000,
    isWhole: true,
    isProbed: traversal === "aggressive",
    ...(logs === undefined ? {} : { logs }),
  };
  const kinds = shared === undefined ? { a, b } : { a, b, shared };
  return { kinds, options, runs: Number(values.runs) };
}

function isShared(text: string): text is Shared {
  return SHARED.includes(text);
}

function refuse(): never {
  console.error(USAGE);
  process.exit(2);
}

main().catch((error: unknown) => {
  console.error(`nat-pair: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
});
