import { mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Agent } from "../../src/agent/agent.ts";
import type { ControlServer } from "../../src/agent/control-server.ts";
import { COMMANDS } from "../../src/cli/commands.ts";
import { bytesText, millisText, percentText, printable, renderTable } from "../../src/cli/table.ts";
import type { Terminal } from "../../src/cli/terminal.ts";
import { EVENT, FakeMachine, KEY, STATUS } from "../agent/fake-machine.ts";
import { type Ran, runWords, startAgent } from "./cli-bench.ts";

let machine = new FakeMachine();
let agent: Agent;
let control: ControlServer;

/** Runs a command line in this process; folders are the fake machine's own. */
async function weft(line: string, given: Partial<Terminal> = {}): Promise<Ran> {
  const words = line.split(" ").filter((word) => word !== "");
  const env = { WEFT_RUN_DIR: join(machine.folder, "run"), ...given.env };
  const { code, out, err } = await runWords(words, machine.folder, { ...given, env });
  return { code, out: hidden(out), err: hidden(err) };
}

/** These differ from run to run. */
/** What differs from run to run; the router is asked three seconds after the start, before or after this. */
function hidden(text: string): string {
  return text
    .replace("there is no default gateway", "not asked yet")
    .replace(/\bpid("?): \d+/, "pid$1: 1")
    .replace(/\bloopLagMs("?): [\d.]+/, "loopLagMs$1: 0");
}

describe("asking a running agent", () => {
  beforeAll(async () => {
    machine = new FakeMachine();
    ({ agent, control } = await startAgent(machine));
    machine.say({ kind: "event", event: EVENT });
  });
  afterAll(() => {
    control.close();
    agent.stop();
    machine.remove();
  });

  it.each([
    "status",
    "status -o yaml",
    "peers",
    "list --no-header",
    "peers -o wide",
    "ip",
    "ip --peer beta",
    "lease list",
    "lease list --json",
    "lease show",
    "lease show 10.117.0.12",
    "lease release id:ff07",
    "ring",
    "journal -n 5",
    "ping beta -c 1",
    "ping beta -c 1 --json",
    "netcheck",
    "netcheck --json",
    "explain gamma",
    "explain gamma beta --json",
    "completion peers",
  ])("weft %s", async (line) => {
    const ran = await weft(line);
    expect(ran.err).toBe("");
    expect(ran.code).toBe(0);
    expect(ran.out).toMatchSnapshot();
  });

  it("JSON is versioned, and the same for the alias", async () => {
    const [status, alias] = [await weft("status --json"), await weft("show lab -o json")];
    const parsed = JSON.parse(status.out);
    expect(parsed).toMatchObject({
      version: 1,
      name: "alpha",
      lease: { ip: "10.117.0.10" },
      peers: [{ name: "gamma" }, { name: "beta" }],
    });
    expect(alias.out.replace(/"uptimeMs": \d+/, "")).toBe(
      status.out.replace(/"uptimeMs": \d+/, ""),
    );
  });

  it("status --check ready is for health checks: 0 when frames pass", async () => {
    expect(await weft("status --check ready")).toEqual({ code: 0, out: "online\n", err: "" });
    const before = machine.node.current;
    machine.node.current = { ...before, state: "joining", lease: undefined };
    expect(await weft("status --check ready")).toMatchObject({
      code: 1,
      out: "joining, no address\n",
    });
    machine.node.current = { ...before, lease: undefined };
    expect(await weft("status --check ready --json")).toMatchObject({ code: 1 });
    machine.node.current = before;
    expect(await weft("status --check steady")).toMatchObject({ code: 2 });
  });

  it("health lines begin with ! and carry colour only on a terminal without NO_COLOR", async () => {
    machine.node.current = { ...STATUS, state: "degraded", health: ["a\u001b[31mb: do this"] };
    const line = "! a?[31mb: do this";
    expect((await weft("status")).out.split("\n")).toContain(line);
    expect((await weft("status", { outIsTty: true })).out).toContain(
      `\u001b[33m${line}\u001b[0m\n`,
    );
    expect((await weft("status", { outIsTty: true, env: { NO_COLOR: "1" } })).out).not.toContain(
      "\u001b",
    );
    machine.node.current = STATUS;
  });

  it("wait answers at once when enough are there, and 6 when not", async () => {
    expect(await weft("wait --nodes 3")).toMatchObject({ code: 0, out: "3 nodes\n" });
    expect(await weft("wait --nodes 4 --timeout 0")).toMatchObject({
      code: 6,
      err: "weft: 3 of 4 nodes in time, state online: `weft status` says what is missing\n",
    });
  });

  it("up is idempotent: a running agent is only shown", async () => {
    expect(await weft("up --config DIR/lab.yaml".replace("DIR", machine.folder))).toMatchObject({
      code: 0,
      out: "lab: 10.117.0.10/16 on weft-lab, 2 peers, online\n",
    });
  });

  it("up waits no longer than it was told", async () => {
    machine.node.current = {
      ...STATUS,
      state: "joining",
      lease: undefined,
      health: ["no bootstrap endpoint answers: check it"],
    };
    expect(await weft(`up --timeout 0 --config ${machine.folder}/lab.yaml`)).toMatchObject({
      code: 6,
      err: "weft: no address in time, state joining (no bootstrap endpoint answers: check it): the agent goes on trying; `weft status` follows it\n",
    });
    machine.node.current = STATUS;
  });

  it("an interrupt ends what waits with 130", async () => {
    const interrupt = new AbortController();
    setTimeout(() => interrupt.abort(), 50);
    expect((await weft("peers --watch", { interrupted: interrupt.signal })).code).toBe(130);
    expect(await weft("wait --nodes 9", { interrupted: interrupt.signal })).toMatchObject({
      code: 130,
      err: "weft: interrupted\n",
    });
  });

  it("a missing answer has the code of its kind", async () => {
    expect(await weft("ping nobody")).toMatchObject({
      code: 7,
      err: "weft: nobody has that name\n",
    });
    expect(await weft("explain nobody")).toMatchObject({ code: 7 });
    expect(await weft("ip --peer nobody")).toMatchObject({ code: 7 });
    expect(await weft("ip --peer gamma")).toMatchObject({ code: 1, out: "" });
    expect(await weft("lease show 10.117.0.99")).toMatchObject({ code: 7 });
    expect(await weft(`dht get ${"0".repeat(40)}`)).toMatchObject({ code: 7 });
    expect(await weft("dht get 00")).toMatchObject({
      code: 2,
      err: "weft: a key has 40 hex digits\n",
    });
    expect(await weft("lease show x")).toMatchObject({ code: 2 });
    expect(await weft("lease release 10.117.0.99")).toMatchObject({ code: 7 });
    expect(await weft("lease release")).toMatchObject({ code: 2 });
  });
});

describe("lease reserve", () => {
  beforeEach(() => {
    machine = new FakeMachine();
  });
  afterEach(() => machine.remove());

  const MAC = "52:54:00:12:34:56";
  const written = (): string => readFileSync(join(machine.folder, "etc/lab.yaml"), "utf8");

  it("writes into the file and leaves all else as it was, comments and mode too", async () => {
    await weft("init lab --range 10.9.0.0/16");
    const file = join(machine.folder, "etc/lab.yaml");
    // The one thing that changes: blanks before a comment become one.
    const before = `${written().replace(/ +#/, " #")}nodes: {a: {ip: 10.9.0.9}} # kept\n`;
    writeFileSync(file, before, { mode: 0o600 });
    const ran = await weft(`lease reserve ${MAC.toUpperCase()}=10.9.0.50 lab`);
    expect(ran).toMatchObject({ code: 0, err: "" });
    expect(ran.out).toContain("every member's file");
    expect(written()).toBe(`${before}reservations:\n  ${MAC}: 10.9.0.50\n`);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    await weft("lease reserve Printer=10.9.0.51 lab");
    await weft("lease reserve 52-54-00-12-34-56=10.9.0.52 lab");
    expect(written()).toBe(`${before}reservations:\n  ${MAC}: 10.9.0.52\n  printer: 10.9.0.51\n`);
    expect(await weft("config check lab")).toMatchObject({ code: 0 });
  });

  it.each([
    ["printer", 2, "is no IPv4 address"],
    ["a_b=10.9.0.5", 2, "is no MAC, id:HEX or host name"],
    ["printer=10.8.0.5", 5, "is outside the range"],
    ["printer=10.9.0.1", 5, "is kept for DHCP itself"],
    ["printer=10.9.0.9", 5, "10.9.0.9 is kept for a too"],
  ])("refuses %s and writes nothing", async (wish, code, words) => {
    await weft("init lab --range 10.9.0.0/16");
    const file = join(machine.folder, "etc/lab.yaml");
    writeFileSync(file, `${written()}nodes: {a: {ip: 10.9.0.9}}\n`, { mode: 0o600 });
    const before = written();
    const ran = await weft(`lease reserve ${wish} lab`);
    expect(ran.code).toBe(code);
    expect(ran.err).toContain(words);
    expect(written()).toBe(before);
  });

  it("without a file that may be written it prints the line", async () => {
    const env = { WEFT_SECRET: KEY };
    const ran = await weft("lease reserve printer=10.117.0.50 lab", { env });
    expect(ran.code).toBe(4);
    expect(ran.out).toContain("reservations:\n  printer: 10.117.0.50\n");
  });
});

describe("without an agent", () => {
  beforeEach(() => {
    machine = new FakeMachine();
  });
  afterEach(() => machine.remove());

  it("init writes a checked file once, 0600, with a fresh key", async () => {
    const first = await weft("init lab --bootstrap seed.example:9,192.0.2.1 --range 10.9.0.0/16");
    expect([first.code, first.err]).toEqual([0, ""]);
    const file = join(machine.folder, "etc/lab.yaml");
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(
      hidden(readFileSync(file, "utf8")).replace(/secret: \S+/, "secret: KEY"),
    ).toMatchSnapshot();
    expect(first.out).toMatchSnapshot();
    const before = readFileSync(file, "utf8");
    expect(await weft("init lab")).toMatchObject({
      code: 5,
      err: "weft: DIR/etc/lab.yaml exists: its key may be in use, so it stays; remove it yourself or choose another name\n",
    });
    expect(readFileSync(file, "utf8")).toBe(before);
    expect(await weft("config check lab")).toMatchObject({
      code: 0,
      out: "DIR/etc/lab.yaml: ok\n",
      err: "",
    });
    await weft("init other --out other.yaml");
    expect(readFileSync(join(machine.folder, "other.yaml"), "utf8")).not.toContain(
      /secret: (\S+)/.exec(before)?.[1] ?? "-",
    );
  });

  it("init refuses values that no file could hold", async () => {
    expect(await weft("init Lab")).toMatchObject({
      code: 2,
      err: 'weft: NAME: "Lab" is no network name: use 1 to 32 of a-z 0-9 and -\n',
    });
    expect((await weft("init lab --range 10.9.0.1/16")).err).toMatch(
      /^weft: --range: "10\.9\.0\.1\/16" is no IPv4 range/,
    );
  });

  it("config show names origins and hides the key", async () => {
    await weft("init lab");
    const ran = await weft("config show --origin --mtu 1400", { env: { WEFT_LOG: "debug" } });
    expect(ran.code).toBe(0);
    // The columns are as wide as the folder's name, which is the machine's.
    expect(ran.out.replace(/ +/g, " ")).toMatchSnapshot();
    const key =
      /secret: (\S+)/.exec(readFileSync(join(machine.folder, "etc/lab.yaml"), "utf8"))?.[1] ?? "";
    for (const form of ["json", "yaml", "table"])
      expect((await weft(`config show -o ${form}`)).out).not.toContain(key);
  });

  it("config check warns of variables and nodes that mean nothing", async () => {
    await weft("init lab");
    expect((await weft("config check", { env: { WEFT_LISEN: "1" } })).err).toBe(
      "weft: warning: WEFT_LISEN is no variable of weft: correct or unset it\n",
    );
  });

  it("acl test says what would happen, and which rule says so", async () => {
    mkdirSync(join(machine.folder, "etc"));
    const rules =
      "{default: deny, rules: [deny from bob to web tcp 81, allow from staff to web tcp 80-90, allow from any to any icmp]}";
    const nodes = "{web: {ip: 10.117.0.9}, bob: {groups: staff}, amy: {groups: staff}}";
    const text = `secret: ${KEY}\nacl: ${rules}\nnodes: ${nodes}\n`;
    writeFileSync(join(machine.folder, "etc/lab.yaml"), text, { mode: 0o600 });
    expect(await weft("acl test amy web 81")).toEqual({
      code: 0,
      out: "allowed by rule 2: allow from staff to web tcp 80-90\n",
      err: "",
    });
    expect(await weft("acl test bob web 81/tcp")).toEqual({
      code: 1,
      out: "denied by rule 1: deny from bob to web tcp 81\n",
      err: "",
    });
    expect((await weft("acl test staff web 80/udp")).out).toBe(
      "denied: no rule matches, default deny\n",
    );
    expect((await weft("acl test any alpha icmp")).code).toBe(0);
    const json = await weft("acl test bob web 80 --json");
    expect(JSON.parse(json.out)).toEqual({
      version: 1,
      allowed: true,
      from: "bob",
      to: "web",
      protocol: "tcp",
      port: 80,
      rule: 2,
      text: "allow from staff to web tcp 80-90",
    });
    expect(await weft("acl test bbo web 80")).toMatchObject({
      code: 7,
      err: 'weft: nobody is called "bbo": did you mean bob?\n',
    });
    expect(await weft("acl test bob web 80/tpc")).toMatchObject({
      code: 2,
      err: 'weft: "80/tpc" is no port: write 443, 53/udp or icmp\n',
    });
    expect((await weft("acl test bob")).code).toBe(2);
    expect((await weft("acl show")).out).toBe(
      "default deny, 3 rules\n1  deny from bob to web tcp 81\n2  allow from staff to web tcp 80-90\n3  allow from any to any icmp\n",
    );
  });

  it("acl test without rules allows everything", async () => {
    await weft("init lab");
    expect(await weft("acl test any alpha 22")).toMatchObject({
      code: 0,
      out: "allowed: there are no rules\n",
    });
  });

  it("several mistakes are several lines", async () => {
    mkdirSync(join(machine.folder, "etc"));
    writeFileSync(join(machine.folder, "etc/lab.yaml"), `secret: ${KEY}\nlisen: 1\nmtu: 1\n`, {
      mode: 0o600,
    });
    const ran = await weft("config check");
    expect(ran.code).toBe(5);
    expect(
      ran.err.split("\n").filter((line) => line.startsWith("weft: DIR/etc/lab.yaml:")),
    ).toHaveLength(2);
  });

  it("chooses the only network, and asks when there are several", async () => {
    expect(await weft("status")).toMatchObject({
      code: 5,
      err: "weft: no network in DIR/etc: make one with `weft init NAME`, or name a file with --config\n",
    });
    await weft("init lab");
    expect((await weft("status")).err).toBe(
      "weft: no agent runs behind DIR/run/lab.sock: start it with `weft up`\n",
    );
    await weft("init two");
    expect(await weft("status")).toMatchObject({
      code: 2,
      err: "weft: several networks (lab, two): name one, or set WEFT_NETWORK\n",
    });
    expect(await weft("status", { env: { WEFT_NETWORK: "two" } })).toMatchObject({ code: 3 });
    expect(await weft("status two")).toMatchObject({ code: 3 });
  });

  it("completion has names at a key press, and never complains", async () => {
    expect(await weft("completion peers")).toEqual({ code: 0, out: "", err: "" });
    await weft("init two");
    await weft("init lab");
    writeFileSync(join(machine.folder, "etc/$(reboot).yaml"), "");
    expect((await weft("completion networks")).out).toBe("lab\ntwo\n");
  });

  it("down without agent is no failure", async () => {
    await weft("init lab");
    expect(await weft("down")).toMatchObject({ code: 0, out: "lab: no agent ran\n" });
    expect(await weft("leave")).toMatchObject({ code: 3 });
  });

  it("wrong usage is 2, with a hint", async () => {
    expect(await weft("staus")).toMatchObject({ code: 2, out: "" });
    expect((await weft("staus")).err).toContain("status");
    expect((await weft("")).code).toBe(2);
    expect((await weft("status --frob")).code).toBe(2);
    expect((await weft("config frob")).code).toBe(2);
    expect((await weft("peers -o xml")).code).toBe(2);
    expect((await weft("up lab --secret x")).code).toBe(2);
  });

  it("says what is wrong with the words, not with arguments", async () => {
    const errors = async (line: string) => (await weft(line)).err;
    expect(await errors("")).toBe("weft: no verb given: see weft --help\n");
    expect(await errors("bogus")).toBe("weft: unknown verb bogus: see weft --help\n");
    expect(await errors("ping")).toBe(
      "weft: a word is missing: write weft ping <target> [network]\n",
    );
    expect(await errors("version -o xml")).toBe(
      'weft: output: "xml" is none of table, wide, json, yaml: see weft version --help\n',
    );
    expect(await weft("wait lab --timeout soon")).toMatchObject({
      code: 2,
      err: "weft: --timeout needs a number: see weft --help\n",
    });
  });

  it("of a flag given twice the last one counts", async () => {
    await weft("init lab");
    const file = join(machine.folder, "etc/lab.yaml");
    expect(await weft(`config check --config nothing --config ${file}`)).toMatchObject({ code: 0 });
  });

  it("help names every verb, and version is short", async () => {
    const help = await weft("--help");
    expect(help.code).toBe(0);
    for (const command of COMMANDS)
      expect(help.out).toContain(`weft ${command.name.split(" ")[0]}`);
    expect((await weft("version")).out).toMatch(/^weft \d+\.\d+\.\d+ \(node v/);
    expect((await weft("up --help")).out).toContain("--foreground");
  });
});

describe("tables", () => {
  it("align figures right, show - for unknown, and let no control character through", () => {
    const rows = [
      { a: "x\u001b[2J", n: 5 },
      { a: undefined, n: 1_000 },
    ];
    const columns = [
      { title: "A", value: (row: (typeof rows)[0]) => row.a },
      { title: "N", align: "right" as const, value: (row: (typeof rows)[0]) => row.n },
    ];
    expect(renderTable(columns, rows, true)).toBe("A         N\nx?[2J     5\n-      1000\n");
    expect(renderTable(columns, [], false)).toBe("");
    expect(printable("a\nb\u009bc")).toBe("a?b?c");
  });

  it("figures", () => {
    expect([undefined, 0.123, 9.999, 12.34, 123.4].map(millisText)).toEqual([
      undefined,
      "0.12 ms",
      "10.00 ms",
      "12.3 ms",
      "123 ms",
    ]);
    expect([0, 1_023, 1_536, 2 ** 40].map(bytesText)).toEqual([
      "0 B",
      "1023 B",
      "1.5 KiB",
      "1.0 TiB",
    ]);
    expect([0, 0.015, 0.5, 1].map(percentText)).toEqual(["0%", "1.5%", "50%", "100%"]);
  });
});
