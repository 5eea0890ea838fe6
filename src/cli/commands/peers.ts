import { askStatus, socketOf } from "../agent-call.ts";
import type { Command } from "../command.ts";
import { outputOptions } from "../options.ts";
import { print } from "../output.ts";
import { peerTable } from "../peer-table.ts";
import { showOrWatch } from "../repeat.ts";

export const peersCommand: Command = {
  name: "peers [network]",
  aliases: ["list"],
  describe: "members this node has a link with, and how it reaches them",
  options: (yargs) =>
    yargs.option("watch", { type: "boolean", describe: "show again each second" }),
  run: (context) =>
    showOrWatch(context, async () => {
      const options = outputOptions(context.args);
      const status = await askStatus(socketOf(context));
      const data = { network: status.network, self: status.name, peers: status.peers };
      print(context.terminal, options, data, (wide) => peerTable(status, wide, options.header));
    }),
};
