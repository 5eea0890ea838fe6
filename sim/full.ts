/**
 * The simulator's whole count, one worker thread for each core: every join order of small rings, seeded
 * orders of larger ones, and seeds of churn. `npm run test:sim`; prints every broken run as it is found.
 *
 *      main: list of jobs --one at a time--> worker: plays it --words of its failure--> main
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { isMainThread, parentPort, Worker } from "node:worker_threads";
import { explainFailure, explainThrow, headOf, type Run } from "./scenario.ts";
import { runChurn } from "./scenarios/churn.ts";
import { joinOrders, placesOf, runJoins, sampledOrders } from "./scenarios/joins.ts";

const USAGE = `usage: npm run test:sim -- [--out FOLDER] [churn [A-B] | orders [A-B]]
  churn 1-50   these seeds; orders 8   rings of this size; without: everything
  --out        every broken run's whole explanation becomes a file of FOLDER`;

/** Every order of a ring up to this size, up to rotation and reflection. */
const EXHAUSTIVE_UP_TO = 7;
const LARGEST_SAMPLED = 12;
const ORDERS_PER_SIZE = 500;
const CHURN_SEEDS = 300;
/** Messages die young: a fifth of the time goes when they die before anybody copies them. */
const YOUNG_GENERATION_MB = 192;
const PROGRESS_EVERY_MS = 30_000;

interface Job {
  readonly scenario: "churn" | "joins";
  readonly group: string;
  /** Of joins; empty for churn. */
  readonly order: readonly number[];
  readonly seed: number;
}

/** What a job's run broke, in words; empty when nothing. */
type Verdict = string;

interface Span {
  readonly first: number;
  readonly last: number;
}

function* jobsOf(part: string | undefined, span: Span): Generator<Job> {
  if (part !== "orders") yield* churnJobs(span);
  if (part !== "churn") yield* orderJobs(span);
}

function* churnJobs({ first, last }: Span): Generator<Job> {
  for (let seed = Math.max(1, first); seed <= Math.min(CHURN_SEEDS, last); seed++) {
    yield { scenario: "churn", group: "churn", order: [], seed };
  }
}

function* orderJobs({ first, last }: Span): Generator<Job> {
  for (let n = Math.max(1, first); n <= Math.min(LARGEST_SAMPLED, last); n++) {
    if (n <= EXHAUSTIVE_UP_TO) yield* allOrders(n);
    else yield* someOrders(n);
  }
}

function* allOrders(n: number): Generator<Job> {
  const seed = 1_000 + n;
  const places = placesOf(n, seed);
  for (const order of joinOrders(n)) {
    const hosts = order.map((place) => places[place] ?? 0);
    yield { scenario: "joins", group: `all orders of ${n}`, order: hosts, seed };
  }
}

function* someOrders(n: number): Generator<Job> {
  const group = `${ORDERS_PER_SIZE} orders of ${n}`;
  for (const { order, seed } of sampledOrders(n, ORDERS_PER_SIZE)) {
    yield { scenario: "joins", group, order, seed };
  }
}

function play(job: Job): Verdict {
  try {
    const run = playRun(job);
    return run.failures.length === 0 ? "" : explainFailure(job.scenario, parametersOf(job), run);
  } catch (error) {
    return explainThrow(job.scenario, parametersOf(job), error);
  }
}

function playRun(job: Job): Run {
  return job.scenario === "churn" ? runChurn(job.seed) : runJoins(job.order, job.seed);
}

function parametersOf(job: Job): string {
  return job.scenario === "churn" ? `${job.seed}` : `${job.order.join(",")} ${job.seed}`;
}

class Tally {
  readonly #groups = new Map<string, { played: number; broken: number }>();
  readonly #folder: string | undefined;
  readonly #startedAt = Date.now();

  /** @param folder where whole explanations go */
  constructor(folder: string | undefined) {
    this.#folder = folder;
  }

  add(job: Job, words: Verdict): void {
    const group = this.#groups.get(job.group) ?? { played: 0, broken: 0 };
    this.#groups.set(job.group, group);
    group.played++;
    if (words === "") return;
    group.broken++;
    console.error(headOf(words));
    if (this.#folder === undefined) return;
    mkdirSync(this.#folder, { recursive: true });
    const name = `${job.scenario}-${parametersOf(job).replace(/[ ,]/g, "-")}.txt`;
    writeFileSync(join(this.#folder, name), `${words}\n`);
  }

  line(): string {
    const minutes = ((Date.now() - this.#startedAt) / 60_000).toFixed(1);
    return `${minutes} min: ${this.#sum("played")} runs played, ${this.#sum("broken")} broken`;
  }

  /** @returns the process's exit code */
  finish(): number {
    for (const [name, { played, broken }] of this.#groups) {
      console.log(`${name}: ${played} played, ${broken} broken`);
    }
    console.log(this.line());
    return this.#sum("broken") === 0 ? 0 : 1;
  }

  #sum(what: "played" | "broken"): number {
    return [...this.#groups.values()].reduce((sum, group) => sum + group[what], 0);
  }
}

/** A worker thread; one that dies is that run's failure, and another one takes its place. */
class Player {
  #worker = startWorker();

  play(job: Job): Promise<Verdict> {
    return new Promise((resolve) => {
      this.#worker.removeAllListeners();
      this.#worker.once("message", resolve);
      this.#worker.once("error", (error) => {
        this.#worker = startWorker();
        resolve(explainThrow(job.scenario, parametersOf(job), error));
      });
      this.#worker.postMessage(job);
    });
  }

  async end(): Promise<void> {
    await this.#worker.terminate();
  }
}

function startWorker(): Worker {
  const resourceLimits = { maxYoungGenerationSizeMb: YOUNG_GENERATION_MB };
  return new Worker(fileURLToPath(import.meta.url), { resourceLimits });
}

/** Several of these share `jobs`. */
async function playAll(jobs: Iterable<Job>, tally: Tally): Promise<void> {
  const player = new Player();
  for (const job of jobs) tally.add(job, await player.play(job));
  await player.end();
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    options: { out: { type: "string" } },
    allowPositionals: true,
  });
  const [part, text] = positionals;
  const span = parseSpan(text);
  if (span === undefined || (part !== undefined && part !== "churn" && part !== "orders")) {
    console.error(USAGE);
    return 2;
  }
  const tally = new Tally(values.out);
  const progress = setInterval(() => console.log(tally.line()), PROGRESS_EVERY_MS);
  const jobs = jobsOf(part, span);
  await Promise.all(Array.from({ length: availableParallelism() }, () => playAll(jobs, tally)));
  clearInterval(progress);
  return tally.finish();
}

/** `7` or `1-50`; nothing is everything. */
function parseSpan(text: string | undefined): Span | undefined {
  if (text === undefined) return { first: 1, last: Number.POSITIVE_INFINITY };
  const match = /^(\d+)(?:-(\d+))?$/.exec(text);
  if (match === null) return undefined;
  return { first: Number(match[1]), last: Number(match[2] ?? match[1]) };
}

function serve(port: NonNullable<typeof parentPort>): void {
  port.on("message", (job: Job) => port.postMessage(play(job)));
}

if (isMainThread) process.exitCode = await main();
else if (parentPort !== null) serve(parentPort);
