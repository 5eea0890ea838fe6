/**
 * `npm run bench`: weft beside Debian's wireguard-go and the bare cable, in one run on this machine,
 * because only ratios of one run count. Then what an idle agent costs.
 *
 *      [site a] ==== bridge ==== [site b]      one tunnel at a time, the same measurements
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Agent, CLI } from "../lab/agent.ts";
import { Lab, type Site } from "../lab/lab.ts";
import { eventually, run } from "../lab/shell.ts";

const TCP_SECONDS = 5;
const ROUNDS = 3;
const IDLE_SECONDS = 30;
/** UDP payload on the cable's 1500 bytes: what was measured went through at least so many datagrams. */
const LARGEST_DATAGRAM = 1_472;
const RANGE = "10.45.0.0/24";
/** Kernel ticks per second in /proc/PID/stat. */
const TICKS = 100;

interface Figures {
  readonly tcpGbps: number;
  readonly pingMs: number;
}

async function main(): Promise<void> {
  const lab = await Lab.create("bench");
  try {
    const [a, b] = [await lab.addSite("a"), await lab.addSite("b")];
    const weft: Figures[] = [];
    const wireguard: Figures[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      if (round === 0) report("cable", [await measure(a, b, b.ip)]);
      wireguard.push(await measureWireguard(a, b));
      weft.push(await measureWeft(a, b, lab));
    }
    report("wireguard-go", wireguard);
    report("weft", weft);
    const ratio = median(weft.map((f) => f.tcpGbps)) / median(wireguard.map((f) => f.tcpGbps));
    console.log(`weft / wireguard-go, one TCP stream: ${ratio.toFixed(2)}`);
    const relayed = await measureRelayed(a, b, lab);
    report("over a relay", [relayed]);
    const share = relayed.tcpGbps / median(weft.map((f) => f.tcpGbps));
    console.log(`weft over a relay / direct, one TCP stream: ${share.toFixed(2)}`);
    await measureIdle(a, b, lab);
  } finally {
    await lab.remove();
  }
}

