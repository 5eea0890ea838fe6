/**
 * The node's identity: 32 random bytes, made once. A file that is damaged is refused with text; it is
 * never replaced, because another identity is another node.
 *
 *     weft identity 1
 *     <base64 of the 32-byte seed>
 *     <first 32 hex digits of SHA-256 over the two lines above>
 */
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, type Stats, statSync } from "node:fs";
import { join } from "node:path";
import { writeDurable } from "./durable-file.ts";
import { messageOf, systemCodeOf, WeftError } from "./errors.ts";
import { emitSealedText, parseSealedText, readStateFile, refuseOpenKey } from "./sealed-text.ts";
import { stateFile } from "./state-file.ts";

export const SEED_BYTES = 32;
const MAX_BYTES = 1_024;
const TITLE = "weft identity 1";

export function identityFile(folder: string): string {
  return join(folder, "identity.key");
}

/** Makes the agent's folder, 0700. @throws WeftError state-unwritable | key-file-open */
export function prepareFolder(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    refuseForeignFolder(folder, statSync(folder));
  } catch (error) {
    if (error instanceof WeftError) throw error;
    throw new WeftError(
      "state-unwritable",
      `${folder} cannot be made (${systemCodeOf(error) ?? messageOf(error)}): run as root, or set --state-dir`,
    );
  }
}

/** Who may write into the folder may put an identity of their choice there. */
function refuseForeignFolder(folder: string, { mode, uid }: Stats): void {
  if ((mode & 0o022) !== 0) {
    const text = (mode & 0o777).toString(8).padStart(4, "0");
    throw new WeftError(
      "key-file-open",
      `${folder} holds this node's key and has mode ${text}: run chmod 700 ${folder}`,
    );
  }
  if (uid !== process.geteuid?.() && uid !== 0) {
    throw new WeftError(
      "state-unwritable",
      `${folder} belongs to user ${uid}: correct its owner, or set --state-dir`,
    );
  }
}

/**
 * The seed in `folder`, made when the folder is fresh.
 *
 * @throws WeftError identity-damaged | key-file-open | state-unwritable
 */
export function loadIdentity(folder: string): Uint8Array {
  const path = identityFile(folder);
  const bytes = readStateFile(path, MAX_BYTES);
  if (bytes !== undefined) return checkedSeed(path, bytes);
  if (existsSync(stateFile(folder))) {
    throw new WeftError(
      "identity-damaged",
      `${path} is missing beside a state file: restore it, or remove ${folder} to start as a new node`,
    );
  }
  return createIdentity(path);
}

function checkedSeed(path: string, bytes: Buffer): Uint8Array {
  refuseOpenKey(path, "this node's key");
  const seed = parseIdentity(bytes.toString("latin1"));
  if (seed !== undefined) return seed;
  throw new WeftError(
    "identity-damaged",
    `${path} is damaged: restore it from a backup, or remove ${path.replace(/\/[^/]*$/, "")} to start as a new node`,
  );
}

function createIdentity(path: string): Uint8Array {
  const seed = new Uint8Array(randomBytes(SEED_BYTES));
  replaceIdentity(path, seed);
  return seed;
}

/** Makes this machine another node at its next start. @throws WeftError state-unwritable */
export function replaceIdentity(path: string, seed: Uint8Array): void {
  try {
    writeDurable(path, emitIdentity(seed), 0o600);
  } catch (error) {
    throw new WeftError(
      "state-unwritable",
      `${path} cannot be written (${systemCodeOf(error) ?? messageOf(error)}): free space or choose another --state-dir`,
    );
  }
}

export function emitIdentity(seed: Uint8Array): string {
  return emitSealedText(TITLE, [Buffer.from(seed).toString("base64")]);
}

/** The text must be exactly what `emitIdentity` writes: any changed or missing byte is damage. */
export function parseIdentity(text: string): Uint8Array | undefined {
  const [line = ""] = parseSealedText(TITLE, text) ?? [];
  const seed = new Uint8Array(Buffer.from(line, "base64"));
  return seed.length === SEED_BYTES && emitIdentity(seed) === text ? seed : undefined;
}
