/** `weft config check|show`: what a file says, where each value comes from, and what is wrong. */

import { accessText } from "../../agent/acl-setting.ts";
import { authorityKeyText } from "../../agent/authority-key.ts";
import { bootstrapText } from "../../agent/bootstrap-entry.ts";
import { type Config, loadConfig } from "../../agent/config.ts";
import { KEY_NAMES, type Key } from "../../agent/config-schema.ts";
import { strayVariables } from "../../agent/config-source.ts";
import { durationText } from "../../agent/duration.ts";
import { hostPortText } from "../../agent/host-port.ts";
import { proxyText } from "../../agent/proxy-setting.ts";
import { emitPushed } from "../../agent/pushed-part.ts";
import { relayText } from "../../agent/relay-setting.ts";
import { reservedByText } from "../../agent/reservations.ts";
import { subnetText } from "../../base/net.ts";
import { socketOf } from "../agent-call.ts";
import { authorityPair, KEY_FILE_OPTION } from "../authority-pair.ts";
import { type Command, type CommandContext, flagArg, textArg } from "../command.ts";
import { fileValues } from "../invitation.ts";
import { loadSuite } from "../load-suite.ts";
import { NoticeDesk } from "../notice-desk.ts";
import {
  addKeyOptions,
  configSources,
  outputOptions,
  type Selection,
  selectNetwork,
} from "../options.ts";
import { print } from "../output.ts";
import { renderTable } from "../table.ts";

export const configCommand: Command = {
  name: "config <action> [network]",
  describe: "check a cluster file, show its values, or push its shared part to every member",
  options: (yargs) =>
    addKeyOptions(yargs)
      .positional("action", { choices: ["check", "show", "push"] as const, describe: "what" })
      .positional("network", { type: "string", describe: "name of the network" })
      .option("key-file", KEY_FILE_OPTION)
      .option("origin", { type: "boolean", describe: "show where each value comes from" }),
  async run(context) {
    const { terminal, args } = context;
    const selection = selectNetwork(terminal, args, textArg(context, "network"));
    const sources = configSources(terminal, args, selection);
    const config = loadConfig(sources);
    if (textArg(context, "action") === "show") return show(context, config);
    if (textArg(context, "action") === "push") {
      return push(context, emitPushed(fileValues(sources, config)), { config, selection });
    }
    for (const line of [...config.warnings, ...strayVariables(terminal.env).map(strayText)]) {
      terminal.err(`weft: warning: ${line}\n`);
    }
    print(
      terminal,
      outputOptions(args),
      { ok: true, file: selection.file },
      () => `${selection.file}: ok\n`,
    );
    return 0;
  },
};

/** Every member takes it over at its next start, in place of what its own file says. */
async function push(
  context: CommandContext,
  body: Uint8Array,
  about: { readonly config: Config; readonly selection: Selection },
): Promise<0> {
  const suite = await loadSuite();
  const authority = authorityPair(context, suite, about);
  const desk = new NoticeDesk(suite, about.config);
  const socket = socketOf(context);
  await desk.readAgent(socket);
  desk.sign(authority, "shared", body);
  const number = await desk.post(socket, "shared");
  const text = `shared part ${number}: members take it over when they start anew\n`;
  print(context.terminal, outputOptions(context.args), { number }, () => text);
  return 0;
}

function strayText(name: string): string {
  return `${name} is no variable of weft: correct or unset it`;
}

function show(context: CommandContext, config: Config): 0 {
  const values = shownValues(config);
  const rows = KEY_NAMES.map((key) => ({ key, value: values[key], origin: config.origins[key] }));
  const options = outputOptions(context.args);
  print(context.terminal, options, { node: config.nodeName, values, origins: config.origins }, () =>
    renderTable(
      [
        { title: "KEY", value: (row) => row.key },
        { title: "VALUE", value: (row) => valueText(row.value) },
        ...(flagArg(context, "origin")
          ? [{ title: "ORIGIN", value: (row: { origin: string }) => row.origin }]
          : []),
      ],
      rows,
      options.header,
    ),
  );
  return 0;
}

/** Values as they could be written into a file; secrets only say that they are there. */
function shownValues(config: Config): Readonly<Record<Key, unknown>> {
  const usesFile = config.origins.secret === "default";
  return {
    name: config.name,
    secret: usesFile ? undefined : "(hidden)",
    secret_file: usesFile ? "(hidden)" : undefined,
    authority: config.authority && authorityKeyText(config.authority),
    bootstrap: config.bootstrap.map(bootstrapText),
    lan: config.lan,
    mainline_nodes: config.mainlineNodes.map(hostPortText),
    port_mapping: config.portMapping,
    range: subnetText(config.range),
    lease: durationText(config.leaseSeconds).replace(" ", ""),
    mtu: config.mtu,
    domain: config.domain,
    listen: config.listen.map(({ ip, port }) =>
      ip === undefined ? `${port}` : hostPortText({ host: ip, port }),
    ),
    interface: config.interfaceName,
    bridge: config.bridge,
    dhcp: config.dhcp,
    address: config.addressMode,
    ip: config.ip,
    acl: config.acl === undefined ? undefined : accessText(config.acl),
    cipher: config.cipher,
    relay: relayText(config.relay),
    traversal: config.traversal,
    stun: config.stun,
    stream: config.stream,
    proxy: config.proxy === undefined ? "off" : proxyText(config.proxy),
    stun_servers: config.stunServers.map(hostPortText),
    metrics: config.metricsPort,
    log: config.log,
    state_dir: config.stateDir,
    run_dir: config.runDir,
    reservations: config.reservations.map(({ by, ip }) => `${reservedByText(by)}=${ip}`),
    nodes: config.claims.map(({ name, ip }) => `${name}=${ip}`),
  };
}

function valueText(value: unknown): string | undefined {
  if (Array.isArray(value)) return value.join(", ");
  return value === undefined ? undefined : String(value);
}
