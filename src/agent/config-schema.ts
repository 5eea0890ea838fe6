/**
 * Every key of the cluster file: its shape, default, and where it may be set. The one table that
 * the file, the environment, the flags, `config show`, examples/cluster.yaml and docs/OPERATING.md
 * are checked against.
 */
import { z } from "zod";
import type { Cipher } from "../base/engine.ts";
import { type Ip, isIpv6, parseIp, parseSubnet, type Subnet } from "../base/net.ts";
import { MAX_GROUPS } from "../crypto/certificate.ts";
import type { RelayPolicy } from "../link/relay-policy.ts";
import type { TraversalMode } from "../link/traversal-mode.ts";
import type { StunMode } from "../stun/stun.ts";
import type { DhcpMode } from "../vnet/vnet.ts";
import { readAcl } from "./acl-setting.ts";
import { parseAuthorityKey } from "./authority-key.ts";
import { parseBootstrapEntry } from "./bootstrap-entry.ts";
import { durationText, parseDuration } from "./duration.ts";
import { DEFAULT_PORT, parseHostPort, parsePort, quote, Refusal } from "./host-port.ts";
import { type ProxyKey, parseProxy } from "./proxy-setting.ts";
import { parseRelay } from "./relay-setting.ts";

export type AddressMode = "auto" | "dhcp" | "static";
export type PortMapping = "auto" | "off";
/** Where TLS streams are accepted: auto = TCP 443 if that can be had. */
export type StreamPort = "auto" | "off" | number;
export type Switch = "on" | "off";
export type LogLevel = "silent" | "error" | "warn" | "info" | "debug" | "trace";

/** Where the agent's UDP sockets are bound. `ip` undefined = every address of both families. */
export interface ListenAddress {
  readonly ip: Ip | undefined;
  readonly port: number;
}

/** The engine has room for this many sockets; a port without address takes two of them. */
const MAX_LISTEN = 4;
/** A node needs one that answers; a file lists the stable members, not all. */
export const MAX_BOOTSTRAP = 64;
/** RFC 8489. */
const STUN_PORT = 3_478;
/** Two differ in what they tell; a few more stand in for those that are gone. */
const MAX_STUN_SERVERS = 8;
/** One that answers is enough to enter the DHT. */
const MAX_MAINLINE_NODES = 16;
const MAINLINE_PORT = 6_881;
/** As many members as the overlay is tested with. */
export const MAX_NODES = 4_096;
/** The DHCP clients in use cannot hold a shorter lease (dhcpcd: 20 s). */
const MIN_LEASE_SECONDS = 20;
/** Records live a day at most (clampTtlSeconds, wire/record.ts). */
const MAX_LEASE_SECONDS = 86_400;
/** IPv6 inside the network needs 1,280 (RFC 8200); the engine carries frames of 9,216. */
const MIN_MTU = 1_280;
const MAX_MTU = 9_202;

/** A value given as text or a number (YAML, environment and flags alike), parsed to `T`. */
function scalar<T>(parse: (text: string) => T | Refusal) {
  return z.unknown().transform((raw, context): T => {
    const text =
      typeof raw === "string" ? raw.trim() : typeof raw === "number" ? `${raw}` : undefined;
    const value = text === undefined ? new Refusal("is no plain value") : parse(text);
    if (!(value instanceof Refusal)) return value;
    context.addIssue({ code: "custom", message: value.text });
    return z.NEVER;
  });
}

/** A list, one item, or items parted by commas. */
function list<T>(most: number, parse: (text: string) => T | Refusal) {
  return z.unknown().transform((raw, context): readonly T[] => {
    const items = Array.isArray(raw) ? raw : typeof raw === "string" ? raw.split(",") : [raw];
    if (items.length > most)
      context.addIssue({ code: "custom", message: `has more than ${most} items` });
    const values: T[] = [];
    for (const [i, item] of items.slice(0, most).entries()) {
      const value = scalar(parse).safeParse(item);
      if (value.success) values.push(value.data);
      else
        context.addIssue({
          code: "custom",
          path: [i],
          message: value.error.issues[0]?.message ?? "",
        });
    }
    return values;
  });
}

function oneOf<const T extends string>(...words: readonly T[]) {
  return scalar((text) => {
    const found = words.find((word) => word === text);
    return found ?? new Refusal(`must be ${words.join(" or ")}, not ${quote(text)}`);
  });
}

