/**
 * Which link a MAC is behind: connects to its holder and keeps the engine's entry alive.
 *
 *      reach ──> link there? ── yes ──> forward entry, checked and published again at half its life
 *                   └── no ──> connect … path ──> forward entry (the engine releases what waits)
 *      link-down ──> entry gone; the next miss connects again
 */
import { equalBytes } from "../base/bytes.ts";
import { type Ip, type Mac, subnetContains } from "../base/net.ts";
import type { RingAddress } from "../base/ring-address.ts";
import { type Millis, NEVER } from "../base/time.ts";
import { parseEthernet, TYPE_IPV4 } from "../frame/ethernet.ts";
import { parseIpv4 } from "../frame/ipv4.ts";
import type { LinkId, PeerInfo } from "../link/link-types.ts";
import type { VnetContext } from "./context.ts";
import type { Host } from "./host.ts";
import type { Peers } from "./peers.ts";
import type { Answer, Binding, Question, Resolver } from "./resolver.ts";

const FORWARD_TTL_MS = 300_000;
const CHECK_AFTER_MS = FORWARD_TTL_MS / 2;
/** Entries are looked over this often; far below the life of one. */
const SWEEP_MS = 10_000;
/** A site talks to few of 65,536 possible MACs; the oldest makes room. */
const DESTINATIONS_MAX = 16_384;
/** Misses that wait for the DHT: one per MAC and second from the engine, 3 s each. */
const MISSES_MAX = 1_024;
const CONNECT_FIRST_MS = 1_000;
const CONNECT_LAST_MS = 30_000;

interface Destination {
  readonly binding: Binding;
  /** The link the entry points to; undefined while we wait for one. */
  link: LinkId | undefined;
  checkAt: Millis;
}

interface Miss {
  /** Destination address in the frame that missed. */
  readonly ip: Ip | undefined;
  stage: "mac" | "lease";
}

export class Forwarding {
  readonly #context: VnetContext;
  readonly #host: Host;
  readonly #peers: Peers;
  readonly #resolver: Resolver;
  readonly #destinations = new Map<Mac, Destination>();
  readonly #misses = new Map<Mac, Miss>();
  /** Back-off of connection attempts by holder; as many as destinations. */
  readonly #attempts = new Map<RingAddress, { nextAt: Millis; waitMs: Millis }>();
  #sweepAt: Millis = NEVER;

  constructor(context: VnetContext, host: Host, peers: Peers, resolver: Resolver) {
    this.#context = context;
    this.#host = host;
    this.#peers = peers;
    this.#resolver = resolver;
  }

