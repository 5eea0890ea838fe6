/** Options that every command knows, and how they become sources of a configuration. */
import { existsSync, readdirSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import type { Argv } from "yargs";
import { type Config, type ConfigSources, loadConfig } from "../agent/config.ts";
import { FLAG_KEYS, flagNameOf, isNodeName, KEYS, type Key } from "../agent/config-schema.ts";
import { ConfigFile, MAX_FILE_BYTES } from "../agent/config-source.ts";
import { readIfThere } from "../agent/durable-file.ts";
import { WeftError } from "../agent/errors.ts";
import {
  clusterFile,
  defaultFolders,
  type Folders,
  nodeNameFromHost,
  socketPath,
} from "../agent/paths.ts";
import { FORMATS, type Format, type OutputOptions } from "./output.ts";
import type { Terminal } from "./terminal.ts";

export interface GlobalArgs {
  readonly config: string | undefined;
  readonly node: string | undefined;
  readonly stateDir: string | undefined;
  readonly runDir: string | undefined;
  readonly output: Format | undefined;
  readonly json: boolean | undefined;
  readonly header: boolean | undefined;
}

export function addGlobalOptions<T>(yargs: Argv<T>) {
  return yargs
    .option("config", {
      type: "string",
      describe: "cluster file instead of the usual NAME.yaml",
      global: true,
    })
    .option("node", {
      type: "string",
      describe: "this machine's node name (default: its host name)",
      global: true,
    })
    .option("state-dir", { type: "string", describe: KEYS.state_dir.meaning, global: true })
    .option("run-dir", { type: "string", describe: KEYS.run_dir.meaning, global: true })
    .option("output", {
      alias: "o",
      choices: FORMATS,
      describe: "form of the answer",
      global: true,
    })
    .option("json", { type: "boolean", describe: "the same as -o json", global: true })
    .option("header", {
      type: "boolean",
      describe: "--no-header leaves the title line out",
      global: true,
    });
}

/** One flag for each key that may be one. */
export function addKeyOptions<T>(yargs: Argv<T>) {
  for (const key of FLAG_KEYS) {
    if (key === "state_dir" || key === "run_dir" || key === "name") continue;
    yargs.option(flagNameOf(key).slice(2), {
      type: "string",
      describe: KEYS[key].meaning,
      group: "Keys of the cluster file:",
    });
  }
  return yargs;
}

export function outputOptions(args: GlobalArgs): OutputOptions {
  return {
    format: args.json === true ? "json" : (args.output ?? "table"),
    header: args.header !== false,
  };
}

/** Flags of the command line that are keys of the file. */
export function flagValues(
  terminal: Terminal,
  args: Readonly<Record<string, unknown>>,
): Partial<Record<Key, unknown>> {
  const values: Partial<Record<Key, unknown>> = {};
  for (const key of FLAG_KEYS) {
    if (key === "name") continue;
    const given = args[flagNameOf(key).slice(2)];
    if (typeof given === "string")
      values[key] =
        key.endsWith("_dir") || key.endsWith("_file") ? resolve(terminal.cwd, given) : given;
  }
  return values;
}

/** Which cluster is meant: an argument, --config, WEFT_CONFIG, WEFT_NETWORK, or the only one there is. */
export interface Selection {
  readonly network: string;
  readonly file: string;
  readonly folders: Folders;
}

export function selectNetwork(
  terminal: Terminal,
  args: GlobalArgs,
  named: string | undefined,
): Selection {
  const folders = defaultFolders(terminal.env, terminal.uid);
  const runDir = args.runDir ?? terminal.env["WEFT_RUN_DIR"] ?? folders.runDir;
  const file = args.config ?? terminal.env["WEFT_CONFIG"];
  const network = named ?? terminal.env["WEFT_NETWORK"];
  if (file !== undefined) {
    const path = resolve(terminal.cwd, file);
    return { network: network ?? nameInFile(path), file: path, folders };
  }
  const chosen = network ?? onlyOne(runDir, ".sock") ?? onlyOne(folders.configDir, ".yaml");
  if (chosen !== undefined) return { network: chosen, file: clusterFile(folders, chosen), folders };
  const known = networksIn(folders.configDir, runDir);
  const text =
    known.length === 0
      ? `no network in ${folders.configDir}: make one with \`weft init NAME\`, or name a file with --config`
      : `several networks (${known.join(", ")}): name one, or set WEFT_NETWORK`;
  throw new WeftError(known.length === 0 ? "config-missing" : "network-unknown", text);
}

function networksIn(configDir: string, runDir: string): string[] {
  return [...new Set([...stems(configDir, ".yaml"), ...stems(runDir, ".sock")])];
}

/** Names of the networks that have a file or a running agent here. */
export function knownNetworks(terminal: Terminal, args: GlobalArgs): string[] {
  const folders = defaultFolders(terminal.env, terminal.uid);
  const runDir = args.runDir ?? terminal.env["WEFT_RUN_DIR"] ?? folders.runDir;
  return networksIn(folders.configDir, runDir);
}

function nameInFile(path: string): string {
  const stem = basename(path).replace(/\.ya?ml$/, "");
  try {
    const text = readIfThere(path, MAX_FILE_BYTES)?.toString("utf8") ?? "";
    const { values } = new ConfigFile(path, text);
    const name =
      typeof values === "object" && values !== null && "name" in values ? values.name : undefined;
    return typeof name === "string" ? name : stem;
  } catch {
    return stem;
  }
}

function stems(folder: string, suffix: string): string[] {
  try {
    return readdirSync(folder)
      .filter((name) => name.endsWith(suffix))
      .map((name) => name.slice(0, -suffix.length));
  } catch {
    return [];
  }
}

function onlyOne(folder: string, suffix: string): string | undefined {
  const found = stems(folder, suffix);
  return found.length === 1 ? found[0] : undefined;
}

export function nodeNameOf(terminal: Terminal, args: GlobalArgs): string {
  const given = args.node ?? terminal.env["WEFT_NODE"];
  if (given === undefined || given === "") return nodeNameFromHost(terminal.hostname);
  if (isNodeName(given)) return given;
  throw new WeftError(
    "usage",
    `${JSON.stringify(given)} is no node name: use 1 to 63 of a-z 0-9 and -`,
  );
}

export function configSources(
  terminal: Terminal,
  args: GlobalArgs,
  selection: Selection,
): ConfigSources {
  return {
    file: selection.file,
    flags: flagValues(terminal, args as unknown as Readonly<Record<string, unknown>>),
    env: terminal.env,
    uid: terminal.uid,
    nodeName: nodeNameOf(terminal, args),
  };
}

/**
 * The control socket of a running agent. The cluster file is consulted only for its run_dir, and only
 * when this user may read it.
 */
export function controlSocket(
  terminal: Terminal,
  args: GlobalArgs,
  named: string | undefined,
): string {
  const selection = selectNetwork(terminal, args, named);
  const given = args.runDir ?? terminal.env["WEFT_RUN_DIR"];
  if (given !== undefined) return socketPath(resolve(terminal.cwd, given), selection.network);
  const usual = socketPath(selection.folders.runDir, selection.network);
  if (existsSync(usual)) return usual;
  const config = tryConfig(configSources(terminal, args, selection));
  return config === undefined ? usual : socketPath(config.runDir, config.name);
}

function tryConfig(sources: ConfigSources): Config | undefined {
  try {
    return loadConfig(sources);
  } catch {
    return undefined;
  }
}

export function agentFolder(config: Config): string {
  return join(config.stateDir, config.name);
}
