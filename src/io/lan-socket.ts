/**
 * The multicast group of one network's members on this host's interfaces (wire/lan-hello.ts).
 *
 *     group socket, one a family    joined on each interface; hears announcements, sends answers
 *     sender, one an interface      and family; sends announcements from a port of its own, hears answers
 *
 * The group's port is shared by all agents of this host; answers need a port that is ours alone.
 */
import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import type { Endpoint, Ip, IpFamily } from "../base/net.ts";
import { LAN_GROUPS, LAN_HELLO_BYTES, LAN_PORT } from "../wire/lan-hello.ts";

/** Some 80 datagrams: what comes faster than that is noise, and the kernel drops it for us. */
const RECEIVE_BUFFER_BYTES = 65_536;
/** A group never leaves its switch. */
const HOPS = 1;

export interface LanSocketInterface {
  readonly name: string;
  /** Any of its IPv4 addresses; undefined = none. */
  readonly ip4: Ip | undefined;
  readonly hasIpv6: boolean;
}

export interface LanSocketOptions {
  readonly interfaces: readonly LanSocketInterface[];
  /** @param from of IPv6 with the zone, `fe80::1%eth0`; the bytes are the receiver's */
  readonly onDatagram: (from: Endpoint, bytes: Uint8Array) => void;
  /** One line for the debug log: an interface without multicast is no fault of ours. */
  readonly onProblem: (what: string, error: Error) => void;
}

/** Opens what can be opened; never throws. */
export async function openLanSocket(options: LanSocketOptions): Promise<LanSocket> {
  const socket = new LanSocket(options);
  await socket.opened;
  return socket;
}

export class LanSocket {
  readonly #options: LanSocketOptions;
  readonly #groups = new Map<IpFamily, Socket>();
  readonly #senders = new Map<string, Socket>();
  readonly opened: Promise<unknown>;

  constructor(options: LanSocketOptions) {
    this.#options = options;
    const { interfaces } = options;
    const v4 = interfaces.filter((one) => one.ip4 !== undefined);
    const v6 = interfaces.filter((one) => one.hasIpv6);
    this.opened = Promise.all([
      this.#openGroup(4, v4),
      this.#openGroup(6, v6),
      ...v4.map((one) => this.#openSender(4, one)),
      ...v6.map((one) => this.#openSender(6, one)),
    ]);
  }

  announce(interfaceName: string, bytes: Uint8Array): void {
    for (const family of [4, 6] as const) {
      this.#send(this.#senders.get(`${interfaceName} ${family}`), bytes, {
        ip: LAN_GROUPS[family],
        port: LAN_PORT,
      });
    }
  }

  answer(to: Endpoint, bytes: Uint8Array): void {
    this.#send(this.#groups.get(to.ip.includes(":") ? 6 : 4), bytes, to);
  }

  close(): void {
    for (const socket of [...this.#groups.values(), ...this.#senders.values()]) socket.close();
    this.#groups.clear();
    this.#senders.clear();
  }

  #send(socket: Socket | undefined, bytes: Uint8Array, to: Endpoint): void {
    // A cable that is out, a firewall, no route: the next announcement may find it better.
    socket?.send(bytes, to.port, to.ip, (error) => {
      if (error !== null) this.#options.onProblem(`send to ${to.ip}`, error);
    });
  }

  async #openGroup(family: IpFamily, interfaces: readonly LanSocketInterface[]): Promise<void> {
    if (interfaces.length === 0) return;
    const socket = await this.#bind(family, LAN_PORT);
    if (socket === undefined) return;
    this.#groups.set(family, socket);
    for (const one of interfaces) {
      this.#try(`join on ${one.name}`, () =>
        socket.addMembership(LAN_GROUPS[family], localName(family, one)),
      );
    }
  }

  async #openSender(family: IpFamily, one: LanSocketInterface): Promise<void> {
    const socket = await this.#bind(family, 0);
    if (socket === undefined) return;
    this.#senders.set(`${one.name} ${family}`, socket);
    this.#try(`multicast on ${one.name}`, () => {
      socket.setMulticastInterface(localName(family, one));
      socket.setMulticastTTL(HOPS);
    });
  }

  /** undefined when the port cannot be had. */
  #bind(family: IpFamily, port: number): Promise<Socket | undefined> {
    const socket = createSocket({
      type: family === 4 ? "udp4" : "udp6",
      reuseAddr: port !== 0,
      ipv6Only: family === 6,
      recvBufferSize: RECEIVE_BUFFER_BYTES,
    });
    socket.unref();
    socket.on("message", (bytes, from) => this.#receive(bytes, from));
    return new Promise((resolve) => {
      const refused = (error: Error): void => {
        this.#options.onProblem(`UDP port ${port}`, error);
        socket.close();
        resolve(undefined);
      };
      socket.once("error", refused);
      socket.bind(port, () => {
        socket.off("error", refused);
        socket.on("error", (error) => this.#options.onProblem(`UDP port ${port}`, error));
        resolve(socket);
      });
    });
  }

  #receive(bytes: Uint8Array, from: RemoteInfo): void {
    // Anything else than a hello costs no copy.
    if (bytes.length !== LAN_HELLO_BYTES) return;
    this.#options.onDatagram({ ip: from.address, port: from.port }, new Uint8Array(bytes));
  }

  #try(what: string, step: () => void): void {
    try {
      step();
    } catch (error) {
      this.#options.onProblem(what, error as Error);
    }
  }
}

function localName(family: IpFamily, one: LanSocketInterface): string {
  return family === 4 ? (one.ip4 ?? "0.0.0.0") : `::%${one.name}`;
}
