/**
 * What a test needs of the machine. A test that cannot run here is skipped with its reason, and the
 * reasons are counted: `npm test` prints them at the end.
 */

import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { describe } from "vitest";

/** `undefined` when the machine can, else why it cannot. */
export type Reason = string | undefined;

export function requireRoot(): Reason {
  return process.getuid?.() === 0 ? undefined : "needs root";
}

export function requireTun(): Reason {
  return existsSync("/dev/net/tun") ? undefined : "needs /dev/net/tun";
}

export function requireCommand(...names: readonly string[]): Reason {
  const missing = names.filter(
    (name) => spawnSync("sh", ["-c", `command -v ${name}`], { stdio: "ignore" }).status !== 0,
  );
  return missing.length === 0 ? undefined : `needs ${missing.join(", ")}`;
}

export function requireFile(path: string): Reason {
  return existsSync(path) ? undefined : `needs ${path}`;
}

/** A describe block that runs when every requirement holds, else is skipped and says why. */
export function describeWhere(name: string, reasons: readonly Reason[], body: () => void): void {
  const missing = reasons.filter((reason) => reason !== undefined);
  if (missing.length > 0) console.log(`skipped: ${name}: ${missing.join("; ")}`);
  describe.skipIf(missing.length > 0)(name, body);
}
