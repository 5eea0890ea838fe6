import { ENGINE_LIMITS } from "../src/base/engine.ts";
import type { Mac } from "../src/base/net.ts";
import { type Millis, NEVER } from "../src/base/time.ts";

/** A second between two misses of one MAC: the core repeats its own questions by itself. */
const MISS_INTERVAL_MS = 1_000;

interface Queue {
  frames: { readonly bytes: Uint8Array; readonly expiresAt: Millis }[];
  bytes: number;
  missAt: Millis;
}

/** Frames from the TAP that wait until the core says where their destination lives. */
export class WaitingFrames {
  readonly #queues = new Map<Mac, Queue>();
  #bytes = 0;

  /** "first" asks the core now, "queued" waits silently, "full" was not taken. */
  add(now: Millis, mac: Mac, bytes: Uint8Array): "first" | "queued" | "full" {
    const queue = this.#queues.get(mac) ?? { frames: [], bytes: 0, missAt: -NEVER };
    if (!this.#hasRoom(queue, bytes.length)) return "full";
    this.#queues.set(mac, queue);
    queue.frames.push({ bytes, expiresAt: now + ENGINE_LIMITS.waitingMs });
    queue.bytes += bytes.length;
    this.#bytes += bytes.length;
    if (now - queue.missAt < MISS_INTERVAL_MS) return "queued";
    queue.missAt = now;
    return "first";
  }

  #hasRoom(queue: Queue, length: number): boolean {
    if (queue.frames.length >= ENGINE_LIMITS.waitingFramesPerMac) return false;
    if (queue.bytes + length > ENGINE_LIMITS.waitingBytesPerMac) return false;
    return this.#bytes + length <= ENGINE_LIMITS.waitingBytes;
  }

  /** Every frame that waited for this MAC, oldest first. */
  take(mac: Mac): Uint8Array[] {
    const queue = this.#queues.get(mac);
    if (queue === undefined) return [];
    this.#queues.delete(mac);
    this.#bytes -= queue.bytes;
    return queue.frames.map((frame) => frame.bytes);
  }

  /** Drops what waited too long; how many frames that were. */
  expire(now: Millis): number {
    let expired = 0;
    for (const [mac, queue] of this.#queues) {
      const kept = queue.frames.filter((frame) => frame.expiresAt > now);
      if (kept.length === queue.frames.length) continue;
      expired += queue.frames.length - kept.length;
      const bytes = kept.reduce((sum, frame) => sum + frame.bytes.length, 0);
      this.#bytes -= queue.bytes - bytes;
      queue.frames = kept;
      queue.bytes = bytes;
      if (kept.length === 0) this.#queues.delete(mac);
    }
    return expired;
  }

  deadline(): Millis {
    let earliest = NEVER;
    for (const queue of this.#queues.values()) {
      earliest = Math.min(earliest, queue.frames[0]?.expiresAt ?? NEVER);
    }
    return earliest;
  }
}
