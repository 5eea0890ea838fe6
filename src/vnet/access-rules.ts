/**
 * Who may begin what towards whom: the rules of the cluster file, and what of them is left between
 * two members.
 */
import type { AclPolicy, AclPorts } from "../base/engine.ts";
import { ruleFor } from "../frame/acl-gate.ts";

/** A node is named in the file, a group by certificates or in the file. */
export type Party =
  | { readonly kind: "any" }
  | { readonly kind: "node" | "group"; readonly name: string };

export interface AccessRule {
  readonly allow: boolean;
  readonly from: readonly Party[];
  readonly to: readonly Party[];
  /** As in AclRule. */
  readonly protocol: number | undefined;
  readonly ports: readonly AclPorts[];
}

/** The first rule that matches decides, else the rest. */
export interface AccessRules {
  readonly allowsRest: boolean;
  readonly rules: readonly AccessRule[];
}

/** What rules look at in a member. */
export interface Subject {
  readonly name: string;
  readonly groups: readonly string[];
}

/** What `from` may begin towards `to`; undefined = anything. */
export function policyBetween(
  access: AccessRules,
  from: Subject,
  to: Subject,
): AclPolicy | undefined {
  const rules = access.rules.filter((rule) => concerns(rule, from, to));
  const isFree = access.allowsRest && rules.every((rule) => rule.allow);
  return isFree ? undefined : { allowsRest: access.allowsRest, rules };
}

export interface Decision {
  readonly allow: boolean;
  /** Undefined = no rule matched. */
  readonly rule: AccessRule | undefined;
}

/** What becomes of the first packet of a flow. `protocol` and `port` are the destination's. */
export function decide(
  access: AccessRules,
  ends: { readonly from: Subject; readonly to: Subject },
  what: { readonly protocol: number; readonly port: number },
): Decision {
  const rules = access.rules.filter((rule) => concerns(rule, ends.from, ends.to));
  const policy = { allowsRest: access.allowsRest, rules };
  const found = ruleFor(policy, what.protocol, what.port);
  const rule = rules.find((each) => each === found);
  return { allow: rule?.allow ?? access.allowsRest, rule };
}

function concerns(rule: AccessRule, from: Subject, to: Subject): boolean {
  return (
    rule.from.some((party) => isPart(party, from)) && rule.to.some((party) => isPart(party, to))
  );
}

function isPart(party: Party, subject: Subject): boolean {
  if (party.kind === "any") return true;
  return party.kind === "node" ? party.name === subject.name : subject.groups.includes(party.name);
}
