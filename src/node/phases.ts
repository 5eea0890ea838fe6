/**
 * How far the node has come.
 *
 *      starting ──> joining ──────────────> joined
 *                      │   no bootstrap        ▲
 *                      │   answered for        │ a second member
 *                      │   LONELY_AFTER_MS     │
 *                      └──────> alone ─────────┘
 *
 * `joined` falls back to `alone` when the last link has been gone for LONELY_AGAIN_MS: then this
 * node is the ring, and its leases count as alone until others are met again.
 */
import { type Millis, TimerTable } from "../base/time.ts";

/** A lone first node must have its lease within 2 s of its start (docs/PROTOCOL.md, Join). */
export const LONELY_AFTER_MS = 1_200;
/** Members on the same switch answer within milliseconds; this is for a busy machine and a lost datagram. */
export const SEARCH_MS = 600;
/** Losing all links for a moment (roaming, suspend) is not loneliness. */
const LONELY_AGAIN_MS = 10_000;
/** With links but no stable ring for so long, going on beats waiting: quorums still guard the DHT. */
const SETTLE_MS = 4_000;

export type Phase = "joining" | "alone" | "joined";

export class Phases {
  readonly #timers = new TimerTable<"lonely" | "settle">();
  #phase: Phase = "joining";
  #links = 0;
  /** Until then somebody may still be found. */
  #searchUntil: Millis = 0;

  get phase(): Phase {
    return this.#phase;
  }

  /**
   * With nobody to ask the node is alone at once, or when the search found nobody.
   *
   * @param has `endpoints`: there are bootstrap endpoints or remembered peers. `search`: the agent
   *   looks for members nearby
   */
  start(now: Millis, has: { readonly endpoints: boolean; readonly search: boolean }): void {
    this.#searchUntil = has.search ? now + SEARCH_MS : now;
    this.#timers.set("lonely", has.endpoints ? now + LONELY_AFTER_MS : this.#searchUntil);
  }

  /** Every bootstrap endpoint turned out to be this node itself: nothing is left to wait for. */
  nobodyLeft(now: Millis): void {
    if (this.#links > 0 || this.#phase !== "joining") return;
    this.#timers.setEarlier("lonely", Math.max(now, this.#searchUntil));
  }

  /** There is somebody to ask now: an answer takes a moment. Only while the search is on. */
  somebodyFound(now: Millis): void {
    if (now > this.#searchUntil || this.#links > 0 || this.#phase !== "joining") return;
    this.#timers.set("lonely", now + LONELY_AFTER_MS);
  }

  /** @returns true when the phase changed */
  linksChanged(now: Millis, links: number): boolean {
    const had = this.#links;
    this.#links = links;
    if (links === 0) this.#timers.clear("settle");
    if (links > 0) this.#timers.clear("lonely");
    else if (had > 0) this.#timers.set("lonely", now + LONELY_AGAIN_MS);
    if (links > 0 && had === 0) this.#timers.set("settle", now + SETTLE_MS);
    return links > 0 && this.#phase === "alone" ? this.#become("joining") : false;
  }

  /** The ring has linked everything near. @returns true when the phase changed */
  ringStable(stable: boolean): boolean {
    return stable && this.#links > 0 && this.#phase !== "joined" && this.#become("joined");
  }

  /** @returns true when the phase changed */
  timeout(now: Millis): boolean {
    const due = this.#timers.takeExpired(now);
    if (due.includes("settle")) return this.#phase !== "joined" && this.#become("joined");
    return due.includes("lonely") && this.#become("alone");
  }

  deadline(): Millis {
    return this.#timers.deadline();
  }

  #become(phase: Phase): boolean {
    const changed = this.#phase !== phase;
    this.#phase = phase;
    return changed;
  }
}
