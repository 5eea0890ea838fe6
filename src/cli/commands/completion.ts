/** `weft completion SHELL` prints the script; the script asks for peers and networks by the same verb. */
import { isNodeName } from "../../agent/config-schema.ts";
import { EXIT, WeftError } from "../../agent/errors.ts";
import { askStatus, socketOf } from "../agent-call.ts";
import { type Command, type CommandContext, textArg } from "../command.ts";
import { knownNetworks } from "../options.ts";
import { completionScript, SHELLS, type Shell } from "../shell-completion.ts";

/** A key press waits for it. */
const PATIENCE_MS = 1_000;

/** @param commands all verbs, this one included */
export function createCompletionCommand(commands: () => readonly Command[]): Command {
  return {
    name: "completion <shell>",
    describe: "a script that completes words of weft in your shell: bash, zsh or fish",
    options: (yargs) =>
      yargs.positional("shell", {
        choices: [...SHELLS, "peers", "networks"],
        describe: "the shell; peers and networks are what its script asks for",
      }),
    async run(context) {
      context.terminal.out(await answer(context, commands()));
      return EXIT.ok;
    },
  };
}

async function answer(context: CommandContext, commands: readonly Command[]): Promise<string> {
  const { terminal, args } = context;
  const what = textArg(context, "shell") ?? "";
  if (what !== "peers" && what !== "networks") return completionScript(what as Shell, commands);
  const names = what === "peers" ? await peerNames(context) : knownNetworks(terminal, args);
  // Shells expand such words: a peer's name or a file's could be a command.
  return names
    .filter(isNodeName)
    .map((name) => `${name}\n`)
    .join("");
}

/** None when no agent runs, or when it may not be asked: there is nothing to say at a key press. */
async function peerNames(context: CommandContext): Promise<string[]> {
  try {
    const { name, peers } = await askStatus(socketOf(context), PATIENCE_MS);
    return [name, ...peers.map((peer) => peer.name)];
  } catch (error) {
    if (error instanceof WeftError) return [];
    throw error;
  }
}
