/**
 * The manual pages weft(1) and weft-cluster.yaml(5), from the command line's own definitions and the
 * schema of the cluster file: `node dist/scripts/manual.js FOLDER` writes them there.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { envNameOf, FLAG_KEYS, flagNameOf, KEY_NAMES, KEYS } from "../src/agent/config-schema.ts";
import { EXIT } from "../src/agent/errors.ts";
import { packageVersion } from "../src/agent/version.ts";
import { COMMANDS } from "../src/cli/commands.ts";
import { type FlagWords, globalFlags, verbWords } from "../src/cli/verb-words.ts";

const EXIT_MEANINGS: Readonly<Record<keyof typeof EXIT, string>> = {
  ok: "done",
  negative: "a negative answer, or a failure",
  usage: "wrong usage",
  notRunning: "no agent runs",
  permission: "not permitted",
  config: "a mistake in the configuration",
  timeout: "time is up",
  notFound: "not found",
  interrupted: "interrupted",
};

const FILES = [
  ["/etc/weft/NAME.yaml", "the network, see weft-cluster.yaml(5); mode 0600"],
  ["/var/lib/weft/NAME/", "this node's identity, state and log"],
  ["/run/weft/NAME.sock", "the control socket, for root and the group weft"],
] as const;

const PLACES =
  "Other users than root: $XDG_CONFIG_HOME/weft, $XDG_STATE_HOME/weft, $XDG_RUNTIME_DIR/weft.";

export function commandPage(): string {
  return page("weft", 1, [
    section("NAME", ["weft \\- one Ethernet for machines on different sites, without a server"]),
    section("SYNOPSIS", ["\\fBweft\\fR \\fIVERB\\fR [\\fINETWORK\\fR] [\\fIOPTION\\fR ...]"]),
    section("DESCRIPTION", paragraphs(DESCRIPTION)),
    section("VERBS", COMMANDS.flatMap(verbEntry)),
    section("OPTIONS OF EVERY VERB", globalFlags().flatMap(flagEntry)),
    section("EXIT STATUS", exitEntries()),
    section("ENVIRONMENT", [
      roff("WEFT_CONFIG names the cluster file, WEFT_CONFIG_DIR the folder of cluster files,"),
      roff("WEFT_NETWORK the network, WEFT_NODE this machine's node name. Every key of the file"),
      roff("has a variable, see weft-cluster.yaml(5). NO_COLOR switches colour off."),
    ]),
    section("FILES", [
      ...FILES.flatMap(([path, text]) => entry(bold(path), text)),
      ".P",
      roff(PLACES),
    ]),
    section("SEE ALSO", [".BR weft-cluster.yaml (5)"]),
  ]);
}

const DESCRIPTION = [
  "Each machine runs one agent for each network. The agents find each other without a server, lease addresses from a hash table that they keep together, and carry Ethernet frames between TAP devices, encrypted end to end.",
  "The first machine says `weft init lab && weft up lab`, which prints the line `weft join TOKEN` for the others.",
];

export function filePage(example: string): string {
  return page("weft-cluster.yaml", 5, [
    section("NAME", ["weft-cluster.yaml \\- the file that is a network of weft"]),
    section("DESCRIPTION", paragraphs(FILE_DESCRIPTION)),
    section("KEYS", KEY_NAMES.flatMap(keyEntry)),
    section("EXAMPLE", [".nf", ...example.trimEnd().split("\n").map(roff), ".fi"]),
    section("SEE ALSO", [".BR weft (1)"]),
  ]);
}

const FILE_DESCRIPTION = [
  "/etc/weft/NAME.yaml, the same on every machine of the network NAME, mode 0600: whoever has it is a member.",
  "A flag of weft up beats the environment, the environment beats nodes.NAME, that beats the top level, that beats the default. Keys that must be the same in every member's file are marked as shared; members compare a digest of them. weft config check names every mistake, weft config show --origin where each value comes from.",
];

function page(name: string, chapter: number, sections: readonly string[]): string {
  const title = `.TH "${name.toUpperCase()}" "${chapter}" "" "weft ${packageVersion()}" "weft"`;
  return `.\\" Made by scripts/manual.ts\n${title}\n${sections.join("")}`;
}

function section(title: string, lines: readonly string[]): string {
  return `.SH "${title}"\n${lines.join("\n")}\n`;
}

function paragraphs(texts: readonly string[]): string[] {
  return texts.flatMap((text) => [".P", roff(text)]);
}

function entry(head: string, text: string): string[] {
  return [".TP", head, roff(text)];
}

function verbEntry(command: (typeof COMMANDS)[number]): string[] {
  const { names, describe, flags, places } = verbWords(command);
  const words = places.map(({ name, isOptional }) => {
    const word = `\\fI${roff(name.toUpperCase())}\\fR`;
    return isOptional ? `[${word}]` : word;
  });
  const others = names.slice(1).map((name) => `\\fB${roff(name)}\\fR`);
  const also = others.length === 0 ? "" : ` (also ${others.join(", ")})`;
  const explained = places.filter(({ name }) => name !== "network");
  return [
    ".TP",
    `\\fBweft ${roff(names[0] ?? "")}\\fR ${words.join(" ")}${also}`,
    roff(`${describe}.`),
    ".RS",
    ...explained.flatMap((place) =>
      entry(`\\fI${roff(place.name.toUpperCase())}\\fR`, place.describe),
    ),
    ...flags.flatMap(flagEntry),
    ".RE",
  ];
}

function flagEntry({ flags, describe, value }: FlagWords): string[] {
  const names = [...flags].sort((a, b) => a.length - b.length).map(bold);
  const word = value?.kind === "list" ? value.words.join("|") : "VALUE";
  const takes = value === undefined ? "" : ` \\fI${roff(word)}\\fR`;
  return entry(`${names.join(", ")}${takes}`, describe);
}

function keyEntry(key: (typeof KEY_NAMES)[number]): string[] {
  const { fallback, shared, meaning } = KEYS[key];
  const isFlag = FLAG_KEYS.includes(key) && key !== "name";
  const facts = [
    fallback === undefined ? [] : [`default ${fallback}`],
    [envNameOf(key)],
    isFlag ? [flagNameOf(key)] : [],
    shared ? ["shared"] : [],
  ].flat();
  return entry(bold(key), `${meaning} (${facts.join("; ")})`);
}

function exitEntries(): string[] {
  return Object.entries(EXIT).flatMap(([name, code]) =>
    entry(`${code}`, EXIT_MEANINGS[name as keyof typeof EXIT]),
  );
}

function bold(text: string): string {
  return `\\fB${roff(text)}\\fR`;
}

/** As it is: a backslash, a leading dot or quote and a hyphen mean something to roff. */
function roff(text: string): string {
  const safe = text.replaceAll("\\", "\\e").replaceAll("-", "\\-").replaceAll("`", "\\(ga");
  return safe.replace(/^([.'])/, "\\&$1");
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const folder = resolve(process.argv[2] ?? "man");
  const root = import.meta.dirname.includes("/dist/") ? "../.." : "..";
  const example = readFileSync(join(import.meta.dirname, root, "examples/cluster.yaml"), "utf8");
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "weft.1"), commandPage());
  writeFileSync(join(folder, "weft-cluster.yaml.5"), filePage(example));
}
