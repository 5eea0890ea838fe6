/** A steady UDP stream by iperf3 between two agents, and its silences as the receiver's TAP saw them. */
import { readFileSync } from "node:fs";
import type { Agent } from "../../lab/agent.ts";
import { eventually, type Running } from "../../lab/shell.ts";
import { Capture } from "./capture.ts";
import { TAP } from "./cluster.ts";

/** 10 Mbit/s in datagrams of 1,200 bytes: one each 0.96 ms. */
const RATE = ["-u", "-b", "10M", "-l", "1200", "-t", "600"];
const PORT = 5201;
/** The stream flows again when it did for this long. */
const STEADY_MS = 1_000;
const PCAP_HEADER = 24;
const RECORD_HEADER = 16;

export class StreamWatch {
  readonly #capture: Capture;
  readonly #programs: readonly Running[];

  private constructor(capture: Capture, programs: readonly Running[]) {
    this.#capture = capture;
    this.#programs = programs;
  }

  static async start(from: Agent, to: Agent, ip: string): Promise<StreamWatch> {
    const capture = await Capture.start(to.site, TAP, `udp dst port ${PORT}`, 64);
    const server = to.site.start(["iperf3", "-s", "-1", "-B", ip]);
    const listens = async () => (await to.site.finish(["ss", "-tln"])).stdout.includes(`:${PORT}`);
    await eventually("iperf3 listens", listens, 10_000);
    const client = from.site.start(["iperf3", "-c", ip, ...RATE]);
    const watch = new StreamWatch(capture, [client, server]);
    await eventually("the stream flows", async () => watch.#arrivals().length > 100, 10_000);
    return watch;
  }

  /**
   * Lets something happen and waits until the stream flows again, at most `limitMs`.
   * @returns the longest silence since, in milliseconds
   */
  async silenceAfter(event: () => Promise<unknown>, limitMs: number): Promise<number> {
    const started = Date.now();
    await event();
    const done = Date.now();
    const flows = async () => {
      const now = Date.now();
      return (
        now - done > STEADY_MS && longestGap(this.#since(now - STEADY_MS), now) < STEADY_MS / 2
      );
    };
    await eventually("the stream flows again", flows, limitMs, 200).catch(() => undefined);
    return longestGap(this.#since(started), Date.now());
  }

  async end(): Promise<void> {
    for (const program of this.#programs) await program.stop("SIGKILL");
    await this.#capture.end();
  }

  /** Arrivals after this moment, and the moment itself in front. */
  #since(startMs: number): number[] {
    return [startMs, ...this.#arrivals().filter((at) => at > startMs)];
  }

  /** Times of arrival as in Date.now(), read from the records of the capture file. */
  #arrivals(): number[] {
    const bytes = readFileSync(this.#capture.file);
    const times: number[] = [];
    let offset = PCAP_HEADER;
    while (offset + RECORD_HEADER <= bytes.length) {
      const [seconds, micros] = [bytes.readUInt32LE(offset), bytes.readUInt32LE(offset + 4)];
      times.push(seconds * 1000 + micros / 1000);
      offset += RECORD_HEADER + bytes.readUInt32LE(offset + 8);
    }
    return times;
  }
}

function longestGap(times: readonly number[], now: number): number {
  const ends = [...times.slice(1), now];
  return ends.reduce((longest, end, i) => Math.max(longest, end - (times[i] ?? end)), 0);
}
