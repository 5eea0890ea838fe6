/** The completion scripts in the shells themselves; a stand-in for weft answers what they ask for. */
import { spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, it } from "vitest";
import { FLAG_KEYS, flagNameOf } from "../../src/agent/config-schema.ts";
import { COMMANDS } from "../../src/cli/commands.ts";
import { completionScript, type Shell } from "../../src/cli/shell-completion.ts";
import { describeWhere, requireCommand } from "../support/requires.ts";

const ZSH_KEYS = fileURLToPath(new URL("zsh-keys.py", import.meta.url));
const STAND_IN = `#!/bin/sh
case "$*" in
'completion peers') printf 'alpha\\nbeta\\n' ;;
'completion peers --config other.yaml') echo gamma ;;
'completion networks') printf 'lab\\noffice\\n' ;;
*) echo "asked for $*" >&2; exit 1 ;;
esac
`;
const VERBS = COMMANDS.flatMap(({ name, aliases = [] }) => [name.split(" ")[0] ?? "", ...aliases]);
/** `--name` is no flag of `up`: the network is its first word. */
const UP_FLAGS = FLAG_KEYS.filter((key) => key !== "name").map(flagNameOf);

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "weft-complete-"));
  writeFileSync(join(folder, "weft"), STAND_IN);
  chmodSync(join(folder, "weft"), 0o755);
  writeFileSync(join(folder, "net.yaml"), "");
});
afterAll(() => rmSync(folder, { recursive: true }));

function runShell(argv: readonly string[]): string {
  const env = { ...process.env, PATH: `${folder}:${process.env["PATH"]}`, HOME: folder };
  const [program = "", ...words] = argv;
  const ran = spawnSync(program, words, { cwd: folder, env, encoding: "utf8", timeout: 60_000 });
  expect(ran.stderr).toBe("");
  return ran.stdout;
}

function scriptFile(shell: Shell): string {
  const file = join(folder, `script.${shell}`);
  writeFileSync(file, completionScript(shell, COMMANDS));
  return file;
}

/** @param line the last word is the one being typed; it may be empty */
function inBash(line: string): string[] {
  const words = line.split(" ").map((word) => `'${word}'`);
  const text = `source ${scriptFile("bash")}; COMP_WORDS=(${words.join(" ")})
    COMP_CWORD=${words.length - 1}; _weft; printf '%s\\n' "\${COMPREPLY[@]}"`;
  return runShell(["bash", "-c", text])
    .split("\n")
    .filter((word) => word !== "");
}

/** fish gives the meaning behind a tab. */
function inFish(line: string): string[] {
  const text = `source ${scriptFile("fish")}; complete -C '${line}'`;
  return runShell(["fish", "--no-config", "-c", text])
    .split("\n")
    .map((row) => row.split("\t")[0] ?? "")
    .filter((word) => word !== "");
}

/** What an interactive zsh shows until it has shown all of `awaited`, as words. */
function inZsh(line: string, awaited: readonly string[]): string[] {
  return runShell(["python3", ZSH_KEYS, scriptFile("zsh"), line, ...awaited]).split(/[\s\p{Cc}]+/u);
}

const SAMPLES: readonly (readonly [string, readonly string[]])[] = [
  ["weft pe", ["peers"]],
  ["weft ping ", ["alpha", "beta"]],
  ["weft ping b", ["beta"]],
  ["weft ping alpha ", ["lab", "office"]],
  ["weft --config other.yaml ping ", ["gamma"]],
  ["weft status ", ["lab", "office"]],
  ["weft config ", ["check", "push", "show"]],
  ["weft config show ", ["lab", "office"]],
  ["weft ip --peer ", ["alpha", "beta"]],
  ["weft peers -o ", ["json", "table", "wide", "yaml"]],
  ["weft ping --until", ["--until-direct"]],
  ["weft status --config ne", ["net.yaml"]],
];

describeWhere("completion in bash", [requireCommand("bash")], () => {
  it.each(SAMPLES)("%s", (line, words) => expect(inBash(line).sort()).toEqual(words));
  it("knows every verb", () => expect(inBash("weft ").sort()).toEqual([...VERBS].sort()));
  it("knows every key that is a flag", () =>
    expect(inBash("weft up --")).toEqual(expect.arrayContaining(UP_FLAGS)));
});

describeWhere("completion in fish", [requireCommand("fish")], () => {
  it.each(SAMPLES)("%s", (line, words) => expect(inFish(line).sort()).toEqual(words));
  it("knows every verb", () => expect(inFish("weft ").sort()).toEqual([...VERBS].sort()));
  it("knows every key that is a flag", () =>
    expect(inFish("weft up --")).toEqual(expect.arrayContaining(UP_FLAGS)));
});

describeWhere("completion in zsh", [requireCommand("zsh", "python3")], () => {
  it.each([
    ["weft ping ", ["alpha", "beta"]],
    ["weft pee", ["peers"]],
    ["weft --config other.yaml ping ", ["gamma"]],
    ["weft config ", ["check", "push", "show"]],
    ["weft status --config ne", ["net.yaml"]],
  ])("%s", (line, words) => {
    expect(inZsh(line, words)).toEqual(expect.arrayContaining([...words]));
  });
  it("knows every verb", () =>
    expect(inZsh("weft ", VERBS)).toEqual(expect.arrayContaining(VERBS)));
  it("knows every key that is a flag", () =>
    expect(inZsh("weft up --", UP_FLAGS)).toEqual(expect.arrayContaining(UP_FLAGS)));
});
