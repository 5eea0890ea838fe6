/** `weft members`: who is a member by which certificate, as far as this node is linked to them. */
import { z } from "zod";
import { EXIT } from "../../agent/errors.ts";
import { dateText } from "../../node/date-text.ts";
import type { MemberRow } from "../../node/member-report.ts";
import { ask } from "../agent-call.ts";
import type { Command } from "../command.ts";
import { outputOptions } from "../options.ts";
import { print } from "../output.ts";
import { type Column, renderTable } from "../table.ts";

const shape = z.looseObject({
  members: z.array(z.looseObject({ name: z.string(), groups: z.array(z.string()) })),
});

export const membersCommand: Command = {
  name: "members [network]",
  describe: "who is a member: groups, issuer and end of each certificate, of this node's peers",
  async run(context) {
    const reply = await ask(context, "members");
    shape.parse(reply);
    const members = reply["members"] as readonly MemberRow[];
    const options = outputOptions(context.args);
    print(context.terminal, options, { members }, (wide) =>
      renderTable(wide ? [...COLUMNS, ...WIDE] : COLUMNS, members, options.header),
    );
    return EXIT.ok;
  },
};

const COLUMNS: readonly Column<MemberRow>[] = [
  { title: "NAME", value: ({ name }) => name },
  { title: "GROUPS", value: ({ groups }) => (groups.length === 0 ? undefined : groups.join(",")) },
  { title: "ISSUER", value: ({ issuer }) => issuer },
  { title: "MAY-ISSUE", value: ({ mayIssue }) => (mayIssue ? "yes" : "no") },
  { title: "ENDS", value: ({ ends }) => (ends === 0 ? "never" : dateText(ends)) },
  { title: "SERIAL", value: ({ serial }) => serial },
];

const WIDE: readonly Column<MemberRow>[] = [
  { title: "CLAIMS", value: ({ claims }) => (claims.length === 0 ? undefined : claims.join(",")) },
  { title: "KEY", value: ({ publicKey }) => publicKey },
  { title: "ADDRESS", value: ({ address }) => address },
];
