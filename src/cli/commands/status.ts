import { askStatus, socketOf } from "../agent-call.ts";
import type { Command } from "../command.ts";
import { outputOptions } from "../options.ts";
import { paint, print } from "../output.ts";
import { peerTable } from "../peer-table.ts";
import { showOrWatch } from "../repeat.ts";
import { statusBlock } from "../status-block.ts";

export const statusCommand: Command = {
  name: "status [network]",
  aliases: ["info", "show"],
  describe: "state, address, lease and ring of this node; lines with ! need you",
  options: (yargs) =>
    yargs.option("watch", { type: "boolean", describe: "show again each second" }),
  run: (context) =>
    showOrWatch(context, async () => {
      const { terminal } = context;
      const options = outputOptions(context.args);
      const status = await askStatus(socketOf(context));
      print(terminal, options, { ...status }, (wide) => {
        const block = statusBlock(status).replace(/^! .*$/gm, (line) =>
          paint(terminal, "yellow", line),
        );
        return wide ? `${block}\n${peerTable(status, true, options.header)}` : block;
      });
    }),
};
