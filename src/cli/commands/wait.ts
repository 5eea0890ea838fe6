/** `weft wait --nodes N`: for boot order and scripts. */

import type { AgentStatus } from "../../agent/agent-status.ts";
import { EXIT, WeftError } from "../../agent/errors.ts";
import { askStatus, socketOf } from "../agent-call.ts";
import { type Command, numberArg } from "../command.ts";
import { outputOptions } from "../options.ts";
import { print } from "../output.ts";
import { pause, refuseInterrupted } from "../repeat.ts";

const POLL_MS = 200;
const DEFAULT_TIMEOUT_S = 60;

export const waitCommand: Command = {
  name: "wait [network]",
  describe: "until this node is online and sees enough members",
  options: (yargs) =>
    yargs
      .option("nodes", { type: "number", describe: "members, this one included (default 1)" })
      .option("timeout", { type: "number", describe: `seconds (default ${DEFAULT_TIMEOUT_S})` }),
  async run(context) {
    const nodes = numberArg(context, "nodes") ?? 1;
    const { interrupted } = context.terminal;
    const until = performance.now() + 1_000 * (numberArg(context, "timeout") ?? DEFAULT_TIMEOUT_S);
    for (;;) {
      refuseInterrupted(interrupted);
      const status = await statusOrNone(socketOf(context));
      const seen = status === undefined ? 0 : membersSeen(status);
      if (status !== undefined && isOnline(status) && seen >= nodes) {
        print(
          context.terminal,
          outputOptions(context.args),
          { nodes: seen, state: status.state },
          () => `${seen} nodes\n`,
        );
        return EXIT.ok;
      }
      if (performance.now() >= until)
        throw new WeftError("peers-missing", missingText(status, seen, nodes));
      await pause(POLL_MS, interrupted);
    }
  },
};

function isOnline(status: AgentStatus): boolean {
  return status.state === "online" || status.state === "degraded";
}

function membersSeen(status: AgentStatus): number {
  const linked = status.peers.filter((peer) => peer.link !== "connecting").length;
  return 1 + linked;
}

/** An agent that has not started yet is what `wait` is for. */
async function statusOrNone(socket: string): Promise<AgentStatus | undefined> {
  try {
    return await askStatus(socket);
  } catch (error) {
    if (
      error instanceof WeftError &&
      (error.code === "agent-not-running" || error.code === "unavailable")
    )
      return undefined;
    throw error;
  }
}

function missingText(status: AgentStatus | undefined, seen: number, nodes: number): string {
  if (status === undefined) return "the agent did not start in time: start it with `weft up`";
  return `${seen} of ${nodes} nodes in time, state ${status.state}: \`weft status\` says what is missing`;
}