  /** Frames for the binding's MAC are coming or waiting: make them arrive. */
  reach(now: Millis, binding: Binding): void {
    if (this.#context.isHere(binding.holder)) return;
    this.#makeRoom();
    const before = this.#destinations.get(binding.mac);
    const destination = { binding, link: undefined, checkAt: now + CHECK_AFTER_MS };
    this.#destinations.delete(binding.mac);
    this.#destinations.set(binding.mac, destination);
    const peer = this.#peers.byAddress(binding.holder);
    if (peer !== undefined && this.#publish(now, destination, peer)) return;
    if (before?.link !== undefined)
      this.#context.engine({ op: "forward-remove", mac: binding.mac });
    this.#connect(now, binding.holder);
  }

  /** @param head the first bytes of the frame that waits */
  miss(now: Millis, mac: Mac, head: Uint8Array): void {
    const known = this.#destinations.get(mac);
    if (known !== undefined) {
      const peer = this.#peers.byAddress(known.binding.holder);
      if (peer !== undefined && this.#publish(now, known, peer)) return;
      this.#connect(now, known.binding.holder);
    }
    if (this.#misses.size >= MISSES_MAX && !this.#misses.has(mac)) {
      return this.#context.drop("waiting-full");
    }
    this.#misses.set(mac, { ip: destinationIp(head), stage: "mac" });
    this.#askMac(now, mac);
  }

  answered(now: Millis, question: Question, answer: Answer): void {
    if (question.kind === "mac") this.#missAnswered(now, question.mac, answer);
    else this.#leaseAnswered(now, question.ip, answer);
    this.#checked(now, question, answer);
  }

  peerReachable(now: Millis, peer: PeerInfo): void {
    this.#attempts.delete(peer.address);
    for (const destination of this.#destinations.values()) {
      if (destination.binding.holder === peer.address) this.#publish(now, destination, peer);
    }
  }

  linkDown(link: LinkId): void {
    for (const [mac, destination] of this.#destinations) {
      if (destination.link !== link) continue;
      destination.link = undefined;
      this.#context.engine({ op: "forward-remove", mac });
    }
  }

  /** Who is on our LAN changed, or whether we bridge: every destination is looked up anew. */
  forgetAll(): void {
    for (const [mac, { link }] of this.#destinations) {
      if (link !== undefined) this.#context.engine({ op: "forward-remove", mac });
    }
    this.#destinations.clear();
  }

  timeout(now: Millis): void {
    if (now < this.#sweepAt) return;
    for (const [mac, destination] of this.#destinations) {
      if (destination.checkAt <= now) this.#check(now, mac, destination);
    }
    for (const [holder, { nextAt }] of this.#attempts) {
      if (nextAt + CONNECT_LAST_MS < now) this.#attempts.delete(holder);
    }
    const isIdle = this.#destinations.size === 0 && this.#attempts.size === 0;
    this.#sweepAt = isIdle ? NEVER : now + SWEEP_MS;
  }

  deadline(): Millis {
    return this.#sweepAt;
  }

  /**
   * Waits for a path when the link has none yet (`peerReachable`).
   * @returns false when the peer at that address is not the one who signed the record
   */
  #publish(now: Millis, destination: Destination, peer: PeerInfo): boolean {
    const { mac, holderKey } = destination.binding;
    if (!equalBytes(peer.publicKey, holderKey)) {
      this.#context.drop("foreign-record");
      return false;
    }
    if (!this.#peers.isUsable(peer.link)) return true;
    destination.link = peer.link;
    this.#misses.delete(mac);
    this.#sweepAt = Math.min(this.#sweepAt, now + SWEEP_MS);
    this.#context.engine({ op: "forward", mac, to: peer.link, ttlMs: FORWARD_TTL_MS });
    return true;
  }

  #connect(now: Millis, holder: RingAddress): void {
    const before = this.#attempts.get(holder);
    if (before !== undefined && now < before.nextAt) return;
    const waitMs = Math.min(CONNECT_LAST_MS, (before?.waitMs ?? CONNECT_FIRST_MS / 2) * 2);
    this.#attempts.set(holder, { nextAt: now + waitMs, waitMs });
    this.#sweepAt = Math.min(this.#sweepAt, now + SWEEP_MS);
    if (this.#peers.byAddress(holder) === undefined) {
      this.#context.emit({ kind: "connect", address: holder });
    }
  }

  #askMac(now: Millis, mac: Mac): void {
    const question: Question = { kind: "mac", mac };
    const answer = this.#resolver.ask(now, question);
    if (answer !== "asked") this.#missAnswered(now, mac, answer);
  }

  #missAnswered(now: Millis, mac: Mac, answer: Answer): void {
    const miss = this.#misses.get(mac);
    if (miss?.stage !== "mac") return;
    if (answer.status === "found") return this.#missFound(now, mac, answer.binding);
    const { ip } = miss;
    if (ip === undefined || !subnetContains(this.#context.options.range, ip)) {
      return this.#missEnds(mac, answer);
    }
    miss.stage = "lease";
    const byLease = this.#resolver.ask(now, { kind: "lease", ip });
    if (byLease !== "asked") this.#leaseAnswered(now, ip, byLease);
  }

  #leaseAnswered(now: Millis, ip: Ip, answer: Answer): void {
    for (const [mac, miss] of this.#misses) {
      if (miss.stage !== "lease" || miss.ip !== ip) continue;
      const isRight = answer.status === "found" && answer.binding.mac === mac;
      if (isRight) this.#missFound(now, mac, answer.binding);
      else this.#missEnds(mac, answer);
    }
  }

  #missFound(now: Millis, mac: Mac, binding: Binding): void {
    this.#misses.delete(mac);
    // A machine on our own side of the TAP: its bridge delivers, the overlay must not.
    const isHere = this.#context.isHere(binding.holder) || this.#host.ownsMac(mac);
    if (isHere) this.#context.engine({ op: "forward-remove", mac });
    else this.reach(now, binding);
  }

