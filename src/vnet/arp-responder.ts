/**
 * Answers our host's ARP requests from the DHT: no ARP broadcast ever crosses the overlay.
 *
 *      who-has server identifier          -> at once
 *      own address, probes of it too      -> silence, or a DHCP client would decline what it was given
 *      somebody without a lease of ours   -> silence: the other site would not take its frames
 *      who-has leased by another member   -> its MAC, and the way there is prepared
 *      anything else                      -> silence
 */
import { type Ip, type Mac, subnetContains } from "../base/net.ts";
import type { Millis } from "../base/time.ts";
import { ARP_REPLY, ARP_REQUEST, type ArpPacket, emitArp, parseArp } from "../frame/arp.ts";
import { type EthernetFrame, emitEthernet, TYPE_ARP } from "../frame/ethernet.ts";
import type { VnetContext } from "./context.ts";
import type { Forwarding } from "./forwarding.ts";
import type { Host } from "./host.ts";
import type { Outsiders } from "./outsiders.ts";
import type { Answer, Question, Resolver } from "./resolver.ts";

/** Who asked, so that the answer finds the machine behind a bridge and its VLAN. */
interface Asker {
  readonly mac: Mac;
  readonly ip: Ip;
  readonly tags: Uint8Array;
}

/** Addresses being looked up; a scan of a range stops here. */
const PENDING_MAX = 1_024;
/** Machines of one site that ask for the same address within one look-up. */
const ASKERS_MAX = 16;

export interface ArpParts {
  readonly host: Host;
  readonly outsiders: Outsiders;
  readonly resolver: Resolver;
  readonly forwarding: Forwarding;
}

export class ArpResponder {
  readonly #context: VnetContext;
  readonly #host: Host;
  readonly #outsiders: Outsiders;
  readonly #resolver: Resolver;
  readonly #forwarding: Forwarding;
  readonly #pending = new Map<Ip, Asker[]>();

  constructor(context: VnetContext, parts: ArpParts) {
    this.#context = context;
    this.#host = parts.host;
    this.#outsiders = parts.outsiders;
    this.#resolver = parts.resolver;
    this.#forwarding = parts.forwarding;
  }

  /** An ARP frame from the TAP. */
  frame(now: Millis, frame: EthernetFrame): void {
    const arp = parseArp(frame.payload);
    if (!arp.ok) return this.#context.drop(arp.reason);
    const { operation, senderMac, senderIp, targetIp } = arp.value;
    if (operation !== ARP_REQUEST || senderIp === targetIp) return this.#announced(senderIp);
    const asker: Asker = { mac: senderMac, ip: senderIp, tags: frame.tags };
    const { serverIp, serverMac, range } = this.#context.options;
    if (targetIp === serverIp) return this.#reply(asker, targetIp, serverMac);
    // Our host's own address: the machine that has it answers, or nobody does (a probe).
    if (this.#host.ownsIp(targetIp) || !subnetContains(range, targetIp)) return;
    if (!this.#outsiders.mayAsk(now, senderMac, senderIp)) return this.#context.drop("arp-sender");
    this.#lookUp(now, targetIp, asker);
  }

  answered(now: Millis, question: Question, answer: Answer): void {
    if (question.kind !== "lease") return;
    const askers = this.#pending.get(question.ip);
    this.#pending.delete(question.ip);
    for (const asker of askers ?? []) this.#answer(now, question.ip, asker, answer);
  }

  /** Told to everybody: nobody over there needs it, and an address of another member is a lie. */
  #announced(ip: Ip): void {
    const isForeign = subnetContains(this.#context.options.range, ip) && !this.#host.ownsIp(ip);
    if (isForeign) this.#context.drop("arp-sender");
  }

  #lookUp(now: Millis, ip: Ip, asker: Asker): void {
    const answer = this.#resolver.ask(now, { kind: "lease", ip });
    if (answer !== "asked") return this.#answer(now, ip, asker, answer);
    const askers = this.#pending.get(ip) ?? [];
    const isNew = askers.every((other) => other.mac !== asker.mac || other.ip !== asker.ip);
    const isFull = this.#pending.size >= PENDING_MAX || askers.length >= ASKERS_MAX;
    if (isFull) return this.#context.drop("table-full");
    if (isNew) this.#pending.set(ip, [...askers, asker]);
  }

  #answer(now: Millis, ip: Ip, asker: Asker, answer: Answer): void {
    if (answer.status !== "found") return;
    const { binding } = answer;
    // The record may be ours although the lease is not (just lost, just given back).
    if (this.#context.isHere(binding.holder) || this.#host.ownsIp(ip)) return;
    this.#reply(asker, ip, binding.mac);
    this.#forwarding.reach(now, binding);
  }

  #reply(asker: Asker, ip: Ip, mac: Mac): void {
    const reply: ArpPacket = {
      operation: ARP_REPLY,
      senderMac: mac,
      senderIp: ip,
      targetMac: asker.mac,
      targetIp: asker.ip,
    };
    const frame: EthernetFrame = {
      destination: asker.mac,
      source: mac,
      tags: asker.tags,
      type: TYPE_ARP,
      payload: emitArp(reply),
    };
    this.#context.engine({ op: "frame-to-tap", bytes: emitEthernet(frame) });
  }
}
