/** Commands from outside: what they start, what they wait for, how they end. */
import { fromHex, toHex } from "../base/bytes.ts";
import { Outbox } from "../base/machine.ts";
import { endpointText, type Mac, parseIp } from "../base/net.ts";
import { addressFromBytes, addressToBytes, type RingAddress } from "../base/ring-address.ts";
import type { Rng } from "../base/rng.ts";
import { type Millis, NEVER } from "../base/time.ts";
import type { DhtResult } from "../dht/dht.ts";
import type { LinkView } from "../link/link-types.ts";
import type { VnetOutput } from "../vnet/vnet.ts";
import { PAYLOAD_TYPES } from "../wire/message-type.ts";
import type { NodeCommand, NodeReply } from "./command.ts";
import type { NodeConfig, NodeOutput } from "./config.ts";
import { explain } from "./explain.ts";
import { issuersOf } from "./issuing-ties.ts";
import { findLease, leaseRowOf, leaseRows } from "./lease-report.ts";
import { memberRows } from "./member-report.ts";
import { noticesReply, postedReply } from "./notice-commands.ts";
import type { Parts } from "./parts.ts";
import { Pings } from "./pings.ts";

/** Look-ups of people and scripts under way at once. */
const WAITING_MAX = 256;

/** A quorum takes a few round trips; a node that cannot reach one must be able to leave too. */
const LEAVE_WITHIN_MS = 3_000;

type Waiting = { readonly id: number; readonly pingSize?: number; readonly isLease?: boolean };
type Answer = Extract<VnetOutput, { kind: "resolved" }>["answer"];

export class NodeCommands {
  readonly #parts: Parts;
  readonly #ownName: string;
  readonly #ownMac: Mac;
  readonly #claims: NodeConfig["claims"];
  readonly #rng: Rng;
  readonly #pings = new Pings();
  readonly #waiting = new Map<number, Waiting>();
  readonly #outbox = new Outbox<NodeOutput>();
  #nextToken = 1;
  /** Who asked to leave, at most WAITING_MAX, and when their patience ends. */
  #leaving: { readonly ids: readonly number[]; readonly at: Millis } | undefined;
  #stopped = false;

  constructor(parts: Parts, config: Pick<NodeConfig, "claims" | "mac" | "nodeName">, rng: Rng) {
    this.#parts = parts;
    this.#claims = config.claims;
    this.#ownName = config.nodeName;
    this.#ownMac = config.mac;
    this.#rng = rng;
  }

  /** Every link was told goodbye. */
  get isStopped(): boolean {
    return this.#stopped;
  }

