/** What a node does about the authority's notices, as events for people. */
import type { DropReason } from "../base/drop-reason.ts";
import type { CoreEvent } from "../base/event.ts";
import type { NoticeKind } from "../wire/notice.ts";

/** @param isOwn somebody gave it to this node, or it was saved here; else a member told it */
export function noticeTaken(notice: NoticeKind, number: number, isOwn: boolean): CoreEvent {
  return noticeEvent({
    what: "notice-taken",
    condition: `${noticeName(notice)}: number ${number} ${isOwn ? "was given here" : "came"}`,
    action: "kept, and told to every member linked",
    effect: notice === "revocations" ? "whom it names is refused" : "",
    fields: { notice, number },
  });
}

export function noticeConflict(notice: NoticeKind, number: number): CoreEvent {
  return noticeEvent({
    what: "notice-conflict",
    condition: `${noticeName(notice)}: another one with number ${number} was signed`,
    action: "kept the first one",
    effect: "members may differ until a newer one is signed",
    fields: { notice, number },
  });
}

export function noticeRefused(reason: DropReason): CoreEvent {
  return noticeEvent({
    what: "notice-refused",
    condition: `a saved notice is not this authority's: ${reason}`,
    action: "left out",
    effect: "members tell it again, if it is one",
    fields: { reason },
  });
}

export function noticeName(kind: NoticeKind): string {
  return kind === "revocations" ? "list of revocations" : "shared part of the file";
}

function noticeEvent(event: Omit<CoreEvent, "area" | "coolDownMs">): CoreEvent {
  return { area: "node", coolDownMs: 0, ...event };
}
