/**
 * Published test vectors live in a folder beside the repository (they are large and not ours).
 * Tests that want them are skipped, with the reason printed, when the folder is not there.
 */
import { existsSync, readFileSync } from "node:fs";
import { fromHex } from "../../src/base/bytes.ts";

const FOLDER = new URL("../../../shared/vectors/", import.meta.url);

/** The file's JSON, or undefined (after printing why) when it is absent. */
export function loadVectors<T>(name: string): T | undefined {
  const file = new URL(name, FOLDER);
  if (existsSync(file)) return JSON.parse(readFileSync(file, "utf8")) as T;
  console.log(`skipped: no test vectors ${name} in ../shared/vectors`);
  return undefined;
}

/** Hex that the test itself wrote; a mistake in it is a mistake in the test. */
export function hex(text: string): Uint8Array {
  const bytes = fromHex(text);
  if (bytes === undefined) throw new Error(`not hex: ${text}`);
  return bytes;
}

/** Bytes in the form of the golden tables: two digits, one space. */
export function spaced(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(" ");
}
