/** `weft config check|show`: what a file says, where each value comes from, and what is wrong. */
import { accessText } from "../../agent/acl-setting.ts";
import { bootstrapText } from "../../agent/bootstrap-entry.ts";
import { type Config, loadConfig } from "../../agent/config.ts";
import { KEY_NAMES, type Key } from "../../agent/config-schema.ts";
import { strayVariables } from "../../agent/config-source.ts";
import { durationText } from "../../agent/duration.ts";
import { hostPortText } from "../../agent/host-port.ts";
import { proxyText } from "../../agent/proxy-setting.ts";
import { relayText } from "../../agent/relay-setting.ts";
import { reservedByText } from "../../agent/reservations.ts";
import { subnetText } from "../../base/net.ts";
import { type Command, type CommandContext, flagArg, textArg } from "../command.ts";
import { addKeyOptions, configSources, outputOptions, selectNetwork } from "../options.ts";
import { print } from "../output.ts";
import { renderTable } from "../table.ts";

export const configCommand: Command = {
  name: "config <action> [network]",
  describe: "check a cluster file, or show every value and its origin",
  options: (yargs) =>
    addKeyOptions(yargs)
      .positional("action", { choices: ["check", "show"] as const, describe: "check or show" })
      .positional("network", { type: "string", describe: "name of the network" })
      .option("origin", { type: "boolean", describe: "show where each value comes from" }),
  async run(context) {
    const { terminal, args } = context;
    const selection = selectNetwork(terminal, args, textArg(context, "network"));
    const config = loadConfig(configSources(terminal, args, selection));
    if (textArg(context, "action") === "show") return show(context, config);
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
