/**
 * Small text files that are right to the last byte or refused: a title, lines, and a checksum over both.
 *
 *     weft identity 1
 *     <lines>
 *     <first 32 hex digits of SHA-256 over the lines above>
 */
import { createHash } from "node:crypto";
import { statSync } from "node:fs";
import { readIfThere } from "./durable-file.ts";
import { messageOf, systemCodeOf, WeftError } from "./errors.ts";

export function emitSealedText(title: string, lines: readonly string[]): string {
  const body = [title, ...lines].map((line) => `${line}\n`).join("");
  return `${body}${createHash("sha256").update(body).digest("hex").slice(0, 32)}\n`;
}

/** The text must be exactly what `emitSealedText` writes: any changed or missing byte is damage. */
export function parseSealedText(title: string, text: string): readonly string[] | undefined {
  const lines = text.split("\n").slice(1, -2);
  return emitSealedText(title, lines) === text ? lines : undefined;
}

/** undefined: there is no such file. @throws WeftError state-unwritable */
export function readStateFile(path: string, maxBytes: number): Buffer | undefined {
  try {
    return readIfThere(path, maxBytes);
  } catch (error) {
    throw new WeftError(
      "state-unwritable",
      `${path} cannot be read (${systemCodeOf(error) ?? messageOf(error)}): run as its owner`,
    );
  }
}

/** A key that others can read is no key any more. @throws WeftError key-file-open */
export function refuseOpenKey(path: string, whatItIs: string): void {
  const mode = statSync(path).mode & 0o777;
  if ((mode & 0o077) === 0) return;
  const text = mode.toString(8).padStart(4, "0");
  throw new WeftError(
    "key-file-open",
    `${path} is ${whatItIs} and has mode ${text}: run chmod 600 ${path}`,
  );
}
