/** `--watch`, and waiting that an interrupt ends. */
import { EXIT, type ExitCode, WeftError } from "../agent/errors.ts";
import { type CommandContext, flagArg } from "./command.ts";

const WATCH_EVERY_MS = 1_000;

/** Shows once, or again each second under --watch until interrupted. */
export async function showOrWatch(
  context: CommandContext,
  show: () => Promise<void>,
): Promise<ExitCode> {
  if (!flagArg(context, "watch")) {
    await show();
    return EXIT.ok;
  }
  const { terminal } = context;
  while (!terminal.interrupted.aborted) {
    if (terminal.outIsTty) terminal.out("\u001b[H\u001b[2J");
    await show();
    await pause(WATCH_EVERY_MS, terminal.interrupted);
  }
  return EXIT.interrupted;
}

/** Returns early when interrupted. */
export function pause(ms: number, interrupted: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (interrupted.aborted) return resolve();
    const done = (): void => {
      clearTimeout(timer);
      interrupted.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    interrupted.addEventListener("abort", done);
  });
}

export function refuseInterrupted(signal: AbortSignal): void {
  if (signal.aborted) throw new WeftError("interrupted", "interrupted");
}
