/**
 * What `npm test` runs, in order: checks, unit and property tests, simulator, engine tests in C++,
 * addon tests, kernel tests in namespaces. Ends with one line of totals; what could not run here is
 * counted as skipped and listed with its reason.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";

const ROOT = new URL("..", import.meta.url).pathname;
const REPORTS = join(ROOT, "build", "reports");
const only = process.argv.slice(2);
const totals = { passed: 0, failed: 0, skipped: 0 };
const reasons = [];

/** Every stage: a name for `npm test -- NAME`, and what it runs. */
const STAGES = [
  { name: "check", run: () => command("check", ["npx", "biome", "check", "."]) },
  { name: "unit", run: () => vitest("unit", "vitest.config.ts") },
  { name: "sim", run: () => vitest("sim", "vitest.sim.config.ts") },
  {
    name: "engine",
    run: () => harness("engine", ["make", "-s", "-j2", "-C", "native/engine", "test"]),
  },
  { name: "kernel", run: () => vitest("kernel", "vitest.kernel.config.ts") },
];

function command(name, argv) {
  const result = spawnSync(argv[0], argv.slice(1), { cwd: ROOT, stdio: "inherit" });
  count(result.status === 0 ? { passed: 1 } : { failed: 1 });
  if (result.status !== 0) console.error(`${name} failed`);
}

function vitest(name, config) {
  const report = join(REPORTS, `${name}.json`);
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${report}`];
  const argv = ["vitest", "run", "--config", config, ...reporters];
  const result = spawnSync("npx", argv, { cwd: ROOT, stdio: ["ignore", "pipe", "inherit"] });
  process.stdout.write(result.stdout);
  noteReasons(result.stdout.toString());
  if (!existsSync(report)) return count({ failed: 1 });
  const { numPassedTests, numFailedTests, numPendingTests, numFailedTestSuites } = JSON.parse(
    readFileSync(report, "utf8"),
  );
  const failed = numFailedTests > 0 ? numFailedTests : numFailedTestSuites;
  count({ passed: numPassedTests, failed, skipped: numPendingTests });
  if (result.status !== 0 && failed === 0) count({ failed: 1 });
}

/** A test program of ours that ends in `N passed, N failed` lines. */
function harness(name, argv) {
  const result = spawnSync(argv[0], argv.slice(1), {
    cwd: ROOT,
    stdio: ["ignore", "pipe", "inherit"],
  });
  const output = result.stdout.toString();
  process.stdout.write(output);
  noteReasons(output);
  let seen = 0;
  for (const match of output.matchAll(/(\d+) passed, (\d+) failed/g)) {
    seen++;
    count({ passed: Number(match[1]), failed: Number(match[2]) });
  }
  if (result.status !== 0 || seen === 0) {
    console.error(`${name} failed`);
    count({ failed: 1 });
  }
}

function noteReasons(output) {
  for (const match of output.matchAll(/skipped: (.+)/g)) reasons.push(match[1]);
}

function count({ passed = 0, failed = 0, skipped = 0 }) {
  totals.passed += passed;
  totals.failed += failed;
  totals.skipped += skipped;
}

rmSync(REPORTS, { recursive: true, force: true });
mkdirSync(REPORTS, { recursive: true });
for (const stage of STAGES) {
  if (only.length > 0 && !only.includes(stage.name)) continue;
  const started = Date.now();
  console.log(`\n== ${stage.name}`);
  stage.run();
  console.log(`== ${stage.name}: ${Math.round((Date.now() - started) / 1000)} s`);
}
for (const reason of new Set(reasons)) console.log(`skipped: ${reason}`);
console.log(`${totals.passed} passed, ${totals.failed} failed, ${totals.skipped} skipped`);
process.exitCode = totals.failed > 0 ? 1 : 0;
