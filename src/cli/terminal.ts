/** What a command may touch of the process: replaced as a whole in tests. */
import { hostname } from "node:os";
import { EXIT } from "../agent/errors.ts";
import type { Env } from "../agent/paths.ts";

export interface Terminal {
  out(text: string): void;
  err(text: string): void;
  /** Standard input up to the end of its first line with words in it, `most` characters at most. */
  readLine(most: number): Promise<string>;
  readonly inIsTty: boolean;
  readonly outIsTty: boolean;
  readonly errIsTty: boolean;
  readonly columns: number;
  readonly env: Env;
  readonly uid: number;
  readonly hostname: string;
  readonly cwd: string;
  /** Aborted by SIGINT or SIGTERM, with its name as reason: a command that waits ends with exit code 130. */
  readonly interrupted: AbortSignal;
}

/** Values that are secrets: neither programs that we start nor a diagnostic report get them. */
const SECRET_VARIABLES = ["WEFT_SECRET", "WEFT_PROXY"] as const;

export function processTerminal(): Terminal {
  const env = { ...process.env };
  for (const name of SECRET_VARIABLES) delete process.env[name];
  const interrupt = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const)
    process.once(signal, () => interrupt.abort(signal));
  process.stdout.on("error", endOutput);
  // Nobody is left to be told.
  process.stderr.on("error", () => undefined);
  return {
    out: (text) => process.stdout.write(text),
    err: (text) => process.stderr.write(text),
    readLine: readStandardInput,
    inIsTty: process.stdin.isTTY === true,
    outIsTty: process.stdout.isTTY === true,
    errIsTty: process.stderr.isTTY === true,
    columns: process.stdout.columns ?? 80,
    env,
    uid: process.getuid?.() ?? 0,
    hostname: hostname(),
    cwd: process.cwd(),
    interrupted: interrupt.signal,
  };
}

/** A reader that went away (`weft peers | head`) has seen enough; any other failure lost the answer. */
function endOutput(error: NodeJS.ErrnoException): never {
  if (error.code === "EPIPE") process.exit(EXIT.ok);
  process.stderr.write(`weft: the answer cannot be written (${error.code}): free space there\n`);
  process.exit(EXIT.negative);
}

async function readStandardInput(most: number): Promise<string> {
  let text = "";
  process.stdin.setEncoding("utf8");
  for await (const piece of process.stdin) {
    text += String(piece);
    if (text.length >= most || /\S[^\n]*\n/.test(text)) break;
  }
  // A terminal that is still open must not keep the process.
  process.stdin.destroy();
  return text.slice(0, most);
}
