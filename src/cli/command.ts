/** The shape of one verb: one file under commands/ each. */
import type { Argv } from "yargs";
import { type ExitCode, WeftError } from "../agent/errors.ts";
import type { GlobalArgs } from "./options.ts";
import type { Terminal } from "./terminal.ts";

export interface CommandContext {
  readonly terminal: Terminal;
  readonly args: GlobalArgs & Readonly<Record<string, unknown>>;
}

export interface Command {
  /** With positionals as yargs writes them: `ping <target>`, `status [network]`. */
  readonly name: string;
  readonly aliases?: readonly string[];
  readonly describe: string;
  readonly options?: (yargs: Argv) => Argv;
  run(context: CommandContext): Promise<ExitCode>;
}

/** A positional or option as text; undefined when it was not given. */
export function textArg(context: CommandContext, name: string): string | undefined {
  const value = context.args[name];
  return typeof value === "string" ? value : typeof value === "number" ? `${value}` : undefined;
}

export function numberArg(context: CommandContext, name: string): number | undefined {
  const value = context.args[name];
  if (value === undefined) return undefined;
  if (typeof value === "number" && Number.isFinite(value)) return value;
  throw new WeftError("usage", `--${name} needs a number: see weft --help`);
}

export function flagArg(context: CommandContext, name: string): boolean {
  return context.args[name] === true;
}
