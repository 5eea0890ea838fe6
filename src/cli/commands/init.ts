/** `weft init NAME`: writes a cluster file with a fresh network key and says what to type next. */
import { resolve } from "node:path";
import { fileSchema, KEYS } from "../../agent/config-schema.ts";
import { WeftError } from "../../agent/errors.ts";
import { generateNetworkKey } from "../../agent/network-key.ts";
import { clusterFile, defaultFolders } from "../../agent/paths.ts";
import { type Command, textArg } from "../command.ts";
import { writeNewFile } from "../new-file.ts";
import { outputOptions } from "../options.ts";
import { print } from "../output.ts";

export const initCommand: Command = {
  name: "init <network>",
  describe: "make a new network: a cluster file with a fresh key",
  options: (yargs) =>
    yargs
      .positional("network", { type: "string", describe: "name of the network" })
      .option("out", {
        type: "string",
        describe: "write the file here (default: the usual folder)",
      })
      .option("range", { type: "string", describe: KEYS.range.meaning })
      .option("bootstrap", { type: "string", describe: KEYS.bootstrap.meaning }),
  async run(context) {
    const { terminal, args } = context;
    const network = textArg(context, "network") ?? "";
    const range = textArg(context, "range") ?? KEYS.range.fallback ?? "";
    const bootstrap = textArg(context, "bootstrap");
    checkValues({ name: network, range, ...(bootstrap === undefined ? {} : { bootstrap }) });
    const out = textArg(context, "out");
    const file =
      out === undefined
        ? clusterFile(defaultFolders(terminal.env, terminal.uid), network)
        : resolve(terminal.cwd, out);
    writeNewFile(file, clusterText(network, range, bootstrap));
    const up = out === undefined ? `weft up ${network}` : `weft up ${network} --config ${file}`;
    print(terminal, outputOptions(args), { network, file }, () => nextSteps(file, up));
    return 0;
  },
};

function checkValues(values: Readonly<Record<string, string>>): void {
  const checked = fileSchema.safeParse(values);
  if (checked.success) return;
  const issue = checked.error.issues[0];
  throw new WeftError(
    "usage",
    `${issue?.path[0] === "name" ? "NAME" : `--${String(issue?.path[0])}`}: ${issue?.message ?? ""}`,
  );
}

/** The keys that differ from network to network; the others have defaults (examples/cluster.yaml). */
function clusterText(network: string, range: string, bootstrap: string | undefined): string {
  const members = (bootstrap ?? "")
    .split(",")
    .map((item) => item.trim())
    .filter((item) => item !== "");
  const list =
    members.length === 0
      ? "bootstrap: []             # members to ask first, e.g. [vpn.example.org:7117]"
      : `bootstrap:\n${members.map((member) => `  - ${JSON.stringify(member)}`).join("\n")}`;
  return `# The network ${network}. The same file belongs on every machine, mode 0600.
# Whoever holds it is a member: the key below cannot be taken back from one machine alone.
name: ${network}
secret: ${generateNetworkKey()}
${list}
range: ${range}
`;
}

function nextSteps(file: string, up: string): string {
  return `Wrote ${file} (mode 0600).

Start here; it prints the line for the other machines:
  ${up}
`;
}
