/**
 * The authority's private key: whoever has it decides who is a member. It belongs on a machine that is
 * offline most of the time, not on a member.
 *
 *     weft authority 1
 *     <base64 of the 32-byte Ed25519 seed>
 *     <checksum, sealed-text.ts>
 */
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { WeftError } from "./errors.ts";
import type { Folders } from "./paths.ts";
import { emitSealedText, parseSealedText, readStateFile, refuseOpenKey } from "./sealed-text.ts";

const TITLE = "weft authority 1";
const SEED_BYTES = 32;
const MAX_BYTES = 1_024;

/** Beside the cluster file until somebody moves it to a safer place. */
export function authorityFile(folders: Folders, network: string): string {
  return join(folders.configDir, `${network}.authority`);
}

export function drawAuthoritySeed(): Uint8Array {
  return new Uint8Array(randomBytes(SEED_BYTES));
}

export function emitAuthority(seed: Uint8Array): string {
  return emitSealedText(TITLE, [Buffer.from(seed).toString("base64")]);
}

/** @throws WeftError not-found | key-file-open | state-unwritable | identity-damaged */
export function readAuthority(path: string): Uint8Array {
  const bytes = readStateFile(path, MAX_BYTES);
  if (bytes === undefined) {
    throw new WeftError(
      "not-found",
      `${path} does not exist: name the authority's private key with --key`,
    );
  }
  refuseOpenKey(path, "the authority's private key");
  const text = bytes.toString("latin1");
  const seed = new Uint8Array(Buffer.from(parseSealedText(TITLE, text)?.[0] ?? "", "base64"));
  if (seed.length === SEED_BYTES && emitAuthority(seed) === text) return seed;
  throw new WeftError(
    "identity-damaged",
    `${path} is no authority's key, or is damaged: restore it from a backup`,
  );
}
