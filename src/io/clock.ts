/** The agent's only clocks. */
import type { Millis } from "../base/time.ts";
import { loadAddon } from "./engine.ts";

/**
 * Milliseconds since boot, suspended time included (CLOCK_BOOTTIME), whole: the core's `now`. Node's
 * own monotonic clock stops while the machine sleeps, and leases do not.
 */
export function boottimeNow(): Millis {
  return Math.floor(loadAddon().boottimeMs());
}
