/** A bridged site: an agent whose TAP is a port of br0, and machines of their own on that bridge. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Agent } from "../../lab/agent.ts";
import type { Site } from "../../lab/lab.ts";
import { eventually, type Running } from "../../lab/shell.ts";
import type { Cluster } from "./cluster.ts";

export const BRIDGE = "br0";
export const GUEST_DEVICE = "eth0";

/** What udhcpc calls: the address alone, as on any machine. */
const UDHCPC_SCRIPT = `#!/bin/sh
case "$1" in
  deconfig) ip -4 addr flush dev "$interface" ;;
  bound|renew) ip addr replace "$ip/$mask" dev "$interface" ;;
  nak) echo "told NAK" ;;
esac
exit 0
`;

let ports = 0;

/** A machine with one cable to a bridge; nothing of weft runs on it. */
export class Guest {
  readonly site: Site;
  #client: Running | undefined;

  constructor(site: Site) {
    this.site = site;
  }

  get name(): string {
    return this.site.name;
  }

  /** The bridge's end of its cable. */
  get port(): string {
    return this.site.port;
  }

  /** @param flags more of udhcpc's, such as `-a` */
  startDhcp(...flags: readonly string[]): void {
    const script = join(this.site.folder, "udhcpc-script");
    writeFileSync(script, UDHCPC_SCRIPT, { mode: 0o755 });
    const retries = ["-t", "20", "-T", "3", "-A", "3"];
    const client = ["udhcpc", "-f", "-i", GUEST_DEVICE, "-s", script, ...retries, ...flags];
    this.#client = this.site.start(client);
  }

  async stopDhcp(): Promise<void> {
    await this.#client?.stop("SIGKILL");
    await this.site.run(["ip", "-4", "addr", "flush", "dev", GUEST_DEVICE]);
  }

  /** Started with `-R`, it gives the address back when it ends. */
  async releaseDhcp(): Promise<void> {
    await this.#client?.stop("SIGTERM");
  }

  get said(): string {
    return this.#client?.output ?? "";
  }

  /** Its IPv4 address now. */
  async address(): Promise<string | undefined> {
    const shown = await this.site.finish(["ip", "-o", "-4", "addr", "show", "dev", GUEST_DEVICE]);
    return /inet (\d+\.\d+\.\d+\.\d+)\//.exec(shown.stdout)?.[1];
  }

  async bound(limitMs = 30_000): Promise<string> {
    try {
      return await eventually(`${this.name} is bound`, () => this.address(), limitMs);
    } catch (error) {
      throw new Error(`${(error as Error).message}: udhcpc said ${this.said.slice(-800)}`);
    }
  }

  async mac(): Promise<string> {
    const [link] = JSON.parse(
      await this.site.run(["ip", "-j", "link", "show", "dev", GUEST_DEVICE]),
    ) as [{ readonly address: string }];
    return link.address;
  }

  /** Answered within three seconds, one of three. */
  async reaches(ip: string, ...flags: readonly string[]): Promise<boolean> {
    const ping = ["ping", "-n", "-c", "1", "-W", "3", ...flags, ip];
    return (await this.site.finish(ping)).status === 0;
  }
}

/** A site with a bridge; the agent there is not started. */
export async function addBridgedSite(
  cluster: Cluster,
  name: string,
  flags: readonly string[] = ["--address", "dhcp"],
): Promise<Agent> {
  const site = await cluster.lab.addSite(name);
  await makeBridge(site);
  return cluster.addAgentAt(site, { flags: ["--bridge", BRIDGE, ...flags] });
}

export async function makeBridge(site: Site): Promise<void> {
  const forwards = [
    "net.bridge.bridge-nf-call-iptables=0",
    "net.bridge.bridge-nf-call-ip6tables=0",
  ];
  await site.finish(["sysctl", "-qew", ...forwards]);
  await site.run(["ip", "link", "add", BRIDGE, "type", "bridge", "forward_delay", "0"]);
  await site.run(["ip", "link", "set", BRIDGE, "up"]);
}

/** A machine on the bridge of that site. */
export async function addGuest(cluster: Cluster, at: Site, name: string): Promise<Guest> {
  const machine = await cluster.lab.addMachine({ name, ip: "", port: `g${++ports}` });
  const bridge = { namespace: at.namespace, bridge: BRIDGE };
  await cluster.lab.plug(machine, GUEST_DEVICE, bridge);
  return new Guest(machine);
}

/** Members of each other, with or without an address of their own. */
export async function ringed(agent: Agent): Promise<void> {
  const isOnline = async () => (await agent.status())?.state === "online";
  await agent.explain(() => eventually(`${agent.name} is online`, isOnline, 30_000));
}
