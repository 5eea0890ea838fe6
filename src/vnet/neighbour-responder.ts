/**
 * Answers our host's neighbour solicitations for EUI-64 link-local addresses: the address names the
 * MAC, the MAC record names the member. Other IPv6 addresses have no record and get silence.
 */
import { type Ip, ipToBytes, linkLocalOf, type Mac, macFromBytes } from "../base/net.ts";
import type { Millis } from "../base/time.ts";
import { type EthernetFrame, emitEthernet, TYPE_IPV6 } from "../frame/ethernet.ts";
import { emitIpv6, type Ipv6Packet, PROTOCOL_ICMPV6 } from "../frame/ipv6.ts";
import { emitNd, type NdMessage } from "../frame/neighbour-discovery.ts";
import type { VnetContext } from "./context.ts";
import type { Forwarding } from "./forwarding.ts";
import type { Host } from "./host.ts";
import type { Answer, Question, Resolver } from "./resolver.ts";

/** The MAC that was in the solicited frame, and the address it spoke from (`::` in probes). */
interface Asker {
  readonly mac: Mac;
  readonly ip: Ip;
  readonly tags: Uint8Array;
}

const UNSPECIFIED = "::";
const ALL_NODES: Ip = "ff02::1";
const ALL_NODES_MAC: Mac = "33:33:00:00:00:01";
/** RFC 4861, 7.1: proves that no router forwarded it. */
const ND_HOP_LIMIT = 255;
const PENDING_MAX = 1_024;
const ASKERS_MAX = 16;

export class NeighbourResponder {
  readonly #context: VnetContext;
  readonly #host: Host;
  readonly #resolver: Resolver;
  readonly #forwarding: Forwarding;
  readonly #pending = new Map<Mac, Asker[]>();

  constructor(context: VnetContext, host: Host, resolver: Resolver, forwarding: Forwarding) {
    this.#context = context;
    this.#host = host;
    this.#resolver = resolver;
    this.#forwarding = forwarding;
  }

  solicited(
    now: Millis,
    frame: EthernetFrame,
    packet: Ipv6Packet,
    message: Extract<NdMessage, { kind: "solicitation" }>,
  ): void {
    const mac = macOfLinkLocal(message.target);
    if (packet.hopLimit !== ND_HOP_LIMIT) return this.#context.drop("bad-field");
    if (mac === undefined || this.#host.ownsMac(mac)) return;
    const isOutsider = this.#context.options.bridged && !this.#host.ownsMac(frame.source);
    if (isOutsider) return this.#context.drop("source-mac");
    const asker: Asker = { mac: frame.source, ip: packet.source, tags: frame.tags };
    const answer = this.#resolver.ask(now, { kind: "mac", mac });
    if (answer !== "asked") return this.#answer(now, asker, answer);
    const askers = this.#pending.get(mac) ?? [];
    const isFull = this.#pending.size >= PENDING_MAX || askers.length >= ASKERS_MAX;
    if (isFull) return this.#context.drop("table-full");
    const isNew = askers.every((other) => other.mac !== asker.mac || other.ip !== asker.ip);
    if (isNew) this.#pending.set(mac, [...askers, asker]);
  }

  answered(now: Millis, question: Question, answer: Answer): void {
    if (question.kind !== "mac") return;
    const askers = this.#pending.get(question.mac);
    this.#pending.delete(question.mac);
    for (const asker of askers ?? []) this.#answer(now, asker, answer);
  }

  #answer(now: Millis, asker: Asker, answer: Answer): void {
    if (answer.status !== "found") return;
    const { binding } = answer;
    if (this.#context.isHere(binding.holder) || this.#host.ownsMac(binding.mac)) return;
    this.#advertise(asker, binding.mac);
    if (asker.ip !== UNSPECIFIED) this.#forwarding.reach(now, binding);
  }

  /** A probe (source ::) is answered to all nodes, not solicited (RFC 4861, 7.2.4). */
  #advertise(asker: Asker, mac: Mac): void {
    const isProbe = asker.ip === UNSPECIFIED;
    const source = linkLocalOf(mac);
    const destination = isProbe ? ALL_NODES : asker.ip;
    const payload = emitNd(
      { kind: "advertisement", target: source, mac, solicited: !isProbe, override: true },
      source,
      destination,
    );
    const fields = { source, destination, hopLimit: ND_HOP_LIMIT, protocol: PROTOCOL_ICMPV6 };
    const frame: EthernetFrame = {
      destination: isProbe ? ALL_NODES_MAC : asker.mac,
      source: mac,
      tags: asker.tags,
      type: TYPE_IPV6,
      payload: emitIpv6({ ...fields, payload }),
    };
    this.#context.engine({ op: "frame-to-tap", bytes: emitEthernet(frame) });
  }
}

/** The inverse of `linkLocalOf`; undefined for any other address. */
export function macOfLinkLocal(ip: Ip): Mac | undefined {
  const b = ipToBytes(ip);
  if (b.length !== 16) return undefined;
  const mac = macFromBytes(
    Uint8Array.of((b[8] ?? 0) ^ 2, b[9] ?? 0, b[10] ?? 0, b[13] ?? 0, b[14] ?? 0, b[15] ?? 0),
  );
  return linkLocalOf(mac) === ip ? mac : undefined;
}
