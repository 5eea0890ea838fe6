/**
 * `acl:` of the cluster file: who may begin what towards whom.
 *
 *     acl: default deny
 *
 *     acl:
 *       default: deny
 *       rules:
 *         - allow from clients,backup to servers tcp 80,443,8000-8100
 *
 *     RULE = allow|deny from WHO[,WHO] to WHO[,WHO] [any|tcp|udp|icmp|NUMBER [PORT[-PORT],..]]
 *     WHO  = any, a name under nodes:, or a group
 */
import { type AclPorts, ENGINE_LIMITS } from "../base/engine.ts";
import type { AccessRule, AccessRules, Party } from "../vnet/access-rules.ts";
import { quote } from "./host-port.ts";
import { nearestWord } from "./nearest.ts";

/** As many rules as the engine takes for one peer: each of them may concern it. */
export const MAX_ACL_RULES = ENGINE_LIMITS.aclRules;
/** As many groups as a certificate holds. */
const MAX_PARTIES = 8;
const MAX_PORTS = ENGINE_LIMITS.aclPortsPerRule;

const PROTOCOLS: Readonly<Record<string, number | undefined>> = {
  any: undefined,
  tcp: 6,
  udp: 17,
  icmp: 1,
};
/** ICMPv6 is judged as ICMP. */
const ICMPV6 = 58;

/** Rules as written: who is meant by a word is known once the whole file is read. */
export interface WrittenAcl {
  readonly allowsRest: boolean;
  readonly rules: readonly WrittenRule[];
}

interface WrittenRule extends Pick<AccessRule, "allow" | "protocol" | "ports"> {
  readonly from: readonly string[];
  readonly to: readonly string[];
}

/** `path` is below `acl`. */
export interface AclFault {
  readonly path: readonly (string | number)[];
  readonly text: string;
}

export function readAcl(raw: unknown): { acl: WrittenAcl; faults: readonly AclFault[] } {
  const nothing: WrittenAcl = { allowsRest: false, rules: [] };
  if (typeof raw === "string") {
    const word = /^default\s+(\S+)$/.exec(raw.trim())?.[1];
    const isDefault = word === "deny" || word === "allow";
    if (isDefault) return { acl: { allowsRest: word === "allow", rules: [] }, faults: [] };
    return { acl: nothing, faults: [fault([], `${quote(raw)} ${FORMS}`)] };
  }
  if (typeof raw !== "object" || raw === null || Array.isArray(raw)) {
    return { acl: nothing, faults: [fault([], FORMS)] };
  }
  return readBlock(raw as Readonly<Record<string, unknown>>);
}

const FORMS = "must be default deny, default allow, or a block of default: and rules:";

function readBlock(block: Readonly<Record<string, unknown>>): {
  acl: WrittenAcl;
  faults: readonly AclFault[];
} {
  const { default: rest, rules: lines = [], ...others } = block;
  const faults: AclFault[] = Object.keys(others).map((key) =>
    fault([key], `unknown key ${key}: did you mean ${nearestWord(key, ["default", "rules"])}?`),
  );
  if (rest !== "deny" && rest !== "allow") {
    const text = rest === undefined ? "default is missing" : `default is ${quote(String(rest))}`;
    faults.push(fault(["default"], `${text}: write default: deny or default: allow`));
  }
  if (!Array.isArray(lines)) faults.push(fault(["rules"], "must be a list of lines, - allow .."));
  const all: readonly unknown[] = Array.isArray(lines) ? lines : [];
  if (all.length > MAX_ACL_RULES) faults.push(fault(["rules"], `has more than ${MAX_ACL_RULES}`));
  const rules: WrittenRule[] = [];
  for (const [i, line] of all.slice(0, MAX_ACL_RULES).entries()) {
    const rule = parseRule(line);
    if (typeof rule === "string") faults.push(fault(["rules", i], rule));
    else rules.push(rule);
  }
  return { acl: { allowsRest: rest === "allow", rules }, faults };
}

function fault(path: readonly (string | number)[], text: string): AclFault {
  return { path, text };
}

