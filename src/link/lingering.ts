/**
 * Sessions that this side gave up, the peer told: the engine hears them a moment longer. What the peer
 * sent before it heard the goodbye is on its way, and the first frame of a new talk may be among it.
 */
import type { SessionId } from "../base/engine.ts";
import { type Millis, NEVER } from "../base/time.ts";

/** A goodbye's way there and a frame's way back, on the longest paths there are. */
const LINGER_MS: Millis = 1_000;
/** More at one time is a node that stops or a ring that falls apart: nothing is lost by haste then. */
const MAX_LINGERING = 64;

export class Lingering {
  /** When to close each; the same delay for all, so the first is due first. */
  readonly #closeAt = new Map<SessionId, Millis>();

  /** @returns false when there is no room: the session must be closed at once */
  add(now: Millis, session: SessionId): boolean {
    if (this.#closeAt.size >= MAX_LINGERING) return false;
    this.#closeAt.set(session, now + LINGER_MS);
    return true;
  }

  has(session: SessionId): boolean {
    return this.#closeAt.has(session);
  }

  takeDue(now: Millis): SessionId[] {
    const due = [...this.#closeAt].filter(([, at]) => at <= now).map(([session]) => session);
    for (const session of due) this.#closeAt.delete(session);
    return due;
  }

  deadline(): Millis {
    const [first = NEVER] = this.#closeAt.values();
    return first;
  }
}
