/** `weft invite`: the line again that `weft up` of the first member printed. */
import { loadConfig } from "../../agent/config.ts";
import { EXIT, WeftError } from "../../agent/errors.ts";
import { parseHostPort, Refusal } from "../../agent/host-port.ts";
import { askStatus, socketOf } from "../agent-call.ts";
import { type Command, type CommandContext, textArg } from "../command.ts";
import { inviteTo } from "../invitation.ts";
import { configSources, outputOptions, selectNetwork } from "../options.ts";
import { print } from "../output.ts";

export const inviteCommand: Command = {
  name: "invite [network]",
  describe: "the line that makes another machine a member; as secret as the cluster file",
  options: (yargs) =>
    yargs.option("at", {
      type: "string",
      describe: "host:port where others reach this member, if it cannot know (forwarded port)",
    }),
  async run(context) {
    const { terminal, args } = context;
    const at = placesOf(context);
    const sources = configSources(
      terminal,
      args,
      selectNetwork(terminal, args, textArg(context, "network")),
    );
    const config = loadConfig(sources);
    const { token } = inviteTo(config, sources, await askStatus(socketOf(context)), at);
    print(terminal, outputOptions(args), { token }, () => `weft join ${token}\n`);
    return EXIT.ok;
  },
};

function placesOf(context: CommandContext): string[] {
  const at = textArg(context, "at");
  if (at === undefined) return [];
  const parsed = parseHostPort(at);
  if (parsed instanceof Refusal) throw new WeftError("usage", `--at: ${parsed.text}`);
  return [at];
}
