/**
 * What the authority told this node, over restarts. A damaged file is put aside, and the next member met
 * tells it again; who was shut out stays out as long as one member that it asks knows.
 *
 *     weft notices 1
 *     <base64 of a notice, one line each>
 *     <first 32 hex digits of SHA-256 over the lines above>
 */
import { createHash } from "node:crypto";
import { renameSync } from "node:fs";
import { join } from "node:path";
import { MAX_NOTICE_BYTES, NOTICE_KINDS, type NoticeKind, parseNotice } from "../wire/notice.ts";
import { readIfThere, writeDurable } from "./durable-file.ts";
import { messageOf, systemCodeOf, WeftError } from "./errors.ts";

const TITLE = "weft notices 1";
/** One line of each kind, in base64, with room for title and sum. */
const MAX_BYTES = NOTICE_KINDS.length * Math.ceil(MAX_NOTICE_BYTES / 3) * 4 + 256;

export function noticeFile(folder: string): string {
  return join(folder, "notices");
}

/** What the file holds, whole or nothing, without touching it. @throws WeftError state-unwritable */
export function readNotices(folder: string): Uint8Array[] {
  const bytes = readFile(noticeFile(folder));
  return (bytes && parseNotices(bytes.toString("utf8"))) ?? [];
}

export interface NoticeFileOptions {
  readonly folder: string;
  /** The file was damaged; it is out of the way now. */
  readonly onDamaged: (movedTo: string) => void;
  /** It cannot be written, or can again. */
  readonly onCondition: (line: string | undefined) => void;
}

export class NoticeFile {
  readonly #options: NoticeFileOptions;
  readonly #path: string;
  readonly #notices = new Map<NoticeKind, Uint8Array>();
  #text = "";

  constructor(options: NoticeFileOptions) {
    this.#options = options;
    this.#path = noticeFile(options.folder);
  }

  /** @throws WeftError state-unwritable */
  load(): Uint8Array[] {
    const bytes = readFile(this.#path);
    if (bytes === undefined) return [];
    this.#text = bytes.toString("utf8");
    const notices = parseNotices(this.#text);
    for (const notice of notices ?? []) {
      const outcome = parseNotice(notice);
      if (outcome.ok) this.#notices.set(outcome.value.kind, notice);
    }
    if (notices !== undefined) return notices;
    const movedTo = `${this.#path}.damaged`;
    renameSync(this.#path, movedTo);
    this.#options.onDamaged(movedTo);
    return [];
  }

  /** At once: a list that is lost in a crash would let somebody in until it is heard again. */
  save(kind: NoticeKind, notice: Uint8Array): void {
    this.#notices.set(kind, notice);
    const text = emitNotices(NOTICE_KINDS.flatMap((one) => this.#notices.get(one) ?? []));
    if (text === this.#text) return;
    try {
      writeDurable(this.#path, text, 0o600);
      this.#text = text;
      this.#options.onCondition(undefined);
    } catch (error) {
      const why = systemCodeOf(error) ?? messageOf(error);
      this.#options.onCondition(
        `${this.#path} cannot be written (${why}): free space or correct its owner`,
      );
    }
  }
}

export function emitNotices(notices: readonly Uint8Array[]): string {
  const lines = notices.map((notice) => Buffer.from(notice).toString("base64"));
  const body = [TITLE, ...lines, ""].join("\n");
  return `${body}${checksum(body)}\n`;
}

/** The text must be exactly what `emitNotices` writes; who signed what is the node's to judge. */
export function parseNotices(text: string): Uint8Array[] | undefined {
  const lines = text.split("\n");
  const [title, ...rest] = lines.slice(0, -2);
  if (title !== TITLE || rest.length > NOTICE_KINDS.length) return undefined;
  const notices = rest.map((line) => new Uint8Array(Buffer.from(line, "base64")));
  return emitNotices(notices) === text ? notices : undefined;
}

function readFile(path: string): Buffer | undefined {
  try {
    return readIfThere(path, MAX_BYTES);
  } catch (error) {
    const why = systemCodeOf(error) ?? messageOf(error);
    throw new WeftError("state-unwritable", `${path} cannot be read (${why}): run as its owner`);
  }
}

function checksum(body: string): string {
  return createHash("sha256").update(body).digest("hex").slice(0, 32);
}
