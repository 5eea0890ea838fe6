/** Files that are whole or not there: temporary name, fsync, rename, fsync of the folder. */
import {
  closeSync,
  existsSync,
  fchmodSync,
  fsyncSync,
  linkSync,
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

/** File systems without hard links (vfat, some network shares). */
const NO_LINKS: readonly unknown[] = ["EPERM", "ENOSYS", "ENOTSUP", "EOPNOTSUPP", "EMLINK"];

export function writeDurable(path: string, text: string, mode: number): void {
  const temporary = `${path}${TEMPORARY}`;
  writeTemporary(temporary, text, mode);
  settle(temporary, path, renameSync);
}

/** The same where nothing stands yet: another file is never replaced (EEXIST). */
export function writeDurableNew(path: string, text: string, mode: number): void {
  // Several may try at once, unlike the agent.
  const temporary = `${path}.${process.pid}${TEMPORARY}`;
  writeTemporary(temporary, text, mode);
  settle(temporary, path, linkOnce);
}

function writeTemporary(temporary: string, text: string, mode: number): void {
  // Made anew each time: what a crash left there, or a link that somebody put there, is not followed.
  rmSync(temporary, { force: true });
  const handle = openSync(temporary, "wx", mode);
  try {
    fchmodSync(handle, mode);
    // Not writeSync: on a full disk that may write a part and say nothing.
    writeFileSync(handle, text);
    fsyncSync(handle);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  } finally {
    closeSync(handle);
  }
}

function settle(temporary: string, path: string, move: (from: string, to: string) => void): void {
  try {
    move(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
  syncFolder(dirname(path));
}

/** A link, unlike a rename, refuses a name that is taken. */
function linkOnce(temporary: string, path: string): void {
  try {
    linkSync(temporary, path);
  } catch (error) {
    if (!NO_LINKS.includes(systemCodeOf(error)) || existsSync(path)) throw error;
    return renameSync(temporary, path);
  }
  rmSync(temporary);
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
