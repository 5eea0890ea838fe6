/**
 * Questions to replicas and their answers: payloads 0x23 (request) and 0x24 (answer) of a routed
 * envelope. An address is 20 bytes big endian, a list is a count u8 before its items.
 *
 *  request   op u8 | passes u8 | request u32 | requester 20 B | key 20 B | then by op
 *     1 get      nothing
 *     2 create   carried record
 *     3 put      carried record (a ttl of 0 removes)
 *     4 merge    carried record            read repair; nobody answers
 *     5 sync     members: list (<= 9) of addresses | digest 8 B       key = first key of the page
 *  carried   remaining seconds u32 | certificate u16 + bytes | record u16 + bytes
 *
 *  answer    form u8 | request u32 | key 20 B | state u8 | then by form
 *     1 answer   status u8 | view: list (<= 5) | carried: list (<= 4)
 *                | attested renewals u8 | attestation 64 B, only when renewals > 0
 *     2 page     same u8 | more u8 | next key 20 B | carried: list (<= 64)
 *            then, of both: replica's certificate u16 + bytes | signature 64 B
 *
 * `passes` counts how often a request was passed on; 255 marks a copy from the owner to a replica.
 * state: 0 ready (page: informed), 1 syncing. An answer's signature covers a label, the network id,
 * the requester's address and every byte before it.
 */
import { ByteReader, ByteWriter, concat, utf8 } from "../base/bytes.ts";
import { dropped, type Parsed, parsed } from "../base/drop-reason.ts";
import {
  ADDRESS_BYTES,
  addressFromBytes,
  addressToBytes,
  type RingAddress,
} from "../base/ring-address.ts";
import { MAX_CHAIN_BYTES } from "./certificate-block.ts";
import {
  clampTtlSeconds,
  type DhtRecord,
  emitRecord,
  MAX_RECORD_BYTES,
  MAX_TTL_SECONDS,
  parseRecord,
} from "./record.ts";

/** A record on its way, with what the receiver needs to check it and to count its life on. */
export interface Carried {
  /** 0..MAX_TTL_SECONDS; ignored by create and put, which start a whole ttl */
  readonly remainingSeconds: number;
  /** The signer's member certificate. */
  readonly certificate: Uint8Array;
  readonly record: DhtRecord;
}

interface RequestHead {
  readonly request: number;
  readonly requester: RingAddress;
  readonly key: RingAddress;
  /** 0..MAX_PASSES, or COPY */
  readonly passes: number;
}

export type WriteOp = "create" | "put" | "merge";
export type DhtRequest =
  | (RequestHead & { readonly op: "get" })
  | (RequestHead & { readonly op: WriteOp; readonly carried: Carried })
  | (RequestHead & {
      readonly op: "sync";
      readonly members: readonly RingAddress[];
      /** 8 bytes: XOR over the records both sides should hold (dht/sync.ts) */
      readonly digest: Uint8Array;
    });

export type AnswerStatus = "value" | "stored" | "exists" | "stale" | "refused";

interface AnswerHead {
  readonly request: number;
  readonly key: RingAddress;
}

export interface ReplicaAnswer extends AnswerHead {
  readonly form: "answer";
  readonly ready: boolean;
  readonly status: AnswerStatus;
  /** The replica set of the key as the replica sees it, ascending. */
  readonly view: readonly RingAddress[];
  readonly carried: readonly Carried[];
  readonly attestation: { readonly renewals: number; readonly signature: Uint8Array } | undefined;
}

export interface SyncPage extends AnswerHead {
  readonly form: "page";
  /** False: the replica itself still waits for others, its word proves no absence. */
  readonly informed: boolean;
  /** The digests were equal: nothing needs to travel. */
  readonly same: boolean;
  /** First key of the next page; undefined on the last one. */
  readonly next: RingAddress | undefined;
  readonly carried: readonly Carried[];
}

export type DhtAnswer = ReplicaAnswer | SyncPage;

export interface SignedAnswer {
  readonly answer: DhtAnswer;
  /** The replica's member certificate. */
  readonly certificate: Uint8Array;
  readonly signature: Uint8Array;
  /** Everything before the signature, as received. */
  readonly body: Uint8Array;
}