/** @returns what is wrong with it, as text */
function parseRule(line: unknown): WrittenRule | string {
  if (typeof line !== "string") return "is no line of text: write allow from WHO to WHO tcp 80";
  const words = line
    .trim()
    .replace(/\s*,\s*/g, ",")
    .split(/\s+/);
  const [action = "", from, fromWho, to, toWho, protocol = "any", ports, ...rest] = words;
  if (action !== "allow" && action !== "deny") {
    return `${quote(action)} is no action: did you mean ${nearestWord(action, ["allow", "deny"])}?`;
  }
  const hasEnds = from === "from" && to === "to" && fromWho !== undefined && toWho !== undefined;
  if (!hasEnds || rest.length > 0) {
    return `${quote(line)} is no rule: write ${action} from WHO to WHO tcp 80,443`;
  }
  const parties = { from: fromWho.split(","), to: toWho.split(",") };
  for (const list of Object.values(parties)) {
    if (list.length > MAX_PARTIES) return `names more than ${MAX_PARTIES} groups at one end`;
  }
  const number = parseProtocol(protocol);
  if (typeof number === "string") return number;
  const ranges = ports === undefined ? [] : parsePorts(ports, number);
  if (typeof ranges === "string") return ranges;
  return { allow: action === "allow", ...parties, protocol: number, ports: ranges };
}

export function parseProtocol(word: string): number | undefined | string {
  if (Object.hasOwn(PROTOCOLS, word)) return PROTOCOLS[word];
  if (/^\d{1,3}$/.test(word) && Number(word) <= 255) {
    return Number(word) === ICMPV6 ? PROTOCOLS["icmp"] : Number(word);
  }
  const nearest = nearestWord(word, Object.keys(PROTOCOLS));
  return `${quote(word)} is no protocol: did you mean ${nearest}? Or a number up to 255`;
}

function parsePorts(text: string, protocol: number | undefined): AclPorts[] | string {
  if (protocol !== PROTOCOLS["tcp"] && protocol !== PROTOCOLS["udp"]) {
    return `${quote(text)}: only tcp and udp have ports`;
  }
  const items = text.split(",");
  if (items.length > MAX_PORTS) return `has more than ${MAX_PORTS} ports or ranges`;
  const ranges: AclPorts[] = [];
  for (const item of items) {
    const [, low, high = low] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(item) ?? [];
    const [first, last] = [Number(low), Number(high)];
    const isRange = first >= 1 && first <= last && last <= 65_535;
    if (!isRange) return `${quote(item)} is no port or range: write 443 or 8000-8100`;
    ranges.push({ first, last });
  }
  return ranges;
}

/** What the words of rules may mean. */
export interface Known {
  readonly nodes: readonly string[];
  /** Undefined = they stand in certificates: any word may be one. */
  readonly groups: readonly string[] | undefined;
}

/** A word is `any`, else a node of the file, else a group. */
export function resolveAcl(
  { allowsRest, rules }: WrittenAcl,
  known: Known,
): { access: AccessRules; faults: readonly AclFault[] } {
  const faults: AclFault[] = [];
  const nodes = new Set(known.nodes);
  const words = [...known.nodes, ...(known.groups ?? []), "any"];
  const resolve = (word: string, rule: number): Party => {
    if (word === "any") return { kind: "any" };
    if (nodes.has(word)) return { kind: "node", name: word };
    if (known.groups?.includes(word) === false) faults.push(unknownWord(word, words, rule));
    return { kind: "group", name: word };
  };
  const access = rules.map((rule, i) => ({
    ...rule,
    from: rule.from.map((word) => resolve(word, i)),
    to: rule.to.map((word) => resolve(word, i)),
  }));
  return { access: { allowsRest, rules: access }, faults };
}

function unknownWord(word: string, words: readonly string[], rule: number): AclFault {
  const text = `${quote(word)} is neither a node nor a group of this file`;
  return fault(["rules", rule], `${text}: did you mean ${nearestWord(word, words)}?`);
}

/** One text for one meaning, as it could stand in a file. */
export function ruleText({ allow, from, to, protocol, ports }: AccessRule): string {
  const who = (parties: readonly Party[]): string =>
    parties.map((party) => (party.kind === "any" ? "any" : party.name)).join(",");
  const ends = `${allow ? "allow" : "deny"} from ${who(from)} to ${who(to)}`;
  if (protocol === undefined) return ends;
  const ranges = ports.map(({ first, last }) => (first === last ? `${first}` : `${first}-${last}`));
  return `${ends} ${protocolName(protocol)}${ranges.length === 0 ? "" : ` ${ranges.join(",")}`}`;
}

export function protocolName(protocol: number): string {
  return Object.keys(PROTOCOLS).find((name) => PROTOCOLS[name] === protocol) ?? `${protocol}`;
}

export function accessText(access: AccessRules): string {
  const count = access.rules.length;
  const rules = count === 0 ? "" : `, ${count} ${count === 1 ? "rule" : "rules"}`;
  return `default ${access.allowsRest ? "allow" : "deny"}${rules}`;
}
