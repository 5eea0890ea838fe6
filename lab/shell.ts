/** Runs programs for the lab: bounded in time, with their words in the error when they fail. */
import { type ChildProcess, type SpawnOptions, spawn } from "node:child_process";

export interface Finished {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  /** Milliseconds after which the program is killed; default 60 s. */
  readonly timeoutMs?: number;
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string;
}

const DEFAULT_TIMEOUT_MS = 60_000;
/** Kept of each stream: enough for any report of ours, bounded against a runaway. */
const OUTPUT_MAX = 4 * 1024 * 1024;

/** For the last words of a program that has ended. */
const STREAMS_GRACE_MS = 1_000;

/** Runs to the end and returns what came out, whatever the exit status. */
export function finish(argv: readonly string[], options: RunOptions = {}): Promise<Finished> {
  const [program = "", ...args] = argv;
  const spawnOptions: SpawnOptions = { env: { ...process.env, ...options.env } };
  const child = spawn(program, args, spawnOptions);
  const timer = setTimeout(() => child.kill("SIGKILL"), options.timeoutMs ?? DEFAULT_TIMEOUT_MS);
  child.stdin?.on("error", () => undefined);
  child.stdin?.end(options.input ?? "");
  const stdout = collect(child.stdout);
  const stderr = collect(child.stderr);
  return new Promise((resolve, reject) => {
    child.once("error", (error) => {
      clearTimeout(timer);
      reject(error);
    });
    child.once("close", (status, signal) => {
      clearTimeout(timer);
      const code = status ?? (signal === null ? 1 : 128);
      resolve({ status: code, stdout: stdout(), stderr: stderr() });
    });
  });
}

/** Runs to the end and returns standard output; throws with the program's words when it failed. */
export async function run(argv: readonly string[], options: RunOptions = {}): Promise<string> {
  const { status, stdout, stderr } = await finish(argv, options);
  if (status !== 0) {
    throw new Error(`${argv.join(" ")}: exit ${status}: ${(stderr || stdout).trim().slice(-2000)}`);
  }
  return stdout;
}

/** Starts a program that keeps running; its output is collected and bounded. */
export function start(argv: readonly string[], options: RunOptions = {}): Running {
  const [program = "", ...args] = argv;
  const child = spawn(program, args, {
    env: { ...process.env, ...options.env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  return new Running(child);
}

/** A program that was started and is ended by whoever started it. */
export class Running {
  readonly child: ChildProcess;
  readonly exited: Promise<number>;
  readonly #stdout: () => string;
  readonly #stderr: () => string;

  constructor(child: ChildProcess) {
    this.child = child;
    this.#stdout = collect(child.stdout);
    this.#stderr = collect(child.stderr);
    this.exited = new Promise((resolve) => {
      child.once("close", (status) => resolve(status ?? 128));
      child.once("error", () => resolve(127));
      // its own children may hold the streams open for ever
      child.once("exit", (status) => setTimeout(() => resolve(status ?? 128), STREAMS_GRACE_MS));
    });
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  get isRunning(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  get output(): string {
    return this.#stdout() + this.#stderr();
  }

  /** Ends it politely, after `graceMs` by force; resolves when it is gone. */
  async stop(signal: NodeJS.Signals = "SIGTERM", graceMs = 8_000): Promise<number> {
    if (!this.isRunning) return this.exited;
    this.child.kill(signal);
    const timer = setTimeout(() => this.child.kill("SIGKILL"), graceMs);
    const status = await this.exited;
    clearTimeout(timer);
    return status;
  }
}

/** Waits until `holds`, asking again every `everyMs`; throws with `what` after `limitMs`. */
export async function eventually<T>(
  what: string,
  holds: () => Promise<T | undefined | false>,
  limitMs: number,
  everyMs = 100,
): Promise<T> {
  const end = Date.now() + limitMs;
  for (;;) {
    const result = await holds();
    if (result !== undefined && result !== false) return result;
    if (Date.now() > end) throw new Error(`${what}: not within ${limitMs / 1000} s`);
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}

function collect(stream: NodeJS.ReadableStream | null): () => string {
  let text = "";
  stream?.on("data", (chunk: Buffer) => {
    if (text.length < OUTPUT_MAX) text += chunk.toString();
  });
  return () => text;
}
