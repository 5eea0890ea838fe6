/**
 * `weft acl test|show`: what the access rules say, without sending anything. They are those that an agent
 * started now goes by: the file's, or in their place what the authority pushed.
 */
import { accessText, parseProtocol, protocolName, ruleText } from "../../agent/acl-setting.ts";
import { EXIT, type ExitCode, WeftError } from "../../agent/errors.ts";
import type { Whole } from "../../agent/pushed-part.ts";
import type { AccessRules } from "../../vnet/access-rules.ts";
import { decideBetween, endsOf } from "../acl-ends.ts";
import { type Command, type CommandContext, textArg } from "../command.ts";
import { configSources, outputOptions, selectNetwork } from "../options.ts";
import { print } from "../output.ts";
import { loadWhole } from "../whole-config.ts";

const EVERYTHING: AccessRules = { allowsRest: true, rules: [] };

export const aclCommand: Command = {
  name: "acl <action> [from] [to] [port]",
  describe: "what the access rules would do with a packet, and which rule says so",
  options: (yargs) =>
    yargs
      .positional("action", { choices: ["test", "show"] as const, describe: "test or show" })
      .positional("from", { type: "string", describe: "node, group or any" })
      .positional("to", { type: "string", describe: "node, group or any" })
      .positional("port", { type: "string", describe: "port, port/udp, or icmp" })
      .option("network", { type: "string", describe: "network, when there are several" }),
  async run(context) {
    const { terminal, args } = context;
    const selection = selectNetwork(terminal, args, textArg(context, "network"));
    const whole = await loadWhole(terminal, configSources(terminal, args, selection));
    return textArg(context, "action") === "show" ? show(context, whole) : test(context, whole);
  },
};

function show(context: CommandContext, { config, pushed }: Whole): ExitCode {
  const access = config.acl ?? EVERYTHING;
  const lines = access.rules.map(ruleText);
  const origin =
    pushed === undefined ? config.origins.acl : `the authority's shared part ${pushed.number}`;
  const data = { default: access.allowsRest ? "allow" : "deny", rules: lines, origin };
  const from = pushed === undefined ? "" : ` (${origin})`;
  print(context.terminal, outputOptions(context.args), data, () =>
    [`${accessText(access)}${from}`, ...lines.map((line, i) => `${i + 1}  ${line}`), ""].join("\n"),
  );
  return EXIT.ok;
}

async function test(context: CommandContext, { config }: Whole): Promise<ExitCode> {
  const [from, to, port] = ["from", "to", "port"].map((name) => textArg(context, name));
  if (from === undefined || to === undefined || port === undefined) {
    throw new WeftError("usage", "acl test needs FROM TO PORT: write weft acl test alice web 443");
  }
  const what = parseTarget(port);
  const ends = await endsOf(context, config, { from, to });
  const access = config.acl ?? EVERYTHING;
  const { allow, rule } = decideBetween(access, ends, what);
  const number = rule === undefined ? undefined : access.rules.indexOf(rule) + 1;
  const text = rule === undefined ? undefined : ruleText(rule);
  const protocol = protocolName(what.protocol);
  const place = { from, to, protocol, ...(what.port === 0 ? {} : { port: what.port }) };
  const data = { allowed: allow, ...place, ...(rule === undefined ? {} : { rule: number, text }) };
  print(context.terminal, outputOptions(context.args), data, () => {
    const verdict = allow ? "allowed" : "denied";
    return rule === undefined
      ? `${verdict}: ${config.acl === undefined ? "there are no rules" : `no rule matches, ${accessText({ ...access, rules: [] })}`}\n`
      : `${verdict} by rule ${number}: ${text}\n`;
  });
  return allow ? EXIT.ok : EXIT.negative;
}

/** `443`, `53/udp`, or a protocol without ports. */
function parseTarget(text: string): { protocol: number; port: number } {
  const [, digits, word = "tcp"] = /^(\d{1,5})(?:\/([a-z]+))?$/.exec(text) ?? [];
  const protocol = parseProtocol(digits === undefined ? text : word);
  const port = Number(digits ?? 0);
  const isPort = digits === undefined || (port >= 1 && port <= 65_535);
  const hasPorts = protocol === 6 || protocol === 17;
  if (typeof protocol === "number" && isPort && hasPorts === (digits !== undefined)) {
    return { protocol, port };
  }
  throw new WeftError("usage", `${JSON.stringify(text)} is no port: write 443, 53/udp or icmp`);
}
