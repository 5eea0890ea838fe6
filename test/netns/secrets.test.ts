/**
 * Where secrets must not be: other programs' argv and environment, logs at their most talkative,
 * answers to questions, error messages. And who may read what holds them.
 */
import {
  chmodSync,
  copyFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Agent, CLI } from "../../lab/agent.ts";
import type { Finished } from "../../lab/shell.ts";
import { identityFile, parseIdentity } from "../../src/agent/identity-file.ts";
import { describeWhere } from "../support/requires.ts";
import { Cluster, kernelNeeds } from "./cluster.ts";

const PROXY_WORD = "kept-proxy-word";
const EXTRA = `log: trace
metrics: 9417
proxy: http://user:${PROXY_WORD}@198.51.100.250:3128`;
/** The user and group "nobody". */
const STRANGER = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"];
const WIDE_MODES = [0o604, 0o640, 0o644, 0o660, 0o601] as const;

describeWhere("secrets", kernelNeeds("setpriv", "curl"), () => {
  let cluster: Cluster;
  let a: Agent;
  let b: Agent;
  let needles: readonly Needle[] = [];

  beforeAll(async () => {
    cluster = await Cluster.start("secrets", ["a", "b"], { extra: EXTRA });
    [a, b] = [cluster.agent("a"), cluster.agent("b")];
    needles = needlesOf(cluster);
    expect((await a.weft("ping", "b")).status).toBe(0);
  });
  afterAll(() => cluster?.remove());

  function expectClean(where: string, text: string | Buffer): void {
    const bytes = Buffer.from(text);
    for (const { name, bytes: needle } of needles)
      expect(bytes.includes(needle), `${name} in ${where}`).toBe(false);
  }

  it("are found where they are: the needles are no straw", () => {
    const key = readFileSync(cluster.file);
    expect(needles.some(({ bytes }) => key.includes(bytes))).toBe(true);
    const identity = readFileSync(identityFile(stateOf(a)));
    expect(needles.some(({ bytes }) => identity.includes(bytes))).toBe(true);
  });

  it("are in no argv and no environment of any process", async () => {
    const shown = processes();
    expect(shown.some(({ text }) => text.includes(cluster.file))).toBe(true);
    for (const { name, text } of shown) expectClean(name, text);
  });

  it("are in no line of a log at level trace", async () => {
    expect((await a.weft("config", "show")).stdout).toMatch(/^log:? +trace/m);
    for (const agent of [a, b]) {
      expect(agent.log).toContain('"what":"link-opened"');
      expectClean(`the log of ${agent.name}`, agent.log);
    }
  });

  it("are in no answer", { timeout: 300_000 }, async () => {
    const questions = [
      "status",
      "status --json",
      "peers --json",
      "config show",
      "config show --json",
      "config check",
      "journal --json",
      "lease --json",
      "ring --json",
      "explain b --json",
      "ip",
      "version",
      "up",
    ];
    for (const words of questions) {
      const told = await a.weft(...words.split(" "));
      expect(told.status, `${words}: ${told.stderr}`).toBe(0);
      expect(told.stdout.length).toBeGreaterThan(0);
      expectClean(`weft ${words}`, told.stdout + told.stderr);
    }
    for (const page of ["metrics", "status", "healthz", "readyz"]) {
      const told = await a.site.finish(["curl", "-s", `http://127.0.0.1:9417/${page}`]);
      expect(told.status).toBe(0);
      expectClean(`/${page}`, told.stdout);
    }
  });

  it("are in no error message about the file that holds them", async () => {
    const text = readFileSync(cluster.file, "utf8");
    const broken = [
      text.replace(/^secret: (.*)$/m, 'secret: "$1'),
      text.replace(/^secret: (.*)$/m, "secret: $1x"),
      text.replace(/^secret: (.*)$/m, "secrte: $1"),
      text.replace(/^secret: (.*)$/m, "secret: [$1]"),
      text.replace(/^secret:/m, "name:"),
      text.replace(/^proxy: (.*)3128$/m, "proxy: $1port"),
      text.replace(/^proxy: http/m, "proxy: ftp"),
    ];
    const file = join(cluster.lab.folder, "broken.yaml");
    for (const wrong of broken) {
      expect(wrong).not.toBe(text);
      writeFileSync(file, wrong, { mode: 0o600 });
      const told = await weft(a, ["config", "check"], file);
      expect(told.status).toBe(5);
      expect(told.stderr).toMatch(/broken\.yaml/);
      expectClean(`the refusal of ${wrong}`, told.stdout + told.stderr);
    }
  });

  describe("files", () => {
    it("are made for their owner alone", () => {
      expect(modeOf(identityFile(stateOf(a)))).toBe(0o600);
      expect(modeOf(stateOf(a))).toBe(0o700);
    });

    it.for(WIDE_MODES)("wider than 0600 are refused: %o", async (mode) => {
      const text = mode.toString(8).padStart(4, "0");
      const file = join(cluster.lab.folder, "wide.yaml");
      copyFileSync(cluster.file, file);
      chmodSync(file, mode);
      expectRefused(await weft(a, ["up", "--foreground"], file), `mode ${text}: run chmod 600`);

      const key = join(cluster.lab.folder, "wide.key");
      const secret = /^secret: (.*)$/m.exec(readFileSync(cluster.file, "utf8"))?.[1] ?? "";
      writeFileSync(key, secret);
      chmodSync(key, mode);
      writeFileSync(file, `name: kernel\nsecret_file: ${key}\n`);
      chmodSync(file, 0o600);
      expectRefused(await weft(a, ["up", "--foreground"], file), `mode ${text}: run chmod 600`);

      await b.stop();
      chmodSync(identityFile(stateOf(b)), mode);
      expectRefused(await weft(b, ["up", "--foreground"]), `mode ${text}: run chmod 600`);
      chmodSync(identityFile(stateOf(b)), 0o600);
    });
  });

  describe("the control socket", () => {
    it("is closed to other users, by its mode and by its folder", async () => {
      const socket = join(a.site.folder, "run", "kernel.sock");
      expect(modeOf(socket)).toBe(0o660);
      expect([0o700, 0o750]).toContain(modeOf(dirname(socket)));
      const told = await a.site.finish([...STRANGER, process.execPath, CLI, ...statusWords(a)]);
      expect(told.status).not.toBe(0);
      expect(told.stdout).toBe("");
      // Its own mode holds, too, where somebody opened the folders.
      const folders = [dirname(socket), a.site.folder, cluster.lab.folder];
      const modes = folders.map(modeOf);
      for (const folder of folders) chmodSync(folder, 0o755);
      const curl = ["curl", "-s", "--unix-socket", socket, "http://weft/"];
      const refused = await a.site.finish([...STRANGER, ...curl]);
      for (const [i, folder] of folders.entries()) chmodSync(folder, modes[i] ?? 0o700);
      // 7 = CURLE_COULDNT_CONNECT; as root the same question is answered with an error line.
      expect(refused.status).toBe(7);
      expect((await a.site.finish(curl)).status).not.toBe(7);
    });
  });

  function expectRefused(told: Finished, text: string): void {
    expect(told.status).toBe(5);
    expect(told.stderr).toContain(text);
    expect(told.stderr.split("\n")).toHaveLength(2);
    expectClean("the refusal", told.stdout + told.stderr);
  }
});

