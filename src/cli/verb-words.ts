/** The words that each verb takes, read off its own definition: for completion and the manual. */
import type { Argv, Options, PositionalOptions } from "yargs";
import type { Command } from "./command.ts";
import { addGlobalOptions } from "./options.ts";

/** What a word may be; peers and networks are asked for when they are needed. */
export type Words =
  | { readonly kind: "list"; readonly words: readonly string[] }
  | { readonly kind: "peers" | "networks" | "files" | "text" };

export interface FlagWords {
  /** As typed: `--count`, `-c`; `--no-header` for one that is on by default. */
  readonly flags: readonly string[];
  readonly describe: string;
  /** undefined: a switch without value. */
  readonly value: Words | undefined;
}

export interface PlaceWords {
  readonly name: string;
  readonly describe: string;
  readonly isOptional: boolean;
  readonly words: Words;
}

export interface VerbWords {
  /** The verb, then its other names. */
  readonly names: readonly string[];
  readonly describe: string;
  readonly flags: readonly FlagWords[];
  readonly places: readonly PlaceWords[];
}

/** Flags and places by what they stand for; others take any text. */
const PEERS = ["peer", "target", "other"];
const FILES = [
  "config",
  "out",
  "token-file",
  "secret-file",
  "key-file",
  "authority-file",
  "state-dir",
  "run-dir",
];

export function verbWords(command: Command): VerbWords {
  const [verb = "", ...places] = command.name.split(" ");
  const recorder = new Recorder();
  command.options?.(recorder as unknown as Argv);
  return {
    names: [verb, ...(command.aliases ?? [])],
    describe: command.describe,
    flags: recorder.flags,
    places: places.map((place) => recorder.place(place)),
  };
}

/** Flags that every verb knows. */
export function globalFlags(): readonly FlagWords[] {
  const recorder = new Recorder();
  addGlobalOptions(recorder as unknown as Argv);
  const help = { flags: ["--help", "-h"], describe: "what the verb does", value: undefined };
  return [...recorder.flags, help];
}

/** Stands in for yargs and writes down what a command declares; another method is a bug of ours. */
class Recorder {
  readonly flags: FlagWords[] = [];
  readonly #positionals = new Map<string, PositionalOptions>();

  option(name: string, options: Options): this {
    const describe = options.describe ?? "";
    const isOff = describe.startsWith(`--no-${name}`);
    const alias = typeof options.alias === "string" ? [`-${options.alias}`] : [];
    this.flags.push({
      flags: [`--${isOff ? "no-" : ""}${name}`, ...alias],
      describe: isOff ? describe.slice(`--no-${name} `.length) : describe,
      value: options.type === "boolean" ? undefined : wordsOf(name, options.choices),
    });
    return this;
  }

  positional(name: string, options: PositionalOptions): this {
    this.#positionals.set(name, options);
    return this;
  }

  place(written: string): PlaceWords {
    const name = written.slice(1, -1);
    const options = this.#positionals.get(name);
    return {
      name,
      describe: options?.describe ?? (name === "network" ? "name of the network" : name),
      isOptional: written.startsWith("["),
      words: wordsOf(name, options?.choices),
    };
  }
}

function wordsOf(name: string, choices: Options["choices"]): Words {
  if (choices !== undefined) return { kind: "list", words: choices.map(String) };
  if (PEERS.includes(name)) return { kind: "peers" };
  if (name === "network") return { kind: "networks" };
  return { kind: FILES.includes(name) ? "files" : "text" };
}
