/** Starts the agent as a process of its own and learns how its start went. */
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, constants, fstatSync, ftruncateSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import type { Config } from "../agent/config.ts";
import { flagNameOf, type Key } from "../agent/config-schema.ts";
import { isErrorCode, messageOf, systemCodeOf, WeftError } from "../agent/errors.ts";
import { prepareFolder } from "../agent/identity-file.ts";
import type { StartReport } from "../agent/run-agent.ts";
import type { CommandContext } from "./command.ts";
import { agentFolder, flagValues, type Selection } from "./options.ts";

const { O_APPEND, O_CREAT, O_NOFOLLOW, O_WRONLY } = constants;

/** Loading, names (3 s at most), TAP and sockets. */
const START_LIMIT_MS = 20_000;
/** The log of a detached agent starts anew past this size. */
const MAX_LOG_BYTES = 16_777_216;

const reportSchema = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("listening"), socket: z.string() }),
  z.object({ kind: z.literal("failed"), code: z.string(), message: z.string() }),
]);

/** In the agent: tells the process that started it; nobody listens under systemd. */
export function reportToParent(report: StartReport): void {
  if (process.send === undefined) return;
  process.send(report);
  if (report.kind === "listening") process.disconnect();
}

/** Returns when the agent answers on its socket. @throws WeftError as the agent said it */
export async function spawnAgent(
  context: CommandContext,
  selection: Selection,
  config: Config,
): Promise<void> {
  const folder = agentFolder(config);
  prepareFolder(folder);
  const logFile = join(folder, "agent.log");
  const log = openLog(logFile);
  const child = spawn(process.execPath, agentArguments(context, selection, config), {
    detached: true,
    stdio: ["ignore", log, log, "ipc"],
    cwd: "/",
    env: { ...context.terminal.env },
  });
  closeSync(log);
  const report = await firstReport(child, logFile);
  child.unref();
  if (report.kind === "listening") return;
  throw new WeftError(isErrorCode(report.code) ? report.code : "agent-died", report.message);
}

function openLog(path: string): number {
  try {
    const log = openSync(path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW, 0o600);
    if (fstatSync(log).size > MAX_LOG_BYTES) ftruncateSync(log);
    return log;
  } catch (error) {
    throw new WeftError(
      "state-unwritable",
      `${path} cannot be written (${systemCodeOf(error) ?? messageOf(error)}): run as root, or set --state-dir`,
    );
  }
}

/** The same program, the same flags; paths are absolute already. */
function agentArguments(context: CommandContext, selection: Selection, config: Config): string[] {
  const flags = Object.entries(flagValues(context.terminal, context.args)).flatMap(
    ([key, value]) => [`${flagNameOf(key as Key)}=${String(value)}`],
  );
  const places = [
    `--config=${selection.file}`,
    `--node=${config.nodeName}`,
    `--state-dir=${config.stateDir}`,
    `--run-dir=${config.runDir}`,
  ];
  const kept = flags.filter((flag) => !/^--(state|run)-dir=/.test(flag));
  return [
    ...process.execArgv,
    process.argv[1] ?? "",
    "up",
    selection.network,
    "--foreground",
    ...kept,
    ...places,
  ];
}

function firstReport(child: ChildProcess, logFile: string): Promise<StartReport> {
  return new Promise((resolve) => {
    const failed = (text: string): void =>
      resolve({ kind: "failed", code: "agent-died", message: text });
    const timer = setTimeout(
      () => failed(`the agent did not start in ${START_LIMIT_MS / 1_000} s: see ${logFile}`),
      START_LIMIT_MS,
    );
    child.once("message", (message) => {
      clearTimeout(timer);
      const report = reportSchema.safeParse(message);
      if (report.success) resolve(report.data);
      else failed(`the agent said something unknown: see ${logFile}`);
    });
    child.once("error", (error) =>
      failed(`the agent cannot be started (${error.message}): check the installation`),
    );
    child.once("exit", (code, signal) => {
      clearTimeout(timer);
      failed(
        `the agent ended with ${signal ?? code} before it was ready (${lastLine(logFile)}): see ${logFile}`,
      );
    });
  });
}

function lastLine(file: string): string {
  try {
    return readFileSync(file, "utf8").trimEnd().split("\n").at(-1)?.slice(0, 200) ?? "";
  } catch {
    return "";
  }
}
