/**
 * A turn at something that the machine has only once, for files of tests that run at the same time in
 * processes of their own. It is an abstract Unix socket: the kernel gives the name to one of them, and
 * takes it back when that process ends, however it ends.
 */
import { createHash } from "node:crypto";
import { createServer, type Server } from "node:net";
import { eventually } from "../../lab/shell.ts";

export class Turn {
  readonly #held: Server;

  private constructor(held: Server) {
    this.#held = held;
  }

  /** Waits until nobody else has it. */
  static async take(what: string, limitMs: number): Promise<Turn> {
    const digest = createHash("sha256").update(what).digest("hex").slice(0, 16);
    const name = `\0weft-turn-${digest}`;
    return new Turn(await eventually(`the turn at ${what}`, () => hold(name), limitMs));
  }

  give(): Promise<void> {
    return new Promise((resolve) => this.#held.close(() => resolve()));
  }
}

/** undefined while somebody else holds the name. */
function hold(name: string): Promise<Server | undefined> {
  const server = createServer();
  return new Promise((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) =>
      error.code === "EADDRINUSE" ? resolve(undefined) : reject(error),
    );
    server.listen(name, () => resolve(server));
  });
}
