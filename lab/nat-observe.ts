/**
 * `nat-observe.js LOCAL_PORT IP IP`: asks nat-reflector what the NAT in between does, with plain UDP
 * sockets (RFC 5780, sections 4.3 and 4.4, without its messages), and prints it as JSON.
 */
import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import type { Filtering, Mapping, Ports } from "./nat-kind.ts";

export interface Observed {
  readonly mapping: Mapping;
  readonly filtering: Filtering;
  /** How outside ports follow one another, where each destination has its own. */
  readonly ports?: Ports;
  /** Towards the two ports of the first address, then of the second. */
  readonly outsidePorts: readonly number[];
  readonly isPortKept: boolean;
  readonly hairpin: boolean;
  /** A second inside endpoint met by hairpin shows its outside endpoint, not its inside one. */
  readonly isHairpinOutside: boolean;
}

/** Another machine behind the NAT may take a few ports in between. */
const SEQUENCE_STEP_MAX = 8;
/** Generous towards a busy machine; only what is filtered takes this long. */
const SILENCE_MS = 700;

interface Target {
  readonly ip: string;
  readonly port: number;
}

async function observe(localPort: number, ips: readonly string[]): Promise<Observed> {
  const targets = ips.flatMap((ip) => [3478, 3479].map((port) => ({ ip, port })));
  const mapped = await open(localPort);
  const outside: number[] = [];
  for (const target of targets) outside.push((await ask(mapped, target, "where"))?.port ?? 0);
  const filtering = await observeFiltering(await open(localPort + 1), targets[0] as Target);
  const hairpin = await observeHairpin(localPort + 2, targets[0] as Target);
  const isPortKept = outside.every((port) => port === localPort);
  const mapping = mappingOf(outside);
  const ports = mapping === "address-and-port" ? { ports: orderOf(outside) } : {};
  return { mapping, filtering, ...ports, outsidePorts: outside, isPortKept, ...hairpin };
}

function mappingOf([a, b, c, d]: readonly number[]): Mapping {
  if (a === b && b === c && c === d) return "endpoint-independent";
  return a === b && c === d ? "address" : "address-and-port";
}

function orderOf(ports: readonly number[]): Ports {
  const steps = ports.slice(1).map((port, i) => port - (ports[i] ?? 0));
  const isNear = (step: number) => step > 0 && step <= SEQUENCE_STEP_MAX;
  return steps.every(isNear) ? "in sequence" : "at random";
}

/** Only the first socket of the reflector was ever sent to from here. */
async function observeFiltering(socket: Socket, first: Target): Promise<Filtering> {
  if ((await ask(socket, first, "where")) === undefined) return "address-and-port";
  if ((await ask(socket, first, "from 3")) !== undefined) return "endpoint-independent";
  return (await ask(socket, first, "from 1")) === undefined ? "address-and-port" : "address";
}

async function observeHairpin(localPort: number, first: Target) {
  const [inside, other] = [await open(localPort), await open(localPort + 1)];
  const outside = await ask(inside, first, "where");
  const outsideOfOther = await ask(other, first, "where");
  if (outside === undefined) return { hairpin: false, isHairpinOutside: false };
  const arrived = nextMessage(inside);
  other.send("hairpin", outside.port, outside.ip);
  const from = (await arrived)?.from;
  const isHairpinOutside =
    from !== undefined && from.address === outsideOfOther?.ip && from.port === outsideOfOther.port;
  return { hairpin: from !== undefined, isHairpinOutside };
}

async function ask(socket: Socket, to: Target, question: string): Promise<Target | undefined> {
  const answer = nextMessage(socket);
  socket.send(question, to.port, to.ip);
  const [ip = "", port = "0"] = (await answer)?.text.split(" ") ?? [];
  return ip === "" ? undefined : { ip, port: Number(port) };
}

function nextMessage(socket: Socket): Promise<{ text: string; from: RemoteInfo } | undefined> {
  return new Promise((resolve) => {
    const finish = (message: Buffer, from: RemoteInfo) => {
      clearTimeout(timer);
      resolve({ text: message.toString(), from });
    };
    const timer = setTimeout(() => {
      socket.removeListener("message", finish);
      resolve(undefined);
    }, SILENCE_MS);
    socket.once("message", finish);
  });
}

async function open(port: number): Promise<Socket> {
  const socket = createSocket("udp4");
  // an ICMP error for one packet is no reason to end
  socket.on("error", () => undefined);
  await new Promise<void>((resolve) => socket.bind(port, resolve));
  return socket;
}

const [localPort = "0", ...ips] = process.argv.slice(2);
console.log(JSON.stringify(await observe(Number(localPort), ips)));
process.exit(0);
