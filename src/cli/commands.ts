/** Every verb, in the order of `weft --help`. */
import type { Command } from "./command.ts";
import { configCommand } from "./commands/config.ts";
import { initCommand } from "./commands/init.ts";
import { versionCommand } from "./commands/version.ts";

export const COMMANDS: readonly Command[] = [initCommand, configCommand, versionCommand];
