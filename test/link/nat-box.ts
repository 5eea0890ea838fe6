/**
 * A NAT in virtual time, in the words of RFC 4787, as Linux does it: one entry for each inside
 * endpoint and remote endpoint.
 *
 *      inside --- [ outside address ] --- the net, or another box (then that one is a carrier's)
 *
 * Without `guard` an unsolicited datagram leaves an entry of its own behind, and what goes out to that
 * sender later cannot have the port that it was sent to: the port is burnt for this pair.
 */
import { type Endpoint, endpointText, type Ip, sameEndpoint } from "../../src/base/net.ts";
import { below, type Rng } from "../../src/base/rng.ts";
import type { Millis } from "../../src/base/time.ts";

export type Dependence = "endpoint-independent" | "address" | "address-and-port";
export type Allocation = "preserved" | "sequential" | "random";

export interface NatKind {
  readonly mapping: Dependence;
  readonly filtering: Dependence;
  readonly allocation: Allocation;
}

const EI = "endpoint-independent";
const AP = "address-and-port";

export const NAT_KINDS = {
  fullcone: { mapping: EI, filtering: EI, allocation: "preserved" },
  restricted: { mapping: EI, filtering: "address", allocation: "preserved" },
  portrestricted: { mapping: EI, filtering: AP, allocation: "preserved" },
  address_dependent: { mapping: "address", filtering: AP, allocation: "random" },
  symmetric: { mapping: AP, filtering: AP, allocation: "random" },
  symmetric_sequential: { mapping: AP, filtering: AP, allocation: "sequential" },
} as const satisfies Record<string, NatKind>;

export interface NatOptions extends NatKind {
  readonly outside: Ip;
  readonly rng: Rng;
  readonly now: () => Millis;
  readonly guard?: boolean;
  readonly hairpin?: boolean;
  readonly lifeMs?: Millis;
  /** The carrier's box this one is behind. */
  readonly behind?: NatBox;
}

interface Flow {
  readonly inside: Endpoint;
  readonly remote: Endpoint;
  readonly port: number;
  usedAt: Millis;
}

/** Linux forgets an unanswered entry after this. */
const BURNT_MS = 30_000;
const LIFE_MS = 120_000;
const FIRST_PORT = 1_024;
const PORTS = 64_512;
const FIRST_IN_SEQUENCE = 40_000;

export class NatBox {
  readonly behind: NatBox | undefined;
  readonly hairpin: boolean;
  outside: Ip;
  readonly #options: NatOptions;
  #flows: Flow[] = [];
  readonly #burnt = new Map<string, Millis>();
  #next = FIRST_IN_SEQUENCE;

  constructor(options: NatOptions) {
    this.#options = options;
    this.behind = options.behind;
    this.hairpin = options.hairpin ?? false;
    this.outside = options.outside;
  }

  /** Forgets everything, as a router does that restarts; the ports it hands out next are others. */
  reboot(): void {
    this.#flows = [];
    this.#burnt.clear();
    this.#next += 1_000;
  }

  get entries(): number {
    return this.#live().length;
  }

  /** A datagram from inside. @returns its source outside */
  send(inside: Endpoint, remote: Endpoint): Endpoint {
    const now = this.#options.now();
    const known = this.#live().find(
      (flow) => sameEndpoint(flow.inside, inside) && sameEndpoint(flow.remote, remote),
    );
    const flow = known ?? { inside, remote, port: this.#portFor(inside, remote), usedAt: now };
    if (known === undefined) this.#flows.push(flow);
    flow.usedAt = now;
    return { ip: this.outside, port: flow.port };
  }

  /** A datagram from outside to one of our ports. @returns the inside endpoint that gets it */
  receive(from: Endpoint, port: number): Endpoint | undefined {
    const now = this.#options.now();
    const { filtering, guard } = this.#options;
    const flows = this.#live().filter((flow) => flow.port === port);
    const exact = flows.find(({ remote }) => sameEndpoint(remote, from));
    const near = flows.find(({ remote }) => remote.ip === from.ip);
    const passed =
      exact ?? (filtering === EI ? flows[0] : filtering === "address" ? near : undefined);
    if (passed === undefined) {
      if (guard !== true) this.#burnt.set(`${endpointText(from)} ${port}`, now + BURNT_MS);
      return undefined;
    }
    if (passed === exact) passed.usedAt = now;
    // Whoever was let in has an entry of its own from then on.
    else this.#flows.push({ inside: passed.inside, remote: from, port, usedAt: now });
    return passed.inside;
  }

  #portFor(inside: Endpoint, remote: Endpoint): number {
    const { mapping, allocation } = this.#options;
    // The newest one, as Linux may do it: a spoilt mapping serves further destinations too.
    const reusable = this.#live().findLast(
      (flow) =>
        sameEndpoint(flow.inside, inside) &&
        (mapping === EI || (mapping === "address" && flow.remote.ip === remote.ip)),
    )?.port;
    const wanted = reusable ?? (allocation === "preserved" ? inside.port : this.#draw(allocation));
    const isTaken = (port: number) =>
      this.#live().some((flow) => flow.port === port && !sameEndpoint(flow.inside, inside)) ||
      (this.#burnt.get(`${endpointText(remote)} ${port}`) ?? 0) > this.#options.now();
    let port = wanted;
    while (isTaken(port)) port = this.#draw("random");
    return port;
  }

  #draw(allocation: Allocation): number {
    if (allocation === "sequential") return this.#next++;
    return FIRST_PORT + below(this.#options.rng, PORTS);
  }

  #live(): readonly Flow[] {
    const since = this.#options.now() - (this.#options.lifeMs ?? LIFE_MS);
    this.#flows = this.#flows.filter(({ usedAt }) => usedAt > since);
    return this.#flows;
  }
}
