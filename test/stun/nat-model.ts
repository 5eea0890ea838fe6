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

interface Mapping {
  readonly inside: Endpoint;
  readonly outsidePort: number;
  readonly sentTo: Set<string>;
}

export class NatModel {
  readonly ip: string;
  readonly kind: NatKind;
  readonly #mappings = new Map<string, Mapping>();
  readonly #draw: (limit: number) => number;
  #next = 40_000;

  /** @param draw uniform in [0, limit) */
  constructor(ip: string, kind: NatKind, draw: (limit: number) => number) {
    this.ip = ip;
    this.kind = kind;
    this.#draw = draw;
  }

  /** A datagram leaves: where it seems to come from. */
  send(inside: Endpoint, to: Endpoint): Endpoint {
    const key = `${endpointText(inside)} ${scope(this.kind.mapping, to)}`;
    let mapping = this.#mappings.get(key);
    if (mapping === undefined) {
      mapping = { inside, outsidePort: this.#port(inside.port), sentTo: new Set() };
      this.#mappings.set(key, mapping);
    }
    mapping.sentTo.add(scope(this.kind.filtering, to));
    return { ip: this.ip, port: mapping.outsidePort };
  }

  /** Who inside gets a datagram that arrives at our port; undefined when it is held back. */
  receive(from: Endpoint, port: number): Endpoint | undefined {
    for (const mapping of this.#mappings.values()) {
      if (mapping.outsidePort !== port) continue;
      if (mapping.sentTo.has(scope(this.kind.filtering, from))) return mapping.inside;
    }
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