/** Marks a copy that the owner sent to a replica: answer it, never pass it on. */
export const COPY = 255;
/** A request that misses its owner (stale routes) is passed on this often, never in circles. */
export const MAX_PASSES = 2;
/** A ring view: the node and four neighbours on each side. */
export const MAX_SYNC_MEMBERS = 9;
/** Replica sets have at most five members. */
export const MAX_VIEW = 5;
/** One live record and the newest tombstones of other signers. */
export const MAX_ANSWER_RECORDS = 4;
/** Keeps a page of small records well below the 64 KiB of a control message. */
export const MAX_PAGE_RECORDS = 64;
export const DIGEST_BYTES = 8;
const SIGNATURE_BYTES = 64;
const ANSWER_LABEL = utf8("weft dht answer 1");
const OPS = ["", "get", "create", "put", "merge", "sync"] as const;
const STATUSES: readonly AnswerStatus[] = ["value", "stored", "exists", "stale", "refused"];
const FORM_ANSWER = 1;
const FORM_PAGE = 2;

export function emitRequest(request: DhtRequest): Uint8Array {
  const writer = new ByteWriter()
    .u8(OPS.indexOf(request.op))
    .u8(request.passes)
    .u32(request.request)
    .bytes(addressToBytes(request.requester))
    .bytes(addressToBytes(request.key));
  if (request.op === "sync") {
    writeAddresses(writer, request.members);
    writer.bytes(request.digest);
  } else if (request.op !== "get") {
    writeCarried(writer, request.carried);
  }
  return writer.finish();
}

export function parseRequest(bytes: Uint8Array): Parsed<DhtRequest> {
  const reader = new ByteReader(bytes);
  const op = OPS[reader.u8()];
  if (op === undefined || op === "") return dropped("unknown-type");
  const passes = reader.u8();
  const request = reader.u32();
  const requester = readAddress(reader);
  const key = readAddress(reader);
  const head = { request, requester, key, passes };
  if (passes > MAX_PASSES && passes !== COPY) return dropped("bad-field");
  if (op === "get") return finish(reader, { ...head, op });
  if (op === "sync") {
    const members = readAddresses(reader, MAX_SYNC_MEMBERS);
    return finish(reader, { ...head, op, members, digest: reader.bytes(DIGEST_BYTES) });
  }
  const carried = readCarried(reader);
  if (!carried.ok) return carried;
  if (carried.value.record.key !== key) return dropped("bad-field");
  return finish(reader, { ...head, op, carried: carried.value });
}

/** Everything of an answer but its signature. */
export function emitAnswerBody(answer: DhtAnswer, certificate: Uint8Array): Uint8Array {
  const writer = new ByteWriter()
    .u8(answer.form === "answer" ? FORM_ANSWER : FORM_PAGE)
    .u32(answer.request)
    .bytes(addressToBytes(answer.key));
  if (answer.form === "answer") writeReplicaAnswer(writer, answer);
  else writePage(writer, answer);
  return writer.block(certificate).finish();
}

/** The text a replica signs: bound to the requester, so that no answer serves another's question. */
export function answerText(
  networkId: Uint8Array,
  requester: RingAddress,
  body: Uint8Array,
): Uint8Array {
  return concat(ANSWER_LABEL, networkId, addressToBytes(requester), body);
}

/** Structure only; the caller checks certificate and signature. */
export function parseAnswer(bytes: Uint8Array): Parsed<SignedAnswer> {
  const reader = new ByteReader(bytes);
  const form = reader.u8();
  if (form !== FORM_ANSWER && form !== FORM_PAGE) return dropped("unknown-type");
  const head = { request: reader.u32(), key: readAddress(reader) };
  const answer = form === FORM_ANSWER ? readReplicaAnswer(reader, head) : readPage(reader, head);
  if (!answer.ok) return answer;
  const certificate = reader.block(MAX_CHAIN_BYTES);
  const signature = reader.bytes(SIGNATURE_BYTES);
  if (!reader.ok) return dropped("truncated");
  const body = bytes.slice(0, bytes.length - SIGNATURE_BYTES);
  return finish(reader, { answer: answer.value, certificate, signature, body });
}

function finish<T>(reader: ByteReader, value: T): Parsed<T> {
  if (!reader.ok) return dropped("truncated");
  return reader.finished() ? parsed(value) : dropped("trailing-bytes");
}

