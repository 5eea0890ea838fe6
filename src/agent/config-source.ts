/**
 * The places a key may come from, read into plain values. Each remembers where it stood, so that a
 * problem can be shown as `file:line:column`.
 */
import {
  type Document,
  isMap,
  isPair,
  isScalar,
  LineCounter,
  parse,
  parseDocument,
  type YAMLError,
} from "yaml";
import { envNameOf, KEY_NAMES, type Key, STRUCTURED_KEYS } from "./config-schema.ts";
import type { Env } from "./paths.ts";

/** One line each: what is wrong and what to do. */
export interface Problem {
  /** `lab.yaml:3:1`, `WEFT_LISTEN` or `--listen`. */
  readonly where: string;
  readonly text: string;
}

export type Path = readonly (string | number)[];

/** A cluster file of 4,096 nodes with every key is below this; more is no cluster file. */
export const MAX_FILE_BYTES = 4_194_304;
/** Problems shown for one file; past this they are noise from one cause. */
export const MAX_PROBLEMS = 20;

/** A YAML file: values for the schema, and the place of every key. */
export class ConfigFile {
  readonly #name: string;
  readonly #document: Document.Parsed;
  readonly #lines = new LineCounter();
  readonly problems: readonly Problem[];
  readonly values: unknown;

  /** @param name shown in front of problems */
  constructor(name: string, text: string) {
    this.#name = name;
    this.#document = parseDocument(text, { lineCounter: this.#lines, prettyErrors: false });
    const problems = this.#document.errors.slice(0, MAX_PROBLEMS).map((error) => ({
      where: this.#at(error.pos[0]),
      text: `${yamlFault(error)}: correct the YAML`,
    }));
    if (problems.length > 0) {
      this.problems = problems;
      return;
    }
    try {
      this.values = withoutNulls(this.#document.toJS({ maxAliasCount: 100 }) ?? {});
      this.problems = [];
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error);
      this.problems = [{ where: this.#at(0), text: `${text}: write the values out` }];
    }
  }

  /** `file:line:column` of the key at `path`, or of its nearest parent that exists. */
  place(path: Path): string {
    for (let length = path.length; length > 0; length--) {
      const offset = this.#keyOffset(path.slice(0, length));
      if (offset !== undefined) return this.#at(offset);
    }
    return this.#at(0);
  }

  #keyOffset(path: Path): number | undefined {
    const last = path[path.length - 1];
    const parent =
      path.length === 1 ? this.#document.contents : this.#document.getIn(path.slice(0, -1), true);
    if (isMap(parent)) {
      const pair = parent.items.find((item) => isPair(item) && keyText(item.key) === String(last));
      return rangeStart(pair?.key);
    }
    return rangeStart(this.#document.getIn(path, true));
  }

  #at(offset: number): string {
    const { line, col } = this.#lines.linePos(offset);
    return `${this.#name}:${Math.max(line, 1)}:${Math.max(col, 1)}`;
  }
}

/** The parser's own words, but where they are meant for programmers. */
function yamlFault({ code, message }: YAMLError): string {
  if (code === "MULTIPLE_DOCS") return "a second document begins here (---)";
  if (code === "RESOURCE_EXHAUSTION" || /call stack/.test(message)) return "nested too deeply";
  return message.split("\n")[0] ?? code;
}

function keyText(key: unknown): string {
  return isScalar(key) ? String(key.value) : String(key);
}

function rangeStart(node: unknown): number | undefined {
  if (typeof node !== "object" || node === null || !("range" in node)) return undefined;
  return Array.isArray(node.range) && typeof node.range[0] === "number" ? node.range[0] : undefined;
}

/** `key:` with nothing behind it means "not set". */
function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNulls);
  if (typeof value !== "object" || value === null) return value;
  const kept = Object.entries(value).filter(([, inner]) => inner !== null && inner !== undefined);
  return Object.fromEntries(kept.map(([key, inner]) => [key, withoutNulls(inner)]));
}

/** Keys found in the environment, as raw values: text, or YAML for maps. */
export function valuesFromEnv(env: Env): Partial<Record<Key, unknown>> {
  const values: Partial<Record<Key, unknown>> = {};
  for (const key of KEY_NAMES) {
    const text = env[envNameOf(key)];
    if (text === undefined || text === "") continue;
    values[key] = STRUCTURED_KEYS.includes(key) ? structured(text) : text;
  }
  return values;
}

function structured(text: string): unknown {
  try {
    return withoutNulls(parse(text, { maxAliasCount: 0 }));
  } catch {
    return text;
  }
}

/** Variables that steer weft but are no keys of the file. */
export const CONTROL_ENV = [
  "WEFT_CONFIG",
  "WEFT_CONFIG_DIR",
  "WEFT_NETWORK",
  "WEFT_NODE",
  "WEFT_TUN_FD",
] as const;

/** `WEFT_*` variables that mean nothing: most likely mistyped. Reported, never refused (container platforms add some). */
export function strayVariables(env: Env): readonly string[] {
  const known = new Set<string>([...CONTROL_ENV, ...KEY_NAMES.map(envNameOf)]);
  return Object.keys(env).filter((name) => name.startsWith("WEFT_") && !known.has(name));
}
