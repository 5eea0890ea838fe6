/** `weft init NAME`: writes a cluster file with a fresh network key and says what to type next. */
import {
  closeSync,
  existsSync,
  fchmodSync,
  mkdirSync,
  openSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, resolve } from "node:path";
import { fileSchema, KEYS } from "../../agent/config-schema.ts";
import { messageOf, systemCodeOf, WeftError } from "../../agent/errors.ts";
import { generateNetworkKey } from "../../agent/network-key.ts";
import { clusterFile, defaultFolders } from "../../agent/paths.ts";
import { type Command, textArg } from "../command.ts";
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
    print(terminal, outputOptions(args), { network, file }, () => nextSteps(file, up, bootstrap));
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

/** Never over an existing file: its key may be the only copy. */
function writeNewFile(file: string, text: string): void {
  if (existsSync(file)) throw exists(file);
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o755 });
    const handle = openSync(file, "wx", 0o600);
    try {
      fchmodSync(handle, 0o600);
      writeFileSync(handle, text);
    } catch (error) {
      // Half a file would stand in the way of the next try.
      rmSync(file, { force: true });
      throw error;
    } finally {
      closeSync(handle);
    }
  } catch (error) {
    if (systemCodeOf(error) === "EEXIST") throw exists(file);
    throw new WeftError(
      "state-unwritable",
      `${file} cannot be written (${systemCodeOf(error) ?? messageOf(error)}): run as root, or choose a place with --out`,
    );
  }
}

function exists(file: string): WeftError {
  return new WeftError(
    "config-exists",
    `${file} exists: its key may be in use, so it stays; remove it yourself or choose another name`,
  );
}

function nextSteps(file: string, up: string, bootstrap: string | undefined): string {
  const hint =
    bootstrap === undefined
      ? `Machines on the same switch find each other. For others, first replace its line \`bootstrap: []\` by\nan address of this machine that they reach:\n  bootstrap: [THIS-MACHINE:7117]\n\n`
      : "";
  return `Wrote ${file} (mode 0600).

${hint}Start here:
  ${up}
For every other machine, copy the file, then start there:
  ssh OTHER mkdir -p ${dirname(file)} && scp -p ${file} OTHER:${file}
  ${up}
`;
}
