/**
 * One YAML file is the cluster. `loadConfig` merges flags, environment, file and defaults (in that
 * order of strength; `nodes.NAME` of this machine beats the file's top level) and checks the whole.
 */
import { readFileSync, statSync } from "node:fs";
import { basename } from "node:path";
import type { z } from "zod";
import type { Cipher } from "../base/engine.ts";
import type { Ip, Subnet } from "../base/net.ts";
import type { Reservation } from "../lease/leases.ts";
import { DEFAULT_RELAY_POLICY, type RelayPolicy } from "../link/relay-policy.ts";
import type { TraversalMode } from "../link/traversal-mode.ts";
import type { StunMode } from "../stun/stun.ts";
import type { AccessRules } from "../vnet/access-rules.ts";
import type { DhcpMode } from "../vnet/vnet.ts";
import { resolveAcl } from "./acl-setting.ts";
import type { BootstrapEntry } from "./bootstrap-entry.ts";
import {
  type AddressMode,
  envNameOf,
  type FileValues,
  fileSchema,
  flagNameOf,
  isNodeName,
  KEY_NAMES,
  KEYS,
  type Key,
  type ListenAddress,
  type LogLevel,
  MAX_NODES,
  NODE_KEY_NAMES,
  nodeSchema,
  type PortMapping,
  type StreamPort,
  type Switch,
} from "./config-schema.ts";
import {
  ConfigFile,
  MAX_FILE_BYTES,
  MAX_PROBLEMS,
  type Path,
  type Problem,
  valuesFromEnv,
} from "./config-source.ts";
import { messageOf, systemCodeOf, WeftError } from "./errors.ts";
import type { HostPort } from "./host-port.ts";
import { nearestWord } from "./nearest.ts";
import { parseNetworkKey } from "./network-key.ts";
import { defaultFolders, defaultInterface, type Env } from "./paths.ts";
import { chooseProxy, type ProxySetting } from "./proxy-setting.ts";
import { addressFault, MAX_RESERVATIONS, readReservations } from "./reservations.ts";

export interface Claim {
  readonly name: string;
  readonly ip: Ip;
}

export interface NodeGroups {
  readonly name: string;
  /** Ascending. */
  readonly groups: readonly string[];
}

export interface Config {
  readonly name: string;
  readonly nodeName: string;
  /** 32 bytes. Never printed. */
  readonly networkKey: Uint8Array;
  /** 32 bytes: only whom it signed is a member; undefined: whoever has the network key is one. */
  readonly authority: Uint8Array | undefined;
  readonly bootstrap: readonly BootstrapEntry[];
  readonly lan: Switch;
  readonly mainlineNodes: readonly HostPort[];
  readonly portMapping: PortMapping;
  readonly range: Subnet;
  readonly leaseSeconds: number;
  readonly mtu: "auto" | number;
  readonly domain: string | undefined;
  readonly listen: readonly ListenAddress[];
  readonly interfaceName: string;
  /** The bridge that the TAP is a port of. */
  readonly bridge: string | undefined;
  /** Whether machines on the TAP are given addresses. */
  readonly dhcp: DhcpMode;
  readonly addressMode: AddressMode;
  /** This machine's own claim or static address. */
  readonly ip: Ip | undefined;
  readonly claims: readonly Claim[];
  /** Addresses that are kept for machines behind any site. */
  readonly reservations: readonly Reservation[];
  /** Undefined = everybody may do anything. */
  readonly acl: AccessRules | undefined;
  /** Those that have an entry under `nodes:`. */
  readonly nodeNames: readonly string[];
  /** Groups that the file gives to nodes. */
  readonly nodeGroups: readonly NodeGroups[];
  readonly cipher: "auto" | Cipher;
  readonly relay: RelayPolicy;
  readonly traversal: TraversalMode;
  readonly stun: StunMode;
  readonly stunServers: readonly HostPort[];
  readonly stream: StreamPort;
  /** Where streams go through; from the file or, by default, the environment. */
  readonly proxy: ProxySetting | undefined;
  readonly metricsPort: number | "off";
  readonly log: LogLevel;
  readonly stateDir: string;
  readonly runDir: string;
  readonly warnings: readonly string[];
  /** Where each key's value came from: `--listen`, `WEFT_LISTEN`, `lab.yaml:3:1`, `default`. */
  readonly origins: Readonly<Record<Key, string>>;
}

/** The shared part that the authority signed: raw values of shared keys alone. */
export interface Pushed {
  readonly number: number;
  readonly values: Partial<Record<Key, unknown>>;
}