/** Names become part of file and interface names. */
function parseNetworkName(text: string): string | Refusal {
  if (/^[a-z0-9][a-z0-9-]{0,31}$/.test(text)) return text;
  return new Refusal(`${quote(text)} is no network name: use 1 to 32 of a-z 0-9 and -`);
}

export function isNodeName(text: string): boolean {
  return /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(text);
}

function parseRange(text: string): Subnet | Refusal {
  const subnet = parseSubnet(text);
  if (subnet !== undefined) return subnet;
  return new Refusal(
    `${quote(text)} is no IPv4 range: write the network address and a prefix of 8 to 30, like 10.117.0.0/16`,
  );
}

function parseLease(text: string): number | Refusal {
  const seconds = parseDuration(text);
  if (seconds === undefined)
    return new Refusal(`${quote(text)} is no duration: write 1h, 30m or 90s`);
  if (seconds >= MIN_LEASE_SECONDS && seconds <= MAX_LEASE_SECONDS) return seconds;
  const [least, most] = [durationText(MIN_LEASE_SECONDS), durationText(MAX_LEASE_SECONDS)];
  return new Refusal(`${quote(text)} is outside ${least} to ${most}`);
}

function parseMtu(text: string): "auto" | number | Refusal {
  if (text === "auto") return "auto";
  const mtu = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (mtu >= MIN_MTU && mtu <= MAX_MTU) return mtu;
  return new Refusal(`${quote(text)} must be auto or a number from ${MIN_MTU} to ${MAX_MTU}`);
}

function parseStream(text: string): StreamPort | Refusal {
  if (text === "auto" || text === "off") return text;
  return parsePort(text, 1) ?? new Refusal(`${quote(text)} must be auto, off or a TCP port`);
}

function parseDomain(text: string): string | Refusal {
  const label = "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?";
  const domain = text.toLowerCase().replace(/\.$/, "");
  if (domain.length <= 253 && new RegExp(`^${label}(\\.${label})*$`).test(domain)) return domain;
  return new Refusal(`${quote(text)} is no domain name: write it like lab.internal`);
}

/** `7117`, `0` (any free port), `192.0.2.1:7117`, `[::]:7117`. */
function parseListen(text: string): ListenAddress | Refusal {
  const bare = parsePort(text, 0);
  if (bare !== undefined) return { ip: undefined, port: bare };
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([0-9.]+)):(\d{1,5})$/.exec(text);
  const ip = parseIp(match?.[1] ?? match?.[2] ?? "");
  const port = parsePort(match?.[3] ?? "", 0);
  if (ip !== undefined && port !== undefined) return { ip, port };
  return new Refusal(
    `${quote(text)} is no port or ip:port: write 7117, 192.0.2.1:7117 or [::]:7117`,
  );
}

/** The kernel's rule: at most 15 bytes without slash, colon or space (IFNAMSIZ). */
function parseInterface(text: string): string | Refusal {
  if (/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,14}$/.test(text)) return text;
  return new Refusal(`${quote(text)} is no interface name: use 1 to 15 letters, digits, - and _`);
}

function parseIpv4(text: string): Ip | Refusal {
  const ip = parseIp(text);
  if (ip !== undefined && !isIpv6(ip)) return ip;
  return new Refusal(`${quote(text)} is no IPv4 address: write it like 10.117.0.10`);
}

/** Loopback only: whatever listens there answers without a password. */
function parseMetrics(text: string): number | "off" | Refusal {
  if (text === "off") return "off";
  const port = parsePort(text.replace(/^(127\.0\.0\.1|localhost):/, ""), 0);
  return port ?? new Refusal(`${quote(text)} must be off or a port on 127.0.0.1, like 7118`);
}

function parsePath(text: string): string | Refusal {
  if (text.startsWith("/") && !text.includes("\0")) return text;
  return new Refusal(`${quote(text)} must be an absolute path`);
}

function parseRelayText(text: string): RelayPolicy | Refusal {
  return (
    parseRelay(text) ??
    new Refusal(
      `${quote(text)} must be off, members or limit RATE [total RATE], like limit 100mbit (64kbit and more)`,
    )
  );
}

function parseSecretText(text: string): string | Refusal {
  return text;
}

function parseAuthorityText(text: string): Uint8Array | Refusal {
  return (
    parseAuthorityKey(text) ??
    new Refusal(
      `${quote(text)} is no public key: use the one that \`weft init --authority\` printed, 32 bytes as base64`,
    )
  );
}

