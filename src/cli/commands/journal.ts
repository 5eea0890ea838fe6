import { EXIT } from "../../agent/errors.ts";
import type { JournalEntry } from "../../agent/journal.ts";
import { ask } from "../agent-call.ts";
import { type Command, numberArg } from "../command.ts";
import { outputOptions } from "../options.ts";
import { print } from "../output.ts";
import { renderTable } from "../table.ts";

const DEFAULT_LINES = 50;

export const journalCommand: Command = {
  name: "journal [network]",
  describe: "what the node did of its own accord, and why",
  options: (yargs) =>
    yargs.option("lines", {
      alias: "n",
      type: "number",
      describe: `newest entries (default ${DEFAULT_LINES}, at most 1000)`,
    }),
  async run(context) {
    const options = outputOptions(context.args);
    const limit = Math.min(
      1_000,
      Math.max(1, Math.floor(numberArg(context, "lines") ?? DEFAULT_LINES)),
    );
    const reply = (await ask(context, "journal", { params: { limit } })) as unknown as {
      entries: readonly JournalEntry[];
    };
    print(context.terminal, options, { entries: reply.entries }, (wide) =>
      journalTable(reply.entries, wide, options.header),
    );
    return EXIT.ok;
  },
};

function journalTable(entries: readonly JournalEntry[], wide: boolean, header: boolean): string {
  const fields = { title: "FIELDS", value: (entry: JournalEntry) => fieldsText(entry) };
  return renderTable(
    [
      { title: "TIME", value: (entry: JournalEntry) => entry.at },
      { title: "AREA", value: (entry: JournalEntry) => entry.area },
      { title: "WHAT", value: (entry: JournalEntry) => entry.what },
      { title: "BECAUSE", value: (entry: JournalEntry) => entry.condition },
      { title: "DONE", value: (entry: JournalEntry) => entry.action },
      { title: "EFFECT", value: (entry: JournalEntry) => entry.effect },
      ...(wide ? [fields] : []),
    ],
    entries,
    header,
  );
}

function fieldsText(entry: JournalEntry): string {
  return Object.entries(entry.fields)
    .map(([name, value]) => `${name}=${value}`)
    .join(" ");
}
