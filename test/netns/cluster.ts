/** What the kernel tests share: a lab with one agent a site, and the questions asked of it. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Agent, type AgentOptions } from "../../lab/agent.ts";
import { Lab, type Site } from "../../lab/lab.ts";
import { eventually, type Running } from "../../lab/shell.ts";
import { generateNetworkKey } from "../../src/agent/network-key.ts";
import {
  type Reason,
  requireCommand,
  requireFile,
  requireRoot,
  requireTun,
} from "../support/requires.ts";

export const TAP = "weft-kernel";
/** A private range that no test machine's underlay uses: everything is in namespaces anyway. */
export const RANGE = "10.86.0.0/16";

/** What every kernel test needs; the namespaces cannot be made otherwise. */
export function kernelNeeds(...commands: readonly string[]): readonly Reason[] {
  return [
    requireRoot(),
    requireTun(),
    requireFile("dist/src/cli/main.js"),
    requireFile("build/Release/weft.node"),
    requireCommand("ip", "nft", "ping", ...commands),
  ];
}

export interface ClusterOptions extends AgentOptions {
  /** default `kernel` */
  readonly name?: string;
  readonly range?: string;
  /** `20s` and more; default 1h */
  readonly lease?: string;
  /** How many of the first sites are bootstrap endpoints; default 1. */
  readonly bootstraps?: number;
  /** More lines of YAML. */
  readonly extra?: string;
}

export class Cluster {
  readonly lab: Lab;
  readonly file: string;
  readonly agents: Agent[] = [];
  readonly #options: ClusterOptions;

  private constructor(lab: Lab, options: ClusterOptions) {
    this.lab = lab;
    this.#options = options;
    this.file = join(lab.folder, "kernel.yaml");
  }

  /** The lab and the cluster file; no site yet. */
  static async create(name: string, options: ClusterOptions = {}): Promise<Cluster> {
    const lab = await Lab.create(`${name}-${process.env["WEFT_KERNEL_RUN"] ?? "alone"}`);
    const cluster = new Cluster(lab, options);
    writeClusterFile(cluster.file, options);
    return cluster;
  }

  /** Lab, file, sites and running agents; removes everything again when one of them fails. */
  static async start(
    name: string,
    sites: readonly string[],
    options: ClusterOptions = {},
  ): Promise<Cluster> {
    const cluster = await Cluster.create(name, options);
    try {
      for (const site of sites) await cluster.addAgent(site);
      await cluster.startAll();
    } catch (error) {
      await cluster.remove();
      throw error;
    }
    return cluster;
  }

  async addAgent(name: string, options: AgentOptions = this.#options): Promise<Agent> {
    return this.addAgentAt(await this.lab.addSite(name), options);
  }

  /** At a site that was made before, e.g. behind a NAT. */
  addAgentAt(site: Site, options: AgentOptions = this.#options): Agent {
    const agent = new Agent(site, this.file, options);
    this.agents.push(agent);
    return agent;
  }

  async startAll(): Promise<void> {
    for (const agent of this.agents) {
      agent.start();
      if (this.#options.flags?.includes("dhcp") === true) await ringed(agent);
      else await agent.online();
    }
    await this.settled();
  }

  agent(name: string): Agent {
    const found = this.agents.find((agent) => agent.name === name);
    if (found === undefined) throw new Error(`no agent ${name}`);
    return found;
  }

  /** Its virtual address now. */
  async ip(name: string): Promise<string> {
    const ip = (await this.agent(name).status())?.lease?.ip;
    if (ip === undefined) throw new Error(`${name} has no lease`);
    return ip;
  }

  /** Every running agent says that its ring is closed and all near links are usable. */
  async settled(limitMs = 30_000): Promise<void> {
    const running = this.agents.filter((agent) => agent.isRunning);
    await eventually("the ring is closed", () => allSettled(running), limitMs, 200);
  }

  remove(): Promise<void> {
    return this.lab.remove();
  }
}

/** Sites are numbered in the order they are added, and so are their underlay addresses. */
export function writeClusterFile(file: string, options: ClusterOptions = {}): void {
  const first = Array.from({ length: options.bootstraps ?? 1 }, (_, i) => underlayEndpoint(i + 1));
  const text = `name: ${options.name ?? "kernel"}
secret: ${generateNetworkKey()}
bootstrap: [${first.join(", ")}]
interface: ${TAP}
range: ${options.range ?? RANGE}
lease: ${options.lease ?? "1h"}
${options.extra ?? ""}
`;
  writeFileSync(file, text, { mode: 0o600 });
}

function underlayEndpoint(site: number): string {
  return `198.51.100.${site}:7117`;
}

async function ringed(agent: Agent): Promise<void> {
  const isOnline = async () => (await agent.status())?.state === "online";
  await agent.explain(() => eventually(`${agent.name} is online`, isOnline, 20_000));
}

async function allSettled(agents: readonly Agent[]): Promise<boolean> {
  const all = await Promise.all(agents.map((agent) => agent.status()));
  return all.every((status) => {
    if (status === undefined || !status.ring.stable) return false;
    const { predecessors, successors } = status.ring;
    const near = new Set([...predecessors, ...successors]);
    return near.size >= Math.min(agents.length - 1, 2);
  });
}

export interface PingReport {
  readonly sent: number;
  readonly received: number;
  /** icmp_seq of each answer, in order of arrival. */
  readonly answered: readonly number[];
  /** icmp_seq without answer; the newest one may still have been on its way and does not count. */
  readonly lost: readonly number[];
}

/** What `ping -n` printed. */
export function readPing(output: string): PingReport {
  const summary = /(\d+) packets transmitted, (\d+) received/.exec(output);
  const answered = [...output.matchAll(/icmp_seq=(\d+) ttl=/g)].map((match) => Number(match[1]));
  const sent = Number(summary?.[1] ?? 0);
  const seen = new Set(answered);
  const lost = Array.from({ length: Math.max(0, sent - 1) }, (_, i) => i + 1).filter(
    (sequence) => !seen.has(sequence),
  );
  return { sent, received: Number(summary?.[2] ?? 0), answered, lost };
}

/** A ping that runs while something else happens; the report comes when it is ended. */
export class LongPing {
  readonly #running: Running;

  /** @param everySeconds 0.1 means ten a second */
  constructor(from: Agent, ip: string, everySeconds = 0.1) {
    const interval = ["-i", `${everySeconds}`];
    this.#running = from.site.start(["ping", "-n", ...interval, ip]);
  }

  async answering(limitMs = 10_000): Promise<void> {
    const seen = async () => this.#running.output.includes("icmp_seq=1 ");
    await eventually("the first ping is answered", seen, limitMs, 20);
  }

  async end(): Promise<PingReport> {
    await this.#running.stop("SIGINT");
    return readPing(this.#running.output);
  }
}

/** One ping. True when it was answered within a second. */
export async function reaches(from: Agent, ip: string): Promise<boolean> {
  const ping = ["ping", "-n", "-c", "1", "-W", "1", ip];
  return (await from.site.finish(ping)).status === 0;
}

/** A measured value people want to see; tests assert generous bounds only. */
/** What is promised on a quiet machine (WEFT_ATTACK=full); beside other work it may take four times as long. */
export function within(ms: number): number {
  return process.env["WEFT_ATTACK"] === "full" ? ms : 4 * ms;
}

export function figure(text: string): void {
  console.log(`figure: ${text}`);
}

export function secondsSince(startedMs: number): string {
  return `${((performance.now() - startedMs) / 1000).toFixed(2)} s`;
}
