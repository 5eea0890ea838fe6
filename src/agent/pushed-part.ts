/**
 * The shared part of the cluster file as the authority signed it (`weft config push`). It counts before
 * every other source, and is whole: a shared key that it leaves out has its default.
 */
import { join } from "node:path";
import { utf8 } from "../base/bytes.ts";
import { deriveClusterKeys } from "../crypto/cluster-keys.ts";
import { NoticeBoard } from "../crypto/notice-board.ts";
import type { CryptoSuite } from "../crypto/suite.ts";
import { MAX_NOTICE_BODY } from "../wire/notice.ts";
import type { Config, Pushed } from "./config.ts";
import { KEY_NAMES, KEYS, type Key } from "./config-schema.ts";
import { WeftError } from "./errors.ts";
import { readNotices } from "./notice-file.ts";

type Values = Partial<Record<Key, unknown>>;

/** The shared keys of a file's raw values, as text. @throws WeftError too-large */
export function emitPushed(values: Values): Uint8Array {
  const shared = KEY_NAMES.filter((key) => KEYS[key].shared && values[key] !== undefined).sort();
  const text = JSON.stringify(Object.fromEntries(shared.map((key) => [key, values[key]])));
  const body = utf8(text);
  if (body.length <= MAX_NOTICE_BODY) return body;
  throw new WeftError(
    "too-large",
    `the shared part has ${body.length} bytes, ${MAX_NOTICE_BODY} can be pushed: name fewer nodes and reservations`,
  );
}

/** Undefined when it is none. Keys that this version does not know, or that are not shared, are left out. */
export function parsePushed(body: Uint8Array): Values | undefined {
  try {
    const said: unknown = JSON.parse(Buffer.from(body).toString("utf8"));
    if (typeof said !== "object" || said === null || Array.isArray(said)) return undefined;
    const known = Object.entries(said).filter(
      ([key]) => (KEY_NAMES as readonly string[]).includes(key) && KEYS[key as Key].shared,
    );
    return Object.fromEntries(known);
  } catch {
    return undefined;
  }
}

export interface Whole {
  readonly config: Config;
  /** What of it the authority pushed, where that counts. */
  readonly pushed?: Pushed;
  /** Why what the authority pushed does not count here. */
  readonly problem?: string;
}

/**
 * The configuration with what the authority pushed, if it did.
 *
 * @param file as its own file says
 * @param reread the same sources again, with that part before them. @throws WeftError
 */
export function withPushed(
  suite: CryptoSuite,
  file: Config,
  reread: (pushed: Pushed) => Config,
): Whole {
  const pushed = pushedFor(suite, file);
  if (pushed === undefined) return { config: file };
  try {
    return { config: reread(pushed), pushed };
  } catch (error) {
    if (!(error instanceof WeftError)) throw error;
    const why = error.message.split("\n")[0] ?? "";
    // Who may do what is not decided by the file that the authority replaced.
    if (pushed.values["acl"] !== undefined) throw aclRefused(why);
    const problem = `this node goes by its own file, for the authority's shared part cannot be used: ${why}`;
    return { config: file, problem };
  }
}

function aclRefused(why: string): WeftError {
  return new WeftError(
    "config-invalid",
    `the authority's shared part holds access rules and cannot be used here: ${why}; correct this node's file, or push again`,
  );
}

/**
 * What the state folder has of it: only what the authority of this file signed, the folder proves nothing.
 *
 * @throws WeftError state-unwritable
 */
export function pushedFor(suite: CryptoSuite, file: Config): Pushed | undefined {
  if (file.authority === undefined) return undefined;
  const board = new NoticeBoard(suite, deriveClusterKeys(suite, file.networkKey, file.authority));
  for (const notice of readNotices(join(file.stateDir, file.name))) board.post(notice);
  const body = board.body("shared");
  const values = body && parsePushed(body);
  return values && { number: board.number("shared"), values };
}
