import { ENGINE_LIMITS, type SessionId } from "../src/base/engine.ts";
import type { Mac } from "../src/base/net.ts";
import type { Millis } from "../src/base/time.ts";

export type ForwardTarget = SessionId | "local" | "drop";

/** Where frames for a MAC go. Entries end by themselves; the ended ones are removed when met. */
export class ForwardTable {
  readonly #entries = new Map<Mac, { readonly to: ForwardTarget; readonly expiresAt: Millis }>();

  lookUp(now: Millis, mac: Mac): ForwardTarget | undefined {
    const entry = this.#entries.get(mac);
    if (entry === undefined) return undefined;
    if (entry.expiresAt > now) return entry.to;
    this.#entries.delete(mac);
    return undefined;
  }

  /** False when the table is full of living entries. */
  publish(now: Millis, mac: Mac, to: ForwardTarget, ttlMs: Millis): boolean {
    if (!this.#entries.has(mac) && this.#entries.size >= ENGINE_LIMITS.forward) {
      this.#remove(({ expiresAt }) => expiresAt <= now);
      if (this.#entries.size >= ENGINE_LIMITS.forward) return false;
    }
    this.#entries.set(mac, { to, expiresAt: now + ttlMs });
    return true;
  }

  remove(mac: Mac): void {
    this.#entries.delete(mac);
  }

  removeSession(session: SessionId): void {
    this.#remove(({ to }) => to === session);
  }

  #remove(matches: (entry: { to: ForwardTarget; expiresAt: Millis }) => boolean): void {
    for (const [mac, entry] of this.#entries) if (matches(entry)) this.#entries.delete(mac);
  }
}