export interface ConfigSources {
  /** Path of the cluster file; it may be missing when the environment gives the network key. */
  readonly file: string;
  readonly flags: Partial<Record<Key, unknown>>;
  readonly env: Env;
  readonly uid: number;
  readonly nodeName: string;
  /** Before every other source, and whole. */
  readonly pushed?: Pushed;
}

/** @throws WeftError config-missing | config-unreadable | config-invalid | key-file-open */
export function loadConfig(sources: ConfigSources): Config {
  const text = readClusterFile(sources);
  const file = new ConfigFile(sources.file, text ?? "");
  if (file.problems.length > 0) throw invalid(file.problems);
  const merge = new Merge(sources, file);
  const config = merge.config();
  if (config === undefined || merge.problems.length > 0) throw invalid(merge.problems);
  if (text !== undefined && merge.fileHoldsSecret()) refuseOpenFile(sources.file);
  return config;
}

export function problemText(problem: Problem): string {
  return `${problem.where}: ${problem.text}`;
}

function invalid(problems: readonly Problem[]): WeftError {
  const lines = problems.slice(0, MAX_PROBLEMS).map(problemText);
  if (problems.length > MAX_PROBLEMS) lines.push("there are more problems: correct these first");
  return new WeftError("config-invalid", lines.join("\n"));
}

function readClusterFile(sources: ConfigSources): string | undefined {
  const { file, env } = sources;
  try {
    const facts = statSync(file);
    if (!facts.isFile()) {
      throw new WeftError("config-missing", `${file} is no regular file: name a cluster file`);
    }
    if (facts.size > MAX_FILE_BYTES) {
      throw new WeftError(
        "config-invalid",
        `${file}: is larger than ${MAX_FILE_BYTES} bytes: this is no cluster file`,
      );
    }
    return readFileSync(file, "utf8");
  } catch (error) {
    if (error instanceof WeftError) throw error;
    const code = systemCodeOf(error);
    if (code === "ENOENT" && (env["WEFT_SECRET"] || env["WEFT_SECRET_FILE"])) return undefined;
    if (code === "ENOENT") {
      throw new WeftError(
        "config-missing",
        `${file} does not exist: make it with \`weft init\`, or copy it from another machine of the network`,
      );
    }
    if (code === "EACCES")
      throw new WeftError(
        "config-unreadable",
        `${file} cannot be read: run as root or as its owner`,
      );
    throw new WeftError(
      "config-missing",
      `${file} cannot be read (${messageOf(error)}): name a cluster file`,
    );
  }
}

/** A key that others can read is no key any more. */
function refuseOpenFile(file: string): void {
  const mode = statSync(file).mode & 0o777;
  if ((mode & 0o077) === 0) return;
  throw new WeftError(
    "key-file-open",
    `${file} holds the network key and has mode ${mode.toString(8).padStart(4, "0")}: run chmod 600 ${file}`,
  );
}

/** Joins the sources; collects problems instead of stopping at the first. */
class Merge {
  readonly problems: Problem[] = [];
  readonly #sources: ConfigSources;
  readonly #file: ConfigFile;
  readonly #origins: Partial<Record<Key, string>> = {};
  readonly #values: Partial<FileValues> = {};

  constructor(sources: ConfigSources, file: ConfigFile) {
    this.#sources = sources;
    this.#file = file;
    const whole = this.#check(fileSchema, file.values, (path) => file.place(path));
    this.#checkNodeNames(whole?.nodes ?? {});
    const own = whole?.nodes?.[sources.nodeName] ?? {};
    this.#take(whole ?? {}, (key) => file.place([key]));
    this.#take(own, (key) => `${file.place(["nodes", sources.nodeName, key])}`);
    this.#takeRaw(valuesFromEnv(sources.env), envNameOf);
    this.#takeRaw(sources.flags, flagNameOf);
    if (sources.pushed !== undefined) this.#takePushed(sources.pushed);
  }

