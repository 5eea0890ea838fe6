/**
 * A small internet in network namespaces, made and removed by whoever runs it: the demo and the
 * kernel tests.
 *
 *      [site a 198.51.100.1]   [site b 198.51.100.2]   [site c ...]
 *               |                       |                   |
 *               +---------- bridge in its own namespace ----+        "the internet"
 *
 * Nothing touches the machine's own interfaces: the bridge has a namespace, each site has one, and
 * every name carries this process's id. `remove` ends what was started here and deletes the rest,
 * also after a failure or Ctrl-C.
 */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Finished, finish, type Running, type RunOptions, run, start } from "./shell.ts";

/** Documentation range (RFC 5737): never a real host. */
const UNDERLAY = "198.51.100";
const BRIDGE = "net0";
/** More sites than a test on two cores should start. */
const SITES_MAX = 64;
const DEADLY: readonly NodeJS.Signals[] = ["SIGINT", "SIGTERM", "SIGHUP"];

export class Lab {
  readonly prefix: string;
  /** Configuration, state and sockets of everything in this lab; removed with it. */
  readonly folder: string;
  readonly #sites: Site[] = [];
  readonly #onExit = () => this.#removeNow();
  readonly #onSignal = (signal: NodeJS.Signals) => this.#removeAndDie(signal);
  #removed = false;

  private constructor(prefix: string) {
    this.prefix = prefix;
    this.folder = mkdtempSync(join(tmpdir(), `${prefix}-`));
    process.once("exit", this.#onExit);
    for (const signal of DEADLY) process.once(signal, this.#onSignal);
  }

  static async create(name: string): Promise<Lab> {
    const lab = new Lab(`weft-${name}-${process.pid}`);
    try {
      await run(["ip", "netns", "add", lab.internet]);
      const bridge = ["link", "add", BRIDGE, "type", "bridge", "forward_delay", "0"];
      await run(["ip", "-n", lab.internet, ...bridge]);
      await run(["ip", "-n", lab.internet, "link", "set", BRIDGE, "up"]);
    } catch (error) {
      await lab.remove();
      throw error;
    }
    return lab;
  }

  /** Name of the namespace whose bridge plays the internet. */
  get internet(): string {
    return `${this.prefix}-net`;
  }

  get sites(): readonly Site[] {
    return this.#sites;
  }

  async addSite(name: string): Promise<Site> {
    if (this.#sites.length >= SITES_MAX) throw new Error(`more than ${SITES_MAX} sites`);
    const number = this.#sites.length + 1;
    const site = new Site(this, name, number);
    this.#sites.push(site);
    mkdirSync(site.folder);
    const { port } = site;
    const cable = ["type", "veth", "peer", "name", port, "netns", this.internet];
    await run(["ip", "netns", "add", site.namespace]);
    await run(["ip", "link", "add", "eth0", "netns", site.namespace, ...cable]);
    await run(["ip", "-n", this.internet, "link", "set", port, "master", BRIDGE, "up"]);
    await run(["ip", "-n", site.namespace, "link", "set", "lo", "up"]);
    await run(["ip", "-n", site.namespace, "addr", "add", `${site.ip}/24`, "dev", "eth0"]);
    await run(["ip", "-n", site.namespace, "link", "set", "eth0", "up"]);
    return site;
  }

  /** No IPv4 or IPv6 datagram passes between two sites any more; ARP does, as over a real router. */
  async block(a: Site, b: Site): Promise<void> {
    const drop = (from: Site, to: Site) =>
      `iifname "${from.port}" oifname "${to.port}" ether type { ip, ip6 } drop`;
    const rules = [
      "add table bridge weft",
      "add chain bridge weft forward { type filter hook forward priority 0; policy accept; }",
      `add rule bridge weft forward ${drop(a, b)}`,
      `add rule bridge weft forward ${drop(b, a)}`,
    ];
    const nft = ["ip", "netns", "exec", this.internet, "nft", "-f", "-"];
    await run(nft, { input: `${rules.join("\n")}\n` });
  }

  async unblockAll(): Promise<void> {
    await finish(["ip", "netns", "exec", this.internet, "nft", "flush", "ruleset"]);
  }

  async remove(): Promise<void> {
    if (this.#removed) return;
    await Promise.all(this.#sites.map((site) => site.stopAll()));
    for (const name of this.#namespaces()) {
      const { stdout } = await finish(["ip", "netns", "pids", name]);
      killEach(stdout);
      await finish(["ip", "netns", "del", name]);
    }
    rmSync(this.folder, { recursive: true, force: true });
    this.#forget();
  }

  /** Last resort when the process ends without `remove`: synchronous and quiet. */
  #removeNow(): void {
    if (this.#removed) return;
    const { spawnSync } = process.getBuiltinModule("node:child_process");
    for (const site of this.#sites) site.killAll();
    for (const name of this.#namespaces()) {
      killEach(`${spawnSync("ip", ["netns", "pids", name]).stdout ?? ""}`);
      spawnSync("ip", ["netns", "del", name], { stdio: "ignore" });
    }
    rmSync(this.folder, { recursive: true, force: true });
    this.#forget();
  }

  /** A signal ends a process without its `exit` event; whoever else listens goes on after us. */
  #removeAndDie(signal: NodeJS.Signals): void {
    this.#removeNow();
    if (process.listenerCount(signal) === 0) process.kill(process.pid, signal);
  }

  #forget(): void {
    this.#removed = true;
    process.removeListener("exit", this.#onExit);
    for (const signal of DEADLY) process.removeListener(signal, this.#onSignal);
  }

  #namespaces(): string[] {
    return [...this.#sites.map((site) => site.namespace), this.internet];
  }
}

/** What programs of the lab left behind in its namespaces, such as their own children. */
function killEach(pids: string): void {
  for (const pid of pids.split("\n").map(Number)) {
    try {
      if (pid > 1) process.kill(pid, "SIGKILL");
    } catch {
      // gone in between
    }
  }
}

/** One machine of the lab: a namespace with one cable to the internet. */
export class Site {
  readonly name: string;
  /** Underlay address. */
  readonly ip: string;
  /** The internet's end of its cable. */
  readonly port: string;
  readonly namespace: string;
  readonly #lab: Lab;
  readonly #running = new Set<Running>();

  /** @param number from 1, unique in its lab */
  constructor(lab: Lab, name: string, number: number) {
    this.#lab = lab;
    this.name = name;
    this.ip = `${UNDERLAY}.${number}`;
    this.port = `p${number}`;
    this.namespace = `${lab.prefix}-${name}`;
  }

  get folder(): string {
    return join(this.#lab.folder, this.name);
  }

  run(argv: readonly string[], options: RunOptions = {}): Promise<string> {
    return run(this.#inside(argv), options);
  }

  finish(argv: readonly string[], options: RunOptions = {}): Promise<Finished> {
    return finish(this.#inside(argv), options);
  }

  start(argv: readonly string[], options: RunOptions = {}): Running {
    const running = start(this.#inside(argv), options);
    this.#running.add(running);
    void running.exited.then(() => this.#running.delete(running));
    return running;
  }

  async stopAll(): Promise<void> {
    await Promise.all([...this.#running].map((running) => running.stop()));
  }

  killAll(): void {
    for (const running of this.#running) running.child.kill("SIGKILL");
  }

  /** `ip netns exec` replaces itself by the program, so signals to the child reach it. */
  #inside(argv: readonly string[]): string[] {
    return ["ip", "netns", "exec", this.namespace, ...argv];
  }
}
