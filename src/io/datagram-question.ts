/** One question by datagrams to several hosts at once, again and again, until one of them answers. */
import { createSocket, type Socket } from "node:dgram";
import { type Endpoint, familyOf } from "../base/net.ts";

/** A datagram may be lost, and the member asked may still look for the one that answers. */
const AGAIN_MS = 1_000;

export interface Question<T> {
  readonly to: readonly Endpoint[];
  readonly bytes: Uint8Array;
  /** undefined: it is no answer to this question. */
  readonly read: (bytes: Uint8Array) => T | undefined;
  readonly withinMs: number;
  readonly interrupted: AbortSignal;
}

/** undefined: nobody answered in time, or the wait was interrupted. */
export function askByDatagram<T>(question: Question<T>): Promise<T | undefined> {
  return new Promise((resolve) => {
    const sockets = new Map<4 | 6, Socket>();
    const finish = (answer: T | undefined): void => {
      clearInterval(again);
      clearTimeout(limit);
      question.interrupted.removeEventListener("abort", giveUp);
      for (const socket of sockets.values()) socket.close();
      sockets.clear();
      resolve(answer);
    };
    const giveUp = (): void => finish(undefined);
    const take = (bytes: Uint8Array): void => {
      const answer = question.read(new Uint8Array(bytes));
      if (answer !== undefined && sockets.size > 0) finish(answer);
    };
    for (const family of new Set(question.to.map(({ ip }) => familyOf(ip)))) {
      const socket = createSocket(family === 4 ? "udp4" : "udp6");
      sockets.set(family, socket);
      socket.on("message", take);
      // No route, no such family: the other hosts may answer.
      socket.on("error", () => undefined);
    }
    const send = (): void => {
      for (const { ip, port } of question.to) {
        sockets.get(familyOf(ip))?.send(question.bytes, port, ip, () => undefined);
      }
    };
    const again = setInterval(send, AGAIN_MS);
    const limit = setTimeout(giveUp, question.withinMs);
    question.interrupted.addEventListener("abort", giveUp);
    send();
  });
}