  #takePushed({ number, values }: Pushed): void {
    for (const key of KEY_NAMES) {
      if (!KEYS[key].shared) continue;
      delete this.#values[key];
      delete this.#origins[key];
    }
    const { nodeName } = this.#sources;
    if (this.#origins.ip === this.#file.place(["nodes", nodeName, "ip"])) {
      delete this.#values.ip;
      delete this.#origins.ip;
    }
    this.#takeRaw(values, () => `the authority's shared part ${number}`);
    const ip = this.#values.nodes?.[nodeName]?.ip;
    // Else the claim is enough: it goes by the node's name.
    if (ip !== undefined && this.#values.ip === undefined && this.#values.address === "static") {
      this.#take({ ip }, () => `the authority's shared part ${number}`);
    }
  }

  fileHoldsSecret(): boolean {
    const values = this.#file.values;
    return typeof values === "object" && values !== null && "secret" in values;
  }

  #take(values: Partial<FileValues>, origin: (key: Key) => string): void {
    for (const key of KEY_NAMES) {
      if (values[key] === undefined) continue;
      Object.assign(this.#values, { [key]: values[key] });
      this.#origins[key] = origin(key);
    }
  }

  #takeRaw(raw: Partial<Record<Key, unknown>>, origin: (key: Key) => string): void {
    const given = Object.fromEntries(
      Object.entries(raw).filter(([, value]) => value !== undefined),
    );
    const checked = this.#check(fileSchema, given, (path) => originOfPath(path, origin));
    this.#take(checked ?? {}, origin);
  }

  #check<T>(schema: z.ZodType<T>, raw: unknown, place: (path: Path) => string): T | undefined {
    const result = schema.safeParse(raw);
    if (result.success) return result.data;
    for (const issue of result.error.issues) this.problems.push(...problemsOf(issue, place));
    return undefined;
  }

  #problem(key: Key, text: string, path: Path = [key]): void {
    const origin = this.#origins[key];
    const fromFile = origin === undefined || origin.startsWith(`${this.#sources.file}:`);
    this.problems.push({
      where: fromFile ? this.#file.place(path) : origin,
      text: `${key}: ${text}`,
    });
  }

  #checkNodeNames(nodes: Readonly<Record<string, unknown>>): void {
    const names = Object.keys(nodes);
    if (names.length > MAX_NODES) this.#problem("nodes", `has more than ${MAX_NODES} nodes`);
    for (const name of names.slice(0, MAX_NODES)) {
      if (isNodeName(name)) continue;
      this.#problem(
        "nodes",
        `${JSON.stringify(name)} is no node name: use 1 to 63 of a-z 0-9 and -`,
        ["nodes", name],
      );
    }
  }

  config(): Config | undefined {
    const values = this.#values;
    const folders = defaultFolders(this.#sources.env, this.#sources.uid);
    const defaults = this.#defaults();
    const name = values.name ?? this.#nameFromFile();
    const networkKey = this.#networkKey();
    const range = values.range ?? defaults.range;
    if (
      defaults === undefined ||
      name === undefined ||
      networkKey === undefined ||
      range === undefined
    )
      return undefined;
    const claims = this.#claims(range);
    const reservations = this.#reservations(range, claims);
    this.#checkOwnIp(range, reservations);
    const nodeGroups = this.#nodeGroups();
    this.#checkLan();
    const proxy = chooseProxy(values.proxy ?? "auto", this.#sources.env);
    if (proxy.variable !== undefined) this.#origins.proxy = proxy.variable;
    return {
      name,
      nodeName: this.#sources.nodeName,
      networkKey,
      authority: values.authority,
      bootstrap: values.bootstrap ?? [],
      lan: values.lan ?? "on",
      mainlineNodes: values.mainline_nodes ?? [],
      portMapping: values.port_mapping ?? "auto",
      range,
      leaseSeconds: values.lease ?? defaults.lease ?? 0,
      mtu: values.mtu ?? "auto",
      domain: values.domain,
      listen: values.listen ?? defaults.listen ?? [],
      interfaceName: values.interface ?? defaultInterface(name),
      bridge: values.bridge,
      dhcp: values.dhcp ?? "auto",
      addressMode: values.address ?? "auto",
      ip: values.ip,
      claims,
      reservations,
      acl: this.#acl(nodeGroups),
      nodeNames: Object.keys(values.nodes ?? {}),
      nodeGroups,
      cipher: values.cipher ?? "auto",
      relay: values.relay ?? DEFAULT_RELAY_POLICY,
      traversal: values.traversal ?? "standard",
      stun: values.stun ?? "members",
      stunServers: values.stun_servers ?? [],
      stream: values.stream ?? "auto",
      proxy: proxy.setting,
      metricsPort: values.metrics ?? "off",
      log: values.log ?? "info",
      stateDir: values.state_dir ?? folders.stateDir,
      runDir: values.run_dir ?? folders.runDir,
      warnings: [...this.#warnings(), ...(proxy.warning === undefined ? [] : [proxy.warning])],
      origins: this.#allOrigins(),
    };
  }

  #defaults(): Partial<FileValues> {
    const written = KEY_NAMES.flatMap((key) => {
      const text = KEYS[key].fallback;
      return text === undefined ? [] : [[key, text]];
    });
    return fileSchema.parse(Object.fromEntries(written));
  }

  #nameFromFile(): string | undefined {
    const stem = basename(this.#sources.file).replace(/\.ya?ml$/, "");
    const named = fileSchema.shape.name.safeParse(stem);
    if (named.success) return named.data;
    this.#problem(
      "name",
      `is missing and the file's name is no network name: add a line name: lab`,
    );
    return undefined;
  }

  /** From `secret` or `secret_file`, whichever comes from the stronger source. */
  #networkKey(): Uint8Array | undefined {
    const { secret, secret_file: path } = this.#values;
    if (secret !== undefined && path !== undefined && this.#sameSource("secret", "secret_file")) {
      this.#problem("secret_file", "stands beside secret: keep one of the two");
      return undefined;
    }
    const useFile =
      path !== undefined && (secret === undefined || this.#isStronger("secret_file", "secret"));
    const text = useFile ? this.#readSecretFile(path) : secret;
    if (text === undefined) {
      if (!useFile && this.problems.length === 0)
        this.#problem(
          "secret",
          "is missing: make one with `weft init`, or copy the file from another machine of the network",
        );
      return undefined;
    }
    const check = parseNetworkKey(text);
    if (check.ok) return check.key;
    this.#problem(
      useFile ? "secret_file" : "secret",
      `the network key ${check.cause}: use one that \`weft init\` made`,
    );
    return undefined;
  }

  #readSecretFile(path: string): string | undefined {
    try {
      refuseOpenFile(path);
      const facts = statSync(path);
      if (facts.isFile() && facts.size <= 1_024) return readFileSync(path, "utf8");
      this.#problem(
        "secret_file",
        `${path} is no file of a key's size: name a file with one line of base64`,
      );
    } catch (error) {
      if (error instanceof WeftError) throw error;
      this.#problem(
        "secret_file",
        `${path} cannot be read (${systemCodeOf(error) ?? messageOf(error)}): correct the path or its owner`,
      );
    }
    return undefined;
  }

  #strength(key: Key): number {
    const origin = this.#origins[key] ?? "";
    return origin.startsWith("--") ? 3 : origin.startsWith("WEFT_") ? 2 : origin === "" ? 0 : 1;
  }

  #sameSource(a: Key, b: Key): boolean {
    return this.#strength(a) === this.#strength(b);
  }

  #isStronger(a: Key, b: Key): boolean {
    return this.#strength(a) > this.#strength(b);
  }

  #claims(range: Subnet): Claim[] {
    const claims: Claim[] = [];
    const byIp = new Map<Ip, string>();
    for (const [name, node] of Object.entries(this.#values.nodes ?? {})) {
      if (node.ip === undefined) continue;
      const other = byIp.get(node.ip);
      const fault =
        other === undefined
          ? addressFault(range, node.ip)
          : `${node.ip} is claimed by ${other} too: give one of them another address`;
      if (fault === undefined) claims.push({ name, ip: node.ip });
      else this.#problem("nodes", fault, ["nodes", name, "ip"]);
      byIp.set(node.ip, name);
    }
    return claims;
  }

  #reservations(range: Subnet, claims: readonly Claim[]): readonly Reservation[] {
    const written = this.#values.reservations ?? {};
    if (Object.keys(written).length > MAX_RESERVATIONS)
      this.#problem("reservations", `has more than ${MAX_RESERVATIONS}`);
    const { reservations, faults } = readReservations(written, { range, claims });
    for (const { who, text } of faults) this.#problem("reservations", text, ["reservations", who]);
    return reservations;
  }

  /** A word of a rule must have one meaning. */
  #nodeGroups(): NodeGroups[] {
    const nodes = this.#values.nodes ?? {};
    return Object.entries(nodes).flatMap(([name, node]) => {
      const groups = [...new Set(node.groups ?? [])].sort();
      if (this.#values.authority !== undefined && groups.length > 0) {
        const text = "groups stand in certificates under an authority: sign them there";
        this.#problem("nodes", text, ["nodes", name, "groups"]);
      }
      for (const group of groups.filter((each) => Object.hasOwn(nodes, each))) {
        const text = `the group ${group} has the name of a node: choose another name`;
        this.#problem("nodes", text, ["nodes", name, "groups"]);
      }
      return groups.length === 0 ? [] : [{ name, groups }];
    });
  }

  /** Everything allowed is the same as no rules at all. */
  #acl(nodeGroups: readonly NodeGroups[]): AccessRules | undefined {
    const written = this.#values.acl;
    if (written === undefined || (written.allowsRest && written.rules.length === 0))
      return undefined;
    const { authority } = this.#values;
    const groups = authority === undefined ? nodeGroups.flatMap((node) => node.groups) : undefined;
    const nodes = Object.keys(this.#values.nodes ?? {});
    const { access, faults } = resolveAcl(written, { nodes, groups });
    for (const { path, text } of faults) this.#problem("acl", text, ["acl", ...path]);
    return access;
  }

  #checkOwnIp(range: Subnet, reservations: readonly Reservation[]): void {
    const { address, ip } = this.#values;
    const claimed = this.#values.nodes?.[this.#sources.nodeName]?.ip === ip;
    if (address === "static" && ip === undefined)
      this.#problem("address", "is static but there is no ip: add ip: ADDRESS");
    if (ip === undefined || claimed) return;
    const fault = addressFault(range, ip);
    if (fault !== undefined) this.#problem("ip", fault);
    else if (address !== "static")
      this.#problem(
        "ip",
        `is set but address is ${address ?? "auto"}: set address: static, or claim it under nodes: ${this.#sources.nodeName}`,
      );
    const holder = Object.entries(this.#values.nodes ?? {}).find(([, node]) => node.ip === ip)?.[0];
    if (holder !== undefined)
      this.#problem("ip", `${ip} is claimed by ${holder}: choose another address`);
    if (reservations.some((one) => one.ip === ip))
      this.#problem("ip", `${ip} stands under reservations: choose another address`);
  }

  /** The list says where to look; the switch is for those who want no multicast at all. */
  #checkLan(): void {
    const { bootstrap = [], lan } = this.#values;
    const at = bootstrap.findIndex((entry) => entry.kind === "lan");
    if (at < 0 || lan !== "off") return;
    this.#problem("bootstrap", "lan stands here and lan: off elsewhere: remove one of the two", [
      "bootstrap",
      at,
    ]);
  }

  #warnings(): string[] {
    const nodes = this.#values.nodes;
    const listed = nodes === undefined || this.#sources.nodeName in nodes;
    return listed
      ? []
      : [
          `nodes: has no entry ${this.#sources.nodeName}: only the file's general keys apply to this machine`,
        ];
  }

  #allOrigins(): Record<Key, string> {
    const entries = KEY_NAMES.map((key) => [key, this.#origins[key] ?? "default"] as const);
    return Object.fromEntries(entries) as Record<Key, string>;
  }
}

