/**
 * Which NATs there are in the lab, in the words of RFC 4787 (sections 4.1 and 5): how a NAT chooses the
 * outside port of a packet that goes out, and whose packets it lets in at that port.
 */

/** Packets to two remote endpoints leave from one outside port: always, per address, or never. */
export type Mapping = "endpoint-independent" | "address" | "address-and-port";
/** Who may send in: anybody, an address that was sent to, an endpoint that was sent to. */
export type Filtering = "endpoint-independent" | "address" | "address-and-port";

/** Where each destination has a port of its own: the next one in order, or any. */
export type Ports = "in sequence" | "at random";

export interface NatBehaviour {
  readonly mapping: Mapping;
  readonly filtering: Filtering;
  readonly ports?: Ports;
}

const EI = "endpoint-independent";
const AP = "address-and-port";

export const NAT_BEHAVIOURS = {
  fullcone: { mapping: EI, filtering: EI },
  restricted: { mapping: EI, filtering: "address" },
  /** The usual home router. */
  portrestricted: { mapping: EI, filtering: AP },
  address_dependent: { mapping: "address", filtering: AP },
  /** Outside ports at random. */
  symmetric: { mapping: AP, filtering: AP, ports: "at random" },
  /** Outside ports one after the other. */
  symmetric_sequential: { mapping: AP, filtering: AP, ports: "in sequence" },
  /** Everything that comes in goes to the one machine inside. */
  one_to_one: { mapping: EI, filtering: EI },
  /** Only TCP to ports 80 and 443 gets out: what UDP would meet does not matter. */
  udp_blocked: { mapping: AP, filtering: AP },
} as const satisfies Record<string, NatBehaviour>;

export type NatKind = keyof typeof NAT_BEHAVIOURS;

export const NAT_KINDS = Object.keys(NAT_BEHAVIOURS) as NatKind[];

export function isNatKind(text: string): text is NatKind {
  return Object.hasOwn(NAT_BEHAVIOURS, text);
}
