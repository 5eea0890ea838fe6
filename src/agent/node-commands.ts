/** Commands to the node and their replies: each waits, with a bound on how many and how long. */
import type { NodeCommand, NodeReply } from "../node/command.ts";
import { WeftError } from "./errors.ts";

/** 32 connections with 16 requests each. */
const MAX_WAITING = 512;
/** Longer than any of the node's own limits: reached only when the node lost the command. */
const REPLY_TIMEOUT_MS = 15_000;

interface Waiting {
  readonly resolve: (reply: NodeReply) => void;
  readonly timer: NodeJS.Timeout;
}

export class NodeCommands {
  readonly #send: (id: number, command: NodeCommand) => void;
  readonly #waiting = new Map<number, Waiting>();
  #next = 1;

  constructor(send: (id: number, command: NodeCommand) => void) {
    this.#send = send;
  }

  /** @throws WeftError with the node's own code when it answers `failed` */
  async run(command: NodeCommand): Promise<Exclude<NodeReply, { kind: "failed" }>> {
    if (this.#waiting.size >= MAX_WAITING)
      throw new WeftError("unavailable", "too many questions at once: ask again later");
    const reply = await new Promise<NodeReply>((resolve, reject) => {
      const id = this.#next++;
      const timer = setTimeout(() => {
        this.#waiting.delete(id);
        reject(new WeftError("timeout", `${command.name} got no reply: ask again`));
      }, REPLY_TIMEOUT_MS);
      this.#waiting.set(id, { resolve, timer });
      this.#send(id, command);
    });
    if (reply.kind === "failed") throw new WeftError(reply.code, reply.detail);
    return reply;
  }

  take(id: number, reply: NodeReply): void {
    const waiting = this.#waiting.get(id);
    if (waiting === undefined) return;
    clearTimeout(waiting.timer);
    this.#waiting.delete(id);
    waiting.resolve(reply);
  }

  /** The node is gone: nobody waits for it any longer. */
  close(): void {
    const gone = { kind: "failed", code: "unavailable", detail: "the agent stops" } as const;
    for (const id of [...this.#waiting.keys()]) this.take(id, gone);
  }
}
