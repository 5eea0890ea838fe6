/**
 * The software engine's table of sockets: those given at open, those opened by command, and TLS
 * streams either way. It keeps the rules of the contract; the host makes the sockets.
 */
import type { DropReason } from "../src/base/drop-reason.ts";
import {
  ENGINE_LIMITS,
  type EngineCommand,
  type SocketFailure,
  type SocketIndex,
  type StreamProxy,
  type Upcall,
} from "../src/base/engine.ts";
import { type Endpoint, familyOf, type IpFamily, sameEndpoint } from "../src/base/net.ts";

/** The sockets of the machine around the engine. Answers about streams come through `EngineSockets`. */
export interface SocketHost {
  /** Binds at once. @returns the port, or why not */
  open(socket: SocketIndex, family: IpFamily, port: number): number | SocketFailure;
  /** Starts a stream; `streamOpened` or `streamEnded` answers later. */
  connect(socket: SocketIndex, to: Endpoint, proxy: StreamProxy | undefined): void;
  /** False when the stream's buffer is full. */
  sendStream(socket: SocketIndex, bytes: Uint8Array): boolean;
  close(socket: SocketIndex): void;
  /** 0 = listen no longer. @returns why not */
  listen(port: number): SocketFailure | undefined;
}

type Entry =
  | { readonly kind: "udp" }
  | { readonly kind: "stream"; readonly peer: Endpoint; isOpen: boolean };

export type SocketCommand = Extract<
  EngineCommand,
  { op: "socket-open" | "stream-open" | "stream-listen" | "socket-close" }
>;

export class EngineSockets {
  readonly #fixed: number;
  readonly #host: SocketHost | undefined;
  readonly #upcall: (upcall: Upcall) => DropReason | undefined;
  readonly #entries = new Map<SocketIndex, Entry>();
  #nextAccepted: SocketIndex = ENGINE_LIMITS.acceptedStreams;

  /** @param host undefined for a machine that has only the `fixed` sockets */
  constructor(
    fixed: number,
    host: SocketHost | undefined,
    upcall: (upcall: Upcall) => DropReason | undefined,
  ) {
    this.#fixed = fixed;
    this.#host = host;
    this.#upcall = upcall;
  }

  apply(command: SocketCommand): DropReason | undefined {
    switch (command.op) {
      case "socket-open":
        return this.#openUdp(command.socket, command.family, command.port);
      case "stream-open":
        return this.#openStream(command);
      case "stream-listen":
        return this.#listen(command.port);
      case "socket-close":
        if (!this.#entries.delete(command.socket)) return "no-socket";
        this.#host?.close(command.socket);
        return undefined;
    }
  }

  /**
   * Sends over a stream; "udp" when the socket is none, and the engine's host sends.
   * @returns why nothing can be sent
   */
  send(socket: SocketIndex, to: Endpoint, bytes: Uint8Array): "udp" | DropReason | undefined {
    if (socket >= 0 && socket < this.#fixed) return "udp";
    const entry = this.#entries.get(socket);
    if (entry?.kind === "udp") return "udp";
    if (entry === undefined || !entry.isOpen || !sameEndpoint(entry.peer, to)) return "no-socket";
    if (bytes.length > ENGINE_LIMITS.streamDatagramBytes) return "too-long";
    return this.#host?.sendStream(socket, bytes) === true ? undefined : "stream-full";
  }

  /** A stream's handshake is done; `port` is the local one. */
  streamOpened(socket: SocketIndex, port: number): DropReason | undefined {
    const entry = this.#entries.get(socket);
    if (entry?.kind !== "stream" || entry.isOpen) return undefined;
    entry.isOpen = true;
    const family = familyOf(entry.peer.ip);
    return this.#upcall({ kind: "socket-opened", socket, family, port, from: undefined });
  }

  /** A stream could not be made, or ended by itself. */
  streamEnded(socket: SocketIndex, reason: SocketFailure): DropReason | undefined {
    const entry = this.#entries.get(socket);
    if (entry?.kind !== "stream") return undefined;
    this.#entries.delete(socket);
    return this.#upcall(
      entry.isOpen ? { kind: "socket-closed", socket } : { kind: "socket-failed", socket, reason },
    );
  }

  /** A stream from `peer` to the listened `port`; its index, undefined when there is none left. */
  accept(peer: Endpoint, port: number): SocketIndex | undefined {
    const socket = this.#freeAccepted();
    if (socket === undefined) return undefined;
    this.#entries.set(socket, { kind: "stream", peer, isOpen: true });
    this.#upcall({ kind: "socket-opened", socket, family: familyOf(peer.ip), port, from: peer });
    return socket;
  }

  closeAll(): void {
    for (const socket of this.#entries.keys()) this.#host?.close(socket);
    this.#entries.clear();
    this.#host?.listen(0);
  }

  #openUdp(socket: SocketIndex, family: IpFamily, port: number): DropReason | undefined {
    if (!this.#isCoresIndex(socket)) return "bad-field";
    const bound = this.#entries.has(socket)
      ? "in-use"
      : (this.#host?.open(socket, family, port) ?? "unsupported");
    if (typeof bound === "string") {
      return this.#upcall({ kind: "socket-failed", socket, reason: bound });
    }
    this.#entries.set(socket, { kind: "udp" });
    return this.#upcall({ kind: "socket-opened", socket, family, port: bound, from: undefined });
  }

  #openStream(command: Extract<SocketCommand, { op: "stream-open" }>): DropReason | undefined {
    const { socket, to, proxy } = command;
    if (!this.#isCoresIndex(socket) || !isUsable(proxy)) return "bad-field";
    const host = this.#host;
    if (this.#entries.has(socket) || host === undefined) {
      const reason = host === undefined ? "unsupported" : "in-use";
      return this.#upcall({ kind: "socket-failed", socket, reason });
    }
    this.#entries.set(socket, { kind: "stream", peer: to, isOpen: false });
    host.connect(socket, to, proxy);
    return undefined;
  }

  #listen(port: number): DropReason | undefined {
    const reason = this.#host === undefined ? "unsupported" : this.#host.listen(port);
    if (reason !== undefined) return this.#upcall({ kind: "listen-failed", port, reason });
    return port === 0 ? undefined : this.#upcall({ kind: "listening", port });
  }

  #isCoresIndex(socket: SocketIndex): boolean {
    return socket >= this.#fixed && socket < ENGINE_LIMITS.acceptedStreams;
  }

  /** Indexes go round, so that a command for a stream that just ended does not meet its successor. */
  #freeAccepted(): SocketIndex | undefined {
    const { acceptedStreams: first, sockets: end } = ENGINE_LIMITS;
    for (let tries = end - first; tries > 0; tries--) {
      const socket = this.#nextAccepted;
      this.#nextAccepted = socket + 1 < end ? socket + 1 : first;
      if (!this.#entries.has(socket)) return socket;
    }
    return undefined;
  }
}

/** A proxy's authorization must not end its line early. */
function isUsable(proxy: StreamProxy | undefined): boolean {
  const text = proxy?.authorization ?? "";
  return text.length <= ENGINE_LIMITS.proxyAuthorizationChars && /^[ -~]*$/.test(text);
}
