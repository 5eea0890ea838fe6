import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { commandPage, filePage } from "../../scripts/manual.ts";
import {
  envNameOf,
  FLAG_KEYS,
  flagNameOf,
  KEY_NAMES,
  KEYS,
} from "../../src/agent/config-schema.ts";
import { COMMANDS } from "../../src/cli/commands.ts";
import { verbWords } from "../../src/cli/verb-words.ts";
import { describeWhere, requireCommand } from "../support/requires.ts";

const EXAMPLE = readFileSync(
  fileURLToPath(new URL("../../examples/cluster.yaml", import.meta.url)),
  "utf8",
);
const PAGES: readonly (readonly [string, string])[] = [
  ["weft(1)", commandPage()],
  ["weft-cluster.yaml(5)", filePage(EXAMPLE)],
];

/** What a reader sees, on one line. */
function shown(page: string): string {
  const words = ["-man", "-Tutf8", "-rLL=200n", "-P-c"];
  const ran = spawnSync("groff", words, { input: page, encoding: "utf8" });
  expect(ran.stderr).toBe("");
  // biome-ignore lint/suspicious/noControlCharactersInRegex: bold is a letter, backspace, the letter
  return ran.stdout.replace(/.\x08/g, "").replace(/[‐−]/g, "-").replace(/\s+/g, " ");
}

describeWhere("the manual, as groff shows it", [requireCommand("groff")], () => {
  it("has every verb with its other names, its words and its flags", () => {
    const text = shown(commandPage());
    for (const command of COMMANDS) {
      const verb = verbWords(command);
      const [name = "", ...others] = verb.names;
      const places = verb.places.map((place) =>
        place.isOptional ? `[${place.name.toUpperCase()}]` : place.name.toUpperCase(),
      );
      const also = others.length === 0 ? "" : ` (also ${others.join(", ")})`;
      expect(text).toContain([`weft ${name}`, ...places].join(" ") + also);
      expect(text).toContain(verb.describe);
    }
    for (const flag of ["--until-direct", "-c, --count", "--token-file", "--no-header", "--nodes"])
      expect(text).toContain(flag);
  });

  it("has every key with its default, variable and flag", () => {
    const text = shown(filePage(EXAMPLE));
    for (const key of KEY_NAMES) {
      expect(text).toContain(KEYS[key].meaning);
      expect(text).toContain(envNameOf(key));
      if (FLAG_KEYS.includes(key) && key !== "name") expect(text).toContain(flagNameOf(key));
    }
    expect(text).toContain("default 10.117.0.0/16; WEFT_RANGE; --range; shared");
    expect(text).toContain(EXAMPLE.split("\n")[0]);
  });

  it.each(PAGES)("%s has no mistake that groff warns of", (_, page) => {
    const words = ["-man", "-ww", "-z", "-Tutf8", "-rCHECKSTYLE=1"];
    const ran = spawnSync("groff", words, { input: page, encoding: "utf8" });
    expect([ran.status, ran.stderr]).toEqual([0, ""]);
  });
});

describe("the manual", () => {
  it("has no line that begins as a request by accident", () => {
    for (const [, page] of PAGES)
      for (const line of page.split("\n").filter((row) => row.startsWith(".")))
        expect(line).toMatch(/^\.(\\"|TH|SH|TP|P|RS|RE|nf|fi|BR)\b|^\.\\"/);
  });
});
