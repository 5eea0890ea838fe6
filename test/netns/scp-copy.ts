/** A file copied by scp over virtual addresses, and how long it ever stood still on the way. */
import { randomBytes } from "node:crypto";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Agent } from "../../lab/agent.ts";
import { eventually, type Running } from "../../lab/shell.ts";
import { SSH_CLIENT, SSH_PORT, startSshServer } from "./ssh-session.ts";

const MEGABYTE = 1_000_000;
/** Five seconds for 100 MB: long enough for something to happen meanwhile. */
const RATE_KBITS = 160_000;
const LOOK_EVERY_MS = 10;
const DONE_WITHIN_MS = 60_000;

export class ScpCopy {
  readonly #program: Running;
  readonly #paths: readonly [source: string, target: string];
  readonly #timer: NodeJS.Timeout;
  #bytes = 0;
  #grewAt = Date.now();
  #longestGapMs = 0;

  private constructor(program: Running, paths: readonly [string, string]) {
    this.#program = program;
    this.#paths = paths;
    this.#timer = setInterval(() => this.#look(), LOOK_EVERY_MS).unref();
  }

  /** Starts to copy random bytes; the server is the receiver. */
  static async start(from: Agent, to: Agent, ip: string, megabytes: number): Promise<ScpCopy> {
    const key = await startSshServer(to, ip);
    const [source, target] = [join(from.site.folder, "sent"), join(to.site.folder, "received")];
    writeFileSync(source, randomBytes(megabytes * MEGABYTE));
    const flags = ["-q", "-l", `${RATE_KBITS}`, "-P", `${SSH_PORT}`, "-i", key, ...SSH_CLIENT];
    const program = from.site.start(["scp", ...flags, source, `root@${ip}:${target}`]);
    return new ScpCopy(program, [source, target]);
  }

  /** Resolves when so many megabytes arrived. */
  async past(megabytes: number): Promise<void> {
    const arrived = async () => this.#bytes >= megabytes * MEGABYTE;
    await eventually(`${megabytes} MB arrive`, arrived, DONE_WITHIN_MS, LOOK_EVERY_MS).catch(
      (error: Error) => {
        throw new Error(`${error.message}: ${this.#program.output.slice(-500)}`);
      },
    );
  }

  /** Once everything arrived. @returns whether both files are the same */
  end(): boolean {
    clearInterval(this.#timer);
    const [sent, received] = this.#paths.map((path) => readFileSync(path));
    return sent !== undefined && received !== undefined && sent.equals(received);
  }

  longestGapMs(): number {
    return this.#longestGapMs;
  }

  #look(): void {
    const bytes = statSync(this.#paths[1], { throwIfNoEntry: false })?.size ?? 0;
    const now = Date.now();
    if (this.#bytes > 0) this.#longestGapMs = Math.max(this.#longestGapMs, now - this.#grewAt);
    if (bytes === this.#bytes) return;
    this.#bytes = bytes;
    this.#grewAt = now;
  }
}
