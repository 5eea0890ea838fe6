/** A cluster file that was not there before: `weft init` and `weft join` write it, nobody overwrites it. */
import { existsSync, mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { writeDurableNew } from "../agent/durable-file.ts";
import { messageOf, systemCodeOf, WeftError } from "../agent/errors.ts";

/**
 * Mode 0600, whole or not there. Never over an existing file: its key may be the only copy.
 *
 * @throws WeftError config-exists | state-unwritable
 */
export function writeNewFile(file: string, text: string): void {
  if (existsSync(file)) throw exists(file);
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o755 });
    writeDurableNew(file, text, 0o600);
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
