/** `weft acl` in a network with an authority: rules that were pushed, groups that certificates give. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { authorityKeyText } from "../../src/agent/authority-key.ts";
import { ControlServer } from "../../src/agent/control-server.ts";
import { emitPushed } from "../../src/agent/pushed-part.ts";
import { FakeMachine, KEY } from "../agent/fake-machine.ts";
import { writePushedFile } from "../support/pushed-file.ts";
import { suite } from "../support/suite.ts";
import { type Ran, runWords } from "./cli-bench.ts";

const authority = suite.signingKeyPair(new Uint8Array(32).fill(6));
const networkKey = new Uint8Array(Buffer.from(KEY, "base64"));
const RULES = {
  default: "deny",
  rules: ["deny from bob to web tcp 81", "allow from staff to web tcp 80-90"],
};
const MEMBERS = [
  { name: "amy", groups: ["staff"] },
  { name: "carl", groups: [] },
  { name: "eve", groups: ["web"] },
  { name: "twin", groups: ["staff"] },
  { name: "twin", groups: ["guests"] },
];

let machine = new FakeMachine();
let control: ControlServer | undefined;

beforeEach(() => {
  machine = new FakeMachine();
  mkdirSync(join(machine.folder, "etc"));
});
afterEach(() => {
  control?.close();
  control = undefined;
  machine.remove();
});

function writeFile(lines: object): void {
  const values = { secret: KEY, authority: authorityKeyText(authority.publicKey), ...lines };
  const file = join(machine.folder, "etc/lab.yaml");
  writeFileSync(file, JSON.stringify(values), { mode: 0o600 });
}

function push(values: object): void {
  const folder = join(machine.folder, "state/lab");
  writePushedFile(folder, { networkKey, authority, body: emitPushed(values) });
}

/** An agent that has links to `MEMBERS`. */
async function listen(): Promise<void> {
  control = new ControlServer(join(machine.folder, "run/lab.sock"), async (method) => {
    expect(method).toBe("members");
    return { members: MEMBERS };
  });
  await control.listen();
}

function weft(line: string): Promise<Ran> {
  const [run, state] = ["run", "state"].map((name) => join(machine.folder, name));
  const env = { WEFT_RUN_DIR: run, WEFT_STATE_DIR: state };
  return runWords(line.split(" "), machine.folder, { env });
}

describe("rules that the authority pushed", () => {
  it("are those that acl test and acl show go by, and not the file's", async () => {
    writeFile({ acl: "default allow" });
    push({ acl: { default: "deny", rules: ["allow from any to web tcp 80"] }, nodes: { web: {} } });
    expect((await weft("acl show")).out).toBe(
      "default deny, 1 rule (the authority's shared part 3)\n1  allow from any to web tcp 80\n",
    );
    expect(await weft("acl test any web 80")).toEqual({
      ...{ code: 0, err: "" },
      out: "allowed by rule 1: allow from any to web tcp 80\n",
    });
    expect((await weft("acl test any web 81")).out).toBe("denied: no rule matches, default deny\n");
    push({ range: "10.1.0.0/16" });
    await listen();
    expect((await weft("acl show --json")).out).toContain(
      '"origin": "the authority\'s shared part',
    );
    expect((await weft("acl test any carl 81")).out).toBe("allowed: there are no rules\n");
  });

  it("another part than rules that cannot be used here is said, and the file stands", async () => {
    writeFile({ acl: RULES });
    push({ range: "10.1.0.0/99" });
    const ran = await weft("acl show");
    expect([ran.code, ran.out.split("\n")[0]]).toEqual([0, "default deny, 2 rules"]);
    expect(ran.err).toMatch(/^weft: warning: this node goes by its own file, [^\n]+\n$/);
  });

  it("rules that cannot be used here are refused, as at the agent's start", async () => {
    writeFile({ acl: "default allow" });
    push({ range: "10.1.0.0/99", acl: "default deny" });
    const ran = await weft("acl test any alpha 22");
    expect([ran.code, ran.out]).toEqual([5, ""]);
    expect(ran.err).toMatch(/^weft: the authority's shared part holds access rules and [^\n]+\n$/);
  });
});

describe("groups that certificates give", () => {
  beforeEach(() => writeFile({ acl: RULES, nodes: { bob: {}, dan: {} } }));

  it("are asked of the running agent", async () => {
    await listen();
    const allowed = "allowed by rule 2: allow from staff to web tcp 80-90\n";
    const denied = "denied: no rule matches, default deny\n";
    expect(await weft("acl test amy web 81")).toEqual({ code: 0, out: allowed, err: "" });
    expect(await weft("acl test amy eve 81")).toEqual({ code: 0, out: allowed, err: "" });
    expect(await weft("acl test carl eve 81")).toEqual({ code: 1, out: denied, err: "" });
    expect(await weft("acl test guests eve 81")).toEqual({ code: 1, out: denied, err: "" });
    expect(await weft("acl test any eve 81")).toEqual({ code: 1, out: denied, err: "" });
    expect(await weft("acl test cral web 81")).toMatchObject({
      code: 7,
      err: 'weft: nobody is called "cral": did you mean carl?\n',
    });
  });

  it("of a member that has no link here, or of two with one name, are not guessed", async () => {
    await listen();
    expect(await weft("acl test dan web 81")).toEqual({
      ...{ code: 7, out: "" },
      err: "weft: dan is not linked here, and its groups stand in its certificate: ask at a member that has a link to it, or test a group\n",
    });
    expect(await weft("acl test twin web 81")).toEqual({
      ...{ code: 2, out: "" },
      err: "weft: 2 members are called twin and have different groups: test one of the groups (weft members)\n",
    });
    expect(await weft("acl test twin web 91")).toMatchObject({ code: 1, err: "" });
  });

  it("with no agent that runs the answer is one line, unless it is the same for any groups", async () => {
    const err =
      "weft: the groups of dan stand in its certificate, and no agent runs behind DIR/run/lab.sock: start it with `weft up`\n";
    expect(await weft("acl test dan web 81")).toEqual({ code: 3, out: "", err });
    expect(await weft("acl test bob web 81")).toEqual({
      ...{ code: 1, err: "" },
      out: "denied by rule 1: deny from bob to web tcp 81\n",
    });
    expect(await weft("acl test dan web 91")).toMatchObject({ code: 1, err: "" });
    expect(await weft("acl test staff web 81")).toMatchObject({ code: 0, err: "" });
    expect(await weft("acl test amy web 91"), "nobody says who amy is").toMatchObject({ code: 3 });
  });
});
