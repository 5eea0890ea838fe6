/** `weft netcheck`: what the network around this node allows, in words. */
import type { AgentStatus } from "../../agent/agent-status.ts";
import { EXIT } from "../../agent/errors.ts";
import { ask, askStatus, socketOf } from "../agent-call.ts";
import type { Command } from "../command.ts";
import { netcheckBlock, netcheckData } from "../netcheck-block.ts";
import { outputOptions } from "../options.ts";
import { print } from "../output.ts";
import { pause, refuseInterrupted } from "../repeat.ts";

const POLL_MS = 250;
/** A look takes up to twelve seconds when every test meets silence, and one may have just begun. */
const LOOK_LIMIT_MS = 30_000;

export const netcheckCommand: Command = {
  name: "netcheck [network]",
  describe: "what the NAT and the network of this node allow; looks again",
  async run(context) {
    const socket = socketOf(context);
    const { terminal, args } = context;
    await ask(context, "survey");
    const until = performance.now() + LOOK_LIMIT_MS;
    let status: AgentStatus = await askStatus(socket);
    while (status.nat.isLooking && performance.now() < until) {
      await pause(POLL_MS, terminal.interrupted);
      refuseInterrupted(terminal.interrupted);
      status = await askStatus(socket);
    }
    print(terminal, outputOptions(args), netcheckData(status), () => netcheckBlock(status));
    return status.nat.udp === "blocked" ? EXIT.negative : EXIT.ok;
  },
};