/** Who is meant by the words of a rule, `resolveAcl` says once the whole file is read. */
const aclField = z.unknown().transform((raw, context) => {
  const { acl, faults } = readAcl(raw);
  for (const { path, text } of faults) {
    context.addIssue({ code: "custom", path: [...path], message: text });
  }
  return acl;
});

function parseGroup(text: string): string | Refusal {
  if (isNodeName(text) && text !== "any") return text;
  return new Refusal(`${quote(text)} is no group: use 1 to 63 of a-z 0-9 and -, not any`);
}

const nodeFields = {
  ip: scalar(parseIpv4).optional(),
  address: oneOf<AddressMode>("auto", "dhcp", "static").optional(),
  listen: list(MAX_LISTEN, parseListen).optional(),
  interface: scalar(parseInterface).optional(),
  bridge: scalar(parseInterface).optional(),
  dhcp: oneOf<DhcpMode>("auto", "force", "relay-only").optional(),
  cipher: oneOf<"auto" | Cipher>("auto", "aes256gcm", "chacha20poly1305").optional(),
  metrics: scalar(parseMetrics).optional(),
  log: oneOf<LogLevel>("silent", "error", "warn", "info", "debug", "trace").optional(),
  relay: scalar(parseRelayText).optional(),
  traversal: oneOf<TraversalMode>("off", "standard", "aggressive").optional(),
  stun: oneOf<StunMode>("members", "anyone", "off").optional(),
  stun_servers: list(MAX_STUN_SERVERS, (text) => parseHostPort(text, STUN_PORT)).optional(),
  stream: scalar(parseStream).optional(),
  proxy: scalar<ProxyKey>(parseProxy).optional(),
};

export const nodeSchema = z.strictObject({
  ...nodeFields,
  groups: list(MAX_GROUPS, parseGroup).optional(),
});

export const fileSchema = z.strictObject({
  ...nodeFields,
  name: scalar(parseNetworkName).optional(),
  secret: scalar(parseSecretText).optional(),
  secret_file: scalar(parsePath).optional(),
  authority: scalar(parseAuthorityText).optional(),
  bootstrap: list(MAX_BOOTSTRAP, parseBootstrapEntry).optional(),
  lan: oneOf<Switch>("on", "off").optional(),
  mainline_nodes: list(MAX_MAINLINE_NODES, (text) => parseHostPort(text, MAINLINE_PORT)).optional(),
  port_mapping: oneOf<PortMapping>("auto", "off").optional(),
  range: scalar(parseRange).optional(),
  lease: scalar(parseLease).optional(),
  mtu: scalar(parseMtu).optional(),
  domain: scalar(parseDomain).optional(),
  acl: aclField.optional(),
  state_dir: scalar(parsePath).optional(),
  run_dir: scalar(parsePath).optional(),
  reservations: z.record(z.string(), scalar(parseIpv4)).optional(),
  nodes: z.record(z.string(), nodeSchema).optional(),
});

export type FileValues = z.infer<typeof fileSchema>;
export type NodeValues = z.infer<typeof nodeSchema>;
export type Key = keyof FileValues & string;
export type NodeKey = keyof NodeValues & string;

export interface KeyFacts {
  /** As written in a file; undefined = none, or derived (see `meaning`). */
  readonly fallback: string | undefined;
  /** Part of the digest that members compare: it must be the same everywhere. */
  readonly shared: boolean;
  /** One line for `--help` and the manual. */
  readonly meaning: string;
}

