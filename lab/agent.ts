/** One weft agent at a site of the lab, run through the real command line. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { AgentStatus } from "../src/agent/agent-status.ts";
import { callAgent, type Reply } from "../src/agent/control-client.ts";
import type { Method } from "../src/agent/control-protocol.ts";
import { WeftError } from "../src/agent/errors.ts";
import type { Site } from "./lab.ts";
import { eventually, type Finished, type Running } from "./shell.ts";

/** The built CLI when this file runs from dist/, and also when it runs from source. */
export const CLI = fileURLToPath(
  new URL(
    import.meta.url.includes("/dist/") ? "../src/cli/main.js" : "../dist/src/cli/main.js",
    import.meta.url,
  ),
);

export interface AgentOptions {
  /** Given to `weft up`, e.g. `["--address", "dhcp"]`. */
  readonly flags?: readonly string[];
  /** Given to node itself, e.g. `["--import", "/path/to/preload.mjs"]`. */
  readonly nodeFlags?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** The command line of another build; default this one's. */
  readonly cli?: string;
}

/** One line of the agent's log. */
export interface LogLine {
  readonly time: string;
  readonly msg: string;
  readonly [field: string]: unknown;
}

export class Agent {
  readonly site: Site;
  readonly clusterFile: string;
  readonly #options: AgentOptions;
  #running: Running | undefined;
  /** What the next start runs. */
  cli: string;

  constructor(site: Site, clusterFile: string, options: AgentOptions = {}) {
    this.site = site;
    this.clusterFile = clusterFile;
    this.#options = options;
    this.cli = options.cli ?? CLI;
  }

  get name(): string {
    return this.site.name;
  }

  get pid(): number {
    return this.#running?.pid ?? 0;
  }

  /** Of the present run. */
  get log(): string {
    return this.#running?.output ?? "";
  }

  get isRunning(): boolean {
    return this.#running?.isRunning === true;
  }

  start(): void {
    const { nodeFlags = [], flags = [], env = {} } = this.#options;
    const up = ["up", "--foreground", ...flags, ...this.#common()];
    this.#running = this.site.start([process.execPath, ...nodeFlags, this.cli, ...up], { env });
  }

  /** Runs the command line at this site, as a person would. */
  weft(...args: readonly string[]): Promise<Finished> {
    return this.site.finish([process.execPath, this.cli, ...args, ...this.#common()]);
  }

  /** Asks over the control socket, which costs no process. @throws WeftError */
  ask(method: Method, params: Reply = {}): Promise<Reply> {
    const folder = join(this.site.folder, "run");
    const socket = readdirSync(folder).find((name) => name.endsWith(".sock")) ?? "none.sock";
    return callAgent(join(folder, socket), method, { params });
  }

  /** undefined while the agent does not answer. */
  async status(): Promise<AgentStatus | undefined> {
    try {
      return (await this.ask("status")) as unknown as AgentStatus;
    } catch (error) {
      if (error instanceof WeftError || (error as NodeJS.ErrnoException).code === "ENOENT") {
        return undefined;
      }
      throw error;
    }
  }

  /** `weft_dropped_total` by reason; reasons never met are absent. */
  async drops(): Promise<Map<string, number>> {
    const { text } = (await this.ask("metrics")) as unknown as { readonly text: string };
    const rows = text.matchAll(/^weft_dropped_total\{reason="([a-z0-9-]+)"\} (\d+)$/gm);
    return new Map([...rows].map((row) => [row[1] ?? "", Number(row[2])]));
  }

  logLines(): LogLine[] {
    return this.log.split("\n").flatMap((line) => {
      if (!line.startsWith("{")) return [];
      try {
        return [JSON.parse(line) as LogLine];
      } catch {
        return [];
      }
    });
  }

  /** Waits for the lease, and for it to be on the interface. @returns the address */
  online(limitMs = 20_000): Promise<string> {
    return this.explain(() =>
      eventually(`${this.name} has its lease`, () => this.#leasedIp(), limitMs, 50),
    );
  }

  /** Adds what the agent said to the error of a failed step. */
  async explain<T>(step: () => Promise<T>): Promise<T> {
    try {
      return await step();
    } catch (error) {
      const said = this.log.slice(-3000);
      throw new Error(`${(error as Error).message}\nagent ${this.name} said:\n${said}`);
    }
  }

  async #leasedIp(): Promise<string | undefined> {
    const ip = (await this.status())?.lease?.ip;
    if (ip === undefined) return undefined;
    const { stdout } = await this.site.finish(["ip", "-o", "-4", "addr"]);
    return stdout.includes(` ${ip}/`) ? ip : undefined;
  }

  kill(signal: NodeJS.Signals): void {
    this.#running?.child.kill(signal);
  }

  async stop(): Promise<number> {
    return (await this.#running?.stop()) ?? 0;
  }

  async exited(): Promise<number> {
    return (await this.#running?.exited) ?? 0;
  }

  #common(): string[] {
    const { folder } = this.site;
    const folders = ["--state-dir", join(folder, "state"), "--run-dir", join(folder, "run")];
    return ["--config", this.clusterFile, "--node", this.name, ...folders];
  }
}
