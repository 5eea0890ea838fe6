import { packageVersion } from "../../agent/version.ts";
import type { Command } from "../command.ts";
import { outputOptions } from "../options.ts";
import { print } from "../output.ts";

export const versionCommand: Command = {
  name: "version",
  describe: "version of weft, of Node.js and of this machine's kind",
  async run({ terminal, args }) {
    const weft = packageVersion();
    const facts = { weft, node: process.version, platform: `${process.platform}-${process.arch}` };
    print(
      terminal,
      outputOptions(args),
      facts,
      () => `weft ${weft} (node ${facts.node}, ${facts.platform})\n`,
    );
    return 0;
  },
};
