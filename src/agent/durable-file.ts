/** Files that are whole or not there: temporary name, fsync, rename, fsync of the folder. */
import {
  closeSync,
  fchmodSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  statSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";
import { systemCodeOf } from "./errors.ts";

/** One writer at a time (the agent holds its lock), so one temporary name is enough. */
const TEMPORARY = ".new";

export function writeDurable(path: string, text: string, mode: number): void {
  const temporary = `${path}${TEMPORARY}`;
  const handle = openSync(temporary, "w", mode);
  try {
    fchmodSync(handle, mode);
    writeSync(handle, text);
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
  renameSync(temporary, path);
  syncFolder(dirname(path));
}

/** A rename is durable only when its folder is. */
function syncFolder(folder: string): void {
  const handle = openSync(folder, "r");
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

/** The bytes; undefined when there is no such file. Other failures throw. */
export function readIfThere(path: string, maxBytes: number): Buffer | undefined {
  try {
    if (statSync(path).size > maxBytes) return Buffer.alloc(0);
    return readFileSync(path);
  } catch (error) {
    if (systemCodeOf(error) === "ENOENT") return undefined;
    throw error;
  }
}
