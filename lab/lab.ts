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
const UNDERLAY6 = "2001:db8:51:";
const BRIDGE = "net0";
/** Namespaces are cheap; more than a test needs is a loop gone wild. */
const MACHINES_MAX = 128;
const DEADLY: readonly NodeJS.Signals[] = ["SIGINT", "SIGTERM", "SIGHUP"];

/** Where cables are plugged in: a bridge in somebody's namespace. */
export interface Switch {
  readonly namespace: string;
  readonly bridge: string;
}

export class Lab {
  readonly prefix: string;
  /** Configuration, state and sockets of everything in this lab; removed with it. */
  readonly folder: string;
  /** The namespace whose bridge plays the internet, for programs that run between the sites. */
  readonly middle: Site;
  readonly #sites: Site[] = [];
  /** NAT boxes and what is behind them. */
  readonly #machines: Site[] = [];
  #addresses = 0;
  readonly #onExit = () => this.#removeNow();
  readonly #onSignal = (signal: NodeJS.Signals) => this.#removeAndDie(signal);
  #removed = false;

  private constructor(prefix: string) {
    this.prefix = prefix;
    this.folder = mkdtempSync(join(tmpdir(), `${prefix}-`));
    this.middle = new Site(this, { name: "net", ip: "", port: "" });
    process.once("exit", this.#onExit);
    for (const signal of DEADLY) process.once(signal, this.#onSignal);
  }

  static async create(name: string): Promise<Lab> {
    const lab = new Lab(`weft-${name}-${process.pid}`);
    try {
      await run(["ip", "netns", "add", lab.internet]);
      await lab.middle.finish(BRIDGE_ONLY);
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
    return this.middle.namespace;
  }

  get internetSwitch(): Switch {
    return { namespace: this.internet, bridge: BRIDGE };
  }

  get sites(): readonly Site[] {
    return this.#sites;
  }

  async addSite(name: string): Promise<Site> {
    const address = this.takeAddress();
    const site = await this.#make(this.#sites, { name, ...address });
    await this.plug(site, "eth0", this.internetSwitch);
    await run(["ip", "-n", site.namespace, "addr", "add", `${site.ip}/24`, "dev", "eth0"]);
    return site;
  }

  /** A machine without any cable; `plug` gives it one. */
  addMachine(identity: SiteIdentity): Promise<Site> {
    return this.#make(this.#machines, identity);
  }

  /** The next free address of the internet, and the name of the port it is plugged into. */
  takeAddress(): InternetAddress {
    const number = ++this.#addresses;
    return { ip: `${UNDERLAY}.${number}`, ip6: `${UNDERLAY6}:${number}`, port: `p${number}` };
  }

  /** A cable from the machine's new interface `device` to a switch, where it is `site.port`. */
  async plug(site: Site, device: string, to: Switch): Promise<void> {
    const { port, namespace } = site;
    const cable = ["type", "veth", "peer", "name", port, "netns", to.namespace];
    await run(["ip", "link", "add", device, "netns", namespace, ...cable]);
    await run(["ip", "-n", to.namespace, "link", "set", port, "master", to.bridge, "up"]);
    await run(["ip", "-n", namespace, "link", "set", device, "up"]);
  }

  async #make(list: Site[], identity: SiteIdentity): Promise<Site> {
    const count = this.#sites.length + this.#machines.length;
    if (count >= MACHINES_MAX) throw new Error(`more than ${MACHINES_MAX} machines`);
    const site = new Site(this, identity);
    list.push(site);
    mkdirSync(site.folder);
    await run(["ip", "netns", "add", site.namespace]);
    await run(["ip", "-n", site.namespace, "link", "set", "lo", "up"]);
    return site;
  }

  /** No IPv4 or IPv6 datagram passes between two sites any more; ARP does, as over a real router. */
  async block(a: Site, b: Site): Promise<void> {
    const drop = (from: Site, to: Site) =>
      `iifname "${from.port}" oifname "${to.port}" ether type { ip, ip6 } drop`;
    await this.addRules("weft", drop(a, b), drop(b, a));
  }

  async unblockAll(): Promise<void> {
    await this.middle.finish(["nft", "delete", "table", "bridge", "weft"]);
  }

  /** The real internet carries no multicast: sites do not find each other as if on one switch. */
  async dropMulticast(): Promise<void> {
    await this.addRules("internet", "ether daddr & 01:00:00:00:00:00 != 0 meta l4proto udp drop");
  }

  /** Rules of the bridge's forward hook, in a table of their own. */
  async addRules(table: string, ...rules: readonly string[]): Promise<void> {
    const chain = "type filter hook forward priority 0; policy accept;";
    const body = [chain, ...rules].join("\n    ");
    const text = `table bridge ${table} {\n  chain forward {\n    ${body}\n  }\n}\n`;
    await this.middle.run(["nft", "-f", "-"], { input: text });
  }

  async removeRules(table: string): Promise<void> {
    await this.middle.run(["nft", "delete", "table", "bridge", table]);
  }

  async remove(): Promise<void> {
    if (this.#removed) return;
    await Promise.all(this.#all().map((site) => site.stopAll()));
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
    for (const site of this.#all()) site.killAll();
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
    return this.#all().map((site) => site.namespace);
  }

  #all(): Site[] {
    return [...this.#sites, ...this.#machines, this.middle];
  }
}

/** A bridge passes frames on; it must not show them to the IP filters of its namespace. */
const BRIDGE_ONLY = [
  "sysctl",
  "-qew",
  "net.bridge.bridge-nf-call-iptables=0",
  "net.bridge.bridge-nf-call-ip6tables=0",
];

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

export interface InternetAddress {
  readonly ip: string;
  readonly ip6: string;
  readonly port: string;
}

export interface SiteIdentity {
  /** Unique in its lab. */
  readonly name: string;
  readonly ip: string;
  readonly ip6?: string;
  readonly port: string;
}

/** One machine of the lab: a namespace, usually with one cable to the internet. */
export class Site {
  readonly name: string;
  /** Underlay address. */
  readonly ip: string;
  /** Its IPv6 address, on the interface only when a test put it there. */
  readonly ip6: string;
  /** The far end of its cable. */
  readonly port: string;
  readonly namespace: string;
  readonly #lab: Lab;
  readonly #running = new Set<Running>();

  constructor(lab: Lab, { name, ip, ip6 = "", port }: SiteIdentity) {
    this.#lab = lab;
    this.name = name;
    this.ip = ip;
    this.ip6 = ip6;
    this.port = port;
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
