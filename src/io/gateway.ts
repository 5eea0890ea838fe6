/** The default gateway of this host, and questions to it by UDP. */
import { createSocket } from "node:dgram";
import { readFileSync } from "node:fs";
import type { Parsed } from "../base/drop-reason.ts";
import type { Ip } from "../base/net.ts";

export interface Gateway {
  readonly ip: Ip;
  readonly interface: string;
}

/** Both RFC 6886 and RFC 6887 begin with a quarter of a second or more and double it. */
const RETRY_MS: readonly number[] = [250, 500, 1_000];
/** RTF_GATEWAY of the kernel's route flags. */
const GATEWAY_FLAG = 2;

/** @param table as /proc/net/route; the route with the smallest metric counts */
export function parseGateway(table: string): Gateway | undefined {
  const routes = table
    .split("\n")
    .slice(1)
    .map((line) => line.split(/\s+/))
    .filter(([, to, , flags, , , , mask]) => {
      const isDefault = to === "00000000" && mask === "00000000";
      return isDefault && (Number.parseInt(flags ?? "0", 16) & GATEWAY_FLAG) !== 0;
    })
    .sort((a, b) => Number(a[6]) - Number(b[6]));
  const [name = "", , hex = ""] = routes[0] ?? [];
  if (!/^[0-9A-F]{8}$/.test(hex)) return undefined;
  // The kernel prints the address as a number of this machine's own, little-endian order.
  const octets = [6, 4, 2, 0].map((at) => Number.parseInt(hex.slice(at, at + 2), 16));
  return { ip: octets.join("."), interface: name };
}

/** undefined without a default route over IPv4. */
export function defaultGateway(): Gateway | undefined {
  try {
    return parseGateway(readFileSync("/proc/net/route", "utf8"));
  } catch {
    return undefined;
  }
}

export interface GatewayQuestion<T> {
  readonly gateway: Ip;
  readonly port: number;
  readonly request: Uint8Array;
  /** What is no answer to this request is passed over. */
  readonly accept: (bytes: Uint8Array) => Parsed<T>;
}

/** The answer of the gateway itself, nobody else's; undefined when none came in two seconds. */
export function askGateway<T>(question: GatewayQuestion<T>): Promise<T | undefined> {
  const { gateway, port, request, accept } = question;
  const socket = createSocket("udp4");
  const timers: NodeJS.Timeout[] = [];
  return new Promise((resolve) => {
    const end = (value: T | undefined): void => {
      for (const timer of timers.splice(0)) clearTimeout(timer);
      socket.removeAllListeners("message");
      socket.close(() => resolve(value));
    };
    const once = oneCall(end);
    const ask = (i: number): void => {
      const wait = RETRY_MS[i];
      if (wait === undefined) return once(undefined);
      socket.send(request);
      timers.push(setTimeout(ask, wait, i + 1));
    };
    // a port that nobody listens on answers by ICMP, which ends the question at once
    socket.on("error", () => once(undefined));
    socket.on("message", (bytes) => {
      const answer = accept(new Uint8Array(bytes));
      if (answer.ok) once(answer.value);
    });
    // connected: the kernel passes on what comes from there and nothing else; a listener of its own,
    // because a callback would be handed the failures too (no route there any more)
    socket.once("connect", () => ask(0));
    socket.connect(port, gateway);
  });
}

function oneCall<T>(step: (value: T) => void): (value: T) => void {
  let isCalled = false;
  return (value) => {
    if (isCalled) return;
    isCalled = true;
    step(value);
  };
}
