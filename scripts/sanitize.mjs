/**
 * The engine's own tests under a sanitizer: `node scripts/sanitize.mjs asan | tsan`. A report ends the
 * run and fails. What this kernel does not let a sanitizer do is skipped, with the reason.
 */
import { spawnSync } from "node:child_process";
import { join } from "node:path";

const ROOT = new URL("..", import.meta.url).pathname;
/** Starts the runtime and nothing else. */
const NO_TEST = "no test of this name";

const KINDS = {
  asan: {
    title: "engine under ASan and UBSan",
    compiler: "clang++",
    env: {
      ASAN_OPTIONS: "detect_leaks=1:detect_stack_use_after_return=1:strict_string_checks=1",
      UBSAN_OPTIONS: "print_stacktrace=1",
    },
  },
  tsan: {
    title: "engine under TSan",
    compiler: "g++",
    env: { TSAN_OPTIONS: "halt_on_error=1:second_deadlock_stack=1" },
  },
};

const kind = process.argv[2] ?? "";
const { title, compiler, env } = KINDS[kind] ?? {};
if (title === undefined) {
  console.error(`sanitize: one of ${Object.keys(KINDS).join(" ")}`);
  process.exit(2);
}
process.exitCode = run();

function run() {
  if (spawnSync(compiler, ["--version"]).status !== 0) return skip(title, `needs ${compiler}`);
  const program = join(ROOT, ".cache", "engine", kind, "engine-test");
  const make = ["-s", "-j2", "-C", join(ROOT, "native", "engine"), `MODE=${kind}`];
  const target = `../../.cache/engine/${kind}/engine-test`;
  if (spawnSync("make", [...make, target], { stdio: "inherit" }).status !== 0) return 1;
  const way = wayToRun(program);
  if (way === undefined) return skip(title, "this kernel places memory where the runtime cannot");
  const [first, ...rest] = way.argv;
  console.log(title);
  return spawnSync(first, rest, { stdio: "inherit", env: way.env }).status ?? 1;
}

/** Plainly; else without random addresses (TSan and kernels with 32 bits of them); else without leaks. */
function wayToRun(program) {
  const plain = { argv: [program], env: { ...process.env, ...env } };
  const fixed = {
    ...plain,
    argv: ["setarch", process.arch === "arm64" ? "aarch64" : "x86_64", "-R", program],
  };
  for (const way of [plain, fixed]) if (starts(way)) return way;
  const leaky = { ...plain, env: { ...plain.env, ASAN_OPTIONS: "detect_leaks=0" } };
  if (kind !== "asan" || !starts(leaky)) return undefined;
  console.log("skipped: leak check of the engine: the kernel lets no process trace another");
  return leaky;
}

function starts({ argv: [first, ...rest], env: variables }) {
  return spawnSync(first, [...rest, NO_TEST], { env: variables }).status === 0;
}

function skip(name, reason) {
  console.log(`skipped: ${name}: ${reason}`);
  console.log("0 passed, 0 failed");
  return 0;
}
