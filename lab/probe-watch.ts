/**
 * What one end of a pair sends straight towards the other one, read off the wire beyond its NAT by tcpdump,
 * packet by packet. Test pings do not count.
 */

import type { Site } from "./lab.ts";
import { PING_BYTES } from "./nat-meter.ts";
import { eventually, type Running } from "./shell.ts";

/** UDP payload of a test ping and what sealing adds at most; see nat-meter.ts. */
const PING_MIN = PING_BYTES + 60;
const PING_MAX = PING_BYTES + 120;

/** Where the wire is read, and whose packets. */
export interface Wire {
  readonly machine: Site;
  readonly device: string;
  readonly from: string;
  readonly to: string;
}

export interface ProbeCount {
  /** In the busiest second, wherever that begins. */
  readonly perSecond: number;
  readonly total: number;
}

export class ProbeWatch {
  readonly #tcpdump: Running;

  private constructor(tcpdump: Running) {
    this.#tcpdump = tcpdump;
  }

  /** Returns when packets are being seen. */
  static async start({ machine, device, from, to }: Wire): Promise<ProbeWatch> {
    const filter = `udp and src host ${from} and dst host ${to}`;
    const prompt = ["--immediate-mode", "-l", "-Z", "root"];
    const tcpdump = machine.start(["tcpdump", "-i", device, "-n", "-q", "-tt", ...prompt, filter]);
    const listening = async () => tcpdump.output.includes("listening on");
    await eventually(`tcpdump listens on ${device}`, listening, 10_000, 20);
    return new ProbeWatch(tcpdump);
  }

  async end(): Promise<ProbeCount> {
    await this.#tcpdump.stop("SIGINT");
    const rows = this.#tcpdump.output.matchAll(/^(\d+\.\d+) IP .* UDP, length (\d+)$/gm);
    const sentAt = [...rows]
      .filter(([, , length]) => !isPing(Number(length)))
      .map(([, seconds]) => Number(seconds));
    return { perSecond: busiest(sentAt), total: sentAt.length };
  }
}

function isPing(bytes: number): boolean {
  return bytes >= PING_MIN && bytes <= PING_MAX;
}

/** @param times in seconds, rising */
function busiest(times: readonly number[]): number {
  let most = 0;
  for (let first = 0, last = 0; last < times.length; last++) {
    while ((times[last] ?? 0) - (times[first] ?? 0) >= 1) first++;
    most = Math.max(most, last - first + 1);
  }
  return most;
}
