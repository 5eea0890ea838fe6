/**
 * The cluster file as one word that can be pasted (`weft join TOKEN`):
 *
 *     weft1.  base64url of:
 *       0  length of the whole  4 B       a token that was cut short says so
 *       4  CRC-32 of the rest   4 B
 *       8  network key         32 B
 *      40  the other keys             JSON, raw deflate (RFC 1951)
 *
 * The number behind `weft` is the version of this form. Integers are little endian. The token is as
 * secret as the file: whoever has it is a member.
 *
 * With an authority the file alone makes nobody a member. Such a token is of form 2: its JSON is
 * {"file": the other keys, "grant": what makes the machine a member} (join-grant.ts).
 */
import { deflateRawSync, inflateRawSync } from "node:zlib";
import { ByteReader, ByteWriter, concat } from "../base/bytes.ts";
import { crc32 } from "../base/crc32.ts";
import { fileSchema, KEY_NAMES, type Key } from "./config-schema.ts";
import { MAX_FILE_BYTES } from "./config-source.ts";
import { WeftError } from "./errors.ts";
import { type Grant, grantOf } from "./join-grant.ts";
import { NETWORK_KEY_BYTES, parseNetworkKey } from "./network-key.ts";

export type ClusterValues = Partial<Record<Key, unknown>>;

/** What a token carries: a cluster file without the paths of one machine. */
export interface JoinToken {
  readonly name: string;
  /** base64, as `secret:` in a file */
  readonly secret: string;
  /** The other keys as a file has them, checked. */
  readonly values: ClusterValues;
  /** Only with an authority. */
  readonly grant?: Grant;
}

const VERSION = 1;
/** With an authority. */
const GRANT_VERSION = 2;
const HEAD_BYTES = 8;
/**
 * With the words before it. One argument of a Linux command holds 131,071 characters; a larger cluster
 * file is copied.
 */
export const MAX_TOKEN_CHARS = 100_000;
/** Paths, and the address, of the machine that the file lies on. */
const OF_ONE_MACHINE: readonly Key[] = ["secret", "secret_file", "state_dir", "run_dir", "ip"];
/** Room for `sudo weft join weft1.` and white space. */
const WORDS_BEFORE = 100;
const AGAIN = "copy the whole line that `weft up` or `weft invite` printed";

/** @throws WeftError too-large: the file names so many nodes that no command line holds it */
export function encodeToken(token: JoinToken): string {
  const file = { ...ofAllMachines(token.values), name: token.name };
  const { grant } = token;
  const version = grant === undefined ? VERSION : GRANT_VERSION;
  const values = JSON.stringify(grant === undefined ? file : { file, grant });
  const key = new Uint8Array(Buffer.from(token.secret, "base64"));
  const body = concat(key, deflateRawSync(values));
  const head = new ByteWriter().u32(HEAD_BYTES + body.length).u32(crc32(body));
  const text = Buffer.from(concat(head.finish(), body)).toString("base64url");
  if (text.length <= MAX_TOKEN_CHARS - WORDS_BEFORE) return `weft${version}.${text}`;
  throw new WeftError("too-large", "the file is too large for a token: copy it by scp instead");
}

/**
 * @param text the token, or the whole line; white space of a wrapped line is ignored
 * @throws WeftError token-invalid
 */
export function decodeToken(text: string): JoinToken {
  const bare = text.trim().replace(/^(sudo\s+)?weft\s+join\s+/, "");
  const [, version, body = ""] = /^weft(\d{1,4})\.(.*)$/s.exec(bare) ?? [];
  if (version === undefined) throw invalid(`is no token of weft: ${AGAIN}`);
  if (Number(version) !== VERSION && Number(version) !== GRANT_VERSION) {
    const older = Number(version) < VERSION;
    const cure = `install the same version on both machines (${older ? "there" : "here"} is the older one)`;
    throw invalid(
      `has form ${version}, this weft reads forms ${VERSION} and ${GRANT_VERSION}: ${cure}`,
    );
  }
  return fromBytes(bytesOf(body.replace(/\s+/g, "")), Number(version));
}

function ofAllMachines(values: ClusterValues): ClusterValues {
  const kept = Object.entries(values).filter(([key]) => !OF_ONE_MACHINE.includes(key as Key));
  return Object.fromEntries(kept);
}

function invalid(fault: string): WeftError {
  return new WeftError("token-invalid", `the token ${fault}`);
}

/** The part behind the head, which it was checked against. */
function bytesOf(text: string): Uint8Array {
  const odd = /[^A-Za-z0-9_-]/.exec(text);
  if (odd !== null) throw invalid(`has a character that is none of its own: ${AGAIN}`);
  const bytes = new Uint8Array(Buffer.from(text, "base64url"));
  const reader = new ByteReader(bytes);
  const [length, checksum] = [reader.u32(), reader.u32()];
  if (!reader.ok || bytes.length < length) throw invalid(`is cut short: ${AGAIN}`);
  const body = reader.rest();
  if (bytes.length > length || crc32(body) !== checksum)
    throw invalid(`is damaged, its checksum does not hold: ${AGAIN}`);
  return body;
}

function fromBytes(body: Uint8Array, version: number): JoinToken {
  const secret = Buffer.from(body.subarray(0, NETWORK_KEY_BYTES)).toString("base64");
  const inner = inflated(body.subarray(NETWORK_KEY_BYTES));
  const grant = version === GRANT_VERSION ? grantOf(inner?.["grant"]) : undefined;
  const values = version === GRANT_VERSION ? objectOf(inner?.["file"]) : inner;
  const key = parseNetworkKey(secret);
  const lacksGrant = version === GRANT_VERSION && grant === undefined;
  if (!key.ok || lacksGrant || values === undefined || typeof values["name"] !== "string")
    throw invalid(`carries no cluster file: ${AGAIN}`);
  const checked = fileSchema.safeParse(values);
  // Whoever made the token says nothing about the paths of this machine, nor a second key.
  if (checked.success) {
    const token = { name: values["name"], secret, values: ofAllMachines(values) };
    return grant === undefined ? token : { ...token, grant };
  }
  const unknown = Object.keys(values).find((name) => !KEY_NAMES.includes(name as Key));
  throw invalid(
    unknown === undefined
      ? `carries a value that this weft refuses (${checked.error.issues[0]?.message ?? ""}): ${SAME}`
      : `carries the key ${unknown} that this weft does not know: ${SAME}`,
  );
}

const SAME = "install the same version on both machines";

/** undefined: no JSON object, or one that grows beyond any cluster file. */
function inflated(bytes: Uint8Array): Record<string, unknown> | undefined {
  try {
    const text = inflateRawSync(bytes, { maxOutputLength: MAX_FILE_BYTES }).toString("utf8");
    return objectOf(JSON.parse(text));
  } catch {
    return undefined;
  }
}

function objectOf(value: unknown): Record<string, unknown> | undefined {
  const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
  return isObject ? (value as Record<string, unknown>) : undefined;
}
