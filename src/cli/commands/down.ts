/** `weft down` keeps identity and lease, `weft leave` gives them back; both remove the interface. */
import { existsSync } from "node:fs";
import type { AgentStatus } from "../../agent/agent-status.ts";
import { loadConfig } from "../../agent/config.ts";
import { callAgent } from "../../agent/control-client.ts";
import { EXIT, type ExitCode, WeftError } from "../../agent/errors.ts";
import { parseSubnet, subnetText } from "../../base/net.ts";
import { HostInterface } from "../../io/interface.ts";
import { askStatus, socketOf } from "../agent-call.ts";
import type { Command, CommandContext } from "../command.ts";
import { textArg } from "../command.ts";
import { configSources, selectNetwork } from "../options.ts";
import { pause, refuseInterrupted } from "../repeat.ts";

/** The agent's own limit for `leave` is 10 s. */
const STOP_LIMIT_MS = 15_000;
const POLL_MS = 50;

export const downCommand: Command = {
  name: "down [network]",
  describe: "stop the agent and remove its interface; identity and lease are kept",
  async run(context) {
    const socket = socketOf(context);
    const status = await statusOrNone(socket);
    if (status === undefined) return removeLeftover(context);
    await stopAgent(context, socket, "stop");
    await removeInterface(status.interface);
    await clearBridge(status);
    context.terminal.out(`${status.network}: down\n`);
    return EXIT.ok;
  },
};

export const leaveCommand: Command = {
  name: "leave [network]",
  describe: "give the lease back, forget the identity, stop; the cluster file stays",
  async run(context) {
    const socket = socketOf(context);
    const status = await askStatus(socket);
    await stopAgent(context, socket, "leave");
    await removeInterface(status.interface);
    await clearBridge(status);
    context.terminal.out(`${status.network}: left\n`);
    return EXIT.ok;
  },
};

async function stopAgent(
  context: CommandContext,
  socket: string,
  method: "stop" | "leave",
): Promise<void> {
  await callAgent(socket, method);
  const until = performance.now() + STOP_LIMIT_MS;
  while (existsSync(socket)) {
    refuseInterrupted(context.terminal.interrupted);
    if (performance.now() >= until)
      throw new WeftError(
        "agent-silent",
        "the agent does not stop: see its log, or end it with kill",
      );
    await pause(POLL_MS, context.terminal.interrupted);
  }
}

async function statusOrNone(socket: string): Promise<AgentStatus | undefined> {
  try {
    return await askStatus(socket);
  } catch (error) {
    if (error instanceof WeftError && error.code === "agent-not-running") return undefined;
    throw error;
  }
}

async function removeInterface(name: string): Promise<void> {
  const tap = new HostInterface(name);
  if (!(await tap.exists())) return;
  const removed = await tap.remove();
  if (!removed.ok)
    throw new WeftError(
      removed.code,
      `${removed.detail}: run as root, or remove the interface with ip link delete ${name}`,
    );
}

/** The bridge stays; an address that weft put on it goes. */
async function clearBridge(site: {
  readonly bridge: string | undefined;
  readonly range: string;
  readonly addressMode: string;
}): Promise<void> {
  const range = parseSubnet(site.range);
  if (site.bridge === undefined || range === undefined || site.addressMode === "dhcp") return;
  const bridge = new HostInterface(site.bridge);
  if (!(await bridge.exists())) return;
  const cleared = await bridge.clearRange(range);
  if (!cleared.ok)
    throw new WeftError(
      cleared.code,
      `${cleared.detail}: run as root, or take the address away with ip addr`,
    );
}

/** An agent that was killed leaves its interface: that is what is left to take down. */
async function removeLeftover(context: CommandContext): Promise<ExitCode> {
  const selection = selectNetwork(context.terminal, context.args, textArg(context, "network"));
  const config = loadConfig(configSources(context.terminal, context.args, selection));
  const there = await new HostInterface(config.interfaceName).exists();
  if (there) await removeInterface(config.interfaceName);
  await clearBridge({ ...config, range: subnetText(config.range) });
  context.terminal.out(
    `${config.name}: no agent ran${there ? `; removed ${config.interfaceName}` : ""}\n`,
  );
  return EXIT.ok;
}
