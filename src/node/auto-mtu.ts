/**
 * `mtu: auto`: the MTU of the interface follows what the paths carry.
 *
 *   1,390 --- every linked member's path is settled and carries 2,780, for 30 s ---> the least of them
 *     ^                                                                                    |
 *     \-------------------------- one carries less, at the next look ----------------------/
 *
 * The MTU says how large the packets are that this host begins with. What single paths carry less is
 * told to it packet by packet (ICMP, MSS), so a look now and then is soon enough.
 */
import type { CoreEvent } from "../base/event.ts";
import type { Millis } from "../base/time.ts";

/**
 * 1,390 bytes inside fit a path of 1,500 with IPv6 outside and a relay's shim, with a little room for
 * tunnels of others.
 */
export const AUTO_MTU = 1_390;
/** Half as many packets is worth a change that every program on the host sees; 32 bytes are not. */
export const WORTHWHILE_MTU = 2 * AUTO_MTU;
/** What a path of 9,000 carries over IPv4; the searches for sizes end there. */
const MOST_MTU = 8_922;
/** A raised MTU is raised again only for a quarter more: of two jumbo sizes the first one stays. */
const FARTHER = 1.25;
/** All paths must carry it this long, doubled each time it had to be lowered, up to the last. */
const FIRST_HOLD_MS: Millis = 30_000;
const LAST_HOLD_MS: Millis = 3_600_000;

/** What one path carries of an IP packet. */
export interface PathMtu {
  readonly mtu: number;
  readonly isSettled: boolean;
}

export class AutoMtu {
  /** The interface's. */
  mtu = AUTO_MTU;
  #holdMs = FIRST_HOLD_MS;
  /** Since when a raise has been right. */
  #since: Millis | undefined;

  /** @returns what was done, after `mtu` was changed */
  look(now: Millis, paths: readonly PathMtu[]): CoreEvent | undefined {
    const settled = paths.filter(({ isSettled }) => isSettled).map(({ mtu }) => mtu);
    const least = Math.min(...settled, MOST_MTU);
    if (settled.length > 0 && least < this.mtu) return this.#lower(least);
    const isRight =
      settled.length > 0 &&
      settled.length === paths.length &&
      least >= WORTHWHILE_MTU &&
      least >= this.mtu * FARTHER;
    if (!isRight) {
      this.#since = undefined;
      return undefined;
    }
    this.#since ??= now;
    if (now - this.#since < this.#holdMs) return undefined;
    const condition = `every path carries ${least} bytes`;
    return { what: "mtu-raised", condition, ...this.#change(least) };
  }

  #lower(least: number): CoreEvent | undefined {
    const next = least >= WORTHWHILE_MTU ? least : AUTO_MTU;
    this.#since = undefined;
    if (next === this.mtu) return undefined;
    this.#holdMs = Math.min(2 * this.#holdMs, LAST_HOLD_MS);
    const condition = `a path carries ${least} bytes`;
    return { what: "mtu-lowered", condition, ...this.#change(next) };
  }

  #change(next: number): Omit<CoreEvent, "what" | "condition"> {
    const before = this.mtu;
    this.mtu = next;
    this.#since = undefined;
    return {
      area: "node",
      action: `the interface's MTU is ${next}, was ${before}`,
      effect: "new connections use packets of this size",
      coolDownMs: this.#holdMs,
      fields: { mtu: next, before },
    };
  }
}
