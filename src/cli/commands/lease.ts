import { durationText } from "../../agent/duration.ts";
import { EXIT, WeftError } from "../../agent/errors.ts";
import { parseIp } from "../../base/net.ts";
import type { LeaseRow } from "../../node/lease-report.ts";
import type { LeaseStatus } from "../../node/status.ts";
import { ask } from "../agent-call.ts";
import { type Command, type CommandContext, textArg } from "../command.ts";
import { outputOptions } from "../options.ts";
import { print } from "../output.ts";
import { reserveAddress } from "../reserve-address.ts";
import { printable, renderBlock, renderTable } from "../table.ts";

const ACTIONS = ["list", "show", "release", "reserve"] as const;

export const leaseCommand: Command = {
  name: "lease [action] [subject] [network]",
  describe: "list or show leases, take one back, reserve an address",
  options: (yargs) =>
    yargs
      .positional("action", {
        choices: ACTIONS,
        default: "list",
        describe: "list, show [IP], release IP|CLIENT|MAC, or reserve WHO=IP",
      })
      .positional("subject", {
        type: "string",
        describe: "address, client or reservation; WHO is a MAC, id:HEX or a host name",
      }),
  async run(context) {
    const subject = textArg(context, "subject");
    switch (textArg(context, "action")) {
      case "show":
        return subject === undefined ? showOwn(context) : showHolder(context, subject);
      case "release":
        return release(context, subject);
      case "reserve":
        return reserveAddress(context, subject ?? "");
      default:
        return list(context, subject);
    }
  },
};

/** @param network `weft lease list lab`: what follows a list can only be its network */
async function list(context: CommandContext, network: string | undefined) {
  const { terminal } = context;
  const named = network === undefined ? context.args : { ...context.args, network };
  const options = outputOptions(context.args);
  const { known } = (await ask({ terminal, args: named }, "lease")) as unknown as {
    readonly known: readonly LeaseRow[];
  };
  print(terminal, options, { leases: known }, () =>
    renderTable(
      [
        { title: "IP", value: (row) => row.ip },
        { title: "MAC", value: (row) => row.mac },
        { title: "CLIENT", value: shownClient },
        { title: "EXPIRES", value: (row) => expiryText(row) },
        { title: "NODE", value: (row) => row.holder },
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

/** What the DHT says at this moment. */
async function showHolder(context: CommandContext, text: string) {
  const ip = parseIp(text);
  if (ip === undefined)
    throw new WeftError(
      "usage",
      `${JSON.stringify(text)} is no address: write it like 10.117.0.10`,
    );
  const lease = (await ask(context, "resolve", { params: { ip } })) as unknown as LeaseRow;
  print(context.terminal, outputOptions(context.args), { ...lease }, () =>
    renderBlock([
      ["Address", ip],
      ["MAC", printable(lease.mac)],
      ["Client", shownClient(lease) ?? "known by its MAC"],
      ["Expires", `in ${expiryText(lease) ?? "?"}`],
      ["Holder", printable(lease.holder)],
    ]),
  );
  return EXIT.ok;
}

async function release(context: CommandContext, target: string | undefined) {
  if (target === undefined)
    throw new WeftError("usage", "name an address, client or MAC of `weft lease list`");
  await ask(context, "release", { params: { target: target.replace(/^id:/i, "") } });
  print(
    context.terminal,
    outputOptions(context.args),
    { released: target },
    () => `${target} is free; a machine that still uses it asks again at its next renewal\n`,
  );
  return EXIT.ok;
}

/** A client that is known by its MAC alone needs no second column for it. */
function shownClient({ client, mac }: LeaseRow): string | undefined {
  const isMac = client === undefined || client === `01${mac.replaceAll(":", "")}`;
  return isMac ? undefined : `id:${client}`;
}

function expiryText({ expiresInSeconds }: LeaseRow): string | undefined {
  return expiresInSeconds === undefined ? undefined : durationText(expiresInSeconds);
}
