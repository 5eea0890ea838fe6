/**
 * The simulator's whole count, one worker thread for each core: every join order of small rings, seeded
 * orders of larger ones, and seeds of churn. `npm run test:sim`; prints every broken run as it is found.
 *
 *      main: list of jobs --one at a time--> worker: plays it --words of its failure--> main
 */
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import { isMainThread, parentPort, Worker } from "node:worker_threads";
import { explainFailure, type Run } from "./scenario.ts";
import { runChurn } from "./scenarios/churn.ts";
import { joinOrders, placesOf, runJoins, sampledOrders } from "./scenarios/joins.ts";

/** Every order of a ring up to this size, up to rotation and reflection. */
const EXHAUSTIVE_UP_TO = 7;
const LARGEST_SAMPLED = 12;
const ORDERS_PER_SIZE = 500;
const CHURN_SEEDS = 300;
const PROGRESS_EVERY_MS = 30_000;

type Job =
  | { readonly group: string; readonly order: readonly number[]; readonly seed: number }
  | { readonly group: "churn"; readonly order?: never; readonly seed: number };

/** What a job's run broke, in words; empty when nothing. */
type Verdict = string;

function* allJobs(): Generator<Job> {
  for (let seed = 1; seed <= CHURN_SEEDS; seed++) yield { group: "churn", seed };
  for (let n = 1; n <= EXHAUSTIVE_UP_TO; n++) {
    const seed = 1_000 + n;
    const places = placesOf(n, seed);
    for (const order of joinOrders(n)) {
      yield { group: `all orders of ${n}`, order: order.map((place) => places[place] ?? 0), seed };
    }
  }
  for (let n = EXHAUSTIVE_UP_TO + 1; n <= LARGEST_SAMPLED; n++) {
    for (const { order, seed } of sampledOrders(n, ORDERS_PER_SIZE)) {
      yield { group: `${ORDERS_PER_SIZE} orders of ${n}`, order, seed };
    }
  }
}

function play(job: Job): Verdict {
  if (job.order === undefined) return verdict("churn", `${job.seed}`, runChurn(job.seed));
  const parameters = `${job.order.join(",")} ${job.seed}`;
  return verdict("joins", parameters, runJoins(job.order, job.seed));
}

function verdict(scenario: string, parameters: string, run: Run): Verdict {
  return run.failures.length === 0 ? "" : explainFailure(scenario, parameters, run);
}

class Tally {
  readonly #played = new Map<string, number>();
  #total = 0;
  #broken = 0;
  readonly #startedAt = Date.now();

  add(job: Job, words: Verdict): void {
    this.#played.set(job.group, (this.#played.get(job.group) ?? 0) + 1);
    this.#total++;
    if (words === "") return;
    this.#broken++;
    console.error(words);
  }

  line(): string {
    const minutes = ((Date.now() - this.#startedAt) / 60_000).toFixed(1);
    return `${minutes} min: ${this.#total} runs played, ${this.#broken} broken`;
  }

  /** @returns the process's exit code */
  finish(): number {
    for (const [group, count] of this.#played) console.log(`${group}: ${count} played`);
    console.log(this.line());
    return this.#broken === 0 ? 0 : 1;
  }
}

function runWorkers(tally: Tally): Promise<void> {
  const jobs = allJobs();
  const workers = Array.from({ length: availableParallelism() }, () => runWorker(jobs, tally));
  return Promise.all(workers).then(() => undefined);
}

function runWorker(jobs: Iterator<Job>, tally: Tally): Promise<void> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(fileURLToPath(import.meta.url));
    let current: Job | undefined;
    const next = (): void => {
      current = jobs.next().value as Job | undefined;
      worker.postMessage(current ?? "end");
    };
    worker.on("message", (words: Verdict) => {
      if (current !== undefined) tally.add(current, words);
      next();
    });
    worker.on("error", (error) => {
      console.error(`${JSON.stringify(current)} threw`);
      reject(error);
    });
    worker.on("exit", () => resolve());
    next();
  });
}

async function main(): Promise<void> {
  const tally = new Tally();
  const progress = setInterval(() => console.log(tally.line()), PROGRESS_EVERY_MS);
  await runWorkers(tally);
  clearInterval(progress);
  process.exitCode = tally.finish();
}

function serve(port: NonNullable<typeof parentPort>): void {
  port.on("message", (job: Job | "end") => {
    if (job === "end") port.close();
    else port.postMessage(play(job));
  });
}

if (isMainThread) await main();
else if (parentPort !== null) serve(parentPort);
