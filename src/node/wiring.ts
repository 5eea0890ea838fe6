/**
 * Carries the outputs of each machine to the inputs of the others. What no machine of the core takes
 * comes out as `News` for the node.
 *
 *      engine upcalls ─> links <─> ring <─> dht <─> lease
 *                   └> stun ┘└───────┴─ vnet ─┴────────┘
 */
import { assert, unreachable } from "../base/assert.ts";
import type { DropReason } from "../base/drop-reason.ts";
import type { SocketIndex, Upcall } from "../base/engine.ts";
import { type Machine, Outbox } from "../base/machine.ts";
import type { Endpoint, Ip, Mac } from "../base/net.ts";
import type { RingAddress } from "../base/ring-address.ts";
import type { Millis } from "../base/time.ts";
import type { DhtOutput, DhtResult } from "../dht/dht.ts";
import type { LeasesOutput, SavedLease } from "../lease/leases.ts";
import {
  type ConnectFailed,
  type LinkId,
  type LinksOutput,
  type PeerInfo,
  REOPENED,
} from "../link/link-types.ts";
import type { StreamOutput } from "../link/stream-fallback.ts";
import { udpEndpointOf } from "../link/stream-sockets.ts";
import type { RingOutput, RingView } from "../ring/ring.ts";
import { isStunSocket, type StunOutput } from "../stun/stun.ts";
import type { VnetOutput } from "../vnet/vnet.ts";
import { MESSAGE_TYPES, PAYLOAD_TYPES } from "../wire/message-type.ts";
import type { NoticeKind } from "../wire/notice.ts";
import { STUN_LAST_FIRST_BYTE } from "../wire/stun.ts";
import type { NodeOutput } from "./config.ts";
import { IdleLinks } from "./idle-links.ts";
import type { Parts } from "./parts.ts";

type VnetResolved = Extract<VnetOutput, { kind: "resolved" }>;

export type News =
  | Extract<NodeOutput, { kind: "engine" | "event" | "interface-clear" | "notice" }>
  | { readonly kind: "interface"; readonly ip: Ip; readonly prefix: number }
  | { readonly kind: "link-up"; readonly peer: PeerInfo }
  | { readonly kind: "link-down"; readonly address: RingAddress }
  /** With a member, of a new link or of an old one. */
  | { readonly kind: "handshake" }
  | ConnectFailed
  | { readonly kind: "reflexive"; readonly socket: SocketIndex; readonly endpoint: Endpoint }
  | { readonly kind: "view"; readonly view: RingView }
  | { readonly kind: "leases"; readonly leases: readonly SavedLease[] }
  | { readonly kind: "dht-result"; readonly request: number; readonly result: DhtResult }
  | {
      readonly kind: "echo";
      readonly source: RingAddress;
      readonly payloadType: number;
      readonly payload: Uint8Array;
    }
  | VnetResolved;

/** An address of the file, and the machine that it is promised to: this node's own interface. */
export interface FixedAddress {
  readonly ip: Ip;
  readonly mac: Mac;
}

/** Outputs one input may set off before we call it a loop between machines: far above any real fan-out. */
const OUTPUTS_PER_INPUT_MAX = 200_000;

export class Wiring {
  readonly #parts: Parts;
  readonly #fixed: FixedAddress | undefined;
  readonly #news = new Outbox<News>();
  readonly #idle = new IdleLinks();
  readonly #drops = new Map<DropReason, number>();
  /** Requests that take a lease out of the DHT and are not answered yet. */
  readonly #removals = new Set<number>();

  /** @param fixed the address that this node asks for in place of a leased one */
  constructor(parts: Parts, fixed: FixedAddress | undefined) {
    this.#parts = parts;
    this.#fixed = fixed;
  }

  upcall(now: Millis, upcall: Upcall): void {
    const { links, stun, streams, vnet } = this.#parts;
    const inside = upcall.kind === "frame" || upcall.kind === "miss" || upcall.kind === "held";
    if (inside) vnet.handle(now, { kind: "upcall", upcall });
    else if (isStun(upcall)) stun.handle(now, { kind: "upcall", upcall });
    else links.handle(now, { kind: "upcall", upcall });
    streams.handle(now, { kind: "upcall", upcall });
    if (upcall.kind === "traffic") this.#closeIdle(now);
  }

  timeout(now: Millis): void {
    for (const machine of this.#machines()) {
      if (machine.deadline() <= now) machine.handle(now, { kind: "timeout" });
    }
    const { notices, shared } = this.#parts;
    if (notices.deadline() <= now) notices.timeout(now);
    for (const link of shared.takeDue(now)) this.#tellFile(now, link, shared.messageFor(link));
  }

