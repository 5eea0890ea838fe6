/**
 * The flows that our side began where the rules alone would not let the answers in, and all that it
 * began over TCP: those outlive stricter rules. Time counts in whole seconds, as in the native engine.
 * Past the bound the flow that would end first gives way.
 */
import { ENGINE_LIMITS } from "../src/base/engine.ts";
import type { Millis } from "../src/base/time.ts";
import type { FlowMemory } from "../src/frame/acl-gate.ts";
import { PROTOCOL_TCP, type TransportPacket } from "../src/frame/acl-packet.ts";
import { PROTOCOL_ICMP, PROTOCOL_UDP } from "../src/frame/ipv4.ts";

const FIN = 1;
const SYN = 2;
const RST = 4;
const ACK = 16;

type Phase = "steady" | "opening" | "closing";

interface Flow {
  readonly phase: Phase;
  /** The second from which on it is gone. */
  readonly ends: number;
}

export class AclFlows implements FlowMemory {
  readonly #flows = new Map<string, Flow>();

  /**
   * A packet of ours leaves: its flow begins or goes on.
   * @param takesUp a flow of TCP that is older than we are goes on in its middle
   */
  sent(now: Millis, packet: TransportPacket, takesUp: boolean): void {
    const name = nameOfSent(packet);
    const before = this.#alive(now, name);
    const phase = afterSent(takesUp, before?.phase, packet);
    if (phase === undefined) return;
    if (before === undefined && this.#flows.size >= ENGINE_LIMITS.aclFlows) this.#giveUpOne();
    this.#flows.set(name, flowOf(now, packet, phase));
  }

  received(now: Millis, packet: TransportPacket): boolean {
    // It would be a beginning from their side.
    const begins = packet.protocol === PROTOCOL_TCP && (packet.tcpFlags & (SYN | ACK)) === SYN;
    const name = nameOfReceived(packet);
    const before = begins ? undefined : this.#alive(now, name);
    if (before === undefined) return false;
    this.#flows.set(name, flowOf(now, packet, afterReceived(before.phase, packet)));
    return true;
  }

  hasSent(now: Millis, packet: TransportPacket): boolean {
    return this.#alive(now, nameOfSent(packet)) !== undefined;
  }

  get size(): number {
    return this.#flows.size;
  }

  #alive(now: Millis, name: string): Flow | undefined {
    const flow = this.#flows.get(name);
    return flow !== undefined && flow.ends > Math.floor(now / 1_000) ? flow : undefined;
  }

  #giveUpOne(): void {
    let first: string | undefined;
    let ends = Number.POSITIVE_INFINITY;
    for (const [name, flow] of this.#flows) {
      if (flow.ends >= ends) continue;
      first = name;
      ends = flow.ends;
    }
    if (first !== undefined) this.#flows.delete(first);
  }
}

/** Undefined when the packet begins no flow. An answer to their SYN is no flow of ours. */
function afterSent(
  takesUp: boolean,
  before: Phase | undefined,
  { protocol, tcpFlags }: TransportPacket,
): Phase | undefined {
  if (protocol !== PROTOCOL_TCP) return "steady";
  if ((tcpFlags & (SYN | ACK | RST | FIN)) === SYN) return "opening";
  const isInMiddle = (tcpFlags & (SYN | RST)) === 0;
  if (before === undefined && !(takesUp && isInMiddle)) return undefined;
  if ((tcpFlags & (FIN | RST)) !== 0) return "closing";
  // We acknowledge their answer, which is not looked up where a rule lets it in.
  return isInMiddle && before === "opening" ? "steady" : (before ?? "steady");
}

function afterReceived(before: Phase, packet: TransportPacket): Phase {
  if (packet.protocol !== PROTOCOL_TCP) return before;
  if ((packet.tcpFlags & (FIN | RST)) !== 0) return "closing";
  return before === "opening" ? "steady" : before;
}

function flowOf(now: Millis, packet: TransportPacket, phase: Phase): Flow {
  return { phase, ends: Math.floor(now / 1_000) + secondsOf(packet, phase) };
}

function secondsOf({ protocol }: TransportPacket, phase: Phase): number {
  const limits = ENGINE_LIMITS;
  if (protocol === PROTOCOL_TCP) {
    return phase === "steady" ? limits.aclTcpSeconds : limits.aclTcpTransitorySeconds;
  }
  if (protocol === PROTOCOL_UDP) return limits.aclUdpSeconds;
  return protocol === PROTOCOL_ICMP ? limits.aclIcmpSeconds : limits.aclOtherSeconds;
}

function nameOfSent(packet: TransportPacket): string {
  const { protocol, source, destination, sourcePort, destinationPort } = packet;
  return `${protocol} ${source} ${sourcePort} ${destination} ${destinationPort}`;
}

function nameOfReceived(packet: TransportPacket): string {
  const { protocol, source, destination, sourcePort, destinationPort } = packet;
  return `${protocol} ${destination} ${destinationPort} ${source} ${sourcePort}`;
}
