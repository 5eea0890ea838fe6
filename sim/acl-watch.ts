/**
 * What leaves towards one peer that has rules: the flows whose answers must be let in are remembered.
 * The twin of AclWatch in native/engine/acl-gate.h.
 */
import { type AclPolicy, ENGINE_LIMITS } from "../src/base/engine.ts";
import type { Millis } from "../src/base/time.ts";
import { allows } from "../src/frame/acl-gate.ts";
import { PROTOCOL_TCP, readAclPacket } from "../src/frame/acl-packet.ts";
import { PROTOCOL_ICMP } from "../src/frame/ipv4.ts";
import type { AclFlows } from "./acl-flows.ts";

const LAST_PORT = 65_535;

export class AclWatch {
  #policy: AclPolicy;
  readonly #flows: AclFlows;
  #takeUpEndsAt: Millis;

  /** @param takeUpEndsAt until then TCP flows of ours are taken up in their middle */
  constructor(policy: AclPolicy, flows: AclFlows, takeUpEndsAt: Millis) {
    this.#policy = policy;
    this.#flows = flows;
    this.#takeUpEndsAt = takeUpEndsAt;
  }

  /**
   * Other rules. Stricter ones end the taking up: what we send on a connection that they began and
   * that is no longer allowed must not make it one of ours.
   */
  setPolicy(policy: AclPolicy): void {
    if (isStricter(policy, this.#policy)) this.#takeUpEndsAt = 0;
    this.#policy = policy;
  }

  /** Of flows whose answers the rules let in anyway only TCP's that we begin are remembered. */
  sent(now: Millis, frame: Uint8Array): void {
    const packet = readAclPacket(frame);
    if (packet.kind !== "transport") return;
    const { protocol, sourcePort } = packet;
    if (protocol === PROTOCOL_ICMP && packet.icmp !== "request") return;
    const isRuled = allows(this.#policy, protocol, sourcePort);
    if (isRuled && protocol !== PROTOCOL_TCP) return;
    const isOurs = sourcePort >= ENGINE_LIMITS.aclTakeUpPort;
    this.#flows.sent(now, packet, !isRuled && isOurs && now < this.#takeUpEndsAt);
  }
}

/** A TCP port that `before` allows is no longer allowed. Between the ends of ranges nothing changes. */
function isStricter(policy: AclPolicy, before: AclPolicy): boolean {
  const ranges = [policy, before].flatMap(({ rules }) => rules.flatMap(({ ports }) => ports));
  const turns = [0, ...ranges.flatMap(({ first, last }) => [first, last + 1])];
  return turns.some(
    (port) =>
      port <= LAST_PORT &&
      allows(before, PROTOCOL_TCP, port) &&
      !allows(policy, PROTOCOL_TCP, port),
  );
}
