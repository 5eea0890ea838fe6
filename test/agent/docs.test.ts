import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import {
  envNameOf,
  FLAG_KEYS,
  flagNameOf,
  KEY_NAMES,
  KEYS,
} from "../../src/agent/config-schema.ts";
import { ERRORS } from "../../src/agent/errors.ts";
import { METRICS } from "../../src/agent/metrics.ts";
import { DROP_REASONS } from "../../src/base/drop-reason.ts";
import { COMMANDS } from "../../src/cli/commands.ts";

const page = (name: string): string =>
  readFileSync(fileURLToPath(new URL(`../../docs/${name}`, import.meta.url)), "utf8");

/** Cells of every row whose first cell is `code`, under one heading. */
function rows(text: string, heading: string): Map<string, string[]> {
  const section = text.split(/^## /m).find((part) => part.startsWith(`${heading}\n`)) ?? "";
  const found = [...section.matchAll(/^\| `([^`]+)`(.*)\|$/gm)];
  return new Map(
    found.map((match) => [
      match[1] ?? "",
      (match[2] ?? "")
        .split("|")
        .slice(1)
        .map((cell) => cell.trim()),
    ]),
  );
}

describe("docs/OPERATING.md", () => {
  const text = page("OPERATING.md");

  it("has a row for each key, with its variable, flag, default and whether it is shared", () => {
    const table = rows(text, "Keys of the cluster file");
    expect([...table.keys()].sort()).toEqual([...KEY_NAMES].sort());
    for (const key of KEY_NAMES) {
      const [env, flag, fallback, shared] = table.get(key) ?? [];
      expect(env).toBe(`\`${envNameOf(key)}\``);
      expect(flag, key).toBe(
        FLAG_KEYS.includes(key) && key !== "name" ? `\`${flagNameOf(key)}\`` : "-",
      );
      if (KEYS[key].fallback !== undefined) expect(fallback).toBe(`\`${KEYS[key].fallback}\``);
      expect(shared, key).toBe(KEYS[key].shared ? "yes" : "no");
    }
  });

  it("has a row for each metric with its labels", () => {
    const table = rows(text, "Metrics");
    const labels = Object.entries(METRICS).map(([name, facts]) => [
      name,
      facts.labels.join(", ") || "-",
    ]);
    expect([...table].map(([name, cells]) => [name, cells[0]])).toEqual(labels);
  });

  it("has a row for each event that the code can write", () => {
    const root = fileURLToPath(new URL("../../src", import.meta.url));
    const files = readdirSync(root, { recursive: true, encoding: "utf8" });
    const code = files
      .filter((name) => name.endsWith(".ts"))
      .map((name) => readFileSync(join(root, name), "utf8"));
    const written = code.flatMap((body) =>
      [...body.matchAll(/\bwhat: "([a-z-]+)"/g)].map((match) => match[1] ?? ""),
    );
    expect(written.length).toBeGreaterThan(5);
    for (const what of new Set(written)) expect(text).toContain(`| \`${what}\` |`);
  });

  it("has a row for each verb", () => {
    for (const command of COMMANDS)
      expect(text).toMatch(new RegExp(`^\\| \`${command.name.split(" ")[0]}\\b`, "m"));
  });
});

describe("docs/ERRORS.md", () => {
  const text = page("ERRORS.md");

  it("has a row for each code with its exit code", () => {
    const table = rows(text, "Commands");
    expect([...table].map(([code, cells]) => [code, Number(cells[0])])).toEqual(
      Object.entries(ERRORS),
    );
  });

  it("has a row for each drop reason, in the order of the code", () => {
    expect([...rows(text, "Drop reasons").keys()]).toEqual([...DROP_REASONS]);
  });
});
