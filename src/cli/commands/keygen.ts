/** `weft keygen`: this machine's key, made without starting anything; what `weft sign` signs. */
import { join } from "node:path";
import { loadConfig } from "../../agent/config.ts";
import { EXIT, WeftError } from "../../agent/errors.ts";
import { loadIdentity, prepareFolder } from "../../agent/identity-file.ts";
import { identityFromSeed } from "../../crypto/identity.ts";
import { ask } from "../agent-call.ts";
import { type Command, type CommandContext, flagArg, textArg } from "../command.ts";
import { loadSuite } from "../load-suite.ts";
import { agentFolder, configSources, outputOptions, selectNetwork } from "../options.ts";
import { print } from "../output.ts";

const ROTATE_MS = 20_000;

export const keygenCommand: Command = {
  name: "keygen [network]",
  aliases: ["genkey"],
  describe: "the public key of this machine, for `weft sign`; makes the key if there is none yet",
  options: (yargs) =>
    yargs.option("rotate", {
      type: "boolean",
      describe: "take another key at the next start; the running agent has it signed",
    }),
  async run(context) {
    if (flagArg(context, "rotate")) return rotate(context);
    const suite = await loadSuite();
    const folder = folderOf(context);
    prepareFolder(folder);
    const { signing } = identityFromSeed(suite, loadIdentity(folder));
    const publicKey = Buffer.from(signing.publicKey).toString("base64");
    print(
      context.terminal,
      outputOptions(context.args),
      { publicKey, folder },
      () => `${publicKey}\n`,
    );
    return EXIT.ok;
  },
};

/** A machine that is to be signed in needs no cluster file yet. */
function folderOf(context: CommandContext): string {
  const { terminal, args } = context;
  const named = textArg(context, "network");
  const selection = selectNetwork(terminal, args, named);
  try {
    return agentFolder(loadConfig(configSources(terminal, args, selection)));
  } catch (error) {
    const isMissing = error instanceof WeftError && error.code === "config-missing";
    if (!isMissing || named === undefined) throw error;
    const state = args.stateDir ?? terminal.env["WEFT_STATE_DIR"] ?? selection.folders.stateDir;
    return join(state, named);
  }
}

async function rotate(context: CommandContext): Promise<typeof EXIT.ok> {
  // The issuer may be asked for ten seconds.
  await ask(context, "rotate", { timeoutMs: ROTATE_MS });
  print(
    context.terminal,
    outputOptions(context.args),
    { rotated: true },
    () =>
      "Another key is signed and stored. It counts from the next start: weft down, then weft up\n",
  );
  return EXIT.ok;
}