function originOfPath(path: Path, origin: (key: Key) => string): string {
  const key = KEY_NAMES.find((name) => name === path[0]);
  return key === undefined ? String(path[0]) : origin(key);
}

/** zod's issues as lines for people. */
function problemsOf(issue: z.core.$ZodIssue, place: (path: Path) => string): Problem[] {
  const path = issue.path.map((part) => (typeof part === "number" ? part : String(part)));
  const label = path
    .map((part) => (typeof part === "number" ? `[${part + 1}]` : `.${part}`))
    .join("")
    .slice(1);
  if (issue.code === "unrecognized_keys") {
    // One more than is shown: looking up places of thousands takes long.
    return issue.keys.slice(0, MAX_PROBLEMS + 1).map((key) => ({
      where: place([...path, key]),
      text: unknownKeyText(key, path),
    }));
  }
  if (issue.code === "custom") return [{ where: place(path), text: `${label}: ${issue.message}` }];
  const what = path.length === 0 ? "the file" : label;
  return [
    {
      where: place(path),
      text: `${what}: must be a map of keys: write key: value lines, indented`,
    },
  ];
}

function unknownKeyText(key: string, path: Path): string {
  const known: readonly string[] = path.length === 0 ? KEY_NAMES : NODE_KEY_NAMES;
  const elsewhere =
    path.length > 0 && KEY_NAMES.some((name) => name === key) && !(key in nodeSchema.shape);
  if (elsewhere)
    return `unknown key ${key} under ${path.join(".")}: it is the same for all members, write it at the top level`;
  return `unknown key ${key}: did you mean ${nearestWord(key, known)}?`;
}
