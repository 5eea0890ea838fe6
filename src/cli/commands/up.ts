/** `weft up`: starts the agent and stays until it has an address, or runs it in the foreground. */

import { setFlagsFromString } from "node:v8";
import type { Argv } from "yargs";
import { type AgentStatus, isReady } from "../../agent/agent-status.ts";
import { type Config, loadConfig, type Pushed } from "../../agent/config.ts";
import { EXIT, type ExitCode, WeftError } from "../../agent/errors.ts";
import { socketPath } from "../../agent/paths.ts";
import { askStatus } from "../agent-call.ts";
import { type Command, type CommandContext, flagArg, numberArg, textArg } from "../command.ts";
import { type Invitation, inviteTo } from "../invitation.ts";
import {
  addKeyOptions,
  configSources,
  outputOptions,
  type Selection,
  selectNetwork,
} from "../options.ts";
import { print } from "../output.ts";
import { createProgress } from "../progress.ts";
import { pause, refuseInterrupted } from "../repeat.ts";
import { spawnAgent } from "../spawn-agent.ts";
import { healthText } from "../status-block.ts";

const POLL_MS = 100;
const DEFAULT_TIMEOUT_S = 30;

export const upCommand: Command = {
  name: "up [network]",
  describe: "join the network: start the agent and wait for an address",
  options: (yargs) =>
    addWaitOption(addKeyOptions(yargs)).option("foreground", {
      type: "boolean",
      describe: "run the agent here (systemd, containers)",
    }),
  async run(context) {
    const selection = selectNetwork(context.terminal, context.args, textArg(context, "network"));
    const config = loadConfig(configSources(context.terminal, context.args, selection));
    if (flagArg(context, "foreground"))
      return runHere(context, config, (pushed) =>
        loadConfig({
          ...configSources(context.terminal, context.args, selection),
          ...(pushed === undefined ? {} : { pushed }),
        }),
      );
    return startAndWait(context, selection, config, (status) =>
      invitationText(context, selection, config, status),
    );
  },
};

export function addWaitOption<T>(yargs: Argv<T>) {
  return yargs.option("timeout", {
    type: "number",
    describe: `seconds to wait for the address (default ${DEFAULT_TIMEOUT_S})`,
  });
}

/** Loaded only here: the engine's addon is not needed to ask a running agent. */
async function runHere(
  context: CommandContext,
  config: Config,
  reread: (pushed?: Pushed) => Config,
): Promise<ExitCode> {
  // Before most of the code is loaded. An idle agent keeps 16 MB less; packets never pass through here.
  setFlagsFromString("--optimize-for-size");
  const { runAgent } = await import("../../agent/run-agent.ts");
  const { machineTools } = await import("../../agent/machine-tools.ts");
  const { reportToParent } = await import("../spawn-agent.ts");
  try {
    const host = {
      report: reportToParent,
      interrupted: context.terminal.interrupted,
      env: context.terminal.env,
      reread,
    };
    return await runAgent(config, await machineTools(config), host);
  } catch (error) {
    if (error instanceof WeftError)
      reportToParent({ kind: "failed", code: error.code, message: error.message });
    throw error;
  }
}

/** For `weft join` too. @throws WeftError as the agent said it */
export async function startAndWait(
  context: CommandContext,
  selection: Selection,
  config: Config,
  afterwards: (status: AgentStatus) => string = () => "",
): Promise<ExitCode> {
  const socket = socketPath(config.runDir, config.name);
  const progress = createProgress(context.terminal);
  const until = performance.now() + 1_000 * (numberArg(context, "timeout") ?? DEFAULT_TIMEOUT_S);
  if (!(await isRunning(socket))) {
    progress.say("starting");
    await spawnAgent(context, selection, config);
  }
  for (;;) {
    refuseInterrupted(context.terminal.interrupted);
    const status = await askStatus(socket);
    progress.say(status.state);
    if (isReady(status)) return finish(context, status, afterwards(status));
    if (performance.now() >= until) throw new WeftError("no-lease-yet", waitedText(status));
    await pause(POLL_MS, context.terminal.interrupted);
  }
}

async function isRunning(socket: string): Promise<boolean> {
  try {
    await askStatus(socket);
    return true;
  } catch (error) {
    if (error instanceof WeftError && error.code === "agent-not-running") return false;
    throw error;
  }
}

function finish(context: CommandContext, status: AgentStatus, afterwards: string): ExitCode {
  print(context.terminal, outputOptions(context.args), { ...status }, () => {
    const address =
      status.lease === undefined ? "no address yet" : `${status.lease.ip}/${status.lease.prefix}`;
    const peers = `${status.peers.length} ${status.peers.length === 1 ? "peer" : "peers"}`;
    return `${status.network}: ${address} on ${status.interface}, ${peers}, ${status.state}\n${healthText(status)}${afterwards}`;
  });
  return EXIT.ok;
}

/**
 * Only while nobody else is there, and only on a terminal: it is the key of the network, neither news
 * of every start nor for a log.
 */
function invitationText(
  context: CommandContext,
  selection: Selection,
  config: Config,
  status: AgentStatus,
): string {
  if (status.peers.length > 0) return "";
  if (config.authority !== undefined) {
    return `\nFor each other machine, where this member may issue: weft invite ITS-NAME ${config.name}\n`;
  }
  if (!context.terminal.outIsTty) return "\nThe line for other machines: weft invite\n";
  const sources = configSources(context.terminal, context.args, selection);
  const invitation = invitationOrWhy(() => inviteTo(config, sources, status));
  if (typeof invitation === "string") return `\nNo line for other machines: ${invitation}\n`;
  const { token, onlyNearby } = invitation;
  const nearby = onlyNearby
    ? "\nIt names private addresses only. For machines elsewhere: weft invite --at PUBLIC-NAME:PORT\n"
    : "";
  return `\nOn the other machine (this line is as secret as the cluster file):\n\n  weft join ${token}\n${nearby}`;
}

/** The node is up, whether its file fits into a token or not. */
function invitationOrWhy(invite: () => Invitation): Invitation | string {
  try {
    return invite();
  } catch (error) {
    if (error instanceof WeftError && error.code === "too-large") return error.message;
    throw error;
  }
}

function waitedText(status: AgentStatus): string {
  const why = status.health[0] ?? "no reason is known yet";
  return `no address in time, state ${status.state} (${why}): the agent goes on trying; \`weft status\` follows it`;
}
