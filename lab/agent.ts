/** One weft agent at a site of the lab, run and asked through the real command line. */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { NodeStatus } from "../src/node/status.ts";
import type { Site } from "./lab.ts";
import { eventually, type Finished, type Running } from "./shell.ts";

/** The built CLI when this file runs from dist/, and also when it runs from source. */
const CLI = fileURLToPath(
  new URL(
    import.meta.url.includes("/dist/") ? "../src/cli/main.js" : "../dist/src/cli/main.js",
    import.meta.url,
  ),
);

export class Agent {
  readonly site: Site;
  readonly #clusterFile: string;
  readonly #flags: readonly string[];
  #running: Running | undefined;

  /** @param flags given to `weft up`, e.g. `["--address", "dhcp"]` */
  constructor(site: Site, clusterFile: string, flags: readonly string[] = []) {
    this.site = site;
    this.#clusterFile = clusterFile;
    this.#flags = flags;
  }

  get name(): string {
    return this.site.name;
  }

  get pid(): number {
    return this.#running?.pid ?? 0;
  }

  get log(): string {
    return this.#running?.output ?? "";
  }

  get isRunning(): boolean {
    return this.#running?.isRunning === true;
  }

  start(): void {
    const flags = ["up", "--foreground", ...this.#flags];
    this.#running = this.site.start([process.execPath, CLI, ...flags, ...this.#common()]);
  }

  /** Asks the running agent through the CLI. */
  weft(...args: readonly string[]): Promise<Finished> {
    return this.site.finish([process.execPath, CLI, ...args, ...this.#common()]);
  }

  async status(): Promise<NodeStatus | undefined> {
    const { status, stdout } = await this.weft("status", "--json");
    if (status !== 0) return undefined;
    return JSON.parse(stdout) as NodeStatus;
  }

  /** Waits for the lease, and for it to be on the interface. @returns the address */
  async online(limitMs = 20_000): Promise<string> {
    try {
      return await eventually(`${this.name} has its lease`, () => this.#leasedIp(), limitMs);
    } catch (error) {
      throw new Error(
        `${(error as Error).message}\nagent ${this.name} said:\n${this.log.slice(-3000)}`,
      );
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
    return ["--config", this.#clusterFile, "--node", this.name, ...folders];
  }
}
