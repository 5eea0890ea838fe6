/** Documents are part of the change: their tables are compared with the code they speak of. */
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { DROP_REASONS } from "../src/base/drop-reason.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const read = (path: string): string => readFileSync(`${ROOT}/${path}`, "utf8");

interface LockEntry {
  readonly version?: string;
  readonly license?: string;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
}

/** Rows of every table under a heading, cells trimmed, header and rule left out. */
function rowsUnder(path: string, heading: string): string[][] {
  const section =
    read(path)
      .split(/^## /m)
      .find((part) => part.startsWith(heading)) ?? "";
  const lines = section.split("\n").filter((line) => line.startsWith("|"));
  return lines.slice(2).map((line) =>
    line
      .split("|")
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}

describe("docs/DEPENDENCIES.md", () => {
  const lock = (JSON.parse(read("package-lock.json")) as { packages: Record<string, LockEntry> })
    .packages;

  it.each([
    ["At run time", "dependencies"],
    ["To build and test", "devDependencies"],
  ] as const)("%s: names, counts and licences are those of the lock file", (heading, field) => {
    const names = Object.keys(lock[""]?.[field] ?? {}).sort();
    const expected = names.map((name) => {
      const brings = String(bringsOf(lock, name) - 1);
      return [name, brings, lock[`node_modules/${name}`]?.license ?? ""];
    });
    const written = rowsUnder("docs/DEPENDENCIES.md", heading).map((row) => row.slice(0, 3));
    expect(written.sort()).toEqual(expected);
  });
});

/** Packages installed for the sake of this one, itself included; nested copies count. */
function bringsOf(lock: Record<string, LockEntry>, name: string): number {
  const seen = new Set<string>();
  const visit = (wanted: string, from: string): void => {
    const path = resolveFrom(lock, wanted, from);
    if (path === undefined || seen.has(path)) return;
    seen.add(path);
    for (const next of Object.keys(lock[path]?.dependencies ?? {})) visit(next, path);
  };
  visit(name, "");
  return seen.size;
}

/** Node's own rule: the nearest node_modules above. */
function resolveFrom(
  lock: Record<string, LockEntry>,
  wanted: string,
  from: string,
): string | undefined {
  for (
    let base = from;
    ;
    base = base.slice(0, Math.max(0, base.lastIndexOf("node_modules/") - 1))
  ) {
    const path = `${base === "" ? "" : `${base}/`}node_modules/${wanted}`;
    if (path in lock) return path;
    if (base === "") return undefined;
  }
}

describe("docs/ERRORS.md", () => {
  it("has one row for every drop reason and no other", () => {
    const rows = rowsUnder("docs/ERRORS.md", "Drop reasons").map((row) =>
      row[0]?.replaceAll("`", ""),
    );
    expect(rows).toEqual([...DROP_REASONS]);
  });
});

describe("the README's promises", () => {
  it("every document it links exists", () => {
    const links = [...read("README.md").matchAll(/\]\(([^)#]+)(#[^)]*)?\)/g)].map(
      (match) => match[1],
    );
    const local = links.filter((link) => link !== undefined && !link.startsWith("http"));
    expect(local.filter((link) => !existsSync(`${ROOT}/${link}`))).toEqual([]);
  });

  it("every script it names is in package.json", () => {
    const scripts = Object.keys((JSON.parse(read("package.json")) as { scripts: object }).scripts);
    const named = [...read("README.md").matchAll(/npm (?:run )?([a-z:]+)/g)].map(
      (match) => match[1],
    );
    const builtIn = ["install", "ci"];
    const unknown = named.filter(
      (name) => !scripts.includes(name ?? "") && !builtIn.includes(name ?? ""),
    );
    expect(unknown).toEqual([]);
  });
});
