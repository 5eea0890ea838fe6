/**
 * Whom the words FROM and TO of `weft acl test` mean. Without an authority the file gives members their
 * groups; under one their certificates do, which the running agent knows (`weft members`).
 */
import { z } from "zod";
import type { Config } from "../agent/config.ts";
import { WeftError } from "../agent/errors.ts";
import { nearestWord } from "../agent/nearest.ts";
import { type AccessRules, type Decision, decide, type Subject } from "../vnet/access-rules.ts";
import { ask, askStatus, socketOf } from "./agent-call.ts";
import type { CommandContext } from "./command.ts";

export interface End {
  readonly subject: Subject;
  /** Why its groups are not known; undefined = they are. */
  readonly unknown?: WeftError;
}

export interface Ends {
  readonly from: End;
  readonly to: End;
}

/** Nobody's: a member that no rule names and that has no group. */
const ANY: Subject = { name: "any", groups: [] };

const membersShape = z.looseObject({
  members: z.array(z.looseObject({ name: z.string(), groups: z.array(z.string()) })),
});

/** @throws WeftError not-found | agent-not-running, or another that the agent's socket gives */
export async function endsOf(
  context: CommandContext,
  config: Config,
  words: { readonly from: string; readonly to: string },
): Promise<Ends> {
  const endOf =
    config.authority === undefined
      ? await byFile(context, config)
      : byCertificates(context, config);
  return { from: await endOf(words.from), to: await endOf(words.to) };
}

/**
 * What becomes of a packet between the two.
 *
 * @throws WeftError that an end carries, where other groups of it could lead to another rule
 */
export function decideBetween(
  access: AccessRules,
  ends: Ends,
  what: { readonly protocol: number; readonly port: number },
): Decision {
  const withGroups = ({ subject, unknown }: End, groups: readonly string[]): Subject =>
    unknown === undefined ? subject : { ...subject, groups };
  const decideWith = (groups: readonly string[]): Decision =>
    decide(access, { from: withGroups(ends.from, groups), to: withGroups(ends.to, groups) }, what);
  // More groups only let more rules match: where none and all of them lead to one rule, any others do.
  const decision = decideWith([]);
  const unknown = ends.from.unknown ?? ends.to.unknown;
  if (unknown !== undefined && decideWith(groupsInRules(access)).rule !== decision.rule)
    throw unknown;
  return decision;
}

function groupsInRules(access: AccessRules | undefined): string[] {
  const written = (access?.rules ?? []).flatMap(({ from, to }) => [...from, ...to]);
  const names = written.flatMap((party) => (party.kind === "group" ? [party.name] : []));
  return [...new Set(names)];
}

/** A node of the file, a group in it, or a peer that the running agent knows. */
async function byFile(
  context: CommandContext,
  config: Config,
): Promise<(word: string) => Promise<End>> {
  const groups = [
    ...new Set([...groupsInRules(config.acl), ...config.nodeGroups.flatMap((node) => node.groups)]),
  ];
  return async (word) => {
    if (word === "any") return { subject: ANY };
    const filed = config.nodeGroups.find((node) => node.name === word);
    if (filed !== undefined) return { subject: filed };
    if (isListed(config, word)) return { subject: { name: word, groups: [] } };
    if (groups.includes(word)) return { subject: groupOf(word) };
    const peers = await peerNames(context);
    if (peers.includes(word)) return { subject: { name: word, groups: [] } };
    throw nobody(word, [...config.nodeNames, ...groups, ...peers]);
  };
}

type Members = readonly { readonly name: string; readonly groups: readonly string[] }[];

/** A word is what it is in the rules, else a member that the agent is linked to, else a group of one. */
function byCertificates(context: CommandContext, config: Config): (word: string) => Promise<End> {
  const groups = groupsInRules(config.acl);
  let asked: Promise<Members | WeftError> | undefined;
  return async (word) => {
    if (word === "any") return { subject: ANY };
    const isNode = config.nodeNames.includes(word);
    if (!isNode && groups.includes(word)) return { subject: groupOf(word) };
    asked ??= askMembers(context);
    const members = await asked;
    if (members instanceof WeftError) {
      const unknown = notAsked(word, members);
      if (isListed(config, word)) return { subject: { name: word, groups: [] }, unknown };
      throw unknown;
    }
    const named = members.filter(({ name }) => name === word);
    if (named.length > 0) return endIn(word, named);
    if (isNode) return { subject: { name: word, groups: [] }, unknown: notLinked(word) };
    const certified = members.flatMap((member) => member.groups);
    if (certified.includes(word)) return { subject: groupOf(word) };
    const names = members.map(({ name }) => name);
    throw nobody(word, [...config.nodeNames, ...groups, ...names, ...certified]);
  };
}

/** Several members may have one name: what they have in common is known of it. */
function endIn(name: string, members: Members): End {
  const [first, ...others] = members.map(({ groups }) => [...groups].sort());
  const subject = { name, groups: first ?? [] };
  if (others.every((groups) => groups.join() === subject.groups.join())) return { subject };
  const text = `${members.length} members are called ${name} and have different groups: test one of the groups (weft members)`;
  return { subject, unknown: new WeftError("usage", text) };
}

function groupOf(name: string): Subject {
  return { name: "", groups: [name] };
}

function isListed(config: Config, word: string): boolean {
  return word === config.nodeName || config.nodeNames.includes(word);
}

function nobody(word: string, known: readonly string[]): WeftError {
  const nearest = nearestWord(word, [...new Set([...known, "any"])]);
  return new WeftError(
    "not-found",
    `nobody is called ${JSON.stringify(word)}: did you mean ${nearest}?`,
  );
}

function notAsked(name: string, { code, message }: WeftError): WeftError {
  return new WeftError(code, `the groups of ${name} stand in its certificate, and ${message}`);
}

function notLinked(name: string): WeftError {
  return new WeftError(
    "unknown-peer",
    `${name} is not linked here, and its groups stand in its certificate: ask at a member that has a link to it, or test a group`,
  );
}

async function askMembers(context: CommandContext): Promise<Members | WeftError> {
  try {
    return membersShape.parse(await ask(context, "members")).members;
  } catch (error) {
    if (error instanceof WeftError) return error;
    throw error;
  }
}

/** None when no agent runs, or it may not be asked. */
async function peerNames(context: CommandContext): Promise<string[]> {
  try {
    return (await askStatus(socketOf(context))).peers.map((peer) => peer.name);
  } catch {
    return [];
  }
}
