/** A slow, obvious NAT of RFC 4787 behaviours: the reference for what the classifier says. */
import { type Endpoint, endpointText } from "../../src/base/net.ts";

export type Behaviour = "endpoint-independent" | "address" | "address-and-port";

export interface NatKind {
  readonly mapping: Behaviour;
  readonly filtering: Behaviour;
  readonly allocation: "preserved" | "sequential" | "random";
  readonly hairpin: boolean;
}

const EI = "endpoint-independent";
const AP = "address-and-port";

/** The kinds of the lab. */
export const KINDS: Readonly<Record<string, NatKind>> = {
  fullcone: { mapping: EI, filtering: EI, allocation: "preserved", hairpin: false },
  restricted: { mapping: EI, filtering: "address", allocation: "preserved", hairpin: false },
  portrestricted: { mapping: EI, filtering: AP, allocation: "preserved", hairpin: false },
  address_dependent: { mapping: "address", filtering: AP, allocation: "random", hairpin: false },
  symmetric: { mapping: AP, filtering: AP, allocation: "random", hairpin: false },
  symmetric_sequential: { mapping: AP, filtering: AP, allocation: "sequential", hairpin: false },
  one_to_one: { mapping: EI, filtering: EI, allocation: "preserved", hairpin: false },
  fullcone_hp: { mapping: EI, filtering: EI, allocation: "preserved", hairpin: true },
  portrestricted_hp: { mapping: EI, filtering: AP, allocation: "preserved", hairpin: true },
};

/** When mappings end that nothing passed for `lifeMs`, in either direction. */
export interface NatClock {
  readonly lifeMs: number;
  readonly now: () => number;
}

interface Mapping {
  readonly inside: Endpoint;
  readonly outsidePort: number;
  readonly sentTo: Set<string>;
  usedAt: number;
}

export class NatModel {
  readonly ip: string;
  readonly kind: NatKind;
  readonly #mappings = new Map<string, Mapping>();
  readonly #draw: (limit: number) => number;
  readonly #clock: NatClock;
  #next = 40_000;

  /** @param draw uniform in [0, limit) */
  constructor(
    ip: string,
    kind: NatKind,
    draw: (limit: number) => number,
    clock: NatClock = { lifeMs: Number.POSITIVE_INFINITY, now: () => 0 },
  ) {
    this.#clock = clock;
    this.ip = ip;
    this.kind = kind;
    this.#draw = draw;
  }

  /** A datagram leaves: where it seems to come from. */
  send(inside: Endpoint, to: Endpoint): Endpoint {
    const key = `${endpointText(inside)} ${scope(this.kind.mapping, to)}`;
    let mapping = this.#live(key);
    if (mapping === undefined) {
      mapping = { inside, outsidePort: this.#port(inside.port), sentTo: new Set(), usedAt: 0 };
      this.#mappings.set(key, mapping);
    }
    mapping.usedAt = this.#clock.now();
    mapping.sentTo.add(scope(this.kind.filtering, to));
    return { ip: this.ip, port: mapping.outsidePort };
  }

  /** Who inside gets a datagram that arrives at our port; undefined when it is held back. */
  receive(from: Endpoint, port: number): Endpoint | undefined {
    for (const key of this.#mappings.keys()) {
      const mapping = this.#live(key);
      if (mapping?.outsidePort !== port) continue;
      if (!mapping.sentTo.has(scope(this.kind.filtering, from))) continue;
      mapping.usedAt = this.#clock.now();
      return mapping.inside;
    }
    return undefined;
  }

  #live(key: string): Mapping | undefined {
    const mapping = this.#mappings.get(key);
    const { now, lifeMs } = this.#clock;
    if (mapping === undefined || now() - mapping.usedAt < lifeMs) return mapping;
    this.#mappings.delete(key);
    return undefined;
  }

  /** Other hosts behind it take a port too. */
  otherTraffic(): void {
    this.#next++;
  }

  #port(wanted: number): number {
    if (this.kind.allocation === "preserved") return wanted;
    if (this.kind.allocation === "sequential") return this.#next++;
    return 1_024 + this.#draw(64_512);
  }
}

function scope(behaviour: Behaviour, remote: Endpoint): string {
  if (behaviour === "endpoint-independent") return "";
  return behaviour === "address" ? remote.ip : endpointText(remote);
}
