import { join } from "node:path";
import { CLI } from "../../lab/agent.ts";
import type { Site } from "../../lab/lab.ts";
import type { Finished } from "../../lab/shell.ts";

/** All that standard error says where a certificate was made or put into place. */
export const NOTED =
  /^\S+ has public key \S{44}, serial number [0-9a-f]{16}: note them, weft revoke takes either\n$/;

/** Runs `weft WORDS`. Each site has its own /etc, /var/lib and /run by variables, as machines would. */
export function weft(site: Site, words: readonly string[], input = ""): Promise<Finished> {
  return weftAs(site, site.name, words, input);
}

/** As a machine of that name, with files of its own, at the same place of the network. */
export function weftAs(
  site: Site,
  name: string,
  words: readonly string[],
  input = "",
): Promise<Finished> {
  const folder = name === site.name ? site.folder : join(site.folder, name);
  return run(site, { folder, name, input }, words);
}

/** With more variables, which the agent that it starts has too. */
export function weftWith(
  site: Site,
  env: Readonly<Record<string, string>>,
  words: readonly string[],
): Promise<Finished> {
  return run(site, { folder: site.folder, name: site.name, input: "", env }, words);
}

/** As somebody in front of a screen has it: `script` makes a terminal. */
export function weftOnTerminal(site: Site, words: string): Promise<Finished> {
  const command = `${process.execPath} ${CLI} ${words}`;
  const env = placesOf(site.folder, site.name);
  return site.finish(["script", "-qec", command, "/dev/null"], { env });
}

interface Machine {
  readonly folder: string;
  readonly name: string;
  readonly input: string;
  readonly env?: Readonly<Record<string, string>>;
}

function run(
  site: Site,
  { folder, name, input, env = {} }: Machine,
  words: readonly string[],
): Promise<Finished> {
  const argv = [process.execPath, CLI, ...words];
  return site.finish(argv, { env: { ...placesOf(folder, name), ...env }, input });
}

function placesOf(folder: string, name: string) {
  return {
    WEFT_CONFIG_DIR: join(folder, "etc"),
    WEFT_STATE_DIR: join(folder, "state"),
    WEFT_RUN_DIR: join(folder, "run"),
    WEFT_NODE: name,
  };
}
