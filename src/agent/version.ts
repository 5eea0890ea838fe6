import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** dist/src/agent is three folders below the package, src/agent two. */
const MAX_PARENTS = 4;

/** The package's own version, from the package.json above this file. */
export function packageVersion(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  for (let i = 0; i < MAX_PARENTS; i++) {
    folder = dirname(folder);
    const version = versionIn(join(folder, "package.json"));
    if (version !== undefined) return version;
  }
  return "unknown";
}

function versionIn(file: string): string | undefined {
  try {
    const facts: unknown = JSON.parse(readFileSync(file, "utf8"));
    if (typeof facts !== "object" || facts === null) return undefined;
    if (!("name" in facts) || facts.name !== "weft" || !("version" in facts)) return undefined;
    return String(facts.version);
  } catch {
    return undefined;
  }
}
