/** `weft join TOKEN`: writes the cluster file that the token is, and starts the agent. */
import { readFileSync, rmSync } from "node:fs";
import { resolve } from "node:path";
import { stringify } from "yaml";
import { loadConfig } from "../../agent/config.ts";
import { MAX_FILE_BYTES } from "../../agent/config-source.ts";
import { readIfThere } from "../../agent/durable-file.ts";
import { EXIT, messageOf, systemCodeOf, WeftError } from "../../agent/errors.ts";
import { decodeToken, type JoinToken, MAX_TOKEN_CHARS } from "../../agent/join-token.ts";
import { clusterFile, defaultFolders } from "../../agent/paths.ts";
import { type Command, type CommandContext, flagArg, textArg } from "../command.ts";
import { installGrant } from "../install-grant.ts";
import { writeNewFile } from "../new-file.ts";
import { addKeyOptions, configSources, outputOptions, type Selection } from "../options.ts";
import { print } from "../output.ts";
import { type ShutOutFacts, sayShutOut, shutOutFacts } from "../shut-out-line.ts";
import { addWaitOption, startAndWait } from "./up.ts";

export const joinCommand: Command = {
  name: "join [token]",
  describe: "become a member: write the cluster file that the token is, and start the agent",
  options: (yargs) =>
    addWaitOption(addKeyOptions(yargs))
      .positional("token", {
        type: "string",
        describe: "what `weft up` or `weft invite` printed; without it, or as -, standard input",
      })
      .option("token-file", { type: "string", describe: "read the token from this file" })
      .option("out", { type: "string", describe: "write the cluster file here" })
      .option("start", { type: "boolean", default: true, describe: "--no-start only writes it" }),
  async run(context) {
    const { terminal, args } = context;
    const token = decodeToken(await tokenText(context));
    const file = placeOf(context, token);
    const isNew = writeFileOf(file, token);
    const folders = defaultFolders(terminal.env, terminal.uid);
    const selection = { network: token.name, file, folders };
    const facts = await installOrUndo(context, selection, { token, isNew });
    sayShutOut(terminal, args, facts);
    if (!flagArg(context, "start")) {
      const data = { network: token.name, file, ...facts };
      print(terminal, outputOptions(args), data, () => written(file));
      return EXIT.ok;
    }
    return startAndWait(context, selection, loadConfig(configSources(terminal, args, selection)));
  },
};

/** Arguments are seen by every user and kept by shells: a file and standard input are not. */
async function tokenText(context: CommandContext): Promise<string> {
  const { terminal } = context;
  const given = textArg(context, "token");
  const file = textArg(context, "token-file");
  if (file !== undefined && given !== undefined)
    throw new WeftError("usage", "a token and --token-file: give one of the two");
  if (file !== undefined) return readToken(resolve(terminal.cwd, file));
  // yargs makes "-" an empty text.
  if (given !== undefined && given !== "") return given;
  if (terminal.inIsTty) terminal.err("paste the token, then Enter: ");
  return terminal.readLine(MAX_TOKEN_CHARS);
}

function readToken(file: string): string {
  try {
    return readFileSync(file, "utf8").slice(0, MAX_TOKEN_CHARS);
  } catch (error) {
    const why = systemCodeOf(error) ?? messageOf(error);
    throw new WeftError("usage", `--token-file: ${file} cannot be read (${why}): name another`);
  }
}

function placeOf(context: CommandContext, token: JoinToken): string {
  const { terminal, args } = context;
  const out = textArg(context, "out") ?? args.config ?? terminal.env["WEFT_CONFIG"];
  if (out !== undefined) return resolve(terminal.cwd, out);
  return clusterFile(defaultFolders(terminal.env, terminal.uid), token.name);
}

/**
 * With a certificate the file may be there already: it is the same network's, and stays as it is.
 *
 * @returns whether it was written now
 */
function writeFileOf(file: string, token: JoinToken): boolean {
  if (token.grant === undefined) refuseMember(file, token);
  else if (isOfNetwork(file, token)) return false;
  writeNewFile(file, textOf(token));
  return true;
}

/**
 * A grant that gives no certificate leaves nothing behind.
 *
 * @returns undefined: the token has no grant
 */
async function installOrUndo(
  context: CommandContext,
  selection: Selection,
  joined: { readonly token: JoinToken; readonly isNew: boolean },
): Promise<ShutOutFacts | undefined> {
  const { grant } = joined.token;
  if (grant === undefined) return undefined;
  try {
    const config = loadConfig(configSources(context.terminal, context.args, selection));
    return shutOutFacts(await installGrant(context.terminal, config, grant));
  } catch (error) {
    if (joined.isNew) rmSync(selection.file, { force: true });
    throw error;
  }
}

/** The file may have been changed since: its key tells whether it is this network. */
function refuseMember(file: string, token: JoinToken): void {
  if (isOfNetwork(file, token))
    throw new WeftError(
      "already-joined",
      `${file} holds this network already: start it with \`weft up ${token.name}\``,
    );
}

function isOfNetwork(file: string, token: JoinToken): boolean {
  const text = readIfThere(file, MAX_FILE_BYTES)?.toString("utf8");
  return text?.includes(token.secret) === true;
}

function textOf({ name, secret, values, grant }: JoinToken): string {
  const { name: _, ...rest } = values;
  const meaning =
    grant === undefined
      ? "# Whoever holds it is a member: the key below cannot be taken back from one machine alone."
      : "# It makes nobody a member: the certificate in the state folder does.";
  return `# The network ${name}, from another member's \`weft invite\`. Mode 0600.
${meaning}
${stringify({ name, secret, ...rest })}`;
}

function written(file: string): string {
  return `Wrote ${file} (mode 0600); the agent was not started.\n`;
}
