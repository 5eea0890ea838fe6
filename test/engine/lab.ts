/** What the contract suite needs from a world with engines in it, and how it sets sessions up. */

import type { DropReason } from "../../src/base/drop-reason.ts";
import type {
  Cipher,
  DirectionKeys,
  Engine,
  EngineCommand,
  PathTarget,
  SessionId,
  Upcall,
} from "../../src/base/engine.ts";
import type { Endpoint, Ip, Mac } from "../../src/base/net.ts";

/** A MAC and the addresses it may claim. */
type FilterEntryMac = readonly [Mac, ...Ip[]];

export const MAC1_KEY = new Uint8Array(32).fill(0x6d);

/** One engine with its TAP's far end. */
export interface EngineNode {
  readonly engine: Engine;
  /** Where its only socket is reached. */
  readonly endpoint: Endpoint;
  /** Frames it wrote into its TAP, oldest first. */
  readonly tap: Uint8Array[];
  /** Every upcall so far, oldest first. */
  readonly upcalls: Upcall[];
  /** Moves new upcalls into `upcalls`; off only while a test counts what the ring keeps. */
  drains: boolean;
  /** Writes a frame as the local machine would. */
  tapSend(frame: Uint8Array): void;
}

/** A bare UDP socket of the test. */
export interface RawSocket {
  readonly endpoint: Endpoint;
  readonly received: {
    readonly from: Endpoint;
    readonly bytes: Uint8Array;
    readonly ttl: number | undefined;
  }[];
  send(to: Endpoint, bytes: Uint8Array): void;
}

export interface Lab {
  /** Whether `received[].ttl` is known. */
  readonly seesTtl: boolean;
  node(): Promise<EngineNode>;
  raw(): Promise<RawSocket>;
  /** A TCP port of the nodes' addresses that nobody uses. */
  freePort(): Promise<number>;
  /** Lets things happen until the condition holds; throws when it never does (10 s). */
  until(condition: () => boolean): Promise<void>;
  /** Lets this much of the engines' time pass. */
  advance(ms: number): Promise<void>;
  /** Closes every engine and socket. */
  close(): Promise<void>;
}

/** The keys of one pair, named by a number; `side` 0 seals with what side 1 opens with. */
export function directionKeys(generation: number, side: 0 | 1): DirectionKeys {
  return {
    key: new Uint8Array(32).fill(2 * generation + side + 1),
    salt: Uint8Array.of(generation, side, 0xa5, 0),
  };
}

export interface KeySet {
  readonly generation: number;
  readonly side: 0 | 1;
  readonly use?: "now" | "confirmed";
  readonly cipher?: Cipher;
  readonly rejectAfterMs?: number;
}

/** Receiver indexes follow from generation and side: both ends agree without a handshake. */
export function receiverIndex(generation: number, side: 0 | 1): number {
  return 0x1000_0000 + 2 * generation + side;
}

export function keysCommand(session: SessionId, keys: KeySet): EngineCommand {
  const other = keys.side === 0 ? 1 : 0;
  return {
    op: "keys",
    session,
    receive: receiverIndex(keys.generation, keys.side),
    send: receiverIndex(keys.generation, other),
    use: keys.use ?? "now",
    cipher: keys.cipher ?? "aes256gcm",
    sealing: directionKeys(keys.generation, keys.side),
    opening: directionKeys(keys.generation, other),
    rejectAfterMs: keys.rejectAfterMs ?? 180_000,
  };
}

export function pathCommand(session: SessionId, to: PathTarget, path = 0): EngineCommand {
  return { op: "path", session, path, to, maxDatagram: 1_452, keepaliveMs: 0 };
}

export function direct(endpoint: Endpoint, socket = 0): PathTarget {
  return { kind: "direct", socket, endpoint };
}

/** Opens a session with keys and one active path. */
export function openSession(session: SessionId, keys: KeySet, to: PathTarget): EngineCommand[] {
  return [
    { op: "session-open", session },
    keysCommand(session, keys),
    pathCommand(session, to),
    { op: "path-active", session, path: 0 },
  ];
}

export function forward(
  mac: string,
  to: SessionId | "local" | "drop",
  ttlMs = 600_000,
): EngineCommand {
  return { op: "forward", mac, to, ttlMs };
}

export function allow(session: SessionId, ...entries: FilterEntryMac[]): EngineCommand {
  return { op: "filter", session, entries: entries.map(([mac, ...ips]) => ({ mac, ips })) };
}

export function droppedFor(node: EngineNode, reason: DropReason): number {
  return node.engine.counters().dropped[reason] ?? 0;
}

export function droppedTotal(node: EngineNode): number {
  return Object.values(node.engine.counters().dropped).reduce((sum, count) => sum + count, 0);
}

export function upcallsOf<K extends Upcall["kind"]>(
  node: EngineNode,
  kind: K,
): Extract<Upcall, { kind: K }>[] {
  return node.upcalls.filter(
    (upcall): upcall is Extract<Upcall, { kind: K }> => upcall.kind === kind,
  );
}

export const MAC_A = "02:00:00:00:00:0a";
export const MAC_B = "02:00:00:00:00:0b";
export const IP_A = "10.9.0.10";
export const IP_B = "10.9.0.11";

export interface Pair {
  readonly a: EngineNode;
  readonly b: EngineNode;
}

/** Two engines with one session (id 1 on both sides) that know each other's MAC and IP. */
export async function connectedPair(lab: Lab, cipher: Cipher = "aes256gcm"): Promise<Pair> {
  const [a, b] = [await lab.node(), await lab.node()];
  a.engine.apply([
    ...openSession(1, { generation: 1, side: 0, cipher }, direct(b.endpoint)),
    allow(1, [MAC_B, IP_B]),
    forward(MAC_B, 1),
    forward(MAC_A, "local"),
  ]);
  b.engine.apply([
    ...openSession(1, { generation: 1, side: 1, cipher }, direct(a.endpoint)),
    allow(1, [MAC_A, IP_A]),
    forward(MAC_A, 1),
    forward(MAC_B, "local"),
  ]);
  return { a, b };
}
