/**
 * `weft invite`: in `secret:` mode the line again that `weft up` of the first member printed; in a network
 * with an authority a line for one machine, which makes it the member NAME, once.
 */
import { existsSync } from "node:fs";
import { type Config, type ConfigSources, loadConfig } from "../../agent/config.ts";
import { parseDuration } from "../../agent/duration.ts";
import { EXIT, WeftError } from "../../agent/errors.ts";
import { parseHostPort, Refusal } from "../../agent/host-port.ts";
import { type Grant, grantOf } from "../../agent/join-grant.ts";
import { clusterFile } from "../../agent/paths.ts";
import { pushedFor } from "../../agent/pushed-part.ts";
import { isValidName } from "../../crypto/certificate.ts";
import { ask, askStatus, socketOf } from "../agent-call.ts";
import { type Command, type CommandContext, textArg } from "../command.ts";
import { inviteTo } from "../invitation.ts";
import { loadSuite } from "../load-suite.ts";
import { configSources, knownNetworks, outputOptions, selectNetwork } from "../options.ts";
import { print } from "../output.ts";
import { sayInvited } from "../shut-out-line.ts";
import { addGroupOptions, saidIn } from "../sign-member.ts";

const USUAL_DURATION = "1d";

export const inviteCommand: Command = {
  name: "invite [name] [network]",
  describe: "the line that makes another machine a member (with an authority: this one, once)",
  options: (yargs) =>
    addGroupOptions(yargs)
      .positional("name", {
        type: "string",
        describe: "name of the member to be; without an authority: the network",
      })
      .option("at", {
        type: "string",
        describe: "host:port where others reach this member, if it cannot know (forwarded port)",
      })
      .option("for", {
        type: "string",
        describe: `with an authority: how long it may be used (default ${USUAL_DURATION})`,
      }),
  async run(context) {
    const { terminal, args } = context;
    const at = placesOf(context);
    const { name, network } = wordsOf(context);
    const sources = configSources(terminal, args, selectNetwork(terminal, args, network));
    const config = loadConfig(sources);
    const inner = { ...context, args: { ...args, network } };
    // Before an invite is made: one whose token cannot be printed would stay open.
    const hasAuthority = config.authority !== undefined;
    const pushed = hasAuthority ? pushedFor(await loadSuite(), config) : undefined;
    const grant = await grantFor(inner, config, name);
    const status = await askStatus(socketOf(inner));
    const reached = { at, pushed, ...(grant && { grant }) };
    const { token } = inviteTo(config, sources, status, reached);
    const invited =
      grant?.kind === "invite" ? { name: grant.name, serial: grant.number } : undefined;
    print(terminal, outputOptions(args), { token, ...invited }, () => `weft join ${token}\n`);
    if (invited !== undefined) sayInvited(terminal, args, invited);
    return EXIT.ok;
  },
};

/** One word may be either: what names a network here is one. */
function wordsOf(context: CommandContext): { name?: string; network: string | undefined } {
  const { terminal, args } = context;
  const name = textArg(context, "name");
  const network = textArg(context, "network");
  if (name === undefined || network !== undefined) return { ...(name && { name }), network };
  const { folders } = selectNetwork(terminal, args, name);
  const isNetwork =
    existsSync(clusterFile(folders, name)) || knownNetworks(terminal, args).includes(name);
  if (isNetwork) return { network: name };
  const sources = trySources(context);
  const hasAuthority = sources !== undefined && loadConfig(sources).authority !== undefined;
  return hasAuthority ? { name, network: undefined } : { network: name };
}

/** undefined: there is no network here, or there are several. */
function trySources({ terminal, args }: CommandContext): ConfigSources | undefined {
  try {
    return configSources(terminal, args, selectNetwork(terminal, args, undefined));
  } catch (error) {
    if (error instanceof WeftError) return undefined;
    throw error;
  }
}

async function grantFor(
  context: CommandContext,
  config: Config,
  name: string | undefined,
): Promise<Grant | undefined> {
  if (config.authority === undefined) return undefined;
  if (name === undefined || !isValidName(name)) {
    throw new WeftError(
      "usage",
      `${config.name} has an authority, so each machine is invited by name: weft invite NAME ${config.name}`,
    );
  }
  const text = textArg(context, "for") ?? USUAL_DURATION;
  const seconds = parseDuration(text);
  if (seconds === undefined || seconds < 60 || seconds > 30 * 86_400) {
    throw new WeftError("usage", `--for: write a duration from 1m to 30d, like ${USUAL_DURATION}`);
  }
  const reply = await ask(context, "invite", { params: { name, seconds, ...saidIn(context) } });
  const grant = grantOf({ ...reply, kind: "invite" });
  if (grant !== undefined) return grant;
  throw new WeftError("internal", "the agent answered no invite: install the same version");
}

function placesOf(context: CommandContext): string[] {
  const at = textArg(context, "at");
  if (at === undefined) return [];
  const parsed = parseHostPort(at);
  if (parsed instanceof Refusal) throw new WeftError("usage", `--at: ${parsed.text}`);
  return [at];
}
