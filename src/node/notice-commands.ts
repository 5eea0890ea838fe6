/** What people ask of the authority's notices: which ones are here, and taking a new one. */
import type { NoticeBoard, Posting } from "../crypto/notice-board.ts";
import { NOTICE_KINDS, type NoticeKind } from "../wire/notice.ts";
import type { NodeReply } from "./command.ts";

/** The newest of each kind, as they travel. */
export function noticesReply(board: NoticeBoard): NodeReply {
  const notices = NOTICE_KINDS.flatMap((kind) => board.bytes(kind) ?? []);
  return { kind: "notices", notices };
}

export function postedReply(posting: Posting): NodeReply {
  const failed = (detail: string): NodeReply => ({ kind: "failed", code: "not-newer", detail });
  switch (posting.outcome) {
    case "newer":
    case "same":
      return { kind: "posted", notice: posting.kind, number: posting.number };
    case "older":
      return failed(
        `${titleOf(posting.kind)} ${posting.number} is older than ${posting.newest}, the newest here: sign a newer one`,
      );
    case "conflict":
      return failed(
        `another ${titleOf(posting.kind)} with number ${posting.number} is here already: sign a newer one`,
      );
    case "bad":
      return {
        kind: "failed",
        code: "notice-refused",
        detail: `the authority of this network did not sign that (${posting.reason}): use its private key, and the whole word`,
      };
  }
}

function titleOf(kind: NoticeKind): string {
  return kind === "revocations" ? "list" : "shared part";
}
