import type { Rng } from "../base/rng.ts";
import type { Millis } from "../base/time.ts";
import type { Path } from "./path.ts";

/** Probes that may still be answered. */
const MAX_PROBES = 64;

interface Probe {
  readonly path: Path;
  readonly sentAt: Millis;
  /** The size it was padded to; undefined for one that asks no size. */
  readonly padTo: number | undefined;
}

/** The probes of one session that wait for their answers. */
export class Probes {
  readonly #rng: Rng;
  readonly #waiting = new Map<number, Probe>();

  constructor(rng: Rng) {
    this.#rng = rng;
  }

  /** The id to send. Not to be foretold: a peer that answers must have received it (RFC 9000, 8.2). */
  issue(probe: Probe): number {
    const id = this.#rng.u32();
    this.#waiting.set(id, probe);
    for (const oldest of this.#waiting.keys()) {
      if (this.#waiting.size <= MAX_PROBES) break;
      this.#waiting.delete(oldest);
    }
    return id;
  }

  /** What this id was sent for; once. */
  take(id: number): Probe | undefined {
    const probe = this.#waiting.get(id);
    this.#waiting.delete(id);
    return probe;
  }
}
