/** `weft acl test|show`: what the access rules of the file say, without sending anything. */
import { accessText, parseProtocol, protocolName, ruleText } from "../../agent/acl-setting.ts";
import { type Config, loadConfig } from "../../agent/config.ts";
import { EXIT, type ExitCode, WeftError } from "../../agent/errors.ts";
import { nearestWord } from "../../agent/nearest.ts";
import { type AccessRules, decide, type Subject } from "../../vnet/access-rules.ts";
import { askStatus, socketOf } from "../agent-call.ts";
import { type Command, type CommandContext, textArg } from "../command.ts";
import { configSources, outputOptions, selectNetwork } from "../options.ts";
import { print } from "../output.ts";

/** Nobody's: a member that the file gives no group. */
const ANY: Subject = { name: "any", groups: [] };
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
    const config = loadConfig(configSources(terminal, args, selection));
    return textArg(context, "action") === "show" ? show(context, config) : test(context, config);
  },
};

function show(context: CommandContext, config: Config): ExitCode {
  const access = config.acl ?? EVERYTHING;
  const lines = access.rules.map(ruleText);
  const data = { default: access.allowsRest ? "allow" : "deny", rules: lines };
  print(context.terminal, outputOptions(context.args), data, () =>
    [accessText(access), ...lines.map((line, i) => `${i + 1}  ${line}`), ""].join("\n"),
  );
  return EXIT.ok;
}

async function test(context: CommandContext, config: Config): Promise<ExitCode> {
  const [from, to, port] = ["from", "to", "port"].map((name) => textArg(context, name));
  if (from === undefined || to === undefined || port === undefined) {
    throw new WeftError("usage", "acl test needs FROM TO PORT: write weft acl test alice web 443");
  }
  const what = parseTarget(port);
  const ends = {
    from: await subject(context, config, from),
    to: await subject(context, config, to),
  };
  const access = config.acl ?? EVERYTHING;
  const { allow, rule } = decide(access, ends, what);
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

/** A node of the file, a group in it, or a peer that the running agent knows. */
async function subject(context: CommandContext, config: Config, name: string): Promise<Subject> {
  if (name === "any") return ANY;
  const filed = config.nodeGroups.find((node) => node.name === name);
  if (filed !== undefined) return filed;
  const isNode = name === config.nodeName || config.nodeNames.includes(name);
  if (isNode) return { name, groups: [] };
  const groups = groupsOf(config);
  if (groups.includes(name)) return { name: "", groups: [name] };
  const peers = await peerNames(context);
  if (peers.includes(name)) return { name, groups: [] };
  const known = [...config.nodeNames, ...groups, ...peers, "any"];
  throw new WeftError(
    "not-found",
    `nobody is called ${JSON.stringify(name)}: did you mean ${nearestWord(name, known)}?`,
  );
}

function groupsOf(config: Config): string[] {
  const written = (config.acl?.rules ?? []).flatMap(({ from, to }) => [...from, ...to]);
  const inRules = written.flatMap((party) => (party.kind === "group" ? [party.name] : []));
  return [...new Set([...inRules, ...config.nodeGroups.flatMap((node) => node.groups)])];
}

/** None when no agent runs, or it may not be asked. */
async function peerNames(context: CommandContext): Promise<string[]> {
  try {
    return (await askStatus(socketOf(context))).peers.map((peer) => peer.name);
  } catch {
    return [];
  }
}
