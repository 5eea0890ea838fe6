/** `weft ping`: over the overlay itself, so it works when the interface does not. */

import { EXIT, WeftError } from "../../agent/errors.ts";
import { ask } from "../agent-call.ts";
import { type Command, type CommandContext, flagArg, numberArg, textArg } from "../command.ts";
import { outputOptions } from "../options.ts";
import { pause } from "../repeat.ts";
import { millisText, printable } from "../table.ts";

const INTERVAL_MS = 1_000;
const DEFAULT_COUNT = 4;
/** With --until-direct: a punch that has not worked by then will not. */
const UNTIL_DIRECT_MOST = 60;

interface Pong {
  readonly peer: string;
  readonly rttMs: number;
  readonly via: string;
}

export const pingCommand: Command = {
  name: "ping <target> [network]",
  describe: "round trips to a member, by name or virtual address",
  options: (yargs) =>
    yargs
      .positional("target", { type: "string", describe: "node name or virtual address" })
      .option("count", {
        alias: "c",
        type: "number",
        describe: `how many (default ${DEFAULT_COUNT})`,
      })
      .option("timeout", { type: "number", describe: "seconds to wait for each reply (default 5)" })
      .option("size", { type: "number", describe: "bytes of each message (default 56)" })
      .option("until-direct", {
        type: "boolean",
        describe: "stop with 0 at the first reply without relay",
      }),
  async run(context) {
    const untilDirect = flagArg(context, "until-direct");
    const count = numberArg(context, "count") ?? (untilDirect ? UNTIL_DIRECT_MOST : DEFAULT_COUNT);
    if (!Number.isInteger(count) || count < 1)
      throw new WeftError("usage", "--count must be a whole number from 1 upwards");
    const replies: Pong[] = [];
    let sent = 0;
    while (sent < count && !context.terminal.interrupted.aborted) {
      if (sent++ > 0) await pause(INTERVAL_MS, context.terminal.interrupted);
      const pong = await once(context, sent);
      if (pong !== undefined) replies.push(pong);
      if (untilDirect && pong?.via.startsWith("direct")) return EXIT.ok;
    }
    summary(context, sent, replies);
    if (context.terminal.interrupted.aborted) return EXIT.interrupted;
    return replies.length > 0 && !untilDirect ? EXIT.ok : EXIT.negative;
  },
};

async function once(context: CommandContext, number: number): Promise<Pong | undefined> {
  const target = textArg(context, "target") ?? "";
  const size = numberArg(context, "size");
  const timeoutMs = 1_000 * (numberArg(context, "timeout") ?? 5);
  const json = outputOptions(context.args).format === "json";
  try {
    const params = { target, ...(size === undefined ? {} : { size }) };
    const reply = (await ask(context, "ping", { params, timeoutMs })) as unknown as Pong;
    const rtt = millisText(reply.rttMs) ?? "-";
    context.terminal.out(
      json
        ? `${JSON.stringify({ version: 1, number, ...reply })}\n`
        : `${number}: ${printable(reply.peer)} ${rtt} via ${viaText(reply.via)}\n`,
    );
    return reply;
  } catch (error) {
    const silent =
      error instanceof WeftError && (error.code === "timeout" || error.code === "agent-silent");
    if (!silent) throw error;
    context.terminal.out(
      json ? `${JSON.stringify({ version: 1, number, timeout: true })}\n` : `${number}: no reply\n`,
    );
    return undefined;
  }
}

/** `relay alpha` -> `relay(alpha)`, as in the table of peers. */
function viaText(via: string): string {
  return printable(via.replace(/^relay (.+)$/, "relay($1)"));
}

function summary(context: CommandContext, sent: number, replies: readonly Pong[]): void {
  if (outputOptions(context.args).format === "json") return;
  const times = replies.map((reply) => reply.rttMs);
  const mean = times.reduce((sum, ms) => sum + ms, 0) / Math.max(1, times.length);
  const figures =
    times.length === 0
      ? ""
      : `, min ${millisText(Math.min(...times))}, mean ${millisText(mean)}, max ${millisText(Math.max(...times))}`;
  context.terminal.out(
    `${sent} sent, ${replies.length} ${replies.length === 1 ? "reply" : "replies"}${figures}\n`,
  );
}
