/**
 * `npm run demo`: three sites, two of them behind home routers, one Ethernet, no server. Everything
 * happens in network namespaces that are made here and removed again, also on Ctrl-C or failure.
 */
import { createHash, randomBytes } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Agent } from "../lab/agent.ts";
import { Lab, type Site } from "../lab/lab.ts";
import { NatBox } from "../lab/nat-box.ts";
import { eventually, run } from "../lab/shell.ts";
import { Screen } from "./screen.ts";

/** On the internet itself; the others are behind NATs. */
const PUBLIC_SITE = "oslo";
const HOMES = ["lima", "pune"] as const;
const RANGE = "10.44.0.0/24";
const FILE_BYTES = 8 * 1024 * 1024;
const IPERF_SECONDS = 3;
const screen = new Screen(9);

async function main(): Promise<void> {
  requireMachine();
  const lab = await Lab.create("demo");
  const stop = () => void lab.remove().then(() => process.exit(130));
  process.once("SIGINT", stop);
  process.once("SIGTERM", stop);
  try {
    await play(lab);
  } finally {
    process.removeListener("SIGINT", stop);
    process.removeListener("SIGTERM", stop);
    await lab.remove();
  }
  farewell();
}

function requireMachine(): void {
  if (process.getuid?.() !== 0) {
    throw new Error("the demo makes network namespaces, which needs root: sudo npm run demo");
  }
  if (!existsSync("/dev/net/tun")) {
    throw new Error("there is no /dev/net/tun: load the module (modprobe tun) and try again");
  }
}

async function play(lab: Lab): Promise<void> {
  const { agents, slowRouter } = await makeSites(lab);
  const addresses = await joinAll(agents);
  await showNetwork(agents);
  await becomeDirect(agents, addresses, slowRouter);
  await pingPairs(agents, addresses);
  await moveFile(agents, addresses);
  await measure(agents, addresses);
  await killOne(agents, addresses);
  screen.step("removing everything: agents, interfaces, namespaces, files");
}

interface Sites {
  readonly agents: readonly Agent[];
  /** The router of the last site, which at first lets no packet pass between the homes. */
  readonly slowRouter: NatBox;
}

