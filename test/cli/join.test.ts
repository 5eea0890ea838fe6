/** `weft invite` on one machine, `weft join` on another: the same file comes out. */
import { randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Agent } from "../../src/agent/agent.ts";
import { loadConfig } from "../../src/agent/config.ts";
import type { ControlServer } from "../../src/agent/control-server.ts";
import { decodeToken } from "../../src/agent/join-token.ts";
import type { Terminal } from "../../src/cli/terminal.ts";
import { FakeMachine, KEY, STATUS } from "../agent/fake-machine.ts";
import { type Ran, runWords, startAgent } from "./cli-bench.ts";

const FILE = `name: lab\nsecret: ${KEY}\nrange: 10.9.0.0/16\nbootstrap: [seed.example:9]\nstate_dir: /x\n`;
const REFLEXIVE = ["203.0.113.7:7117"];
const LOCAL = ["192.168.1.5:7117"];

let folder = "";
let machine = new FakeMachine();
let agent: Agent;
let control: ControlServer;

function weft(words: readonly string[], given: Partial<Terminal> = {}): Promise<Ran> {
  return runWords(words, folder, { hostname: "other", ...given });
}

/** At the first machine, into a pipe. */
function atFirst(...words: readonly string[]): Promise<Ran> {
  return weft(words, { env: envOfFirst() });
}

function onTerminal(...words: readonly string[]): Promise<Ran> {
  return weft(words, { env: envOfFirst(), outIsTty: true });
}

function envOfFirst() {
  return {
    WEFT_CONFIG_DIR: join(machine.folder, "etc"),
    WEFT_RUN_DIR: join(machine.folder, "run"),
  };
}

function fileOf(network: string): string {
  return join(folder, "etc", `${network}.yaml`);
}

beforeAll(async () => {
  machine = new FakeMachine();
  machine.node.current = {
    ...STATUS,
    nat: { ...STATUS.nat, reflexive: REFLEXIVE, local: LOCAL },
  };
  mkdirSync(join(machine.folder, "etc"));
  writeFileSync(join(machine.folder, "etc/lab.yaml"), FILE, { mode: 0o600 });
  ({ agent, control } = await startAgent(machine));
});
afterAll(() => {
  control.close();
  agent.stop();
  machine.remove();
});
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "weft-join-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

describe("weft invite", () => {
  it("is one line with the file, its bootstrap first, then where this member is reached", async () => {
    const ran = await atFirst("invite");
    expect([ran.code, ran.err]).toEqual([0, ""]);
    expect(ran.out).toMatch(/^weft join weft1\.\S+\n$/);
    expect(decodeToken(ran.out)).toEqual({
      name: "lab",
      secret: KEY,
      values: {
        name: "lab",
        range: "10.9.0.0/16",
        bootstrap: ["seed.example:9", ...REFLEXIVE, ...LOCAL],
      },
    });
  });

  it("--at puts a place first that the member cannot know", async () => {
    const ran = await atFirst("invite", "--at", "vpn.example.org:7200");
    expect((decodeToken(ran.out).values.bootstrap as string[])[0]).toBe("vpn.example.org:7200");
    expect(await atFirst("invite", "--at", "a b")).toMatchObject({ code: 2, out: "" });
  });

  it("weft up prints the same line on a terminal as long as nobody else is there, and never into JSON", async () => {
    const { out: line } = await atFirst("invite");
    expect((await onTerminal("up")).out).not.toContain("weft join");
    const { peers } = machine.node.current;
    machine.node.current = { ...machine.node.current, peers: [] };
    const up = await onTerminal("up");
    expect(up.out).toMatch(/^lab: 10\.117\.0\.10\/16 on /);
    expect(up.out.split("\n").map((row) => row.trim())).toContain(line.trim());
    expect((await onTerminal("up", "--json")).out).not.toContain("weft1.");
    // Into a pipe or a file, perhaps a log: how to get it, not the key.
    const piped = (await atFirst("up")).out;
    expect(piped).not.toContain("weft1.");
    expect(piped).toMatch(/\nThe line for other machines: weft invite\n$/);
    machine.node.current = { ...machine.node.current, peers };
  });

  it("weft up succeeds with a file that no token holds, and says why there is no line", async () => {
    const current = machine.node.current;
    machine.node.current = { ...current, peers: [] };
    const kept = Array.from({ length: 400 }, (_, i) => {
      return `id:${randomBytes(255).toString("hex")}: 10.9.${1 + (i >> 8)}.${i & 255}`;
    });
    const env = {
      WEFT_CONFIG_DIR: join(machine.folder, "etc"),
      WEFT_RUN_DIR: join(machine.folder, "run"),
      WEFT_RESERVATIONS: kept.join("\n"),
    };
    const up = await weft(["up"], { env, outIsTty: true });
    expect(up).toMatchObject({ code: 0, err: "" });
    expect(up.out).toMatch(/No line for other machines: .* too large .* scp/);
    machine.node.current = current;
  });

  it("carries what this machine's environment changes for all members", async () => {
    const env = {
      WEFT_CONFIG_DIR: join(machine.folder, "etc"),
      WEFT_RUN_DIR: join(machine.folder, "run"),
      WEFT_LEASE: "30m",
      WEFT_LOG: "debug",
    };
    const { values } = decodeToken((await weft(["invite"], { env })).out);
    expect(values).toMatchObject({ lease: "30m" });
    expect(values).not.toHaveProperty("log");
  });
});

