import { EXIT, WeftError } from "../../agent/errors.ts";
import { ask } from "../agent-call.ts";
import { type Command, textArg } from "../command.ts";
import { outputOptions } from "../options.ts";
import { print } from "../output.ts";
import { renderBlock } from "../table.ts";

export const dhtCommand: Command = {
  name: "dht <action> <key> [network]",
  describe: "a record of the hash table, by its key of 40 hex digits",
  options: (yargs) =>
    yargs
      .positional("action", { choices: ["get"] as const, describe: "get" })
      .positional("key", { type: "string", describe: "40 hex digits" }),
  async run(context) {
    const key = (textArg(context, "key") ?? "").toLowerCase();
    if (!/^[0-9a-f]{40}$/.test(key)) throw new WeftError("usage", "a key has 40 hex digits");
    const { record } = (await ask(context, "dht-get", { params: { key } })) as {
      record?: Readonly<Record<string, unknown>>;
    };
    const fields = Object.entries(record ?? {}).map(
      ([name, value]) => [name, String(value)] as const,
    );
    print(context.terminal, outputOptions(context.args), { key, record }, () =>
      renderBlock(fields),
    );
    return EXIT.ok;
  },
};
