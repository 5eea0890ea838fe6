import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { accessText, ruleText } from "../../src/agent/acl-setting.ts";
import { type Config, loadConfig } from "../../src/agent/config.ts";
import { WeftError } from "../../src/agent/errors.ts";
import { planReload } from "../../src/agent/reload.ts";
import { canonicalShared } from "../../src/agent/shared-digest.ts";

const folder = mkdtempSync(join(tmpdir(), "weft-acl-"));
afterAll(() => rmSync(folder, { recursive: true }));
const KEY = Buffer.from(Array.from({ length: 32 }, (_, i) => i * 5 + 3)).toString("base64");
const NODES = `nodes:
  alpha: {groups: servers}
  beta: {groups: [clients, backup]}
`;

function load(text: string, env: Record<string, string> = {}): Config {
  const file = join(folder, "lab.yaml");
  writeFileSync(file, `secret: ${KEY}\n${text}`, { mode: 0o600 });
  return loadConfig({ file, flags: {}, env, uid: 0, nodeName: "alpha" });
}

function fault(text: string): string {
  try {
    load(text);
  } catch (error) {
    if (!(error instanceof WeftError)) throw error;
    expect(error.exitCode).toBe(5);
    return error.message.replaceAll(`${folder}/`, "");
  }
  return "no error";
}

const withRules = (...rules: string[]): string =>
  `${NODES}acl:\n  default: deny\n  rules:\n${rules.map((rule) => `    - ${rule}\n`).join("")}`;