  /** @param asked.wallSeconds unix time, for the dates of certificates */
  run(
    now: Millis,
    asked: { readonly id: number; readonly wallSeconds: number },
    command: NodeCommand,
  ): void {
    const { id } = asked;
    switch (command.name) {
      case "ping":
        return this.#ping(now, id, command.target, command.size);
      case "resolve":
        return this.#get(now, { id, isLease: true }, this.#parts.leases.keyOf(command.ip));
      case "leases": {
        const leases = leaseRows(now, this.#parts, this.#ownName);
        return this.#reply(id, { kind: "leases", leases });
      }
      case "release":
        return this.#release(now, id, command.target);
      case "dht-get":
        return this.#dhtGet(now, id, command.key);
      case "explain":
        return this.#explain(id, command);
      case "members":
        return this.#reply(id, { kind: "members", members: memberRows(this.#parts) });
      case "invite":
      case "rotate":
        return this.#issue(now, asked, command);
      case "survey":
        this.#parts.stun.handle(now, { kind: "survey" });
        return this.#reply(id, { kind: "done" });
      case "notices":
        return this.#reply(id, noticesReply(this.#parts.board));
      case "post-notice":
        return this.#reply(id, postedReply(this.#parts.notices.post(command.notice)));
      case "leave":
        for (const lease of this.#parts.leases.states()) {
          this.#parts.leases.handle(now, { kind: "release", client: lease.client });
        }
        return this.#leave(now, id);
      case "stop":
        return this.#stop(now, [id]);
    }
  }

  /**
   * The links may go once the leases are out of the DHT, or after LEAVE_WITHIN_MS all the same.
   * @returns true when it made them go
   */
  settle(now: Millis, isReleasing: boolean): boolean {
    const leaving = this.#leaving;
    if (leaving === undefined || (isReleasing && now < leaving.at)) return false;
    this.#stop(now, []);
    return true;
  }

  dhtResult(request: number, result: DhtResult): void {
    const waiting = this.#take(request);
    if (waiting === undefined) return;
    if (result.status === "found") this.#reply(waiting.id, this.#foundReply(waiting, result));
    else if (result.status === "absent")
      this.#fail(waiting.id, "not-found", waiting.isLease ? "nobody holds it" : "no such record");
    else this.#fail(waiting.id, "unavailable", "no quorum of the replicas answered: try again");
  }

  resolved(now: Millis, token: number, answer: Answer): void {
    const waiting = this.#take(token);
    if (waiting === undefined) return;
    if (answer === undefined) return this.#fail(waiting.id, "not-found", "nobody holds it");
    this.#echo(now, waiting.id, answer.holder, waiting.pingSize ?? 0);
  }

  echoed(now: Millis, nonce: bigint, source: RingAddress): void {
    const ping = this.#pings.finish(nonce, source);
    if (ping === undefined) return;
    const rttMs = now - ping.sentAt;
    const via = this.#viaText(this.#parts.links.byAddress(source));
    this.#reply(ping.id, { kind: "pong", peer: this.#nameOf(source), rttMs, via });
  }

  timeout(now: Millis): void {
    for (const ping of this.#pings.takeExpired(now)) {
      this.#fail(ping.id, "timeout", `${this.#nameOf(ping.peer)} did not answer`);
    }
  }

  deadline(): Millis {
    return Math.min(this.#pings.deadline(), this.#leaving?.at ?? NEVER);
  }

  poll(): NodeOutput | undefined {
    return this.#outbox.poll();
  }

  #ping(now: Millis, id: number, target: string, size: number): void {
    const link = this.#parts.links.views().find((view) => view.peer.name === target);
    if (link !== undefined) return this.#echo(now, id, link.peer.address, size);
    const ip = parseIp(target) ?? this.#claims.find((claim) => claim.name === target)?.ip;
    if (ip !== undefined) return this.#pingAddress(now, { id, pingSize: size }, ip);
    this.#fail(id, "unknown-peer", `no member called ${target} is linked: use its address`);
  }

  #explain(id: number, { from, to }: { from: string | undefined; to: string }): void {
    const ownName = this.#ownName;
    const ends = { from: from === undefined ? ownName : this.#nameAt(from), to: this.#nameAt(to) };
    if (ends.from === ends.to) return this.#fail(id, "bad-argument", "name two different members");
    const explained = explain(this.#parts, ownName, ends);
    if (!("unknown" in explained)) return this.#reply(id, { kind: "explained", explained });
    const detail = `no link with a member called ${explained.unknown}: ask one that has, see weft peers`;
    this.#fail(id, "unknown-peer", detail);
  }

  /** A virtual address stands for the member that holds it, as far as is known here. */
  #nameAt(target: string): string {
    const ip = parseIp(target);
    if (ip === undefined) return target;
    if (this.#parts.leases.states().some((lease) => lease.ip === ip)) return this.#ownName;
    const { links, vnet } = this.#parts;
    const view = links.views().find(({ peer }) => vnet.ipOf(peer.address) === ip);
    return view?.peer.name ?? target;
  }

  #echo(now: Millis, id: number, peer: RingAddress, size: number): void {
    const nonce = (BigInt(this.#rng.u32()) << 32n) | BigInt(this.#rng.u32());
    const payload = this.#pings.begin({ id, peer, sentAt: now }, nonce, size);
    if (payload === undefined) return this.#fail(id, "unavailable", "too many pings at once");
    const payloadType = PAYLOAD_TYPES["echo-request"];
    const route = { kind: "route", to: peer, mode: "exact", payloadType, payload } as const;
    this.#parts.ring.handle(now, { ...route, excludeSelf: false });
  }

  /** Only what DHCP gave can be taken back; the node's own address goes with `leave`. */
  #release(now: Millis, id: number, target: string): void {
    const lease = findLease(this.#parts, target);
    if (lease === undefined) {
      return this.#fail(id, "not-found", "no client of this node: ask the node that holds it");
    }
    if (lease.mac === this.#ownMac) {
      return this.#fail(id, "bad-argument", "this node's own address: weft leave gives it back");
    }
    this.#parts.vnet.handle(now, { kind: "give-back", client: lease.client });
    this.#reply(id, { kind: "done" });
  }

  #foundReply(waiting: Waiting, result: Extract<DhtResult, { status: "found" }>): NodeReply {
    const { record, remainingSeconds } = result;
    const nameOf = (address: RingAddress) =>
      address === this.#parts.self ? this.#ownName : this.#nameOf(address);
    const lease = waiting.isLease
      ? leaseRowOf(record, remainingSeconds, nameOf, this.#parts.self)
      : undefined;
    return lease === undefined ? recordReply(result) : { kind: "lease", lease };
  }

  #pingAddress(now: Millis, waiting: Waiting, ip: string): void {
    const token = this.#wait(waiting);
    if (token !== undefined) this.#parts.vnet.handle(now, { kind: "resolve", token, ip });
  }

  #dhtGet(now: Millis, id: number, text: string): void {
    const key = text.length === 40 ? fromHex(text) : undefined;
    if (key === undefined) return this.#fail(id, "bad-argument", "a key is 40 hex digits");
    this.#get(now, { id }, addressFromBytes(key));
  }

  #get(now: Millis, waiting: Waiting, key: RingAddress): void {
    const request = this.#wait(waiting);
    if (request === undefined) return;
    this.#parts.dht.handle(now, { kind: "get", owner: "node", request, key });
  }

