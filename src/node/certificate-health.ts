/** What people have to know of certificates: their own one's end, and peers refused for their dates. */
import type { Millis } from "../base/time.ts";
import type { RefusedDate } from "../link/certificate-watch.ts";
import { dateText } from "./date-text.ts";
import type { Parts } from "./parts.ts";

export function certificateHealth(now: Millis, parts: Parts, wallSeconds: number): string[] {
  const own = parts.issuing?.health(wallSeconds);
  const refused = parts.links.refusedDates(now).map(refusedText);
  return own === undefined ? refused : [own, ...refused];
}

/** Names the clock: with a right one such a peer is rare. */
export function refusedText({ name, kind, date, clock }: RefusedDate): string {
  const says = `(${dateText(date)}): check the clock here (${dateText(clock)}) and there`;
  if (kind === "early") return `certificate of ${name} starts in the future ${says}`;
  return `certificate of ${name} ended ${says}, or renew it`;
}
