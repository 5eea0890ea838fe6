/**
 * Which pairs can have a direct path, derived from RFC 4787's two words for a NAT and from nothing that
 * weft does. The table of the kernel tests comes from here.
 */
import { type Filtering, type Mapping, NAT_BEHAVIOURS, type NatBehaviour } from "./nat-kind.ts";
import type { PairKinds, PlaceKind } from "./nat-place.ts";

export type PathClass = "direct" | "relay";

/** Issued to people as the bounds of a fresh start; the second for pairs whose ports must be guessed. */
export const SETTLED_MS = 10_000;
export const GUESSED_MS = 40_000;

export interface Verdict {
  readonly path: PathClass;
  readonly because: string;
  /** A direct path takes no longer. */
  readonly withinMs: number;
}

/** @param isAggressive both sites guess ports (`traversal: aggressive`) */
export function expectedPath(kinds: PairKinds, isAggressive = false): Verdict {
  const { path, because } = pathOf(kinds);
  const isGuessed = isAggressive && path === "relay" && meetsByGuess(kinds);
  if (isGuessed) return { path: "direct", because: `${because}, guessed`, withinMs: GUESSED_MS };
  return { path, because, withinMs: SETTLED_MS };
}

function pathOf({ a, b, shared }: PairKinds): Omit<Verdict, "withinMs"> {
  // Frames on one LAN pass no NAT; a router that blocks UDP blocks it on its outside only.
  if (shared === "lan") return { path: "direct", because: "one LAN" };
  const families = commonFamily(a, b);
  if (!families) return { path: "relay", because: "no address family in common" };
  // TCP to port 443 is all that gets out, and no site but the public member listens there.
  if ([a, b].includes("udp_blocked")) return { path: "relay", because: "no UDP at one end" };
  // Behind one carrier both have its address outside; a packet to it comes back in only by hairpin.
  if (shared === "carrier") return { path: "relay", because: "one carrier without hairpin" };
  const path = punches(behaviourOf(a), behaviourOf(b)) ? "direct" : "relay";
  const because = `${describe(behaviourOf(a))} against ${describe(behaviourOf(b))}`;
  return { path, because };
}

/**
 * Ports in sequence can be foretold, so that two such NATs are as good as two that keep one port; random
 * ones are found by trying many, if the other end always sends from one.
 */
function meetsByGuess({ a, b, shared }: PairKinds): boolean {
  if (shared !== undefined || [a, b].includes("udp_blocked") || !commonFamily(a, b)) return false;
  const [one, other] = [behaviourOf(a), behaviourOf(b)];
  const isOne = ({ mapping }: NatBehaviour) => mapping === "endpoint-independent";
  const isTold = (nat: NatBehaviour) => isOne(nat) || nat.ports === "in sequence";
  if (isTold(one) && isTold(other)) return true;
  return (isOne(one) && other.ports === "at random") || (isOne(other) && one.ports === "at random");
}

function commonFamily(a: PlaceKind, b: PlaceKind): boolean {
  const hasIpv6 = (kind: PlaceKind) => kind === "dual_stack" || kind === "ipv6_only";
  const bothIpv4 = a !== "ipv6_only" && b !== "ipv6_only";
  return bothIpv4 || (hasIpv6(a) && hasIpv6(b));
}

/** A public host behaves like a NAT that changes nothing and keeps nobody out. */
function behaviourOf(kind: PlaceKind): NatBehaviour {
  switch (kind) {
    case "public":
    case "dual_stack":
    case "ipv6_only":
      return { mapping: "endpoint-independent", filtering: "endpoint-independent" };
    case "cgn":
      // Two in a row are as hard as the harder one; here both are the same.
      return NAT_BEHAVIOURS.portrestricted;
    default:
      return NAT_BEHAVIOURS[kind];
  }
}

function describe({ mapping, filtering }: NatBehaviour): string {
  return `mapping ${mapping}, filtering ${filtering}`;
}

type Side = "a" | "b";

/** An outside endpoint, as a letter for its address and a name for its port. */
interface Outside {
  readonly side: Side | "member";
  readonly port: string;
}

/** The public member, which told each side where it saw the other. */
const MEMBER: Outside = { side: "member", port: "listening" };
/** Each round both send to all they know of; whatever opens at all, opens by the third. */
const ROUNDS = 4;

/**
 * Plays the punching with names instead of numbers. Both sides know where the member saw the other one,
 * and learn where packets really came from when some get through. The pair is direct when two outside
 * endpoints let packets pass in both directions.
 */
export function punches(a: NatBehaviour, b: NatBehaviour): boolean {
  const nats = { a: new Nat("a", a), b: new Nat("b", b) };
  const known = { a: [nats.b.send(MEMBER)], b: [nats.a.send(MEMBER)] };
  const passed = new Set<string>();
  for (let round = 0; round < ROUNDS; round++) {
    for (const [from, to] of [
      ["a", "b"],
      ["b", "a"],
    ] as const) {
      for (const target of [...known[from]]) {
        const source = nats[from].send(target);
        if (!nats[to].admits(target, source)) continue;
        passed.add(`${key(source)} > ${key(target)}`);
        if (!known[to].some((seen) => key(seen) === key(source))) known[to].push(source);
        if (passed.has(`${key(target)} > ${key(source)}`)) return true;
      }
    }
  }
  return false;
}

class Nat {
  readonly #side: Side;
  readonly #behaviour: NatBehaviour;
  /** Outside port -> the remote endpoints that were sent to from it. */
  readonly #partners = new Map<string, Outside[]>();

  constructor(side: Side, behaviour: NatBehaviour) {
    this.#side = side;
    this.#behaviour = behaviour;
  }

  /** A packet goes out. @returns the outside endpoint it leaves from */
  send(to: Outside): Outside {
    const port = portTowards(this.#behaviour.mapping, to);
    const partners = this.#partners.get(port) ?? [];
    this.#partners.set(port, [...partners, to]);
    return { side: this.#side, port };
  }

  /** Whether a packet to our outside endpoint comes in: that port must be mapped, and let it pass. */
  admits(target: Outside, source: Outside): boolean {
    const partners = this.#partners.get(target.port);
    return partners?.some((partner) => passes(this.#behaviour.filtering, partner, source)) === true;
  }
}

function portTowards(mapping: Mapping, to: Outside): string {
  switch (mapping) {
    case "endpoint-independent":
      return "the one";
    case "address":
      return `for ${to.side}`;
    case "address-and-port":
      return `for ${key(to)}`;
  }
}

function passes(filtering: Filtering, partner: Outside, source: Outside): boolean {
  switch (filtering) {
    case "endpoint-independent":
      return true;
    case "address":
      return partner.side === source.side;
    case "address-and-port":
      return key(partner) === key(source);
  }
}

function key({ side, port }: Outside): string {
  return `${side}(${port})`;
}
