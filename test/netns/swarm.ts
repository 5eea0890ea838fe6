/** Many DHCP clients behind one bridged site, as one program on one cable (dhcp-swarm.py). */
import { fileURLToPath } from "node:url";
import { eventually, type Running } from "../../lab/shell.ts";
import { addBridgedSite, addGuest, GUEST_DEVICE, type Guest, ringed } from "./bridged.ts";
import { Cluster } from "./cluster.ts";

const SWARM = fileURLToPath(new URL("dhcp-swarm.py", import.meta.url));
const WHO_HAS = fileURLToPath(new URL("who-has.py", import.meta.url));

const SITES = ["a", "b", "c"] as const;

/** Three bridged sites with one machine each, for a swarm. */
export interface SwarmSites {
  readonly cluster: Cluster;
  readonly guests: readonly Guest[];
}

export async function startSites(name: string, range: string, lease: string): Promise<SwarmSites> {
  const cluster = await Cluster.create(name, { range, lease });
  try {
    const guests: Guest[] = [];
    for (const site of SITES) {
      const agent = await addBridgedSite(cluster, site);
      guests.push(await addGuest(cluster, agent.site, `${site}1`));
      agent.start();
      await ringed(agent);
    }
    await cluster.settled();
    return { cluster, guests };
  } catch (error) {
    await cluster.remove();
    throw error;
  }
}

export interface Bound {
  readonly number: number;
  readonly ip: string;
  /** From the swarm's start. */
  readonly seconds: number;
}

export class Swarm {
  readonly size: number;
  readonly #running: Running;

  /** @param first their numbers, from which their MACs follow, begin here */
  constructor(at: Guest, first: number, size: number) {
    this.size = size;
    const args = [GUEST_DEVICE, `${first}`, `${size}`];
    this.#running = at.site.start(["python3", SWARM, ...args]);
  }

  /** Every lease it ever got, oldest first. */
  get bound(): Bound[] {
    const rows = this.#running.output.matchAll(/^bound (\d+) (\S+) (\S+)$/gm);
    return [...rows].map(([, number, ip = "", seconds]) => {
      return { number: Number(number), ip, seconds: Number(seconds) };
    });
  }

  /** How often a word was said: offer, nak. */
  count(word: string): number {
    return [...this.#running.output.matchAll(new RegExp(`^${word} `, "gm"))].length;
  }

  /** All of them have an address. */
  async allBound(limitMs: number): Promise<Bound[]> {
    const isWhole = async () => this.bound.length >= this.size;
    try {
      await eventually(`${this.size} clients are bound`, isWhole, limitMs, 250);
    } catch (error) {
      const said = this.#running.output.slice(-500);
      throw new Error(`${(error as Error).message}: ${this.bound.length} are; ${said}`);
    }
    return this.bound;
  }

  /** The bound client with the smallest number gives its lease back. @returns its address */
  async releaseFirst(): Promise<string> {
    this.#running.child.kill("SIGUSR1");
    const said = async () => /^released \d+ (\S+)$/m.exec(this.#running.output)?.[1];
    return eventually("a client releases its lease", said, 10_000);
  }

  stop(): Promise<number> {
    return this.#running.stop("SIGKILL");
  }
}

/** MAC by address, as a client of the swarm at `at` hears it by ARP. */
export async function whoHas(
  at: Guest,
  client: Pick<Bound, "number" | "ip">,
  ips: readonly string[],
  seconds: number,
): Promise<Map<string, string>> {
  const asker = [macOf(client.number), client.ip];
  const ask = ["python3", WHO_HAS, GUEST_DEVICE, ...asker, `${seconds}`];
  const options = { input: `${ips.join("\n")}\n`, timeoutMs: (seconds + 20) * 1_000 };
  const said = await at.site.run(ask, options);
  return new Map(
    said.split("\n").flatMap((row) => {
      const [ip, mac] = row.split(" ");
      return ip === undefined || mac === undefined ? [] : [[ip, mac] as const];
    }),
  );
}

export function macOf(number: number): string {
  const tail = [24, 16, 8, 0].map((shift) => ((number >> shift) & 255).toString(16));
  return ["02", "d5", ...tail.map((part) => part.padStart(2, "0"))].join(":");
}
