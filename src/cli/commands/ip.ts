import { EXIT, WeftError } from "../../agent/errors.ts";
import { askStatus, socketOf } from "../agent-call.ts";
import { type Command, textArg } from "../command.ts";
import { outputOptions } from "../options.ts";
import { print } from "../output.ts";

export const ipCommand: Command = {
  name: "ip [network]",
  describe: "virtual address of this node, or of a peer by name",
  options: (yargs) => yargs.option("peer", { type: "string", describe: "name of a peer" }),
  async run(context) {
    const status = await askStatus(socketOf(context));
    const node = textArg(context, "peer") ?? status.name;
    const peer = status.peers.find((candidate) => candidate.name === node);
    if (node !== status.name && peer === undefined) {
      throw new WeftError("unknown-peer", `no peer is called ${node}: \`weft peers\` lists them`);
    }
    const ip = node === status.name ? status.lease?.ip : peer?.ip;
    if (ip === undefined) {
      context.terminal.err(
        `weft: no address of ${node} is known here: ask again once it is online\n`,
      );
      return EXIT.negative;
    }
    print(context.terminal, outputOptions(context.args), { name: node, ip }, () => `${ip}\n`);
    return EXIT.ok;
  },
};
