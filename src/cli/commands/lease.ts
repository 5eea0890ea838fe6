import { durationText } from "../../agent/duration.ts";
import { EXIT, WeftError } from "../../agent/errors.ts";
import { parseIp } from "../../base/net.ts";
import type { LeaseStatus } from "../../node/status.ts";
import { ask } from "../agent-call.ts";
import { type Command, type CommandContext, textArg } from "../command.ts";
import { outputOptions } from "../options.ts";
import { print } from "../output.ts";
import { renderBlock, renderTable } from "../table.ts";

interface Known {
  readonly ip: string;
  readonly name: string;
  readonly own: boolean;
}

export const leaseCommand: Command = {
  name: "lease [action] [network]",
  describe: "list the leases known here, show who holds an address, or this node's own",
  options: (yargs) =>
    yargs
      .positional("action", {
        choices: ["list", "show"] as const,
        default: "list",
        describe: "list or show",
      })
      .option("ip", {
        type: "string",
        describe: "virtual address (default: this node's own lease)",
      }),
  async run(context) {
    const ip = textArg(context, "ip");
    if (textArg(context, "action") === "list") return list(context);
    return ip === undefined ? showOwn(context) : showHolder(context, ip);
  },
};

async function list(context: CommandContext) {
  const options = outputOptions(context.args);
  const { known } = (await ask(context, "lease")) as unknown as { known: readonly Known[] };
  print(context.terminal, options, { leases: known }, () =>
    renderTable(
      [
        { title: "IP", value: (row) => row.ip },
        { title: "NODE", value: (row) => row.name },
        { title: "OWN", value: (row) => (row.own ? "yes" : "no") },
      ],
      known,
      options.header,
    ),
  );
  return EXIT.ok;
}

async function showOwn(context: CommandContext) {
  const { lease } = (await ask(context, "lease")) as unknown as { lease?: LeaseStatus };
  if (lease === undefined) {
    context.terminal.err("weft: this node has no lease: `weft status` says why\n");
    return EXIT.negative;
  }
  print(context.terminal, outputOptions(context.args), { lease }, () =>
    renderBlock([
      ["Address", `${lease.ip}/${lease.prefix}`],
      ["Expires", `in ${durationText(lease.expiresInSeconds)}`],
      ["Renewals", `${lease.renewals}`],
      ["Epoch", `${lease.epoch}`],
      ["Alone", lease.alone ? "yes: claimed while no other member was reachable" : "no"],
    ]),
  );
  return EXIT.ok;
}

async function showHolder(context: CommandContext, text: string) {
  const ip = parseIp(text);
  if (ip === undefined)
    throw new WeftError(
      "usage",
      `${JSON.stringify(text)} is no address: write it like 10.117.0.10`,
    );
  const { kind: _, ...found } = await ask(context, "resolve", { params: { ip } });
  print(context.terminal, outputOptions(context.args), found, () =>
    renderBlock([
      ["Address", ip],
      ["MAC", String(found["mac"])],
      ["Holder", String(found["holder"])],
    ]),
  );
  return EXIT.ok;
}