describe("acl:", () => {
  it("is one line, or a block of rules", () => {
    expect(load("").acl).toBeUndefined();
    expect(load("acl: default allow\n").acl).toBeUndefined();
    expect(load("acl: default deny\n").acl).toEqual({ allowsRest: false, rules: [] });
    expect(load("acl: {default: deny}\n").acl).toEqual({ allowsRest: false, rules: [] });
    const { acl } = load(withRules("allow from clients , backup to alpha tcp 80, 8000-8100"));
    expect(acl?.rules).toEqual([
      {
        allow: true,
        from: [
          { kind: "group", name: "clients" },
          { kind: "group", name: "backup" },
        ],
        to: [{ kind: "node", name: "alpha" }],
        protocol: 6,
        ports: [
          { first: 80, last: 80 },
          { first: 8_000, last: 8_100 },
        ],
      },
    ]);
  });

  it("rules are shown as they could be written", () => {
    const rules = [
      "allow from clients,backup to alpha tcp 80,8000-8100",
      "deny from any to servers icmp",
      "allow from beta to any",
      "allow from any to any 47",
    ];
    const { acl } = load(withRules(...rules));
    expect(acl?.rules.map(ruleText)).toEqual(rules);
    expect(acl === undefined ? "" : accessText(acl)).toBe("default deny, 4 rules");
    const [icmp6, any] =
      load(withRules("allow from any to any 58", "deny from any to beta any")).acl?.rules.map(
        ruleText,
      ) ?? [];
    expect([icmp6, any]).toEqual(["allow from any to any icmp", "deny from any to beta"]);
  });

  it.each([
    ["acl: default denny\n", 'lab.yaml:2:1: acl: "default denny" must be default deny'],
    ["acl: deny\n", 'lab.yaml:2:1: acl: "deny" must be default deny, default allow'],
    ["acl: [a]\n", "lab.yaml:2:1: acl: must be default deny"],
    ["acl: {rules: []}\n", "acl.default: default is missing: write default: deny"],
    ["acl: {default: maybe}\n", 'acl.default: default is "maybe": write default: deny'],
    ["acl: {default: deny, rule: []}\n", "unknown key rule: did you mean rules?"],
    ["acl: {default: deny, rules: x}\n", "acl.rules: must be a list of lines"],
    [
      withRules("allow from any to any", "alow from any to any"),
      '"alow" is no action: did you mean allow?',
    ],
    [withRules("permit from any to any"), '"permit" is no action'],
    [
      withRules("allow any tcp 80"),
      '"allow any tcp 80" is no rule: write allow from WHO to WHO tcp 80,443',
    ],
    [withRules("allow from any to any tcp 80 443"), "is no rule"],
    [withRules("allow from any to any tpc 80"), '"tpc" is no protocol: did you mean tcp?'],
    [withRules("allow from any to any icmpv6"), '"icmpv6" is no protocol: did you mean icmp?'],
    [withRules("allow from any to any 256"), '"256" is no protocol'],
    [withRules("allow from any to any icmp 8"), '"8": only tcp and udp have ports'],
    [withRules("allow from any to any any 8"), '"8": only tcp and udp have ports'],
    [withRules("allow from any to any tcp 0"), '"0" is no port or range'],
    [withRules("allow from any to any tcp 90-80"), '"90-80" is no port or range'],
    [withRules("allow from any to any tcp 65536"), '"65536" is no port or range'],
    [withRules("allow from any to any tcp ssh"), '"ssh" is no port or range: write 443'],
    [
      withRules("allow from client to any"),
      '"client" is neither a node nor a group of this file: did you mean clients?',
    ],
    [withRules("allow from a,b,c,d,e,f,g,h,i to any"), "names more than 8 groups at one end"],
    [
      withRules(`allow from any to any tcp ${Array.from({ length: 17 }, (_, i) => i + 1).join()}`),
      "has more than 16 ports",
    ],
    [withRules(...Array.from({ length: 257 }, () => "allow from any to any")), "has more than 256"],
    ["nodes: {alpha: {groups: [beta]}, beta: {}}\n", "the group beta has the name of a node"],
    ["nodes: {alpha: {groups: [any]}}\n", '"any" is no group'],
    ["nodes: {alpha: {groups: [a, b, c, d, e, f, g, h, i]}}\n", "has more than 8 items"],
    ["groups: [a]\n", "unknown key groups"],
  ])("refuses %j", (text, said) => {
    expect(fault(text)).toContain(said);
  });

  it("names the line of the rule that is wrong", () => {
    expect(fault(withRules("allow from any to any", "allow from any to server"))).toMatch(
      /^lab\.yaml:9:7: acl: "server" is neither .* did you mean servers\?$/,
    );
    expect(fault(withRules("allow from any to any", "allow from any to any udb 5"))).toMatch(
      /^lab\.yaml:9:7: acl\.rules\[2\]: "udb" is no protocol: did you mean udp\?/,
    );
  });

  it("comes from the environment, too", () => {
    expect(load("", { WEFT_ACL: "default deny" }).acl).toEqual({ allowsRest: false, rules: [] });
    const block = "{default: deny, rules: [allow from any to alpha tcp 22]}";
    expect(load(NODES, { WEFT_ACL: block }).acl?.rules.length).toBe(1);
  });

  it("is part of what members compare, and absent where there is none", () => {
    const plain = canonicalShared(load(""));
    expect(canonicalShared(load("acl: default allow\nnodes: {beta: {}}\n"))).toBe(plain);
    const [a, b] = ["allow from any to alpha tcp 22", "deny from beta to any"];
    const texts = [
      plain,
      canonicalShared(load("acl: default deny\n")),
      canonicalShared(load(NODES)),
      canonicalShared(load(withRules(a, b))),
      canonicalShared(load(withRules(b, a))),
      // The same word as a group.
      canonicalShared(
        load(withRules(a, b).replace("beta: {", "gamma: {").replace("[clients", "[beta, clients")),
      ),
    ];
    expect(new Set(texts).size).toBe(texts.length);
    const spelt = withRules("allow from backup,clients to any tcp 22");
    expect(canonicalShared(load(spelt))).toBe(
      canonicalShared(load(spelt.replace("backup,clients", "clients, backup"))),
    );
  });

  it("a change waits for a restart, and is called by its key", () => {
    const fresh = load(withRules("allow from beta to any"));
    expect(planReload(load(""), fresh).waiting).toEqual(["acl", "nodes"]);
  });
});