/** In the order of the manual. */
export const KEYS: Readonly<Record<Key, KeyFacts>> = {
  name: {
    fallback: undefined,
    shared: false,
    meaning: "name of the network; default: the file's name",
  },
  secret: {
    fallback: undefined,
    shared: false,
    meaning: "network key, base64 of 32 random bytes; `weft init` makes one",
  },
  secret_file: {
    fallback: undefined,
    shared: false,
    meaning: "file that holds the network key instead, mode 0600",
  },
  authority: {
    fallback: undefined,
    shared: false,
    meaning: "public key of who signs members in, base64; default: whoever holds the file is one",
  },
  bootstrap: {
    fallback: undefined,
    shared: false,
    meaning: "where to find members: host:port, dns:NAME, lan, mainline",
  },
  mainline_nodes: {
    fallback: undefined,
    shared: false,
    meaning:
      "where `mainline` enters the BitTorrent DHT, host:port each; default: its public nodes",
  },
  port_mapping: {
    fallback: "auto",
    shared: false,
    meaning: "the router is asked for a port (PCP, NAT-PMP, UPnP): auto or off",
  },
  lan: {
    fallback: "on",
    shared: false,
    meaning: "members on the same switch are found: on or off",
  },
  range: { fallback: "10.117.0.0/16", shared: true, meaning: "IPv4 addresses that are leased" },
  lease: {
    fallback: "1h",
    shared: true,
    meaning: "how long a lease holds without renewal, 20s to 1d",
  },
  mtu: {
    fallback: "auto",
    shared: true,
    meaning: "MTU of the interface: 1280 to 9202, or auto: 1390, more where every path carries it",
  },
  domain: { fallback: undefined, shared: true, meaning: "DNS domain that DHCP clients are told" },
  acl: {
    fallback: undefined,
    shared: true,
    meaning: "who may begin what towards whom: default deny, default allow, or a block of rules",
  },
  listen: {
    fallback: `${DEFAULT_PORT}`,
    shared: false,
    meaning: "UDP port, or ip:port list; 0 takes any free port",
  },
  interface: {
    fallback: undefined,
    shared: false,
    meaning: "name of the TAP; default: weft-NAME cut to 15 characters",
  },
  bridge: {
    fallback: undefined,
    shared: false,
    meaning: "bridge of this host that the TAP becomes a port of; default: none",
  },
  dhcp: {
    fallback: "auto",
    shared: false,
    meaning: "addresses for machines on the TAP: auto, force or relay-only (none)",
  },
  address: {
    fallback: "auto",
    shared: false,
    meaning: "who sets the address: auto (weft), dhcp (your client) or static",
  },
  ip: {
    fallback: undefined,
    shared: false,
    meaning: "this machine's address; under nodes: a claim all members respect",
  },
  cipher: { fallback: "auto", shared: false, meaning: "auto, aes256gcm or chacha20poly1305" },
  relay: {
    fallback: "limit 100mbit",
    shared: false,
    meaning:
      "what this node relays for others: off, members, or limit RATE for each, with total RATE for all",
  },
  traversal: {
    fallback: "standard",
    shared: false,
    meaning:
      "how hard NATs are worked on before a relay has to do: off, standard, aggressive (guesses ports)",
  },
  stun: {
    fallback: "members",
    shared: false,
    meaning: "who may ask how it is seen from here: members, anyone or off",
  },
  stun_servers: {
    fallback: undefined,
    shared: false,
    meaning: "STUN servers to ask besides members, host or host:port each",
  },
  stream: {
    fallback: "auto",
    shared: false,
    meaning: "TLS where UDP is blocked: auto (accept on TCP 443), a port, or off",
  },
  proxy: {
    fallback: "auto",
    shared: false,
    meaning: "HTTP proxy for these TLS streams: auto (HTTPS_PROXY, NO_PROXY), URL or off",
  },
  metrics: {
    fallback: "off",
    shared: false,
    meaning: "port on 127.0.0.1 for /metrics /healthz /readyz /status, or off",
  },
  log: { fallback: "info", shared: false, meaning: "silent, error, warn, info, debug or trace" },
  state_dir: {
    fallback: undefined,
    shared: false,
    meaning: "parent of NAME/ with identity and state; default /var/lib/weft",
  },
  run_dir: {
    fallback: undefined,
    shared: false,
    meaning: "folder of the control socket NAME.sock; default /run/weft",
  },
  reservations: {
    fallback: undefined,
    shared: true,
    meaning: "addresses kept for machines at any site, by MAC, client id or host name",
  },
  nodes: {
    fallback: undefined,
    shared: true,
    meaning: "per machine: claims and overrides, by node name",
  },
};

export const KEY_NAMES = Object.keys(KEYS) as readonly Key[];
export const NODE_KEY_NAMES = Object.keys(nodeSchema.shape) as readonly NodeKey[];
/** Never a flag: arguments are visible to every user of the machine, and a map is no argument. */
const NO_FLAGS: readonly Key[] = ["secret", "proxy", "acl", "reservations", "nodes"];
/** Maps and lists: YAML in the environment. */
export const STRUCTURED_KEYS: readonly Key[] = ["acl", "reservations", "nodes"];
export const FLAG_KEYS: readonly Key[] = KEY_NAMES.filter((key) => !NO_FLAGS.includes(key));

export function envNameOf(key: Key): string {
  return `WEFT_${key.toUpperCase()}`;
}

export function flagNameOf(key: Key): string {
  return `--${key.replaceAll("_", "-")}`;
}
