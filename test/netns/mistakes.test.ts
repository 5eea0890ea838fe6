import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { CLI } from "../../lab/agent.ts";
import type { Site } from "../../lab/lab.ts";
import { eventually, type Finished } from "../../lab/shell.ts";
import { describeWhere } from "../support/requires.ts";
import { Cluster, kernelNeeds, RANGE } from "./cluster.ts";

const TITLE = "a person's mistakes: one line with cause and cure, and the right exit code";
const NODE = process.execPath;

interface Mistake {
  readonly name: string;
  readonly exit: number;
  /** Cause, then cure. */
  readonly says: RegExp;
  /** Runs in front of the command line of weft, e.g. to take a capability away. */
  readonly before?: string;
  readonly flags?: readonly string[];
}

const MISTAKES: readonly Mistake[] = [
  {
    name: "no /dev/net/tun",
    exit: 4,
    says: /\/dev\/net\/tun.*: .*modprobe tun/,
    before: "mount -t tmpfs tmpfs /dev/net &&",
  },
  {
    name: "no CAP_NET_ADMIN",
    exit: 4,
    says: /CAP_NET_ADMIN|not permitted.*: .*root/i,
    before: "exec setpriv --inh-caps=-net_admin --bounding-set=-net_admin",
  },
  { name: "the port is busy", exit: 5, says: /7117.*: .*listen/ },
  {
    name: "the range overlaps the machine's own network",
    exit: 5,
    says: /198\.51\.100\.0\/24 overlaps 198\.51\.100\.\d+\/24 on eth0: choose another range/,
    flags: ["--range", "198.51.100.0/24", "--listen", "0"],
  },
];

describeWhere(TITLE, kernelNeeds("setpriv", "python3"), () => {
  let cluster: Cluster;
  let site: Site;

  beforeAll(async () => {
    cluster = await Cluster.create("mistakes");
    site = (await cluster.addAgent("a")).site;
  });
  afterAll(() => cluster?.remove());

  it.for(MISTAKES)("$name", async ({ name, exit, says, before = "", flags = [] }) => {
    const holder = name.includes("port") ? await holdPort(site) : undefined;
    const told = await weft(before, ["up", "--foreground", "--log", "error", ...flags]);
    await holder?.stop("SIGKILL");
    expectOneLine(told, exit, says);
  });

  it("in the background, too: who typed `weft up` learns it", async () => {
    const told = await weft("mount -t tmpfs tmpfs /dev/net &&", ["up"]);
    expectOneLine(told, 4, /\/dev\/net\/tun.*: .*modprobe tun/);
    expectOneLine(await weft("", ["status"]), 3, /no agent runs/);
  });

  it("a wrong key in the file: its line, and the nearest name", async () => {
    const file = join(cluster.lab.folder, "typo.yaml");
    const text = readFileSync(cluster.file, "utf8").replace(/^range:/m, "rnage:");
    writeFileSync(file, text, { mode: 0o600 });
    const line = text.split("\n").findIndex((row) => row.startsWith("rnage:")) + 1;
    const says = new RegExp(`typo\\.yaml:${line}:\\d+: .*rnage.*did you mean range`);
    expectOneLine(await weft("", ["up", "--foreground"], file), 5, says);
    expectOneLine(await weft("", ["config", "check"], file), 5, says);
  });

  it("a secret that others can read", async () => {
    const file = join(cluster.lab.folder, "open.yaml");
    writeFileSync(file, readFileSync(cluster.file), { mode: 0o600 });
    chmodSync(file, 0o644);
    expectOneLine(await weft("", ["up", "--foreground"], file), 5, /0644: run chmod 600/);
  });

  it("the agent is not running", async () => {
    expectOneLine(await weft("", ["status"]), 3, /no agent runs .*: start it with `weft up`/);
    expectOneLine(await weft("", ["peers", "--json"]), 3, /no agent runs/);
  });

  it("an unknown verb, an unknown peer, a wait in vain", async () => {
    expectOneLine(await weft("", ["staus"]), 2, /status/);
    const [agent] = cluster.agents;
    agent?.start();
    await agent?.online();
    expectOneLine(await weft("", ["ping", "nobody", "-c", "1"]), 7, /nobody.*: /);
    const patience = ["wait", "--nodes", "2", "--timeout", "1"];
    expectOneLine(await weft("", patience), 6, /1 of 2 nodes.*: /);
    expect((await weft("", ["status"])).status).toBe(0);
  }, 60_000);

  it("another network key than the others: the health line says so", async () => {
    const stranger = await cluster.addAgent("b", { flags: ["--range", RANGE] });
    const text = readFileSync(cluster.file, "utf8");
    const file = join(cluster.lab.folder, "kernel2.yaml");
    writeFileSync(
      file,
      text.replace(/^secret: ./m, (match) => flipLetter(match)),
      { mode: 0o600 },
    );
    const b = stranger.site.start([
      NODE,
      CLI,
      "up",
      "--foreground",
      ...common(stranger.site, file),
    ]);
    const said = async () => {
      const status = await stranger.site.finish([
        NODE,
        CLI,
        "status",
        ...common(stranger.site, file),
      ]);
      return /^!.*same secret/m.exec(status.stdout)?.[0];
    };
    expect(await eventually("status of b has the line", said, 30_000, 2_000)).toContain(
      "bootstrap",
    );
    await b.stop();
  }, 60_000);

  function weft(before: string, args: readonly string[], file = cluster.file): Promise<Finished> {
    const words = [NODE, CLI, ...args, ...common(site, file)].map((word) => `'${word}'`).join(" ");
    return site.finish(["sh", "-c", `${before} ${words}`], { timeoutMs: 20_000 });
  }
});

function common(site: Site, file: string): string[] {
  const folders = [
    "--state-dir",
    join(site.folder, "state"),
    "--run-dir",
    join(site.folder, "run"),
  ];
  return ["--config", file, "--node", site.name, ...folders];
}

/** Nothing on standard output, one line on standard error: `weft: cause: cure`. */
function expectOneLine(told: Finished, exit: number, says: RegExp): void {
  const lines = told.stderr.split("\n").filter((line) => line !== "");
  expect(lines).toHaveLength(1);
  expect(lines[0]).toMatch(/^weft: /);
  expect(lines[0]).toMatch(says);
  expect(told.stdout).toBe("");
  expect(told.status).toBe(exit);
}

/** The first letter of the base64 key becomes another one. */
function flipLetter(match: string): string {
  return match.slice(0, -1) + (match.endsWith("A") ? "B" : "A");
}

const HOLD = `
import socket, time
holder = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
holder.bind(("::", 7117))
print("held", flush=True)
time.sleep(60)`;

async function holdPort(site: Site) {
  const holder = site.start(["python3", "-c", HOLD]);
  await eventually("the port is held", async () => holder.output.includes("held"), 10_000, 20);
  return holder;
}
