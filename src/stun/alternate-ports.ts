/**
 * A second port of each family, open while members ask: they are told of it, and answered from it.
 *
 *      none --first question, kept--> opening --opened, failed--> kept questions are answered
 *        ^                                          | nobody asked for ALTERNATE_MS
 *        \------------------------------------------/
 */
import { toHex } from "../base/bytes.ts";
import type { EngineCommand, SocketIndex } from "../base/engine.ts";
import { endpointText, type IpFamily } from "../base/net.ts";
import { type Millis, NEVER } from "../base/time.ts";
import type { BoundSocket, StunQuestion } from "./stun-server.ts";

/** A survey asks a few seconds after the question that opened the socket. */
const ALTERNATE_MS = 60_000;
/** Members that join together ask within the milliseconds that opening takes. */
const MAX_HELD = 16;

export class AlternatePorts {
  readonly #indexes: Readonly<Record<IpFamily, SocketIndex>>;
  readonly #sockets = new Map<SocketIndex, BoundSocket | "opening" | "failed">();
  /** By asker and transaction: a question that is repeated waited long enough. */
  readonly #held = new Map<string, StunQuestion>();
  #endsAt: Millis = NEVER;

  constructor(indexes: Readonly<Record<IpFamily, SocketIndex>>) {
    this.#indexes = indexes;
  }

  deadline(): Millis {
    return this.#endsAt;
  }

  bound(): BoundSocket[] {
    return [...this.#sockets.values()].filter((socket) => typeof socket === "object");
  }

  owns(socket: SocketIndex): boolean {
    return this.#sockets.has(socket);
  }

  /** Somebody is being served: the ports stay. */
  use(now: Millis): void {
    if (this.#sockets.size > 0) this.#endsAt = now + ALTERNATE_MS;
  }

  /**
   * Keeps a question that a second port would serve better until there is one.
   * @returns whether it is kept, and what opens the port
   */
  hold(question: StunQuestion, family: IpFamily): { isHeld: boolean; open?: EngineCommand } {
    const socket = this.#indexes[family];
    const state = this.#sockets.get(socket);
    const key = `${endpointText(question.from)} ${toHex(question.message.transaction)}`;
    const isSettled = state !== undefined && state !== "opening";
    if (isSettled || this.#held.has(key) || this.#held.size >= MAX_HELD) return { isHeld: false };
    this.#held.set(key, question);
    if (state === "opening") return { isHeld: true };
    this.#sockets.set(socket, "opening");
    return { isHeld: true, open: { op: "socket-open", socket, family, port: 0 } };
  }

  /** The engine's word about a socket of ours; undefined = it could not be opened. @returns what waited */
  settle(socket: SocketIndex, bound: BoundSocket | undefined): StunQuestion[] {
    if (!this.#sockets.has(socket)) return [];
    this.#sockets.set(socket, bound ?? "failed");
    const held = [...this.#held.values()];
    this.#held.clear();
    return held;
  }

  /** Nobody asked for long. @returns what to close */
  timeout(now: Millis): EngineCommand[] {
    if (this.#endsAt > now) return [];
    this.#endsAt = NEVER;
    const open = [...this.#sockets].filter(([, state]) => state !== "failed");
    this.#sockets.clear();
    this.#held.clear();
    return open.map(([socket]) => ({ op: "socket-close", socket }));
  }
}