  deadline(): Millis {
    const { links, stun, streams, ring, dht, leases, vnet } = this.#parts;
    return Math.min(
      links.deadline(),
      streams.deadline(),
      stun.deadline(),
      ring.deadline(),
      dht.deadline(),
      leases.deadline(),
      vnet.deadline(),
      this.#parts.notices.deadline(),
      this.#parts.shared.deadline(),
    );
  }

  /** Drains every machine until all are quiet, always in the same order. */
  pump(now: Millis): void {
    const { links, stun, streams, ring, dht, leases, vnet } = this.#parts;
    let budget = OUTPUTS_PER_INPUT_MAX;
    let quiet = false;
    while (!quiet) {
      const before = budget;
      budget -= this.#takeNotices(now);
      budget -= drain(links, (output) => this.#fromLinks(now, output));
      budget -= drain(streams, (output) => this.#fromStreams(now, output));
      budget -= drain(stun, (output) => this.#fromStun(now, output));
      budget -= drain(ring, (output) => this.#fromRing(now, output));
      budget -= drain(dht, (output) => this.#fromDht(now, output));
      budget -= drain(leases, (output) => this.#fromLeases(now, output));
      budget -= drain(vnet, (output) => this.#fromVnet(now, output));
      assert(budget > 0, "machines keep each other busy");
      quiet = budget === before;
    }
  }

  /** Given-back leases are on their way out of the DHT. */
  get isReleasing(): boolean {
    return this.#removals.size > 0;
  }

  /** Of messages that the node itself takes. */
  drops(): ReadonlyMap<DropReason, number> {
    return this.#drops;
  }

  poll(): News | undefined {
    return this.#news.poll();
  }

  #machines(): Machine<{ kind: "timeout" }, unknown>[] {
    const { links, stun, streams, ring, dht, leases, vnet } = this.#parts;
    return [links, streams, stun, ring, dht, leases, vnet];
  }

  #fromStreams(now: Millis, output: StreamOutput): void {
    if (output.kind !== "connect") return this.#news.push(output);
    const to = { kind: "endpoint", endpoint: output.endpoint, stream: output.stream } as const;
    this.#parts.links.handle(now, { kind: "connect", to, role: "leaf" });
  }

  #fromLinks(now: Millis, output: LinksOutput): void {
    const { ring, stun, vnet } = this.#parts;
    if (output.kind === "path" || output.kind === "link-down") {
      this.#parts.streams.handle(now, { kind: "links" });
    }
    switch (output.kind) {
      case "link-up": {
        this.#compareFiles(now, output.peer);
        const role = this.#parts.links.byAddress(output.peer.address)?.role;
        ring.handle(now, role === undefined ? output : { ...output, role });
        vnet.handle(now, output);
        return this.#news.push(output);
      }
      case "link-down":
        stun.handle(now, { kind: "member", link: output.link, endpoint: undefined });
        ring.handle(now, output);
        vnet.handle(now, output);
        this.#linkDown(now, output);
        return this.#news.push(output);
      case "greeted":
        this.#parts.notices.greeted(output.link, output);
        this.#takeNotices(now);
        return this.#news.push({ kind: "handshake" });
      case "path": {
        ring.handle(now, output);
        const { link, path } = output;
        const endpoint = udpEndpointOf(path);
        stun.handle(now, { kind: "member", link, endpoint });
        // A frame that overtakes the last message of the handshake could not be opened: it waits.
        const usable = path.kind !== "none" && output.isConfirmed;
        return vnet.handle(now, { kind: "path", link, usable });
      }
      case "silent":
        return ring.handle(now, output);
      case "observed":
        return stun.handle(now, output);
      case "message":
        return this.#message(now, output);
      case "sent":
        if (output.owner === "ring") ring.handle(now, output);
        else if (output.owner === "vnet") vnet.handle(now, output);
        else this.#sent(now, output);
        return;
      case "route-handshake":
        return ring.handle(now, {
          kind: "route",
          to: output.to,
          mode: "exact",
          payloadType: PAYLOAD_TYPES.handshake,
          payload: output.bytes,
          excludeSelf: true,
        });
      case "engine":
      case "event":
      case "connect-failed":
      case "reflexive":
        return this.#news.push(output);
      default:
        return unreachable(output);
    }
  }

  #message(now: Millis, output: Extract<LinksOutput, { kind: "message" }>): void {
    const { ring, vnet } = this.#parts;
    const type = output.bytes[0] ?? 0;
    if (isRingMessage(type)) return ring.handle(now, output);
    if (!isNodeMessage(type)) return vnet.handle(now, output);
    const reason = this.#takeNodeMessage(now, output.link, output.bytes);
    if (reason !== undefined) this.#drops.set(reason, (this.#drops.get(reason) ?? 0) + 1);
  }

  #takeNodeMessage(now: Millis, link: LinkId, bytes: Uint8Array): DropReason | undefined {
    const { notices, shared } = this.#parts;
    if (bytes[0] === MESSAGE_TYPES.notice) {
      const reason = notices.receive(link, bytes);
      this.#takeNotices(now);
      return reason;
    }
    const reason = shared.receive(link, bytes);
    this.#reviewDispute(now);
    return reason;
  }

  /** At once: what is told of a link that is about to be cut must be said before. */
  #takeNotices(now: Millis): number {
    return drain(this.#parts.notices, (output) => {
      if (output.kind === "event") return this.#news.push(output);
      if (output.kind === "newer") return this.#noticeChanged(now, output.notice);
      this.#parts.links.handle(now, { ...output, reliable: true, owner: "node" });
    });
  }

