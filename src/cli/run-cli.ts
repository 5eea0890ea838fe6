/** The command line as a function: arguments in, exit code out. */
import yargs, { type Argv } from "yargs";
import { EXIT, type ExitCode, messageOf, WeftError } from "../agent/errors.ts";
import { packageVersion } from "../agent/version.ts";
import type { Command, CommandContext } from "./command.ts";
import { COMMANDS } from "./commands.ts";
import { addGlobalOptions } from "./options.ts";
import { printable } from "./table.ts";
import type { Terminal } from "./terminal.ts";

export async function runCli(argv: readonly string[], terminal: Terminal): Promise<ExitCode> {
  try {
    return await dispatch(argv, terminal);
  } catch (error) {
    const failure =
      error instanceof WeftError
        ? error
        : new WeftError("internal", `${messageOf(error)}: this is a bug in weft`);
    terminal.err(failureText(failure));
    if (
      failure.code === "internal" &&
      terminal.env["WEFT_LOG"] === "debug" &&
      error instanceof Error
    ) {
      terminal.err(`${error.stack ?? ""}\n`);
    }
    return failure.exitCode;
  }
}

/** One line a problem, each with the program's name in front. */
export function failureText(failure: WeftError): string {
  return failure.message
    .split("\n")
    .map((line) => `weft: ${printable(line)}\n`)
    .join("");
}

async function dispatch(argv: readonly string[], terminal: Terminal): Promise<ExitCode> {
  let code: ExitCode = EXIT.ok;
  const run = async (command: Command, args: unknown): Promise<void> => {
    code = await command.run({ terminal, args: args as CommandContext["args"] });
  };
  const parser = addGlobalOptions(yargs([...argv]))
    .scriptName("weft")
    .usage("$0 VERB [NETWORK]\n\nOne Ethernet for machines on different sites, without a server.")
    .version(packageVersion())
    .help()
    .alias("h", "help")
    .wrap(Math.min(terminal.columns, 100))
    .parserConfiguration({
      "parse-positional-numbers": false,
      "duplicate-arguments-array": false,
    })
    .strict()
    .demandCommand(1, "no verb given")
    .recommendCommands()
    .exitProcess(false)
    .fail((text, error) => {
      if (error instanceof WeftError) throw error;
      throw error === undefined ? new WeftError("usage", usageText(text, argv)) : error;
    });
  for (const command of COMMANDS) addCommand(parser, command, run);
  await parser.parseAsync([...argv], {}, (_error, _args, output) => {
    if (output !== "") terminal.out(`${output}\n`);
  });
  return code;
}

function addCommand(
  parser: Argv<unknown>,
  command: Command,
  run: (command: Command, args: unknown) => Promise<void>,
): void {
  parser.command({
    command: command.name,
    aliases: [...(command.aliases ?? [])],
    describe: command.describe,
    builder: (inner: Argv) => command.options?.(inner) ?? inner,
    handler: (args: unknown) => run(command, args),
  });
}

/** yargs speaks of arguments; people of verbs and words. */
function usageText(text: string, words: readonly string[]): string {
  const verb = words.find((word) => !word.startsWith("-"));
  const command = COMMANDS.find(({ name, aliases = [] }) =>
    [name.split(" ")[0], ...aliases].includes(verb),
  );
  if (command !== undefined && text.startsWith("Not enough non-option arguments"))
    return `a word is missing: write weft ${command.name}`;
  const help = command === undefined ? "weft --help" : `weft ${verb} --help`;
  const choice = /Argument: (\S+), Given: (".*?"), Choices: (.*)$/m.exec(text);
  if (choice !== null) {
    const [, name, given, choices = ""] = choice;
    return `${name}: ${given} is none of ${choices.replaceAll('"', "")}: see ${help}`;
  }
  if (command === undefined && /^Unknown argument/.test(text))
    return `unknown verb ${verb ?? text.split(": ")[1]}: see ${help}`;
  return `${text.replace(/\s*\n\s*/g, " ")}: see ${help}`;
}
