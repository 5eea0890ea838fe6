/** One host's sockets beyond its first one: more UDP ports, and streams either way. */
import type { SocketFailure, SocketIndex } from "../src/base/engine.ts";
import type { Endpoint, Ip, IpFamily } from "../src/base/net.ts";
import type { SocketHost } from "./engine-sockets.ts";
import type { StreamEnd, StreamEvents, StreamNet } from "./stream-net.ts";

const FIRST_PORT = 32_768;

/** Where datagrams come and go: the simulated network or the world of a test. */
export interface PacketNet {
  attach(at: Endpoint, receive: (from: Endpoint, bytes: Uint8Array) => void): void;
  detach(at: Endpoint): void;
}

/** The engine's side: what arrives and what becomes of streams. */
export interface SocketUser {
  receiveDatagram(socket: SocketIndex, from: Endpoint, bytes: Uint8Array): void;
  streamOpened(socket: SocketIndex, port: number): void;
  streamEnded(socket: SocketIndex, reason: SocketFailure): void;
  acceptStream(from: Endpoint, port: number): SocketIndex | undefined;
}

export class HostSockets implements SocketHost {
  readonly #ip: Ip;
  readonly #packets: PacketNet;
  readonly #streams: StreamNet;
  /** Hands `act` the engine when the host is awake and running. */
  readonly #turn: (act: (user: SocketUser) => void) => void;
  readonly #udp = new Map<SocketIndex, Endpoint>();
  readonly #ends = new Map<SocketIndex, StreamEnd>();
  #taken = new Set<number>();
  #listening: Endpoint | undefined;
  #nextPort = FIRST_PORT;

  constructor(
    ip: Ip,
    nets: { readonly packets: PacketNet; readonly streams: StreamNet },
    turn: (act: (user: SocketUser) => void) => void,
  ) {
    this.#ip = ip;
    this.#packets = nets.packets;
    this.#streams = nets.streams;
    this.#turn = turn;
  }

  /** Where datagrams of this socket come from; undefined for one that was not opened here. */
  endpointOf(socket: SocketIndex): Endpoint | undefined {
    return this.#udp.get(socket);
  }

  open(socket: SocketIndex, _family: IpFamily, port: number): number | SocketFailure {
    const bound = port === 0 ? this.#freePort() : port;
    if (this.#taken.has(bound)) return "in-use";
    const endpoint = { ip: this.#ip, port: bound };
    this.#taken.add(bound);
    this.#udp.set(socket, endpoint);
    this.#packets.attach(endpoint, (from, bytes) =>
      this.#turn((user) => user.receiveDatagram(socket, from, bytes)),
    );
    return bound;
  }

  connect(socket: SocketIndex, to: Endpoint): void {
    const events: StreamEvents = {
      opened: (port) => this.#turn((user) => user.streamOpened(socket, port)),
      receive: (bytes) => this.#turn((user) => user.receiveDatagram(socket, to, bytes)),
      ended: (reason) => {
        this.#ends.delete(socket);
        this.#turn((user) => user.streamEnded(socket, reason));
      },
    };
    this.#ends.set(socket, this.#streams.connect(this.#ip, to, events));
  }

  sendStream(socket: SocketIndex, bytes: Uint8Array): boolean {
    return this.#ends.get(socket)?.send(bytes) ?? false;
  }

  close(socket: SocketIndex): void {
    const endpoint = this.#udp.get(socket);
    if (endpoint !== undefined) {
      this.#packets.detach(endpoint);
      this.#udp.delete(socket);
      this.#taken.delete(endpoint.port);
    }
    this.#ends.get(socket)?.close();
    this.#ends.delete(socket);
  }

  listen(port: number): SocketFailure | undefined {
    if (this.#listening !== undefined) this.#streams.unlisten(this.#listening);
    this.#listening = undefined;
    if (port === 0) return undefined;
    const at = { ip: this.#ip, port };
    if (!this.#streams.listen(at, (from, end) => this.#accept(from, end, port))) return "in-use";
    this.#listening = at;
    return undefined;
  }

  #accept(from: Endpoint, end: StreamEnd, port: number): StreamEvents | undefined {
    let socket: SocketIndex | undefined;
    this.#turn((user) => {
      socket = user.acceptStream(from, port);
    });
    if (socket === undefined) return undefined;
    const accepted = socket;
    this.#ends.set(accepted, end);
    return {
      opened: () => undefined,
      receive: (bytes) => this.#turn((user) => user.receiveDatagram(accepted, from, bytes)),
      ended: (reason) => {
        this.#ends.delete(accepted);
        this.#turn((user) => user.streamEnded(accepted, reason));
      },
    };
  }

  #freePort(): number {
    while (this.#taken.has(this.#nextPort)) this.#nextPort++;
    return this.#nextPort++;
  }
}