interface Needle {
  readonly name: string;
  readonly bytes: Buffer;
}

/** The network key, each node's seed and the proxy's password, in every form that text takes. */
function needlesOf(cluster: Cluster): Needle[] {
  const text = readFileSync(cluster.file, "utf8");
  const key = Buffer.from(/^secret: (.*)$/m.exec(text)?.[1] ?? "", "base64");
  expect(key).toHaveLength(32);
  const seeds = cluster.agents.flatMap((agent) => {
    const seed = parseIdentity(readFileSync(identityFile(stateOf(agent)), "latin1"));
    return seed === undefined ? [] : formsOf(`the seed of ${agent.name}`, Buffer.from(seed));
  });
  expect(seeds).not.toHaveLength(0);
  const word = Buffer.from(PROXY_WORD);
  return [...formsOf("the network key", key), ...seeds, ...formsOf("the proxy's password", word)];
}

/** Raw, hex, and base64 at each of its three alignments (a token holds the key behind a head). */
function formsOf(name: string, secret: Buffer): Needle[] {
  const hex = secret.toString("hex");
  const words = [hex, hex.toUpperCase()];
  for (const shift of [0, 1, 2]) {
    const shifted = Buffer.concat([Buffer.alloc(shift), secret]);
    for (const alphabet of ["base64", "base64url"] as const) {
      // The first and the last characters hold bits of the neighbours as well.
      const inner = shifted.toString(alphabet).replace(/=+$/, "");
      words.push(inner.slice(shift === 0 ? 0 : 4, -2));
    }
  }
  return [{ name, bytes: secret }, ...words.map((word) => ({ name, bytes: Buffer.from(word) }))];
}

/** What anybody may read of a process (argv), and what its owner may (environment). */
function processes(): { name: string; text: string }[] {
  const ids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return ids.flatMap((id) =>
    ["cmdline", "environ"].map((part) => ({ name: `/proc/${id}/${part}`, text: read(id, part) })),
  );
}

/** Processes come and go. */
function read(id: string, part: string): string {
  try {
    return readFileSync(`/proc/${id}/${part}`, "latin1");
  } catch {
    return "";
  }
}

function stateOf(agent: Agent): string {
  const folder = join(agent.site.folder, "state");
  const network = readdirSync(folder).find((name) => existsSync(identityFile(join(folder, name))));
  return join(folder, network ?? "kernel");
}

function modeOf(path: string): number {
  return statSync(path).mode & 0o777;
}

/** With a cluster file of the test's own, and the folders of that agent. */
function weft(agent: Agent, words: readonly string[], file = agent.clusterFile): Promise<Finished> {
  const places = ["--state-dir", "--run-dir"].map(
    (flag) => `${flag}=${join(agent.site.folder, flag === "--run-dir" ? "run" : "state")}`,
  );
  const argv = [process.execPath, CLI, ...words, `--config=${file}`, ...places];
  return agent.site.finish(argv);
}

function statusWords(agent: Agent): string[] {
  return ["status", `--config=${agent.clusterFile}`, `--run-dir=${join(agent.site.folder, "run")}`];
}
