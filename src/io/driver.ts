/**
 * Joins one node to its engine and to real time: one `handle`, drain `poll` into one `apply`, arm one
 * timer. Nothing else in the agent calls the node's verbs.
 *
 *     engine -> deliver(upcalls) --.                          .--> engine.apply(batch)
 *     input(...) ------------------+--> node.handle, poll* ---+--> onOutput(...)
 *     timer -----------------------'                          '--> setTimeout(deadline)
 */
import type { Engine, EngineCommand, Upcall } from "../base/engine.ts";
import type { Machine } from "../base/machine.ts";
import type { Millis } from "../base/time.ts";
import type { NodeInput, NodeOutput } from "../node/config.ts";

/** What the node says to its host; engine commands go to the engine. */
export type HostOutput = Exclude<NodeOutput, { kind: "engine" }>;

export interface DriverOptions {
  readonly node: Machine<NodeInput, NodeOutput>;
  readonly engine: Pick<Engine, "apply">;
  /** Monotonic milliseconds that count suspended time. */
  readonly now: () => Millis;
  readonly onOutput: (output: HostOutput) => void;
  /** Sees upcalls before the node does. True: it was not the node's, who does not see it then. */
  readonly onUpcall?: (upcall: Upcall) => boolean;
  /** An assertion failed: the node's state is not to be trusted any more. The driver is closed. */
  readonly onBug: (error: unknown) => void;
}

/** Upcalls behind one `apply`: answers do not wait for the end of a long batch. */
const UPCALLS_PER_BATCH = 256;
/** setTimeout's own limit. */
const MAX_TIMER_MS = 2 ** 31 - 1;

export class Driver {
  readonly #options: DriverOptions;
  /**
   * What came in while a turn was under way. Upcalls are taken in the turn they arrive in, so at most
   * one drain of the engine's bounded ring is ever held here.
   */
  #inputs: NodeInput[] = [];
  #running = false;
  #closed = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: DriverOptions) {
    this.#options = options;
  }

  /** The node's first input is a timeout, due or not: it says what it wants. */
  start(): void {
    this.input({ kind: "timeout" });
  }

  /** What the engine sent up, oldest first. */
  deliver(upcalls: readonly Upcall[]): void {
    for (const upcall of upcalls) {
      const isTaken = this.#options.onUpcall?.(upcall) === true;
      if (!isTaken) this.#inputs.push({ kind: "upcall", upcall });
    }
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
  }

  #turn(): void {
    if (this.#running || this.#closed) return;
    this.#running = true;
    try {
      // Here and not only in the timer: a stream of upcalls would put the timer off again and again.
      if (this.#isDue()) this.#inputs.unshift({ kind: "timeout" });
      while (this.#inputs.length > 0 && !this.#closed) {
        this.#feed(this.#inputs.splice(0, UPCALLS_PER_BATCH));
      }
    } catch (error) {
      this.close();
      this.#options.onBug(error);
    } finally {
      this.#running = false;
    }
    if (!this.#closed) this.#arm();
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
    const wait = this.#options.node.deadline() - this.#options.now();
    if (wait === Number.POSITIVE_INFINITY) return;
    // Rounded up: a timer that fires a fraction early would be handled for nothing.
    const delay = Math.min(MAX_TIMER_MS, Math.max(0, Math.ceil(wait)));
    this.#timer = setTimeout(() => this.#turn(), delay);
  }

  #isDue(): boolean {
    return this.#options.node.deadline() <= this.#options.now();
  }
}
