/**
 * Joins one node to its engine and to real time: one `handle`, drain `poll` into one `apply`, arm one
 * timer. Nothing else in the agent calls the node's verbs.
 *
 *     doorbell -> wake() --.                          .--> engine.apply(batch)
 *     input(...) ----------+--> node.handle, poll* ---+--> onOutput(...)
 *     timer ---------------'                          '--> setTimeout(deadline)
 */
import type { Engine, EngineCommand, Upcall } from "../base/engine.ts";
import type { Machine } from "../base/machine.ts";
import type { Millis } from "../base/time.ts";
import type { NodeInput, NodeOutput } from "../node/config.ts";

/** What the node says to its host; engine commands go to the engine. */
export type HostOutput = Exclude<NodeOutput, { kind: "engine" }>;

export interface DriverOptions {
  readonly node: Machine<NodeInput, NodeOutput>;
  readonly engine: Engine;
  /** Monotonic milliseconds that count suspended time. */
  readonly now: () => Millis;
  readonly onOutput: (output: HostOutput) => void;
  /** Sees upcalls before the node does (traffic totals for metrics). Must not keep their bytes. */
  readonly onUpcall?: (upcall: Upcall) => void;
  /** An assertion failed: the node's state is not to be trusted any more. The driver is closed. */
  readonly onBug: (error: unknown) => void;
}

/** Upcalls taken in one turn, so that a flood cannot keep timers and the control socket waiting. */
const UPCALLS_PER_TURN = 256;
/** setTimeout's own limit. */
const MAX_TIMER_MS = 2 ** 31 - 1;

export class Driver {
  readonly #options: DriverOptions;
  /** Bounded by the engine's own ring: drained again only when it is empty. */
  #upcalls: Upcall[] = [];
  #nextUpcall = 0;
  #inputs: NodeInput[] = [];
  #running = false;
  /** The doorbell rang while a turn was under way: what it announced may not have been drained. */
  #rungMeanwhile = false;
  #closed = false;
  #timer: NodeJS.Timeout | undefined;
  #immediate: NodeJS.Immediate | undefined;

  constructor(options: DriverOptions) {
    this.#options = options;
  }

  /** The node's first input is a timeout: it says what it wants. */
  start(): void {
    this.input({ kind: "timeout" });
    this.wake();
  }

  /** The engine's doorbell: upcalls wait. */
  wake(): void {
    if (this.#running) this.#rungMeanwhile = true;
    this.#turn();
  }

  /** May be called from within `onOutput`: it is taken up after the current input. */
  input(input: NodeInput): void {
    this.#inputs.push(input);
    this.#turn();
  }

  /** Nothing is handled after this. The engine stays open: its owner closes it. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    clearImmediate(this.#immediate);
  }

  #turn(): void {
    if (this.#running || this.#closed) return;
    this.#running = true;
    try {
      this.#takeInputs();
      this.#takeUpcalls();
      this.#takeInputs();
    } catch (error) {
      this.close();
      this.#options.onBug(error);
    } finally {
      this.#running = false;
    }
    if (!this.#closed) this.#arm();
  }

  #takeInputs(): void {
    while (this.#inputs.length > 0 && !this.#closed) {
      const inputs = this.#inputs;
      this.#inputs = [];
      this.#feed(inputs);
    }
  }

  #takeUpcalls(): void {
    if (this.#closed) return;
    if (this.#nextUpcall >= this.#upcalls.length) {
      this.#upcalls = this.#options.engine.drain();
      this.#nextUpcall = 0;
    }
    const end = Math.min(this.#upcalls.length, this.#nextUpcall + UPCALLS_PER_TURN);
    const taken = this.#upcalls.slice(this.#nextUpcall, end);
    this.#nextUpcall = end;
    for (const upcall of taken) this.#options.onUpcall?.(upcall);
    this.#feed(taken.map((upcall) => ({ kind: "upcall", upcall })));
  }

  /** Each input is handled and drained by itself; the engine gets all commands as one batch. */
  #feed(inputs: readonly NodeInput[]): void {
    const commands: EngineCommand[] = [];
    const outputs: HostOutput[] = [];
    const { node, engine, onOutput } = this.#options;
    for (const input of inputs) {
      node.handle(this.#options.now(), input);
      for (let output = node.poll(); output !== undefined; output = node.poll()) {
        if (output.kind === "engine") commands.push(output.command);
        else outputs.push(output);
      }
    }
    if (commands.length > 0) engine.apply(commands);
    for (const output of outputs) onOutput(output);
  }

  #arm(): void {
    clearTimeout(this.#timer);
    clearImmediate(this.#immediate);
    if (this.#nextUpcall < this.#upcalls.length || this.#rungMeanwhile) {
      this.#rungMeanwhile = false;
      this.#immediate = setImmediate(() => this.#expire());
      return;
    }
    const wait = this.#options.node.deadline() - this.#options.now();
    if (wait === Number.POSITIVE_INFINITY) return;
    // Rounded up: a timer that fires a fraction early would be handled for nothing.
    const delay = Math.min(MAX_TIMER_MS, Math.max(0, Math.ceil(wait)));
    this.#timer = setTimeout(() => this.#expire(), delay);
  }

  #expire(): void {
    if (this.#options.node.deadline() <= this.#options.now())
      this.#inputs.push({ kind: "timeout" });
    this.#turn();
  }
}