describe("weft join", () => {
  let token = "";
  beforeAll(async () => {
    folder = machine.folder;
    token = (await atFirst("invite")).out.trim().replace("weft join ", "");
  });

  it("--no-start writes a file that loads, 0600, with the first machine's key", async () => {
    const ran = await weft(["join", token, "--no-start"]);
    expect(ran).toEqual({
      code: 0,
      out: "Wrote DIR/etc/lab.yaml (mode 0600); the agent was not started.\n",
      err: "",
    });
    expect(statSync(fileOf("lab")).mode & 0o777).toBe(0o600);
    const sources = { file: fileOf("lab"), flags: {}, env: {}, uid: 0, nodeName: "other" };
    const config = loadConfig(sources);
    expect(Buffer.from(config.networkKey).toString("base64")).toBe(KEY);
    expect(config.bootstrap).toHaveLength(3);
    expect(config.stateDir).toBe("/var/lib/weft");
  });

  it.each([
    ["-", ["join", "-", "--no-start"]],
    ["nothing", ["join", "--no-start"]],
  ])("%s: from standard input, so that no process list shows it", async (_, words) => {
    const ran = await weft(words, { readLine: () => Promise.resolve(`weft join ${token}\n`) });
    expect([ran.code, ran.err]).toEqual([0, ""]);
    expect(readFileSync(fileOf("lab"), "utf8")).toContain(KEY);
  });

  it("asks for it on a terminal", async () => {
    const readLine = (): Promise<string> => Promise.resolve(token);
    const ran = await weft(["join", "--no-start"], { inIsTty: true, readLine });
    expect(ran).toMatchObject({ code: 0, err: "paste the token, then Enter: " });
  });

  it("--token-file, --out", async () => {
    writeFileSync(join(folder, "token"), `${token}\n`);
    const words = ["join", "--token-file", "token", "--out", "net.yaml", "--no-start"];
    expect(await weft(words)).toMatchObject({ code: 0, err: "" });
    expect(statSync(join(folder, "net.yaml")).mode & 0o777).toBe(0o600);
    expect(await weft(["join", "--token-file", "gone"])).toEqual({
      code: 2,
      out: "",
      err: "weft: --token-file: DIR/gone cannot be read (ENOENT): name another\n",
    });
    expect(await weft(["join", token, "--token-file", "token"])).toMatchObject({ code: 2 });
  });

  it("twice: says so and names the next step", async () => {
    await weft(["join", token, "--no-start"]);
    expect(await weft(["join", token])).toEqual({
      code: 5,
      out: "",
      err: "weft: DIR/etc/lab.yaml holds this network already: start it with `weft up lab`\n",
    });
  });

  it("another network of that name stays untouched", async () => {
    await weft(["init", "lab"]);
    const before = readFileSync(fileOf("lab"), "utf8");
    const ran = await weft(["join", token]);
    expect(ran).toMatchObject({ code: 5, out: "" });
    expect(ran.err).toMatch(/^weft: DIR\/etc\/lab\.yaml exists: [^\n]+\n$/);
    expect(readFileSync(fileOf("lab"), "utf8")).toBe(before);
  });

  it.each([
    ["cut short", (text: string) => text.slice(0, -9), /^weft: the token is cut short: [^\n]+\n$/],
    ["another version", (text: string) => text.replace("weft1", "weft7"), /form 7.*same version/],
    ["something else", () => "hello", /is no token of weft: copy the whole line/],
  ])("%s: one line, and no file", async (_, change, says) => {
    const ran = await weft(["join", change(token)]);
    expect(ran).toMatchObject({ code: 5, out: "" });
    expect(ran.err).toMatch(says);
    expect(() => statSync(fileOf("lab"))).toThrow("ENOENT");
  });
});
