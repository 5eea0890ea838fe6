/**
 * What `npm test` runs, in order: checks, unit and property tests, simulator, engine tests in C++,
 * addon tests, kernel tests in namespaces. Ends with one line of totals; what could not run here is
 * counted as skipped and listed with its reason.
 */
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";

const ROOT = new URL("..", import.meta.url).pathname;
const REPORTS = join(ROOT, "build", "reports");
const only = process.argv.slice(2);
const totals = { passed: 0, failed: 0, skipped: 0 };
const reasons = [];
/** The stage under way. */
let running;

/** Every stage: a name for `npm test -- NAME`, and what it runs. */
const STAGES = [
  {
    name: "check",
    run: async () => {
      await command("format and lint", [bin("biome"), "check", "."]);
      await command("unused code", [bin("knip")]);
    },
  },
  { name: "unit", run: () => vitest("unit", "vitest.config.ts") },
  { name: "sim", run: () => vitest("sim", "vitest.sim.config.ts") },
  { name: "engine", run: engine },
  { name: "kernel", run: () => vitest("kernel", "vitest.kernel.config.ts") },
];

/** Runs of each fuzz target: its seeds and a few seconds of what they lead to. */
const SMOKE_RUNS = "10000";

/** The engine's tests plainly and under sanitizers, then a smoke of each fuzz target. */
async function engine() {
  const node = process.execPath;
  await harness("engine", ["make", "-s", "-j2", "-C", "native/engine", "test"]);
  await harness("engine under ASan and UBSan", [node, "scripts/sanitize.mjs", "asan"]);
  await harness("engine under TSan", [node, "scripts/sanitize.mjs", "tsan"]);
  const smoke = ["--smoke", "--seed", "1", "--runs", SMOKE_RUNS];
  await harness("fuzz targets", [node, "scripts/fuzz.mjs", ...smoke]);
}

function bin(name) {
  return join(ROOT, "node_modules", ".bin", name);
}

/** Shows what the program says while it says it. @returns its exit status and output */
function play(argv) {
  const child = spawn(argv[0], argv.slice(1), { cwd: ROOT, stdio: ["ignore", "pipe", "inherit"] });
  running = child;
  let output = "";
  child.stdout.setEncoding("utf8").on("data", (text) => {
    process.stdout.write(text);
    output += text;
  });
  return new Promise((resolve) => {
    child.once("error", (error) => {
      console.error(`${argv[0]}: ${error.message}`);
      resolve({ status: 127, output });
    });
    child.once("close", (status) => resolve({ status: status ?? 128, output }));
  });
}

async function command(name, argv) {
  const { status } = await play(argv);
  count(status === 0 ? { passed: 1 } : { failed: 1 });
  if (status !== 0) console.error(`${name} failed`);
}

async function vitest(name, config) {
  const report = join(REPORTS, `${name}.json`);
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${report}`];
  const { status, output } = await play([bin("vitest"), "run", "--config", config, ...reporters]);
  noteReasons(output);
  if (!existsSync(report)) return count({ failed: 1 });
  const { numPassedTests, numFailedTests, numPendingTests, numFailedTestSuites } = JSON.parse(
    readFileSync(report, "utf8"),
  );
  const failed = numFailedTests > 0 ? numFailedTests : numFailedTestSuites;
  count({ passed: numPassedTests, failed, skipped: numPendingTests });
  if (status !== 0 && failed === 0) count({ failed: 1 });
}

/** A test program of ours that ends in `N passed, N failed` lines. */
async function harness(name, argv) {
  const { status, output } = await play(argv);
  count({ skipped: noteReasons(output) });
  let seen = 0;
  for (const match of output.matchAll(/(\d+) passed, (\d+) failed/g)) {
    seen++;
    count({ passed: Number(match[1]), failed: Number(match[2]) });
  }
  if (status !== 0 || seen === 0) {
    console.error(`${name} failed`);
    count({ failed: 1 });
  }
}

/** @returns how many there are */
function noteReasons(output) {
  const found = [...output.matchAll(/skipped: (.+)/g)].map((match) => match[1]);
  reasons.push(...found);
  return found.length;
}

function count({ passed = 0, failed = 0, skipped = 0 }) {
  totals.passed += passed;
  totals.failed += failed;
  totals.skipped += skipped;
}

const unknown = only.find((name) => !STAGES.some((stage) => stage.name === name));
if (unknown !== undefined) {
  console.error(`no stage ${unknown}: one of ${STAGES.map((stage) => stage.name).join(" ")}`);
  process.exit(2);
}
for (const [signal, code] of [
  ["SIGINT", 130],
  ["SIGTERM", 143],
]) {
  process.once(signal, () => {
    // On a terminal the stage got the signal too; either way it cleans up before we go.
    if (running === undefined || running.exitCode !== null) process.exit(code);
    running.once("close", () => process.exit(code));
    running.kill(signal);
  });
}
rmSync(REPORTS, { recursive: true, force: true });
mkdirSync(REPORTS, { recursive: true });
for (const stage of STAGES) {
  if (only.length > 0 && !only.includes(stage.name)) continue;
  const started = Date.now();
  console.log(`\n== ${stage.name}`);
  await stage.run();
  console.log(`== ${stage.name}: ${Math.round((Date.now() - started) / 1000)} s`);
}
for (const reason of new Set(reasons)) console.log(`skipped: ${reason}`);
console.log(`${totals.passed} passed, ${totals.failed} failed, ${totals.skipped} skipped`);
process.exitCode = totals.failed > 0 ? 1 : 0;
