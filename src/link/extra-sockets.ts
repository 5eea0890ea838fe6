import type { EngineCommand, SocketIndex } from "../base/engine.ts";
import type { IpFamily } from "../base/net.ts";
import { FIRST_STREAM } from "./stream-sockets.ts";

/**
 * Indexes of sockets and streams that the core opens, each with its owner. Indexes go round, so that
 * an upcall about one that just closed does not meet its successor.
 */
export class ExtraSockets<Owner> {
  readonly #first: SocketIndex;
  readonly #owners = new Map<SocketIndex, Owner>();
  #next: SocketIndex;

  /** @param fixed how many sockets the engine was opened with */
  constructor(fixed: number) {
    this.#first = fixed;
    this.#next = fixed;
  }

  get size(): number {
    return this.#owners.size;
  }

  ownerOf(socket: SocketIndex): Owner | undefined {
    return this.#owners.get(socket);
  }

  ownedBy(owner: Owner): readonly SocketIndex[] {
    return [...this.#owners].filter(([, other]) => other === owner).map(([socket]) => socket);
  }

  /** Undefined when all are in use. */
  take(owner: Owner): SocketIndex | undefined {
    const end = FIRST_STREAM;
    for (let tries = end - this.#first; tries > 0; tries--) {
      const socket = this.#next;
      this.#next = socket + 1 < end ? socket + 1 : this.#first;
      if (this.#owners.has(socket)) continue;
      this.#owners.set(socket, owner);
      return socket;
    }
    return undefined;
  }

  /** It could not be opened, or ended by itself. */
  lost(socket: SocketIndex): void {
    this.#owners.delete(socket);
  }

  /** What to tell the engine; undefined for one that nobody owns. */
  close(socket: SocketIndex): EngineCommand | undefined {
    return this.#owners.delete(socket) ? { op: "socket-close", socket } : undefined;
  }
}

/** A UDP socket with any port. */
export function openSocket(socket: SocketIndex, family: IpFamily): EngineCommand {
  return { op: "socket-open", socket, family, port: 0 };
}
