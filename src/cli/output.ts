/** One answer, four forms: a table for people (two widths), JSON and YAML for programs. */
import { stringify } from "yaml";
import type { Terminal } from "./terminal.ts";

export const FORMATS = ["table", "wide", "json", "yaml"] as const;
export type Format = (typeof FORMATS)[number];

/** Raised when a field changes its meaning or goes away; new fields do not raise it. */
export const OUTPUT_VERSION = 1;

export interface OutputOptions {
  readonly format: Format;
  readonly header: boolean;
}

/** @param data for programs: plain JSON values @param text for people */
export function print(
  terminal: Terminal,
  options: OutputOptions,
  data: Readonly<Record<string, unknown>>,
  text: (wide: boolean) => string,
): void {
  if (options.format === "json") terminal.out(`${JSON.stringify(versioned(data), undefined, 2)}\n`);
  else if (options.format === "yaml")
    terminal.out(stringify(JSON.parse(JSON.stringify(versioned(data)))));
  else terminal.out(text(options.format === "wide"));
}

function versioned(data: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return { version: OUTPUT_VERSION, ...data };
}

export type Colour = "red" | "yellow" | "green" | "dim" | "bold";
const CODES: Readonly<Record<Colour, number>> = { red: 31, yellow: 33, green: 32, dim: 2, bold: 1 };

/** Colour only on a terminal and without NO_COLOR (no-color.org: any non-empty value). */
export function paint(terminal: Terminal, colour: Colour, text: string): string {
  const plain =
    !terminal.outIsTty ||
    (terminal.env["NO_COLOR"] ?? "") !== "" ||
    terminal.env["TERM"] === "dumb";
  return plain ? text : `\u001b[${CODES[colour]}m${text}\u001b[0m`;
}
