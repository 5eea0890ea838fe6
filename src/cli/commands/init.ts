/** `weft init NAME`: writes a cluster file with a fresh network key and says what to type next. */
import { join, resolve } from "node:path";
import { authorityFile, drawAuthoritySeed, emitAuthority } from "../../agent/authority-file.ts";
import { authorityKeyText } from "../../agent/authority-key.ts";
import { readCertificates, writeCertificates } from "../../agent/certificate-file.ts";
import { loadConfig } from "../../agent/config.ts";
import { fileSchema, KEYS } from "../../agent/config-schema.ts";
import { WeftError } from "../../agent/errors.ts";
import { loadIdentity, prepareFolder } from "../../agent/identity-file.ts";
import { generateNetworkKey } from "../../agent/network-key.ts";
import { clusterFile, defaultFolders } from "../../agent/paths.ts";
import { identityFromSeed } from "../../crypto/identity.ts";
import { type Command, type CommandContext, flagArg, textArg } from "../command.ts";
import { loadSuite } from "../load-suite.ts";
import { writeNewFile } from "../new-file.ts";
import { agentFolder, configSources, nodeNameOf, outputOptions } from "../options.ts";
import { print } from "../output.ts";
import { daysIn, saidIn, signMember } from "../sign-member.ts";

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
      .option("authority", {
        type: "boolean",
        describe: "only machines that an authority signed in are members; makes its key",
      })
      .option("authority-file", {
        type: "string",
        describe:
          "write the authority's private key here (default: NAME.authority beside the file)",
      })
      .option("groups", { type: "string", describe: "with --authority: groups of this node" })
      .option("claims", { type: "string", describe: "with --authority: addresses of this node" })
      .option("days", {
        type: "number",
        describe: "with --authority: its certificate's days (365)",
      })
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
    const up = out === undefined ? `weft up ${network}` : `weft up ${network} --config ${file}`;
    const place = { network, file, range, bootstrap, up };
    if (flagArg(context, "authority")) return initAuthority(context, place);
    writeNewFile(file, clusterText(place));
    print(terminal, outputOptions(args), { network, file }, () => nextSteps(file, up));
    return 0;
  },
};

interface Place {
  readonly network: string;
  readonly file: string;
  readonly range: string;
  readonly bootstrap: string | undefined;
  /** What to type next. */
  readonly up: string;
}

/** The authority's key, the cluster file, and this node's own certificate, with which it may issue. */
async function initAuthority(context: CommandContext, place: Place): Promise<0> {
  const { terminal, args } = context;
  const said = { ...saidIn(context), days: daysIn(context) };
  const name = nodeNameOf(terminal, args);
  const suite = await loadSuite();
  const seed = drawAuthoritySeed();
  const authority = suite.signingKeyPair(seed);
  const folders = defaultFolders(terminal.env, terminal.uid);
  const keyFile = textArg(context, "authority-file");
  const keyPath =
    keyFile === undefined ? authorityFile(folders, place.network) : resolve(terminal.cwd, keyFile);
  refuseMember(context, place.network);
  writeNewFile(keyPath, emitAuthority(seed));
  writeNewFile(place.file, clusterText(place, authority.publicKey));
  const config = loadConfig(configSources(terminal, args, { ...place, folders }));
  const folder = agentFolder(config);
  prepareFolder(folder);
  const own = identityFromSeed(suite, loadIdentity(folder)).signing.publicKey;
  const member = { ...said, publicKey: own, salt: undefined, name, mayIssue: true };
  writeCertificates(folder, [signMember(suite, authority, config, member)]);
  const { network, file, up } = place;
  const data = { network, file, authorityFile: keyPath, node: name };
  print(terminal, outputOptions(args), data, () => authoritySteps(place, keyPath, up));
  return 0;
}

/** This machine's certificate of a network of that name would be lost. */
function refuseMember({ terminal, args }: CommandContext, network: string): void {
  const { stateDir } = defaultFolders(terminal.env, terminal.uid);
  const folder = join(args.stateDir ?? terminal.env["WEFT_STATE_DIR"] ?? stateDir, network);
  if (readCertificates(folder).length === 0) return;
  throw new WeftError(
    "config-exists",
    `${folder} holds a certificate of a network ${network}: choose another name, or another --state-dir`,
  );
}

function authoritySteps({ network, file }: Place, keyPath: string, up: string): string {
  return `Wrote ${file} (mode 0600).
Wrote ${keyPath} (mode 0600): the authority's private key. Whoever has it decides who is a member:
move it to a machine that is offline, and keep a copy.

Start here, then make a line for each other machine:
  ${up}
  weft invite ITS-NAME ${network}
`;
}

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
function clusterText({ network, range, bootstrap }: Place, authority?: Uint8Array): string {
  const members = (bootstrap ?? "")
    .split(",")
    .map((item) => item.trim())
    .filter((item) => item !== "");
  const list =
    members.length === 0
      ? "bootstrap: []             # members to ask first, e.g. [vpn.example.org:7117]"
      : `bootstrap:\n${members.map((member) => `  - ${JSON.stringify(member)}`).join("\n")}`;
  const meaning =
    authority === undefined
      ? "# Whoever holds it is a member: the key below cannot be taken back from one machine alone."
      : "# It makes nobody a member: each machine needs a certificate (weft invite, weft sign).";
  const signed = authority === undefined ? "" : `authority: ${authorityKeyText(authority)}\n`;
  return `# The network ${network}. The same file belongs on every machine, mode 0600.
${meaning}
name: ${network}
secret: ${generateNetworkKey()}
${signed}${list}
range: ${range}
`;
}

function nextSteps(file: string, up: string): string {
  return `Wrote ${file} (mode 0600).

Start here; it prints the line for the other machines:
  ${up}
`;
}