function writeReplicaAnswer(writer: ByteWriter, answer: ReplicaAnswer): void {
  writer.u8(answer.ready ? 0 : 1).u8(STATUSES.indexOf(answer.status));
  writeAddresses(writer, answer.view);
  writer.u8(answer.carried.length);
  for (const carried of answer.carried) writeCarried(writer, carried);
  writer.u8(answer.attestation?.renewals ?? 0);
  if (answer.attestation) writer.bytes(answer.attestation.signature);
}

function readReplicaAnswer(reader: ByteReader, head: AnswerHead): Parsed<ReplicaAnswer> {
  const state = reader.u8();
  const status = STATUSES[reader.u8()];
  const view = readAddresses(reader, MAX_VIEW);
  const carried = readCarriedList(reader, MAX_ANSWER_RECORDS);
  if (!carried.ok) return carried;
  const renewals = reader.u8();
  const signature = renewals > 0 ? reader.bytes(SIGNATURE_BYTES) : undefined;
  if (state > 1 || status === undefined || !isAscending(view)) return dropped("bad-field");
  return parsed({
    ...head,
    form: "answer",
    ready: state === 0,
    status,
    view,
    carried: carried.value,
    attestation: signature === undefined ? undefined : { renewals, signature },
  });
}

function writePage(writer: ByteWriter, page: SyncPage): void {
  writer.u8(page.informed ? 0 : 1).u8(page.same ? 1 : 0);
  writer.u8(page.next === undefined ? 0 : 1).bytes(addressToBytes(page.next ?? 0n));
  writer.u8(page.carried.length);
  for (const carried of page.carried) writeCarried(writer, carried);
}

function readPage(reader: ByteReader, head: AnswerHead): Parsed<SyncPage> {
  const state = reader.u8();
  const same = reader.u8();
  const more = reader.u8();
  const next = readAddress(reader);
  const carried = readCarriedList(reader, MAX_PAGE_RECORDS);
  if (!carried.ok) return carried;
  // A next key that is not beyond the asked one would let a peer turn pages for ever.
  if (state > 1 || same > 1 || more > 1 || (more === 1 && next <= head.key)) {
    return dropped("bad-field");
  }
  return parsed({
    ...head,
    form: "page",
    informed: state === 0,
    same: same === 1,
    next: more === 1 ? next : undefined,
    carried: carried.value,
  });
}

function writeCarried(writer: ByteWriter, carried: Carried): void {
  writer
    .u32(clampTtlSeconds(carried.remainingSeconds))
    .block(carried.certificate)
    .block(emitRecord(carried.record));
}

function readCarried(reader: ByteReader): Parsed<Carried> {
  const remainingSeconds = reader.u32();
  const certificate = reader.block(MAX_CHAIN_BYTES);
  const bytes = reader.block(MAX_RECORD_BYTES);
  if (!reader.ok) return dropped("truncated");
  if (remainingSeconds > MAX_TTL_SECONDS) return dropped("bad-field");
  const record = parseRecord(bytes);
  if (!record.ok) return record;
  return parsed({ remainingSeconds, certificate, record: record.value });
}

function readCarriedList(reader: ByteReader, max: number): Parsed<readonly Carried[]> {
  const out: Carried[] = [];
  const count = reader.u8();
  if (count > max) return dropped("too-long");
  for (let i = 0; i < count; i++) {
    const carried = readCarried(reader);
    if (!carried.ok) return carried;
    out.push(carried.value);
  }
  return parsed(out);
}

function readAddress(reader: ByteReader): RingAddress {
  const bytes = reader.bytes(ADDRESS_BYTES);
  return reader.ok ? addressFromBytes(bytes) : 0n;
}

function writeAddresses(writer: ByteWriter, addresses: readonly RingAddress[]): void {
  writer.u8(addresses.length);
  for (const address of addresses) writer.bytes(addressToBytes(address));
}

function readAddresses(reader: ByteReader, max: number): RingAddress[] {
  const out: RingAddress[] = [];
  const count = reader.u8();
  if (count > max) reader.ok = false;
  for (let i = 0; i < count && reader.ok; i++) out.push(readAddress(reader));
  return out;
}

function isAscending(addresses: readonly RingAddress[]): boolean {
  return addresses.every((address, i) => i === 0 || (addresses[i - 1] as bigint) < address);
}