  #noticeChanged(now: Millis, notice: NoticeKind): void {
    const bytes = this.#parts.board.bytes(notice);
    if (bytes !== undefined) this.#news.push({ kind: "notice", notice, bytes });
    if (notice !== "revocations") return;
    const { links, dht, vnet } = this.#parts;
    for (const machine of [links, dht, vnet]) machine.handle(now, { kind: "revoked" });
  }

  #linkDown(now: Millis, output: Extract<LinksOutput, { kind: "link-down" }>): void {
    this.#parts.shared.linkDown(output.link);
    // The same handshake still stands, and what was under way is said again.
    if (output.reason !== REOPENED) this.#parts.notices.linkDown(output.link);
    this.#reviewDispute(now);
  }

  #compareFiles(now: Millis, peer: PeerInfo): void {
    this.#tellFile(now, peer.link, this.#parts.shared.linkUp(peer));
    this.#reviewDispute(now);
  }

  #tellFile(now: Millis, link: LinkId, bytes: Uint8Array | undefined): void {
    if (bytes === undefined) return;
    const rest = { link, reliable: true, owner: "node", token: tokenOfFile(link) } as const;
    this.#parts.links.handle(now, { kind: "send", bytes, ...rest });
  }

  #sent(now: Millis, { token, ok }: Extract<LinksOutput, { kind: "sent" }>): void {
    if (token > 0) this.#parts.notices.sent(now, token, ok);
    else if (!ok) this.#parts.shared.notHeard(now, -token);
  }

  #reviewDispute(now: Millis): void {
    const isDisputed = this.#parts.shared.isRangeDisputed;
    this.#parts.leases.handle(now, { kind: "dispute", isDisputed });
  }

  #fromStun(now: Millis, output: StunOutput): void {
    switch (output.kind) {
      case "reflexive":
        return this.#parts.links.handle(now, output);
      case "nat":
        return this.#parts.links.handle(now, { kind: "nat", ...output.report });
      case "mapping-life": {
        const { aliveMs, goneMs } = output.life;
        const lifeMs = goneMs === undefined ? undefined : aliveMs;
        return this.#parts.links.handle(now, { kind: "mapping-life", aliveMs: lifeMs });
      }
      case "engine":
      case "event":
        return this.#news.push(output);
      default:
        return unreachable(output);
    }
  }

  #fromRing(now: Millis, output: RingOutput): void {
    const { links, dht, vnet } = this.#parts;
    switch (output.kind) {
      case "send":
        return links.handle(now, { ...output, owner: "ring" });
      case "connect": {
        const { address, endpoints, role } = output;
        return links.handle(now, {
          kind: "connect",
          to: { kind: "address", address, endpoints },
          role,
        });
      }
      case "set-role":
      case "path-broken":
        return links.handle(now, output);
      case "close":
        return this.#ringCloses(now, output);
      case "deliver":
        return this.#deliver(now, output);
      case "undeliverable":
        if (isDhtPayload(output.payloadType)) dht.handle(now, output);
        return;
      case "view":
        dht.handle(now, output);
        vnet.handle(now, output);
        return this.#news.push(output);
      case "event":
        return this.#news.push(output);
      default:
        return unreachable(output);
    }
  }

  /** The ring needs the link no more; a pair that exchanges frames over it does. */
  #ringCloses(now: Millis, output: Extract<RingOutput, { kind: "close" }>): void {
    const { link } = output;
    const isKept = output.reason === "idle" && this.#idle.isBusy(now, link);
    this.#parts.links.handle(now, isKept ? { kind: "set-role", link, role: "onDemand" } : output);
  }

  #closeIdle(now: Millis): void {
    const { links } = this.#parts;
    for (const link of this.#idle.review(now, links.views())) {
      links.handle(now, { kind: "close", link, reason: "idle" });
    }
  }

  #deliver(now: Millis, output: Extract<RingOutput, { kind: "deliver" }>): void {
    const { source, payloadType, payload } = output;
    if (payloadType === PAYLOAD_TYPES.handshake) {
      this.#parts.links.handle(now, { kind: "routed-handshake", source, bytes: payload });
    } else if (isDhtPayload(payloadType)) {
      this.#parts.dht.handle(now, { kind: "deliver", source, payloadType, payload });
    } else {
      this.#news.push({ kind: "echo", source, payloadType, payload });
    }
  }

  #fromDht(now: Millis, output: DhtOutput): void {
    switch (output.kind) {
      case "route":
        return this.#parts.ring.handle(now, { ...output, excludeSelf: false });
      case "result": {
        const { request, key, result } = output;
        const answer = { kind: "dht-result", request, key, result } as const;
        if (output.owner === "lease") {
          this.#removals.delete(request);
          this.#parts.leases.handle(now, answer);
        } else if (output.owner === "vnet") this.#parts.vnet.handle(now, answer);
        else this.#news.push(answer);
        return;
      }
      case "event":
        return this.#news.push(output);
      default:
        return unreachable(output);
    }
  }

  #fromLeases(now: Millis, output: LeasesOutput): void {
    switch (output.kind) {
      case "dht":
        if (output.input.kind === "remove") this.#removals.add(output.input.request);
        return this.#parts.dht.handle(now, output.input);
      case "bound":
      case "refused":
      case "lost":
        return this.#parts.vnet.handle(now, output);
      case "save":
        return this.#news.push({ kind: "leases", leases: output.leases });
      case "event":
        return this.#news.push(output);
      default:
        return unreachable(output);
    }
  }

  #fromVnet(now: Millis, output: VnetOutput): void {
    const { links, dht, leases } = this.#parts;
    switch (output.kind) {
      case "dht":
        return dht.handle(now, output.input);
      case "want": {
        // Machines behind a bridge are not this node: their addresses come from the pool.
        const isOwn = output.mac === this.#fixed?.mac;
        return leases.handle(now, isOwn ? { ...output, fixed: this.#fixed.ip } : output);
      }
      case "confirm":
      case "release":
      case "decline":
        return leases.handle(now, output);
      case "connect": {
        const to = { kind: "address", address: output.address, endpoints: [] } as const;
        return links.handle(now, { kind: "connect", to, role: "onDemand" });
      }
      case "send":
        return links.handle(now, { ...output, owner: "vnet" });
      case "engine":
      case "event":
      case "interface-clear":
      case "resolved":
        return this.#news.push(output);
      case "interface":
        return this.#news.push({ kind: "interface", ip: output.ip, prefix: output.prefix });
      default:
        return unreachable(output);
    }
  }
}

function drain<O>(machine: { poll(): O | undefined }, take: (output: O) => void): number {
  let count = 0;
  for (let output = machine.poll(); output !== undefined; output = machine.poll()) {
    take(output);
    count++;
  }
  return count;
}

/** Its datagrams, and what became of the sockets it asked for. */
function isStun(upcall: Upcall): boolean {
  switch (upcall.kind) {
    case "datagram":
      return (upcall.bytes[0] ?? 0) <= STUN_LAST_FIRST_BYTE;
    case "socket-opened":
    case "socket-failed":
      return isStunSocket(upcall.socket);
    default:
      return false;
  }
}

/** Of the message with our file's shared part on this link; those of notices are positive. */
function tokenOfFile(link: LinkId): number {
  return -link;
}

/** Message types 0x10-0x1f are the ring's, 0x50-0x5f the node's, the others above 0x0f vnet's. */
function isRingMessage(type: number): boolean {
  return (type & 0xf0) === 0x10;
}

function isNodeMessage(type: number): boolean {
  return (type & 0xf0) === 0x50;
}

function isDhtPayload(payloadType: number): boolean {
  return (
    payloadType === PAYLOAD_TYPES["dht-request"] || payloadType === PAYLOAD_TYPES["dht-answer"]
  );
}
