/** Answers the node's own questions "who has this address" (`weft resolve`, `weft ping`). */
import { type Ip, subnetContains } from "../base/net.ts";
import type { Millis } from "../base/time.ts";
import type { VnetContext } from "./context.ts";
import type { Host } from "./host.ts";
import type { Answer, Question, Resolver } from "./resolver.ts";
import type { ResolvedAddress } from "./vnet-messages.ts";

/** Commands under way at once; people and scripts ask a few. */
const PENDING_MAX = 256;

export class AddressQueries {
  readonly #context: VnetContext;
  readonly #host: Host;
  readonly #resolver: Resolver;
  /** By token. */
  readonly #pending = new Map<number, Ip>();

  constructor(context: VnetContext, host: Host, resolver: Resolver) {
    this.#context = context;
    this.#host = host;
    this.#resolver = resolver;
  }

  ask(now: Millis, token: number, ip: Ip): void {
    const own = this.#host.leaseByIp(ip);
    const { self, range } = this.#context.options;
    if (own !== undefined) return this.#reply(token, { ip, mac: own.mac, holder: self });
    if (!subnetContains(range, ip)) return this.#reply(token, undefined);
    const answer = this.#resolver.ask(now, { kind: "lease", ip });
    if (answer !== "asked") return this.#answer(token, ip, answer);
    if (this.#pending.size < PENDING_MAX) this.#pending.set(token, ip);
    else this.#reply(token, undefined);
  }

  answered(question: Question, answer: Answer): void {
    if (question.kind !== "lease") return;
    for (const [token, ip] of this.#pending) {
      if (ip !== question.ip) continue;
      this.#pending.delete(token);
      this.#answer(token, ip, answer);
    }
  }

  #answer(token: number, ip: Ip, answer: Answer): void {
    if (answer.status !== "found") return this.#reply(token, undefined);
    this.#reply(token, { ip, mac: answer.binding.mac, holder: answer.binding.holder });
  }

  #reply(token: number, answer: ResolvedAddress | undefined): void {
    this.#context.emit({ kind: "resolved", token, answer });
  }
}
