/** `weft netcheck`: what the network around this node allows, in words. */
import type { AgentStatus } from "../../agent/agent-status.ts";
import { EXIT } from "../../agent/errors.ts";
import { ask, askStatus, socketOf } from "../agent-call.ts";
import { type Command, type CommandContext, flagArg } from "../command.ts";
import { lifetimeText, netcheckBlock, netcheckData } from "../netcheck-block.ts";
import { outputOptions } from "../options.ts";
import { print } from "../output.ts";
import { createProgress } from "../progress.ts";
import { pause, refuseInterrupted } from "../repeat.ts";

const POLL_MS = 250;
/** Mappings live for five minutes at least where they are measured no further. */
const LIFETIME_LIMIT_MS = 360_000;
/** A look takes up to twelve seconds when every test meets silence, and one may have just begun. */
const LOOK_LIMIT_MS = 30_000;

export const netcheckCommand: Command = {
  name: "netcheck [network]",
  describe: "what the NAT and the network of this node allow; looks again",
  options: (yargs) =>
    yargs.option("lifetime", {
      type: "boolean",
      describe: "wait until it is measured how long the NAT keeps a mapping: up to five minutes",
    }),
  async run(context) {
    const { terminal, args } = context;
    await ask(context, "survey");
    let status = await look(context, LOOK_LIMIT_MS, ({ nat }) => nat.isLooking);
    if (flagArg(context, "lifetime")) {
      const progress = createProgress(terminal);
      status = await look(context, LIFETIME_LIMIT_MS, (now) => {
        progress.say(`mapping ${lifetimeText(now)}`);
        return now.nat.mappingLife.state === "measuring";
      });
    }
    print(terminal, outputOptions(args), netcheckData(status), () => netcheckBlock(status));
    return status.nat.udp === "blocked" ? EXIT.negative : EXIT.ok;
  },
};

/** Asks the agent until `isAtWork` is over, or the time is. */
async function look(
  context: CommandContext,
  limitMs: number,
  isAtWork: (status: AgentStatus) => boolean,
): Promise<AgentStatus> {
  const { interrupted } = context.terminal;
  const socket = socketOf(context);
  const until = performance.now() + limitMs;
  for (;;) {
    const status = await askStatus(socket);
    if (!isAtWork(status) || performance.now() >= until) return status;
    await pause(POLL_MS, interrupted);
    refuseInterrupted(interrupted);
  }
}
