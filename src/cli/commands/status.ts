import { isReady } from "../../agent/agent-status.ts";
import { EXIT, type ExitCode } from "../../agent/errors.ts";
import { askStatus, socketOf } from "../agent-call.ts";
import { type Command, type CommandContext, textArg } from "../command.ts";
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
    yargs.option("watch", { type: "boolean", describe: "show again each second" }).option("check", {
      choices: ["ready"] as const,
      describe: "only say the state; 0 when the node is online and has its address, else 1",
    }),
  run: (context) => (textArg(context, "check") === "ready" ? check(context) : show(context)),
};

function show(context: CommandContext): Promise<ExitCode> {
  return showOrWatch(context, async () => {
    const { terminal } = context;
    const options = outputOptions(context.args);
    const status = await askStatus(socketOf(context));
    print(terminal, options, { ...status }, (wide) => {
      const block = statusBlock(status).replace(/^! .*$/gm, (line) =>
        paint(terminal, "yellow", line),
      );
      return wide ? `${block}\n${peerTable(status, true, options.header)}` : block;
    });
  });
}

/** For health checks of containers and scripts. */
async function check(context: CommandContext): Promise<ExitCode> {
  const status = await askStatus(socketOf(context));
  const ready = isReady(status);
  const { state, lease } = status;
  const text = (): string => `${state}${lease === undefined ? ", no address" : ""}\n`;
  print(context.terminal, outputOptions(context.args), { ready, state }, text);
  return ready ? EXIT.ok : EXIT.negative;
}