  /** Nobody has it: what waits is dropped now. Without an answer it may wait for the next miss. */
  #missEnds(mac: Mac, answer: Answer): void {
    this.#misses.delete(mac);
    const isWaitingForLink = this.#destinations.has(mac);
    if (answer.status === "unavailable" || isWaitingForLink) return;
    this.#context.drop("no-route");
    this.#context.engine({ op: "forward-remove", mac });
  }

  #check(now: Millis, mac: Mac, destination: Destination): void {
    if (destination.link === undefined) {
      this.#destinations.delete(mac);
      return;
    }
    destination.checkAt = now + CHECK_AFTER_MS;
    const question = questionAbout(destination.binding);
    this.#resolver.forget(question);
    const answer = this.#resolver.ask(now, question);
    if (answer !== "asked") this.#checked(now, question, answer);
  }

  /** An answer about a destination in use: still there, elsewhere, or gone. */
  #checked(now: Millis, question: Question, answer: Answer): void {
    const about = this.#destinationOf(question, answer);
    if (about === undefined) return;
    const { mac, destination } = about;
    const isSame = answer.status === "found" && answer.binding.mac === mac;
    if (isSame) return this.reach(now, answer.binding);
    const peer = this.#peers.byAddress(destination.binding.holder);
    if (answer.status === "unavailable") {
      if (peer !== undefined) this.#publish(now, destination, peer);
      return;
    }
    this.#destinations.delete(mac);
    this.#context.engine({ op: "forward-remove", mac });
  }

  /** Only destinations with an entry that this very record stands for. */
  #destinationOf(
    question: Question,
    answer: Answer,
  ): { mac: Mac; destination: Destination } | undefined {
    const mac = question.kind === "mac" ? question.mac : macOf(answer);
    const byMac = mac === undefined ? undefined : this.#destinations.get(mac);
    if (mac !== undefined && byMac !== undefined) {
      const isAbout = byMac.link !== undefined && sameSubject(byMac.binding, question);
      return isAbout ? { mac, destination: byMac } : undefined;
    }
    if (question.kind === "mac") return undefined;
    for (const [known, destination] of this.#destinations) {
      const isAbout = destination.link !== undefined && destination.binding.ip === question.ip;
      if (isAbout) return { mac: known, destination };
    }
    return undefined;
  }

  #makeRoom(): void {
    const oldest = this.#destinations.keys().next();
    if (this.#destinations.size < DESTINATIONS_MAX || oldest.done) return;
    this.#destinations.delete(oldest.value);
  }
}

function macOf(answer: Answer): Mac | undefined {
  return answer.status === "found" ? answer.binding.mac : undefined;
}

function sameSubject(binding: Binding, question: Question): boolean {
  return question.kind === "mac" ? binding.ip === undefined : binding.ip === question.ip;
}

function questionAbout(binding: Binding): Question {
  if (binding.ip === undefined) return { kind: "mac", mac: binding.mac };
  return { kind: "lease", ip: binding.ip };
}

function destinationIp(head: Uint8Array): Ip | undefined {
  const frame = parseEthernet(head);
  if (!frame.ok || frame.value.type !== TYPE_IPV4) return undefined;
  const packet = parseIpv4(frame.value.payload);
  return packet.ok ? packet.value.destination : undefined;
}
