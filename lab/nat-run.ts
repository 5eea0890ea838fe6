/**
 * One measured run of one pair: a public member, two sites where they stand, fresh agents, and a ping
 * from a to b, judged from outside.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { generateNetworkKey } from "../src/agent/network-key.ts";
import { Agent } from "./agent.ts";
import { Lab } from "./lab.ts";
import { type Counts, PairMeter, PING_BYTES } from "./nat-meter.ts";
import { addIpv6, makePair, type PairKinds, type Place } from "./nat-place.ts";
import type { PathClass } from "./nat-theory.ts";
import { addDelay, type CableEnd } from "./path-delay.ts";
import { addFaults, type Faults } from "./path-faults.ts";
import { type ProbeCount, ProbeWatch, type Wire } from "./probe-watch.ts";
import { eventually, type Running } from "./shell.ts";

export interface RunOptions {
  /** Milliseconds of the path from a to b, each way; default 0. */
  readonly delayMs?: number;
  /** b starts this long after a. */
  readonly skewMs?: number;
  readonly guard?: boolean;
  /** On the way of a. */
  readonly faults?: Faults;
  /** More lines of YAML for all three. */
  readonly extra?: string;
  /** Watches at most this long after the first ping; default 10 s. */
  readonly limitMs?: number;
  /** Watches the whole time, also after the path is settled. */
  readonly isWhole?: boolean;
  /** Every packet that one end sends straight to the other is counted beyond its NAT. */
  readonly isProbed?: boolean;
  /** The agents' logs are written here. */
  readonly logs?: string;
}

/** What was seen in one second: by the counters, and by the two agents' own account. */
export interface Sample {
  readonly atMs: number;
  /** `both` while the path changes, `none` when no ping passed. */
  readonly path: PathClass | "both" | "none";
  readonly counts: Counts;
  readonly saidByA: string;
  readonly saidByB: string;
}

export interface PairRun {
  /** From the start of a and b until both have an address. */
  readonly leaseMs: number;
  /** From the start of ping; undefined when nothing came back at all. */
  readonly firstReplyMs: number | undefined;
  readonly samples: readonly Sample[];
  /** By both accounts and for the rest of the run. */
  readonly settled: PathClass | "unsettled";
  /** When the first sample of that rest was taken. */
  readonly settledMs: number;
  readonly sent: number;
  readonly answered: number;
  /** Datagrams to others than the member while the path was not direct: the busiest second, and all. */
  readonly probes: ProbeCount;
  /** With `isProbed`: of the busier end in its busiest second, and of both in all. */
  readonly wire: ProbeCount | undefined;
}

const LIMIT_MS = 10_000;
const SAMPLE_MS = 1_000;
/** Direct for so many samples by all accounts: it will not change any more. */
const SETTLED_SAMPLES = 2;
const PING_SECONDS = 0.1;

let labs = 0;

/** @param gate lets one run at a time start its agents and take its first reply, so that they do not wait for each other */
export async function runPair(
  kinds: PairKinds,
  options: RunOptions = {},
  gate: Gate = new Gate(1),
): Promise<PairRun> {
  const label = `natpair-${process.env["WEFT_KERNEL_RUN"] ?? "alone"}-${++labs}`;
  const lab = await Lab.create(label);
  try {
    const pair = await gate.pass(async () => {
      const made = await Pair.create(lab, kinds, options);
      await made.start();
      return made;
    });
    return await pair.watch();
  } finally {
    await lab.remove();
  }
}

/** Lets a few through at a time. */
export class Gate {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(width: number) {
    this.#free = width;
  }

  async pass<T>(step: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await step();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free++;
      else next();
    }
  }
}

class Pair {
  readonly #member: Agent;
  readonly #a: Agent;
  readonly #b: Agent;
  readonly #meter: PairMeter;
  readonly #options: RunOptions;
  readonly #watches: readonly ProbeWatch[];
  readonly #samples: Sample[] = [];
  #leaseMs = 0;
  #ping: Running | undefined;
  #pingedAt = 0;

