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
/** What runs now. */
const running = new Set();
/** A signal came: nothing more begins. */
let isEnding = false;

/**
 * Every stage: a name for `npm test -- NAME`, and what it runs. The engine's compilers and sanitizers
 * want processors, and the kernel's sharing lane leaves half of them free: they run at the same time,
 * the engine behind everything else and silent until it is done.
 */
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
  { name: "engine", run: () => (isWanted("kernel") ? later("kernel") : engine(ALOUD)) },
  { name: "kernel", run: kernel },
];
/** How a program runs: its output shown at once or at its end, and words before its own. */
const ALOUD = { isSilent: false, before: [] };
const BEHIND = { isSilent: true, before: ["nice", "-n", "19"] };

/** Runs of each fuzz target: its seeds and a few seconds of what they lead to. */
const SMOKE_RUNS = "10000";

/** The engine's tests plainly and under sanitizers, then a smoke of each fuzz target. */
async function engine(how) {
  const node = process.execPath;
  await harness("engine", ["make", "-s", "-j2", "-C", "native/engine", "test"], how);
  await harness("engine under ASan and UBSan", [node, "scripts/sanitize.mjs", "asan"], how);
  await harness("engine under TSan", [node, "scripts/sanitize.mjs", "tsan"], how);
  const smoke = ["--smoke", "--seed", "1", "--runs", SMOKE_RUNS];
  await harness("fuzz targets", [node, "scripts/fuzz.mjs", ...smoke], how);
}

/** Both lanes; the second one has the machine to itself. */
async function kernel() {
  const beside = isWanted("engine") ? engine(BEHIND) : undefined;
  await vitest("kernel-sharing", "vitest.kernel.config.ts", ["--project=sharing"]);
  await beside;
  await vitest("kernel-alone", "vitest.kernel.config.ts", ["--project=alone"]);
}

function later(stage) {
  console.log(`beside the stage ${stage}`);
}

function isWanted(name) {
  return only.length === 0 || only.includes(name);
}

function bin(name) {
  return join(ROOT, "node_modules", ".bin", name);
}

/** @returns its exit status and output */
async function play(argv, { isSilent, before } = ALOUD) {
  if (isEnding) return new Promise(() => undefined);
  const [program, ...rest] = [...before, ...argv];
  const child = spawn(program, rest, {
    cwd: ROOT,
    stdio: ["ignore", "pipe", isSilent ? "pipe" : "inherit"],
  });
  running.add(child);
  let output = "";
  const hear = (text) => {
    output += text;
    if (!isSilent) process.stdout.write(text);
  };
  child.stdout.setEncoding("utf8").on("data", hear);
  child.stderr?.setEncoding("utf8").on("data", hear);
  const status = await new Promise((resolve) => {
    child.once("error", (error) => {
      console.error(`${program}: ${error.message}`);
      resolve(127);
    });
    child.once("close", (code) => resolve(code ?? 128));
  });
  running.delete(child);
  if (isSilent) process.stdout.write(output);
  return { status, output };
}

async function command(name, argv) {
  const { status } = await play(argv);
  count(status === 0 ? { passed: 1 } : { failed: 1 });
  if (status !== 0) console.error(`${name} failed`);
}

async function vitest(name, config, more = []) {
  const report = join(REPORTS, `${name}.json`);
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${report}`];
  const argv = [bin("vitest"), "run", "--config", config, ...reporters, ...more];
  const { status, output } = await play(argv);
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
async function harness(name, argv, how) {
  const { status, output } = await play(argv, how);
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
  process.once(signal, async () => {
    isEnding = true;
    // On a terminal they got the signal too; either way they clean up before we go.
    const ends = [...running].map((child) => new Promise((done) => child.once("close", done)));
    for (const child of running) child.kill(signal);
    await Promise.all(ends);
    process.exit(code);
  });
}
rmSync(REPORTS, { recursive: true, force: true });
mkdirSync(REPORTS, { recursive: true });
for (const stage of STAGES) {
  if (!isWanted(stage.name)) continue;
  const started = Date.now();
  console.log(`\n== ${stage.name}`);
  await stage.run();
  console.log(`== ${stage.name}: ${Math.round((Date.now() - started) / 1000)} s`);
}
for (const reason of new Set(reasons)) console.log(`skipped: ${reason}`);
console.log(`${totals.passed} passed, ${totals.failed} failed, ${totals.skipped} skipped`);
process.exitCode = totals.failed > 0 ? 1 : 0;