async function measure(from: Site, to: Site, ip: string): Promise<Figures> {
  const server = to.start(["iperf3", "-s", "-1"]);
  await eventually("iperf3 listens", async () => isListening(to), 10_000);
  const client = ["iperf3", "-J", "-c", ip, "-t", `${TCP_SECONDS}`];
  const result = JSON.parse(await from.run(client)) as {
    end: { sum_received: { bits_per_second: number } };
  };
  await server.exited;
  const ping = await from.run(["ping", "-q", "-i", "0.002", "-c", "500", ip]);
  const pingMs = Number(/= [\d.]+\/([\d.]+)\//.exec(ping)?.[1] ?? Number.NaN);
  return { tcpGbps: result.end.sum_received.bits_per_second / 1e9, pingMs };
}

async function isListening(site: Site): Promise<boolean> {
  return (await site.finish(["ss", "-tln"])).stdout.includes(":5201");
}

async function startWeft(a: Site, b: Site, lab: Lab): Promise<[Agent, Agent]> {
  const file = join(lab.folder, "cluster.yaml");
  if (!existsSync(file)) {
    const init = ["init", "bench", "--out", file, "--range", RANGE, "--bootstrap", `${a.ip}:7117`];
    await run([process.execPath, CLI, ...init]);
  }
  const agents: [Agent, Agent] = [new Agent(a, file), new Agent(b, file)];
  for (const agent of agents) agent.start();
  return agents;
}

async function measureWeft(a: Site, b: Site, lab: Lab): Promise<Figures> {
  const agents = await startWeft(a, b, lab);
  await agents[0].online();
  const ip = await agents[1].online();
  await eventually(
    "the pair talks",
    async () => (await a.finish(["ping", "-c1", "-W1", ip])).status === 0,
    10_000,
  );
  const figures = await measure(a, b, ip);
  for (const agent of agents) await agent.weft("down");
  for (const agent of agents) await agent.stop();
  return figures;
}

/** The pair cannot reach each other; a third site carries, without a limit of its own. */
async function measureRelayed(a: Site, b: Site, lab: Lab): Promise<Figures> {
  const relay = new Agent(await lab.addSite("relay"), join(lab.folder, "cluster.yaml"), {
    flags: ["--relay", "members"],
  });
  await lab.block(a, b);
  const agents = await startWeft(a, b, lab);
  relay.start();
  for (const agent of [...agents, relay]) await agent.online();
  const ip = await agents[1].online();
  await eventually("the pair talks over the relay", () => isRelayed(agents[0], ip), 20_000);
  const figures = await measure(a, b, ip);
  const carried = await relayedDatagrams(relay);
  const least = (figures.tcpGbps * 1e9 * TCP_SECONDS) / 8 / LARGEST_DATAGRAM;
  if (carried < least) throw new Error(`the relay carried ${carried} datagrams, not ${least}`);
  for (const agent of [...agents, relay]) await agent.weft("down");
  for (const agent of [...agents, relay]) await agent.stop();
  await lab.unblockAll();
  return figures;
}

async function relayedDatagrams(relay: Agent): Promise<number> {
  const { text } = (await relay.ask("metrics")) as unknown as { readonly text: string };
  return Number(/^weft_relayed_datagrams_total (\d+)$/m.exec(text)?.[1] ?? 0);
}

async function isRelayed(agent: Agent, ip: string): Promise<boolean> {
  await agent.site.finish(["ping", "-c1", "-W1", ip]);
  return (await agent.status())?.peers.some((peer) => peer.link === "relay") === true;
}

async function measureWireguard(a: Site, b: Site): Promise<Figures> {
  const keys = await Promise.all(
    [a, b].map(async (site) => {
      const secret = (await site.run(["wg", "genkey"])).trim();
      const shared = (await site.run(["wg", "pubkey"], { input: secret })).trim();
      return { secret, shared };
    }),
  );
  const daemons = [];
  for (const [i, site] of [a, b].entries()) {
    const [own, peer, other] = [keys[i], keys[1 - i], i === 0 ? b : a];
    daemons.push(site.start(["wireguard-go", "-f", `wg${i}`]));
    await eventually(
      "wireguard-go runs",
      async () => (await site.finish(["wg", "show", `wg${i}`])).status === 0,
      10_000,
    );
    const keyFile = `${site.folder}.key`;
    writeFileSync(keyFile, own?.secret ?? "", { mode: 0o600 });
    const reach = ["endpoint", `${other.ip}:51820`, "allowed-ips", "10.46.0.0/24"];
    await site.run([
      "wg",
      "set",
      `wg${i}`,
      "listen-port",
      "51820",
      "private-key",
      keyFile,
      "peer",
      peer?.shared ?? "",
      ...reach,
    ]);
    await site.run(["ip", "addr", "add", `10.46.0.${i + 1}/24`, "dev", `wg${i}`]);
    await site.run(["ip", "link", "set", `wg${i}`, "up", "mtu", "1420"]);
  }
  const figures = await measure(a, b, "10.46.0.2");
  for (const daemon of daemons) await daemon.stop();
  return figures;
}

async function measureIdle(a: Site, b: Site, lab: Lab): Promise<void> {
  const agents = await startWeft(a, b, lab);
  for (const agent of agents) await agent.online();
  const before = agents.map((agent) => ticksOf(agent.pid));
  await new Promise((resolve) => setTimeout(resolve, IDLE_SECONDS * 1000));
  for (const [i, agent] of agents.entries()) {
    const percent = (100 * (ticksOf(agent.pid) - (before[i] ?? 0))) / TICKS / IDLE_SECONDS;
    console.log(`idle agent: ${percent.toFixed(2)} % CPU, ${rssMegabytes(agent.pid)} MB RSS`);
  }
  for (const agent of agents) await agent.weft("down");
}

function ticksOf(pid: number): number {
  const fields =
    readFileSync(join("/proc", `${pid}`, "stat"), "utf8")
      .split(") ")[1]
      ?.split(" ") ?? [];
  return Number(fields[11]) + Number(fields[12]);
}

function rssMegabytes(pid: number): number {
  const status = readFileSync(join("/proc", `${pid}`, "status"), "utf8");
  return Math.round(Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024);
}

function report(name: string, rounds: readonly Figures[]): void {
  const tcp = rounds.map((figures) => figures.tcpGbps);
  const all = tcp.map((value) => value.toFixed(2)).join(" ");
  const ping = median(rounds.map((figures) => figures.pingMs));
  console.log(
    `${name.padEnd(13)} TCP ${median(tcp).toFixed(2)} Gbit/s (${all}), ping ${ping.toFixed(3)} ms`,
  );
}

function median(values: readonly number[]): number {
  return [...values].sort((x, y) => x - y)[Math.floor(values.length / 2)] ?? Number.NaN;
}

main().catch((error: unknown) => {
  console.error(`bench: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
});