async function makeSites(lab: Lab): Promise<Sites> {
  screen.step("three sites on a bridge that plays the internet, one cluster file");
  await lab.dropMulticast();
  const first = await lab.addSite(PUBLIC_SITE);
  const routers: NatBox[] = [];
  const sites: Site[] = [first];
  for (const name of HOMES) {
    const router = await NatBox.create(lab, `${name}-router`, { kind: "portrestricted" });
    routers.push(router);
    sites.push(await router.addSite(name));
  }
  const file = join(lab.folder, "cluster.yaml");
  const init = ["init", "demo", "--out", file, "--range", RANGE, "--bootstrap", `${first.ip}:7117`];
  await run([process.execPath, cliPath(), ...init]);
  const redacted = readFileSync(file, "utf8").replace(/^secret: .*$/m, "secret: (32 random bytes)");
  screen.show("cat cluster.yaml", redacted.replace(/^#.*\n/gm, ""));
  screen.say(`${first.name.padEnd(6)} has the public address ${first.ip}`);
  for (const [i, router] of routers.entries()) {
    const { name, ip } = sites[i + 1] ?? first;
    screen.say(
      `${name.padEnd(6)} has ${ip} behind a router (port-restricted NAT) at ${router.outside}`,
    );
  }
  const slowRouter = routers.at(-1);
  if (slowRouter === undefined) throw new Error("no router");
  await slowRouter.addRules(holdBack(first.ip));
  return { agents: sites.map((site) => new Agent(site, file)), slowRouter };
}

/** Until it is deleted, only the public site is reached by UDP. */
function holdBack(publicIp: string): string {
  return `table ip slow {
  chain forward {
    type filter hook forward priority filter - 1; policy accept;
    meta l4proto udp ip daddr != ${publicIp} ip saddr != ${publicIp} drop
  }
}
`;
}

function cliPath(): string {
  return new URL("../src/cli/main.js", import.meta.url).pathname;
}

async function joinAll(agents: readonly Agent[]): Promise<string[]> {
  screen.step("one agent at each site; they find each other and lease their addresses");
  const addresses: string[] = [];
  for (const agent of agents) {
    const started = performance.now();
    agent.start();
    const ip = await agent.online();
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    screen.say(`${agent.name.padEnd(6)} leased ${ip} ${seconds} s after its start`);
    addresses.push(ip);
  }
  await eventually("the ring is closed", () => everyoneLinked(agents), 20_000);
  return addresses;
}

async function everyoneLinked(agents: readonly Agent[]): Promise<boolean> {
  const all = await Promise.all(agents.map((agent) => agent.status()));
  return all.every((status) => {
    const usable = status?.peers.filter((peer) => peer.link !== "connecting") ?? [];
    return status?.ring.stable === true && usable.length === agents.length - 1;
  });
}

async function showNetwork(agents: readonly Agent[]): Promise<void> {
  screen.step("what each of them knows");
  const [first] = agents;
  if (first === undefined) return;
  for (const verb of ["status", "lease list", "ring", "peers"]) {
    const { status, stdout, stderr } = await first.weft(...verb.split(" "));
    if (status !== 0) throw new Error(`weft ${verb}: exit ${status}: ${stderr.trim()}`);
    screen.show(`weft ${verb}`, stdout);
  }
}

async function becomeDirect(
  agents: readonly Agent[],
  addresses: readonly string[],
  slowRouter: NatBox,
): Promise<void> {
  const [, from, to] = agents;
  if (from === undefined || to === undefined) return;
  screen.step(`${from.name} and ${to.name}: first over ${PUBLIC_SITE}, then directly`);
  screen.say(
    `Routers usually open before you could look, so this demo slows ${to.name}'s down: it`,
  );
  screen.say(`dropped every UDP packet but those of ${PUBLIC_SITE}. All the same they talk:`);
  const ping = from.site.start(["ping", "-n", "-i", "0.1", addresses[2] ?? ""]);
  await eventually("an answer", async () => ping.output.includes("icmp_seq=1 "), 10_000, 20);
  await showLink(from, to, "relay");
  await slowRouter.addRules("delete table ip slow\n");
  const started = performance.now();
  screen.say("Now the router works as it should.");
  await showLink(from, to, "direct");
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  await ping.stop("SIGINT");
  const [loss = ""] = /\d+ packets transmitted.*loss/.exec(ping.output) ?? [];
  screen.say(`direct after ${seconds} s; a ping every 0.1 s meanwhile: ${loss}`);
  if (!loss.includes(" 0% packet loss")) throw new Error("the change of path lost pings");
}

/** Waits for the link, then prints its row as `weft peers` does. */
async function showLink(from: Agent, to: Agent, link: "relay" | "direct"): Promise<void> {
  const isThere = async () =>
    (await from.status())?.peers.find((peer) => peer.name === to.name)?.link === link;
  await eventually(`${from.name} reaches ${to.name}: ${link}`, isThere, 90_000, 50);
  const rows = (await from.weft("peers")).stdout.split("\n");
  const shown = rows.filter((row, i) => i === 0 || row.startsWith(`${to.name} `));
  screen.show("weft peers", shown.join("\n"));
}

async function pingPairs(agents: readonly Agent[], addresses: readonly string[]): Promise<void> {
  screen.step("every pair pings over the virtual Ethernet, from the very first packet");
  const lines = agents.flatMap((from) =>
    agents.flatMap((to, i) => (to === from ? [] : [pingPair(from, to, addresses[i] ?? "")])),
  );
  for (const line of await Promise.all(lines)) screen.say(line);
}

async function pingPair(from: Agent, to: Agent, ip: string): Promise<string> {
  const report = await from.site.run(["ping", "-n", "-c", "20", "-i", "0.2", ip]);
  const [loss = ""] = /\d+ packets transmitted.*loss/.exec(report) ?? [];
  const [rtt = ""] = /[\d.]+\/[\d.]+\/[\d.]+\/[\d.]+ ms/.exec(report) ?? [];
  if (!loss.includes(" 0% packet loss")) throw new Error(`${from.name} lost pings to ${to.name}`);
  return `${from.name.padEnd(6)} -> ${to.name.padEnd(6)} ${loss}, min/avg/max/mdev ${rtt}`;
}

async function moveFile(agents: readonly Agent[], addresses: readonly string[]): Promise<void> {
  screen.step("a file crosses and is the same");
  const [from, to] = agents;
  if (from === undefined || to === undefined) return;
  const [sent, received] = [join(from.site.folder, "sent"), join(to.site.folder, "received")];
  writeFileSync(sent, randomBytes(FILE_BYTES));
  const receiver = to.site.start([process.execPath, "-e", RECEIVE, addresses[1] ?? "", received]);
  await eventually("the receiver listens", async () => receiver.output.includes("ready"), 10_000);
  await from.site.run([process.execPath, "-e", SEND, addresses[1] ?? "", sent]);
  await receiver.exited;
  const [a, b] = [hashOf(sent), hashOf(received)];
  screen.say(
    `${FILE_BYTES / 1024 / 1024} MiB, sha256 ${a.slice(0, 16)} sent, ${b.slice(0, 16)} received`,
  );
  if (a !== b) throw new Error("the file changed on its way");
}

/** A listener on the virtual address that writes what it gets to a file. */
const RECEIVE = `
const [ip, path] = process.argv.slice(1);
const server = require("net").createServer((socket) => {
  socket.pipe(require("fs").createWriteStream(path)).on("finish", () => server.close());
}).listen(9000, ip, () => console.log("ready"));`;

const SEND = `
const [ip, path] = process.argv.slice(1);
require("fs").createReadStream(path).pipe(require("net").connect(9000, ip));`;

function hashOf(path: string): string {
  return createHash("sha256").update(readFileSync(path)).digest("hex");
}

async function measure(agents: readonly Agent[], addresses: readonly string[]): Promise<void> {
  screen.step("how fast: iperf3, one TCP stream, default MTU");
  const [from, to] = agents;
  if (from === undefined || to === undefined) return;
  const server = to.site.start(["iperf3", "-s", "-1", "-B", addresses[1] ?? ""]);
  await eventually(
    "iperf3 listens",
    async () => {
      const { stdout } = await to.site.finish(["ss", "-tln"]);
      return stdout.includes(":5201");
    },
    10_000,
  );
  const client = ["iperf3", "-J", "-c", addresses[1] ?? "", "-t", `${IPERF_SECONDS}`];
  const report = JSON.parse(await from.site.run(client)) as IperfReport;
  await server.exited;
  const gbps = (report.end.sum_received.bits_per_second / 1e9).toFixed(2);
  screen.say(
    `${from.name} -> ${to.name}: ${gbps} Gbit/s, both ends and both agents on this machine`,
  );
}

interface IperfReport {
  readonly end: { readonly sum_received: { readonly bits_per_second: number } };
}

async function killOne(agents: readonly Agent[], addresses: readonly string[]): Promise<void> {
  const [first, second, victim] = agents;
  if (first === undefined || second === undefined || victim === undefined) return;
  screen.step(`kill -9 of the agent at ${victim.name}: the others go on, it comes back`);
  const ping = first.site.start(["ping", "-n", "-i", "0.1", "-c", "60", addresses[1] ?? ""]);
  victim.kill("SIGKILL");
  await victim.exited();
  const started = performance.now();
  victim.start();
  const ip = await victim.online();
  await eventually(
    "it carries traffic again",
    async () => {
      const reply = await first.site.finish(["ping", "-n", "-c", "1", "-W", "1", ip]);
      return reply.status === 0;
    },
    20_000,
  );
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  screen.say(`${victim.name} is back after ${seconds} s with ${ip} (before: ${addresses[2]})`);
  await ping.exited;
  const [loss = ""] = /\d+ packets transmitted.*loss/.exec(ping.output) ?? [];
  screen.say(`meanwhile ${first.name} -> ${second.name}: ${loss}`);
  if (ip !== addresses[2]) throw new Error(`${victim.name} came back with another address`);
}

function farewell(): void {
  console.log(`
Two real machines, each with a checkout that \`sh scripts/setup.sh demo\` made ready; on both first
    alias weft="node ${cliPath()}"
    on the first     weft init lab && weft up lab
    on the other     the line that it printed: weft join TOKEN
then ping the address that \`weft ip\` prints on the other one.`);
}

main().catch((error: unknown) => {
  console.error(`demo: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
});
