/** Sends prepared Ethernet frames at a steady rate into a site's cable (`flood.cc`). */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { buildProgram } from "./cc-program.ts";
import type { Site } from "./lab.ts";
import type { Running } from "./shell.ts";

let pools = 0;

export interface FloodRate {
  readonly perSecond: number;
  readonly seconds: number;
}

/** A flood under way, or over. */
export class Flood {
  readonly #running: Running;

  private constructor(running: Running) {
    this.#running = running;
  }

  /** The frames are sent over and over, in their order. */
  static async start(
    from: Site,
    frames: readonly Uint8Array[],
    { perSecond, seconds }: FloodRate,
  ): Promise<Flood> {
    const program = await buildProgram("flood");
    const file = join(from.folder, `flood-${++pools}.bin`);
    writeFileSync(file, poolOf(frames));
    const count = Math.round(perSecond * seconds);
    return new Flood(from.start([program, "eth0", file, `${perSecond}`, `${count}`]));
  }

  get isRunning(): boolean {
    return this.#running.isRunning;
  }

  /** Waits for its end. @returns frames the interface took, and how many a second that were */
  async end(): Promise<{ readonly sent: number; readonly perSecond: number }> {
    await this.#running.exited;
    const report = /sent (\d+) in (\d+) ms/.exec(this.#running.output);
    if (report === null) throw new Error(`the flood failed: ${this.#running.output}`);
    const [sent, ms] = [Number(report[1]), Number(report[2])];
    return { sent, perSecond: Math.round((sent * 1_000) / ms) };
  }
}

function poolOf(frames: readonly Uint8Array[]): Uint8Array {
  const parts = frames.flatMap((frame) => [
    Uint8Array.of(frame.length & 0xff, frame.length >> 8),
    frame,
  ]);
  return Buffer.concat(parts);
}
