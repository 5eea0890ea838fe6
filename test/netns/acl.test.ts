import { afterAll, beforeAll, expect, it } from "vitest";
import type { Agent } from "../../lab/agent.ts";
import { eventually } from "../../lab/shell.ts";
import { describeWhere } from "../support/requires.ts";
import { Cluster, figure, kernelNeeds, reaches } from "./cluster.ts";

const TITLE = "acl: default deny and one rule";
const OPEN = 5_201;
const CLOSED = 5_300;
const ACL = `acl:
  default: deny
  rules:
    - allow from clients to b tcp ${OPEN}
nodes:
  a: {groups: clients}
  b: {}
`;

/** Answers whoever connects, on each port given. */
const SERVE = `
const ports = process.argv.slice(1).map(Number);
for (const port of ports) {
  require("net").createServer((socket) => {
    socket.on("error", () => {});
    socket.end("hello");
  }).listen(port, () => console.log("listens on " + port));
}
`;
/** What becomes of a connection: an answer, a refusal, or silence for two seconds. */
const ASK = `
const [ip, port] = process.argv.slice(1);
const socket = require("net").connect({ host: ip, port: Number(port) });
const end = (said) => { console.log(said); process.exit(0); };
socket.on("data", () => end("answered"));
socket.on("error", (error) => end(error.code));
setTimeout(() => end("silent"), 2_000);
`;
/** A connection that says something each 100 ms and hears it back. */
const ECHO = `
require("net").createServer((socket) => {
  socket.on("error", () => {});
  socket.pipe(socket);
}).listen(${OPEN}, () => console.log("listens on ${OPEN}"));
`;
const CHAT = `
const socket = require("net").connect({ host: process.argv[1], port: ${OPEN} });
let heard = 0;
setInterval(() => socket.write("x"), 100);
socket.on("data", (part) => console.log("heard " + (heard += part.length)));
socket.on("error", (error) => console.log("lost " + error.code));
`;

describeWhere(TITLE, kernelNeeds("iperf3"), () => {
  let cluster: Cluster;
  let [a, b]: (Agent | undefined)[] = [];
  const ips = { a: "", b: "" };
  const at = (agent: Agent | undefined): Agent => {
    if (agent === undefined) throw new Error("no agent");
    return agent;
  };

  beforeAll(async () => {
    cluster = await Cluster.start("acl", ["a", "b"], { extra: ACL });
    [a, b] = [cluster.agent("a"), cluster.agent("b")];
    ips.a = await cluster.ip("a");
    ips.b = await cluster.ip("b");
  });
  afterAll(() => cluster?.remove());

  const node = (script: string, ...args: (string | number)[]): string[] => [
    process.execPath,
    "-e",
    script,
    ...args.map(String),
  ];
  const connects = async (from: Agent, ip: string, port: number): Promise<string> =>
    (await from.site.finish(node(ASK, ip, port))).stdout.trim();
  const dropsOf = async (agent: Agent): Promise<number> => (await agent.drops()).get("acl") ?? 0;

  it("the allowed port answers, another one and a ping are silent, and both are counted", async () => {
    const servers = [at(a), at(b)].map((agent) => agent.site.start(node(SERVE, OPEN, CLOSED)));
    const listen = async () => servers.every(({ output }) => output.includes(`${CLOSED}`));
    await eventually("the servers listen", listen, 10_000);
    expect(await connects(at(a), ips.b, OPEN)).toBe("answered");
    const before = await dropsOf(at(b));
    expect(await connects(at(a), ips.b, CLOSED)).toBe("silent");
    const after = await dropsOf(at(b));
    expect(after).toBeGreaterThan(before);
    expect(await reaches(at(a), ips.b)).toBe(false);
    expect(await dropsOf(at(b))).toBeGreaterThan(after);
    // The rule is about who begins.
    expect(await connects(at(b), ips.a, OPEN)).toBe("silent");
    expect(await reaches(at(b), ips.a)).toBe(false);
    expect(await dropsOf(at(a))).toBeGreaterThan(0);
    for (const server of servers) await server.stop();
  });

  it("acl test says the same", async () => {
    const tell = async (...args: string[]) => {
      const { status, stdout } = await at(a).weft("acl", "test", ...args);
      return `${status} ${stdout.trim()}`;
    };
    expect(await tell("a", "b", `${OPEN}`)).toBe(
      `0 allowed by rule 1: allow from clients to b tcp ${OPEN}`,
    );
    expect(await tell("a", "b", `${CLOSED}`)).toMatch(/^1 denied: no rule matches/);
    expect(await tell("b", "a", `${OPEN}`)).toMatch(/^1 denied/);
    expect(await tell("a", "c", "icmp")).toMatch(/^7/);
  });

  it("iperf3 runs both ways over the allowed port", async () => {
    for (const direction of [[], ["-R"]]) {
      const server = at(b).site.start(["iperf3", "-s", "-1", "--forceflush", "-B", ips.b]);
      await eventually("iperf3 listens", async () => server.output.includes("listening"), 10_000);
      const client = ["iperf3", "-c", ips.b, "-t", "2", "-J", ...direction];
      const { stdout } = await at(a).site.finish(client);
      const bits = Number(JSON.parse(stdout).end.sum_received.bits_per_second);
      figure(`iperf3 ${direction.join("")} under access rules: ${Math.round(bits / 1e6)} Mbit/s`);
      expect(bits).toBeGreaterThan(1e6);
    }
  });

  it("a connection of our side outlives a restart of our agent", async () => {
    const server = at(b).site.start(node(ECHO));
    await eventually("it listens", async () => server.output.includes("listens"), 10_000);
    const chat = at(a).site.start(node(CHAT, ips.b));
    const heard = (): number => Number(/heard (\d+)\n*$/.exec(chat.output.trim())?.[1] ?? 0);
    await eventually("they talk", async () => heard() > 5, 10_000);
    at(a).kill("SIGKILL");
    await at(a).exited();
    at(a).start();
    await at(a).online();
    const before = heard();
    await eventually("they talk again", async () => heard() > before + 5, 30_000);
    expect(chat.output).not.toContain("lost");
    await chat.stop();
    await server.stop();
  });
});
