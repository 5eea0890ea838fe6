/** `weft explain`: the way between two members, what was tried, why it is as it is, what would help. */
import { EXIT } from "../../agent/errors.ts";
import type { Explained, ExplainedEnd } from "../../node/explain.ts";
import { ask } from "../agent-call.ts";
import { type Command, textArg } from "../command.ts";
import { outputOptions } from "../options.ts";
import { print } from "../output.ts";
import {
  type Column,
  millisText,
  percentText,
  printable,
  renderBlock,
  renderTable,
} from "../table.ts";

export const explainCommand: Command = {
  name: "explain <target> [other]",
  describe: "why a member is reached as it is, and what would help",
  options: (yargs) =>
    yargs
      .positional("target", { type: "string", describe: "node name or virtual address" })
      .positional("other", {
        type: "string",
        describe: "the other end, when it is not this node",
      })
      .option("network", { type: "string", describe: "network, when there are several" }),
  async run(context) {
    const from = textArg(context, "other");
    const params = {
      to: textArg(context, "target") ?? "",
      ...(from === undefined ? {} : { from }),
    };
    const reply = await ask(context, "explain", { params });
    const options = outputOptions(context.args);
    print(context.terminal, options, reply, () =>
      explainText(reply as unknown as Explained, options.header),
    );
    return EXIT.ok;
  },
};

function explainText(explained: Explained, header: boolean): string {
  const { from, to, reason, cure } = explained;
  const rows: (readonly [string, string])[] = [
    ["From", endText(from)],
    ["To", endText(to)],
    ["Link", linkText(explained)],
    ["Reason", reason],
    ...(cure === "" ? [] : [["Cure", cure] as const]),
  ];
  const block = renderBlock(rows.map(([title, value]) => [title, printable(value)]));
  const tried = [from, to].flatMap(({ name, candidates }) =>
    candidates.map((candidate) => ({ name, ...candidate })),
  );
  return tried.length === 0 ? block : `${block}\n${renderTable(COLUMNS, tried, header)}`;
}

type Row = ExplainedEnd["candidates"][number] & { readonly name: string };

const COLUMNS: readonly Column<Row>[] = [
  { title: "OF", value: (row) => row.name },
  { title: "CANDIDATE", value: (row) => row.endpoint },
  { title: "RESULT", value: (row) => row.result },
  { title: "RTT", align: "right", value: (row) => millisText(row.rttMs) },
];

function endText({ name, nat }: ExplainedEnd): string {
  return `${name}, NAT ${nat ?? "not known"}`;
}

function linkText({ link, relay, endpoint, rttMs, lossFraction }: Explained): string {
  if (link === undefined) return "only these two know: ask at one of them";
  const way = link === "relay" ? `relay(${relay ?? "?"})` : `${link} ${endpoint ?? ""}`.trim();
  const rtt = millisText(rttMs);
  if (rtt === undefined) return way;
  return `${way}, ${rtt}, loss ${percentText(lossFraction ?? 0)}`;
}
