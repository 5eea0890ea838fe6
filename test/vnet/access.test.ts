import { describe, expect, it } from "vitest";
import type { AclPolicy, AclRule } from "../../src/base/engine.ts";
import type { AccessOptions } from "../../src/vnet/access.ts";
import {
  type AccessRule,
  type AccessRules,
  decide,
  type Party,
  policyBetween,
} from "../../src/vnet/access-rules.ts";
import { Bench, FakeDht, type Member, makeMember, peerOf } from "./harness.ts";

const ANY: Party = { kind: "any" };
const group = (name: string): Party => ({ kind: "group", name });
const node = (name: string): Party => ({ kind: "node", name });
const rule = (from: Party, to: Party, fields: Partial<AccessRule> = {}): AccessRule => ({
  allow: true,
  from: [from],
  to: [to],
  protocol: undefined,
  ports: [],
  ...fields,
});
const rules = (...list: AccessRule[]): AccessRules => ({ allowsRest: false, rules: list });

describe("rules between two members", () => {
  const access = rules(
    rule(group("clients"), group("servers"), { protocol: 6, ports: [{ first: 80, last: 80 }] }),
    rule(node("alice"), ANY, { protocol: 1 }),
    rule(ANY, node("web"), { protocol: 6, ports: [{ first: 80, last: 443 }] }),
  );
  const web = { name: "web", groups: ["servers"] };
  const alice = { name: "alice", groups: ["clients"] };
  const bob = { name: "bob", groups: ["clients", "admins"] };

  it("are those that name both, in their order", () => {
    const kept = (policy: AclPolicy | undefined) =>
      policy?.rules.map((each) => (access.rules as readonly AclRule[]).indexOf(each));
    expect(kept(policyBetween(access, alice, web))).toEqual([0, 1, 2]);
    expect(kept(policyBetween(access, bob, web))).toEqual([0, 2]);
    expect(kept(policyBetween(access, web, alice))).toEqual([]);
    // A node called like a group is not that group, nor the other way round.
    expect(kept(policyBetween(access, { name: "clients", groups: ["alice"] }, web))).toEqual([2]);
  });

  it("are none where everything is allowed", () => {
    const denies = rule(group("guests"), ANY, { allow: false });
    const open = { allowsRest: true, rules: [denies, rule(ANY, ANY, { protocol: 6 })] };
    expect(policyBetween(open, alice, web)).toBeUndefined();
    expect(policyBetween(open, { name: "x", groups: ["guests"] }, web)?.rules.length).toBe(2);
    expect(policyBetween(rules(), alice, web)).toEqual({ allowsRest: false, rules: [] });
  });

  it("decide by the first that matches, and say which", () => {
    const ask = (port: number, protocol = 6) =>
      decide(access, { from: bob, to: web }, { protocol, port });
    expect(ask(80)).toEqual({ allow: true, rule: access.rules[0] });
    expect(ask(443)).toEqual({ allow: true, rule: access.rules[2] });
    expect(ask(22)).toEqual({ allow: false, rule: undefined });
    expect(ask(0, 1)).toEqual({ allow: false, rule: undefined });
  });
});

const DIGEST = new Uint8Array(32);
const WEB_ONLY = rules(rule(group("friends"), group("servers"), { protocol: 6 }));

function optionsOf(list: AccessRules): AccessOptions {
  return {
    rules: list,
    self: () => ({ name: "node-1", groups: ["servers"] }),
    nodeGroups: new Map([["node-2", ["friends"]]]),
    digest: DIGEST,
  };
}

function benchWith(list: AccessRules, more: Partial<AccessOptions> = {}): Bench {
  const bench = new Bench(1, new FakeDht(), { access: { ...optionsOf(list), ...more } });
  bench.input({ kind: "timeout" });
  bench.bind("10.9.0.5");
  bench.take();
  return bench;
}

function policiesOf(bench: Bench): unknown[] {
  return bench.takeKind("engine").flatMap(({ command }) => {
    return command.op === "acl" ? [[command.session, command.policy?.rules.length]] : [];
  });
}

describe("the engine", () => {
  it("is told the rules for a peer when its link opens, before any filter", () => {
    const bench = benchWith(WEB_ONLY);
    bench.linkUp(makeMember(2), 7);
    bench.linkUp(makeMember(3), 8);
    expect(policiesOf(bench)).toEqual([
      [7, 1],
      [8, 0],
    ]);
  });

  it("is told again when this node's own certificate has other groups", () => {
    let groups = ["servers"];
    const bench = benchWith(WEB_ONLY, { self: () => ({ name: "node-1", groups }) });
    bench.linkUp(makeMember(2), 7);
    expect(policiesOf(bench)).toEqual([[7, 1]]);
    groups = [];
    bench.input({ kind: "certificate" });
    expect(policiesOf(bench)).toEqual([[7, 0]]);
  });

  it("is told that a peer may do anything, should there have been rules before", () => {
    const bench = benchWith({ allowsRest: true, rules: [rule(node("x"), ANY, { allow: false })] });
    bench.linkUp(makeMember(2), 7);
    expect(policiesOf(bench)).toEqual([[7, undefined]]);
  });

  it("hears nothing of rules without any", () => {
    const bench = new Bench(1, new FakeDht());
    bench.linkUp(makeMember(2), 7);
    expect(policiesOf(bench)).toEqual([]);
  });

  it("the file's groups do not count for a peer with another file", () => {
    const bench = benchWith(WEB_ONLY);
    const digest = new Uint8Array(32).fill(1);
    bench.input({ kind: "link-up", peer: { ...peerOf(makeMember(2), 7), digest } });
    expect(policiesOf(bench)).toEqual([[7, 0]]);
  });
});

describe("a member's own certificate", () => {
  it("names it for rules about nodes", () => {
    const bench = benchWith(rules(rule(node("node-3"), node("node-1"))));
    const members: Member[] = [makeMember(2), makeMember(3)];
    for (const [i, member] of members.entries()) bench.linkUp(member, i + 7);
    expect(policiesOf(bench)).toEqual([
      [7, 0],
      [8, 1],
    ]);
  });
});
