/** Files that are whole or not there: temporary name, fsync, rename, fsync of the folder. */
import {
  closeSync,
  fchmodSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname } from "node:path";
import { systemCodeOf } from "./errors.ts";

/** One writer at a time (the agent holds its lock), so one temporary name is enough. */
const TEMPORARY = ".new";

export function writeDurable(path: string, text: string, mode: number): void {
  const temporary = `${path}${TEMPORARY}`;
  // Made anew each time: what a crash left there, or a link that somebody put there, is not followed.
  rmSync(temporary, { force: true });
  const handle = openSync(temporary, "wx", mode);
  try {
    fchmodSync(handle, mode);
    // Not writeSync: on a full disk that may write a part and say nothing.
    writeFileSync(handle, text);
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
  try {
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
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

/**
 * The bytes, none of a file larger than `maxBytes`; undefined when there is no such file. Other failures
 * throw, also that it is no regular file: a pipe or a device may have no end.
 */
export function readIfThere(path: string, maxBytes: number): Buffer | undefined {
  try {
    const facts = statSync(path);
    if (!facts.isFile()) throw new Error("not a regular file");
    if (facts.size > maxBytes) return Buffer.alloc(0);
    return readFileSync(path);
  } catch (error) {
    if (systemCodeOf(error) === "ENOENT") return undefined;
    throw error;
  }
}
