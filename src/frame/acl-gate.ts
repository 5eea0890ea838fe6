/**
 * Whether the rules let a peer's frame in. The engine applies them to opened unicast frames, this
 * code to flooded ones, and the software engine uses it for both.
 */
import { type AclPolicy, type AclPorts, type AclRule, ENGINE_LIMITS } from "../base/engine.ts";
import type { Millis } from "../base/time.ts";
import { PROTOCOL_TCP, readAclPacket, readQuoted, type TransportPacket } from "./acl-packet.ts";
import { PROTOCOL_ICMP, PROTOCOL_UDP } from "./ipv4.ts";

/** What our side began. */
export interface FlowMemory {
  /** The packet answers a living flow, which then goes on. */
  received(now: Millis, packet: TransportPacket): boolean;
  /** Whether the flow of this packet of ours lives; changes nothing. */
  hasSent(now: Millis, packet: TransportPacket): boolean;
}

/** Floods answer nothing. */
const NO_FLOWS: FlowMemory = { received: () => false, hasSent: () => false };

/** First fragments that were let in; the one that came first makes room. */
class AclFragments {
  readonly #until = new Map<string, Millis>();

  allow(now: Millis, name: string): void {
    this.#until.delete(name);
    this.#until.set(name, now + ENGINE_LIMITS.aclFragmentMs);
    const oldest = this.#until.keys().next();
    const isFull = this.#until.size > ENGINE_LIMITS.aclFragments;
    if (isFull && !oldest.done) this.#until.delete(oldest.value);
  }

  /** Another first fragment of that name was not let in. */
  forget(name: string): void {
    this.#until.delete(name);
  }

  has(now: Millis, name: string): boolean {
    return (this.#until.get(name) ?? 0) > now;
  }
}

export class AclGate {
  policy: AclPolicy;
  readonly #fragments = new AclFragments();
  readonly #flows: FlowMemory;

  constructor(policy: AclPolicy, flows: FlowMemory = NO_FLOWS) {
    this.policy = policy;
    this.#flows = flows;
  }

  passes(now: Millis, frame: Uint8Array): boolean {
    const packet = readAclPacket(frame);
    switch (packet.kind) {
      case "exempt":
        return true;
      case "opaque":
        return false;
      case "other":
        return ruleFor(this.policy, undefined, 0)?.allow ?? this.policy.allowsRest;
      case "later":
        return packet.fragment !== undefined && this.#fragments.has(now, packet.fragment);
      case "transport":
        return this.#first(now, packet);
    }
  }

  #first(now: Millis, packet: TransportPacket): boolean {
    const passes = this.#transport(now, packet);
    if (packet.fragment !== undefined) {
      if (passes) this.#fragments.allow(now, packet.fragment);
      else this.#fragments.forget(packet.fragment);
    }
    return passes;
  }

  #transport(now: Millis, packet: TransportPacket): boolean {
    if (allows(this.policy, packet.protocol, packet.destinationPort)) return true;
    if (packet.icmp === "error") return this.#isAboutOurs(now, packet);
    // Of ICMP only echo replies answer something.
    if (packet.protocol === PROTOCOL_ICMP && packet.icmp !== "reply") return false;
    return this.#flows.received(now, packet);
  }

  /** An error goes to whom the quoted packet came from, of a flow that may be answered. */
  #isAboutOurs(now: Millis, error: TransportPacket): boolean {
    const ours = readQuoted(error.quoted ?? new Uint8Array());
    if (ours === undefined || ours.source !== error.destination) return false;
    const isIcmp = ours.protocol === PROTOCOL_ICMP;
    if (isIcmp && ours.icmp === "error") return false;
    if (allows(this.policy, ours.protocol, ours.sourcePort)) return true;
    return (!isIcmp || ours.icmp === "request") && this.#flows.hasSent(now, ours);
  }
}

export function isWithinLimits({ rules }: AclPolicy): boolean {
  const { aclRules, aclPortsPerRule } = ENGINE_LIMITS;
  return rules.length <= aclRules && rules.every(({ ports }) => ports.length <= aclPortsPerRule);
}

export function allows(policy: AclPolicy, protocol: number, port: number): boolean {
  return ruleFor(policy, protocol, port)?.allow ?? policy.allowsRest;
}

/** The first rule that matches; undefined when the rest decides. `protocol` undefined = no IP. */
export function ruleFor(
  policy: AclPolicy,
  protocol: number | undefined,
  port: number,
): AclRule | undefined {
  return policy.rules.find((rule) => matches(rule, protocol, port));
}

function matches(rule: AclRule, protocol: number | undefined, port: number): boolean {
  if (rule.protocol !== undefined && rule.protocol !== protocol) return false;
  if (rule.ports.length === 0) return true;
  const hasPorts = protocol === PROTOCOL_TCP || protocol === PROTOCOL_UDP;
  return hasPorts && rule.ports.some((range) => contains(range, port));
}

function contains({ first, last }: AclPorts, port: number): boolean {
  return first <= port && port <= last;
}