  #leave(now: Millis, id: number): void {
    const { ids, at } = this.#leaving ?? { ids: [], at: now + LEAVE_WITHIN_MS };
    if (ids.length < WAITING_MAX) this.#leaving = { ids: [...ids, id], at };
    else this.#fail(id, "unavailable", "too many ask to leave at once");
  }

  /** @param ids who asked for it, besides those who wait for it as the end of leaving */
  #stop(now: Millis, ids: readonly number[]): void {
    const asked = [...(this.#leaving?.ids ?? []), ...ids];
    this.#leaving = undefined;
    this.#stopped = true;
    for (const view of this.#parts.links.views()) {
      this.#parts.links.handle(now, { kind: "close", link: view.peer.link, reason: "stopping" });
    }
    for (const id of asked) this.#reply(id, { kind: "done" });
    this.#outbox.push({ kind: "stopped" });
  }

  #wait(waiting: Waiting): number | undefined {
    if (this.#waiting.size >= WAITING_MAX) {
      this.#fail(waiting.id, "unavailable", "too many look-ups at once");
      return undefined;
    }
    const token = this.#nextToken++;
    this.#waiting.set(token, waiting);
    return token;
  }

  #take(token: number): Waiting | undefined {
    const waiting = this.#waiting.get(token);
    this.#waiting.delete(token);
    return waiting;
  }

  #nameOf(address: RingAddress): string {
    const link = this.#parts.links.byAddress(address);
    return link?.peer.name ?? toHex(addressToBytes(address));
  }

  #viaText(link: LinkView | undefined): string {
    if (link === undefined || link.path.kind === "none") return "ring";
    if (link.path.kind === "direct") return `direct ${endpointText(link.path.endpoint)}`;
    return `relay(${this.#nameOf(link.path.via)})`;
  }

  #issue(
    now: Millis,
    { id, wallSeconds }: { readonly id: number; readonly wallSeconds: number },
    command: Extract<NodeCommand, { name: "invite" | "rotate" }>,
  ): void {
    const { issuing } = this.#parts;
    if (issuing === undefined) {
      return this.#fail(
        id,
        "unavailable",
        "this network has no authority: nobody signs members in",
      );
    }
    if (command.name === "invite") return issuing.invite(wallSeconds, id, command.wish);
    issuing.rotate(now, id, { seed: command.seed, issuers: issuersOf(this.#parts) });
  }

  #fail(id: number, code: Extract<NodeReply, { kind: "failed" }>["code"], detail: string): void {
    this.#reply(id, { kind: "failed", code, detail });
  }

  #reply(id: number, reply: NodeReply): void {
    this.#outbox.push({ kind: "reply", id, reply });
  }
}

function recordReply(result: Extract<DhtResult, { status: "found" }>): NodeReply {
  const { record, remainingSeconds } = result;
  return {
    kind: "record",
    record: {
      key: toHex(addressToBytes(record.key)),
      kind: record.kind,
      signer: toHex(record.signer),
      epoch: record.epoch,
      version: record.version,
      remainingSeconds,
      body: toHex(record.body),
    },
  };
}
