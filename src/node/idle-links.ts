/**
 * Which links carry frames. A pair that talks keeps its direct link however far apart it is on the
 * ring; one that fell silent gives it up, and past a budget the one that is silent longest goes first.
 */
import type { Millis } from "../base/time.ts";
import type { LinkId, LinkView } from "../link/link-types.ts";

/** A pause of a program is shorter; a new link costs one handshake. */
export const IDLE_AFTER_MS = 300_000;
/** An all-to-all job of this many members needs no relay; each link costs a few kilobytes. */
export const ON_DEMAND_MAX = 128;

interface Activity {
  frames: number;
  lastAt: Millis;
}

export class IdleLinks {
  readonly #activity = new Map<LinkId, Activity>();

  /**
   * Call after every traffic report.
   * @returns the on-demand links to close
   */
  review(now: Millis, views: readonly LinkView[]): LinkId[] {
    this.#update(now, views);
    const onDemand = views
      .filter((view) => view.role === "onDemand")
      .map(({ peer }) => ({ link: peer.link, lastAt: this.#lastAt(peer.link) }))
      .sort((a, b) => a.lastAt - b.lastAt);
    const surplus = Math.max(0, onDemand.length - ON_DEMAND_MAX);
    return onDemand
      .filter(({ lastAt }, i) => i < surplus || now - lastAt >= IDLE_AFTER_MS)
      .map(({ link }) => link);
  }

  /** Frames passed lately, so the link must not be closed for want of a ring role. */
  isBusy(now: Millis, link: LinkId): boolean {
    const activity = this.#activity.get(link);
    return activity !== undefined && activity.frames > 0 && now - activity.lastAt < IDLE_AFTER_MS;
  }

  #update(now: Millis, views: readonly LinkView[]): void {
    const present = new Set(views.map((view) => view.peer.link));
    for (const link of this.#activity.keys()) if (!present.has(link)) this.#activity.delete(link);
    for (const { peer, traffic, openedAt } of views) {
      const frames = (traffic?.framesIn ?? 0) + (traffic?.framesOut ?? 0);
      const known = this.#activity.get(peer.link);
      if (known === undefined) this.#activity.set(peer.link, { frames, lastAt: openedAt });
      else if (frames !== known.frames) this.#activity.set(peer.link, { frames, lastAt: now });
    }
  }

  #lastAt(link: LinkId): Millis {
    return this.#activity.get(link)?.lastAt ?? 0;
  }
}
