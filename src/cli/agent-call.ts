/** Asking the agent that the arguments mean, and reading its answers. */
import { z } from "zod";
import type { AgentStatus } from "../agent/agent-status.ts";
import { type CallOptions, callAgent, type Reply } from "../agent/control-client.ts";
import type { Method } from "../agent/control-protocol.ts";
import { type CommandContext, textArg } from "./command.ts";
import { controlSocket } from "./options.ts";

export function socketOf(context: CommandContext): string {
  return controlSocket(context.terminal, context.args, textArg(context, "network"));
}

export function ask(
  context: CommandContext,
  method: Method,
  options?: CallOptions,
): Promise<Reply> {
  return callAgent(socketOf(context), method, options);
}

/** Enough of the shape to show it; another version of weft may send more. */
const statusShape = z.looseObject({
  network: z.string(),
  name: z.string(),
  state: z.string(),
  health: z.array(z.string()),
  ring: z.looseObject({ predecessors: z.array(z.string()), successors: z.array(z.string()) }),
  peers: z.array(z.looseObject({ name: z.string(), address: z.string(), link: z.string() })),
});

export async function askStatus(socket: string, timeoutMs?: number): Promise<AgentStatus> {
  const reply = await callAgent(socket, "status", timeoutMs === undefined ? {} : { timeoutMs });
  statusShape.parse(reply);
  return reply as unknown as AgentStatus;
}