  private constructor(
    agents: readonly [Agent, Agent, Agent],
    eyes: { readonly meter: PairMeter; readonly watches: readonly ProbeWatch[] },
    options: RunOptions,
  ) {
    [this.#member, this.#a, this.#b] = agents;
    this.#meter = eyes.meter;
    this.#watches = eyes.watches;
    this.#options = options;
  }

  static async create(lab: Lab, kinds: PairKinds, options: RunOptions): Promise<Pair> {
    const member = await lab.addSite("public");
    await addIpv6(member);
    const { guard, delayMs = 0 } = options;
    const [a, b] = await makePair(lab, kinds, guard === undefined ? {} : { guard });
    await lab.dropMulticast();
    if (delayMs > 0) await delayBetween(lab, a, b, delayMs);
    if (options.faults !== undefined) await addFaults(lab, outermost(a).machine, options.faults);
    const meter = await PairMeter.create(lab, member, [a.site, b.site]);
    const wires = options.isProbed === true ? [wire(a, b), wire(b, a)] : [];
    const watches = await Promise.all(wires.map((one) => ProbeWatch.start(one)));
    const file = join(lab.folder, "pair.yaml");
    writeClusterFile(file, [`${member.ip}:7117`, `"[${member.ip6}]:7117"`], options.extra);
    const agents = [member, a.site, b.site].map((site) => new Agent(site, file));
    return new Pair(agents as [Agent, Agent, Agent], { meter, watches }, options);
  }

  /** Until the first ping is answered, or will not be. */
  async start(): Promise<void> {
    this.#member.start();
    await this.#member.online();
    const started = performance.now();
    this.#a.start();
    await sleep(this.#options.skewMs ?? 0);
    this.#b.start();
    const [, ip] = await Promise.all([this.#a.online(), this.#b.online()]);
    this.#leaseMs = performance.now() - started;
    const ping = ["ping", "-n", "-D", "-i", `${PING_SECONDS}`, "-s", `${PING_BYTES}`, ip];
    this.#pingedAt = Date.now();
    this.#ping = this.#a.site.start(ping);
    const answered = async () => this.#ping?.output.includes(" bytes from ");
    await eventually("an answer", answered, 5_000, 50).catch(() => undefined);
  }

  async watch(): Promise<PairRun> {
    const { limitMs = LIMIT_MS, isWhole = false } = this.#options;
    let before = await this.#meter.read();
    while (Date.now() - this.#pingedAt < limitMs) {
      await sleep(SAMPLE_MS);
      before = await this.#sample(before);
      if (!isWhole && this.#settledSince("direct") >= SETTLED_SAMPLES) break;
    }
    await this.#ping?.stop("SIGINT");
    this.#writeLogs();
    const counts = await Promise.all(this.#watches.map((watch) => watch.end()));
    return this.#report(counts);
  }

  async #sample(before: Counts): Promise<Counts> {
    const [now, saidByA, saidByB] = await Promise.all([
      this.#meter.read(),
      linkTo(this.#a, "b"),
      linkTo(this.#b, "a"),
    ]);
    const counts: Counts = {
      viaPublic: now.viaPublic - before.viaPublic,
      direct: now.direct - before.direct,
      sentByA: now.sentByA - before.sentByA,
      sentByB: now.sentByB - before.sentByB,
    };
    const atMs = Date.now() - this.#pingedAt;
    this.#samples.push({ atMs, path: pathOf(counts), counts, saidByA, saidByB });
    return now;
  }

  /** How many of the newest samples agree on this path. */
  #settledSince(path: PathClass): number {
    const others = this.#samples.findLastIndex(
      (sample) => sample.path !== path || sample.saidByA !== path || sample.saidByB !== path,
    );
    return this.#samples.length - 1 - others;
  }

  #report(counts: readonly ProbeCount[]): PairRun {
    const output = this.#ping?.output ?? "";
    const first = /^\[([\d.]+)\] \d+ bytes from/m.exec(output)?.[1];
    const settled = (["direct", "relay"] as const).find((path) => this.#settledSince(path) > 0);
    const rest = settled === undefined ? 0 : this.#settledSince(settled);
    const [, sent = "0", answered = "0"] =
      /(\d+) packets transmitted, (\d+) received/.exec(output) ?? [];
    return {
      leaseMs: this.#leaseMs,
      firstReplyMs: first === undefined ? undefined : Number(first) * 1000 - this.#pingedAt,
      samples: this.#samples,
      settled: settled ?? "unsettled",
      settledMs: this.#samples.at(-rest)?.atMs ?? 0,
      sent: Number(sent),
      answered: Number(answered),
      probes: this.#probes(),
      wire: counts.length === 0 ? undefined : together(counts),
    };
  }

  #probes(): ProbeCount {
    const searching = this.#samples.filter(({ path }) => path !== "direct");
    const perSite = [
      searching.map(({ counts }) => counts.sentByA),
      searching.map(({ counts }) => counts.sentByB),
    ];
    return {
      perSecond: Math.max(0, ...perSite.flat()),
      total: Math.max(...perSite.map((sent) => sent.reduce((sum, count) => sum + count, 0))),
    };
  }

  #writeLogs(): void {
    const { logs } = this.#options;
    if (logs === undefined) return;
    mkdirSync(logs, { recursive: true });
    for (const agent of [this.#member, this.#a, this.#b]) {
      writeFileSync(join(logs, `${agent.name}.log`), agent.log);
    }
  }
}

function together(counts: readonly ProbeCount[]): ProbeCount {
  return {
    perSecond: Math.max(...counts.map(({ perSecond }) => perSecond)),
    total: counts.reduce((sum, { total }) => sum + total, 0),
  };
}

function wire(from: Place, to: Place): Wire {
  const ip = (place: Place) => outermost(place).machine.ip;
  return { ...outermost(from), from: ip(from), to: ip(to) };
}

function pathOf({ viaPublic, direct }: Counts): Sample["path"] {
  if (direct > 0) return viaPublic > 0 ? "both" : "direct";
  return viaPublic > 0 ? "relay" : "none";
}

async function linkTo(agent: Agent, name: string): Promise<string> {
  const peers = (await agent.status())?.peers ?? [];
  return peers.find((peer) => peer.name === name)?.link ?? "unknown";
}

/** Half of it on each site's cable to the internet. */
async function delayBetween(lab: Lab, a: Place, b: Place, delayMs: number): Promise<void> {
  const ends = new Map([a, b].map((place) => [outermost(place).machine, outermost(place)]));
  for (const end of ends.values()) await addDelay(lab, end, delayMs / 2);
}

function outermost({ site, boxes }: Place): CableEnd {
  const box = boxes.at(-1);
  if (box === undefined) return { machine: site, device: "eth0" };
  return { machine: box.machine, device: "wan" };
}

function writeClusterFile(file: string, bootstrap: readonly string[], extra = ""): void {
  const text = `name: pair
secret: ${generateNetworkKey()}
bootstrap: [${bootstrap.join(", ")}]
interface: weft-pair
range: 10.87.0.0/16
${extra}
`;
  writeFileSync(file, text, { mode: 0o600 });
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
