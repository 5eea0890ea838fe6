/**
 * The DHCP server for the machines on our own TAP (RFC 2131). Every node is the server of its own
 * host, under one identifier; addresses come from the lease machine, so an address is offered only
 * once it is ours.
 *
 *      DISCOVER ──> bound? ── yes ──> OFFER
 *                     └── no ──> want … bound ──> OFFER        REQUEST likewise, to ACK or NAK
 *
 * An address counts as its client's, and the host may speak for it, from the ACK on. What is only
 * offered is kept in the DHT but unknown to everybody else (dhcp-offers.ts).
 */
import { toHex } from "../base/bytes.ts";
import { ENGINE_LIMITS } from "../base/engine.ts";
import { type Ip, isGroupMac, type Mac, subnetContains } from "../base/net.ts";
import { type Millis, NEVER } from "../base/time.ts";
import { DHCP_OPTIONS, type DhcpMessage, ipOption } from "../frame/dhcp.ts";
import type { LeaseState, SavedLease } from "../lease/leases.ts";
import type { VnetContext } from "./context.ts";
import { DhcpOffers } from "./dhcp-offers.ts";
import { type DhcpRequest, grantFrame, nakFrame } from "./dhcp-reply.ts";
import { clientOfMac, type Host } from "./host.ts";

/** Clients repeat after 3-8 s with the same xid; a later answer would meet nobody. */
const PENDING_MS = 10_000;
/** Machines that boot behind one TAP at once. */
const PENDING_MAX = 256;
const NOBODY = "0.0.0.0";
const NO_MAC: Mac = "00:00:00:00:00:00";

export class DhcpServer {
  readonly #context: VnetContext;
  readonly #host: Host;
  /** The newest unanswered DISCOVER or REQUEST of each client. */
  readonly #pending = new Map<string, { request: DhcpRequest; at: Millis }>();
  readonly #offers = new DhcpOffers();
  /** Until when each client may use its address; silent clients are taken to be gone. */
  readonly #granted = new Map<string, Millis>();
  #deadline: Millis = NEVER;

  constructor(context: VnetContext, host: Host) {
    this.#context = context;
    this.#host = host;
  }

  request(now: Millis, request: DhcpRequest): void {
    const { message } = request;
    // Relay agents would bring clients of other subnets; no lease of ours could serve them.
    if (message.op !== "request" || message.giaddr !== NOBODY || !this.#isOneMachine(message))
      return this.#context.drop("bad-field");
    switch (message.type) {
      case "discover":
        return this.#answer(now, request, false);
      case "request":
        return this.#request(now, request);
      case "decline":
        return this.#decline(message);
      case "release":
        return this.#release(message);
      case "inform":
        return this.#inform(request);
      default:
        return this.#context.drop("dhcp-over-overlay");
    }
  }

  /**
   * The agent starts again, the machines behind the TAP do not: their addresses are asked for in
   * their place. Who does not renew by DHCP within the lease is taken to be gone.
   */
  restore(now: Millis, leases: readonly SavedLease[]): void {
    const { bridged, leaseSeconds, mode } = this.#context.options;
    if (mode === "static" && !bridged) return;
    const until = now + leaseSeconds * 1_000;
    for (const { client, mac, ip } of leases) {
      if (!this.#servesClient(client)) continue;
      this.#grant(now, client, until);
      this.#context.emit({ kind: "want", client, mac, requested: ip, isExact: true });
    }
  }

  bound(now: Millis, lease: LeaseState): void {
    if (!this.#offers.bound(now, lease) && !this.#hold(now, lease)) return;
    const pending = this.#takePending(now, lease.client);
    if (pending !== undefined) this.#answerBound(now, pending, lease);
  }

  refused(now: Millis, client: string, reason: string): void {
    const pending = this.#takePending(now, client);
    if (reason === "unavailable") return;
    this.#offers.close(client);
    this.#granted.delete(client);
    if (reason === "pool-full") this.#makeRoom(now);
    // A node that is full cannot say that the address is not the client's.
    if (pending?.message.type !== "request" || reason === "site-full") return;
    this.#nak(pending, "address not available");
  }

  /** The client's address is free for others from now on. */
  giveBack(client: string): void {
    this.#forget(client);
    this.#context.emit({ kind: "release", client });
  }

  lost(client: string): void {
    this.#granted.delete(client);
    this.#offers.close(client);
  }

  timeout(now: Millis): void {
    for (const client of this.#offers.expired(now)) this.giveBack(client);
    if (now < this.#deadline) return;
    this.#deadline = NEVER;
    for (const [client, until] of this.#granted) {
      if (until <= now) this.giveBack(client);
      else this.#deadline = Math.min(this.#deadline, until);
    }
  }

  deadline(): Millis {
    return Math.min(this.#deadline, this.#offers.deadline());
  }

  /** The four forms of REQUEST, RFC 2131 table 4. */
  #request(now: Millis, request: DhcpRequest): void {
    const { message } = request;
    const server = ipOption(message, DHCP_OPTIONS.serverIdentifier);
    if (server !== undefined && server !== this.#context.options.serverIp) {
      return this.#chosenOther(message);
    }
    const ip = askedFor(message);
    if (ip === undefined) return this.#context.drop("bad-field");
    if (!subnetContains(this.#context.options.range, ip))
      return this.#nak(request, "not of this network");
    this.#answer(now, request, true);
  }

  /** @param isExact the client has an address in mind and takes no other */
  #answer(now: Millis, request: DhcpRequest, isExact: boolean): void {
    const client = clientOf(request.message);
    const lease = this.#lease(client);
    const isLive = lease !== undefined && secondsLeft(now, lease) > 0;
    if (this.#offers.has(client)) this.#offers.open(now, client);
    if (isLive && lease.mac === request.message.chaddr)
      return this.#answerBound(now, request, lease);
    if (!this.#opensOffer(now, client) || !this.#remember(now, client, request)) {
      return this.#context.drop("table-full");
    }
    this.#want(client, request.message, isExact);
  }

  #want(client: string, message: DhcpMessage, isExact: boolean): void {
    const ip = askedFor(message);
    const isUsable = ip !== undefined && subnetContains(this.#context.options.range, ip);
    const name = hostNameOf(message);
    this.#context.emit({
      kind: "want",
      client,
      mac: message.chaddr,
      ...(isUsable ? { requested: ip } : {}),
      ...(isExact ? { isExact } : {}),
      ...(this.#offers.has(client) ? { isOffer: true } : {}),
      ...(name === undefined ? {} : { name }),
    });
  }

  /** A client that has nothing yet takes a place among the offers. */
  #opensOffer(now: Millis, client: string): boolean {
    if (!this.#servesClient(client) || this.#granted.has(client)) return true;
    if (this.#offers.open(now, client)) return true;
    this.#makeRoom(now);
    return this.#offers.open(now, client);
  }

  #makeRoom(now: Millis): void {
    const client = this.#offers.yielding(now);
    if (client !== undefined) this.giveBack(client);
  }

  #lease(client: string): LeaseState | undefined {
    return this.#host.lease(client) ?? this.#offers.lease(client);
  }

  #answerBound(now: Millis, request: DhcpRequest, lease: LeaseState): void {
    const { options } = this.#context;
    const seconds = secondsLeft(now, lease);
    if (seconds <= 0) return;
    if (request.message.type === "request") {
      if (askedFor(request.message) !== lease.ip) {
        return this.#nak(request, "another address is yours");
      }
      if (this.#offers.close(lease.client) && !this.#hold(now, lease)) return;
      this.#grant(now, lease.client, now + seconds * 1_000);
      this.#context.emit({ kind: "confirm", client: lease.client });
    }
    this.#toTap(grantFrame(options, request, lease.ip, seconds));
  }

  /** From now on the host speaks for the address. @returns false when it speaks for too many */
  #hold(now: Millis, lease: LeaseState): boolean {
    const { client, expiresAt } = lease;
    if (!this.#host.bound(now, lease)) {
      this.#context.drop("table-full");
      this.giveBack(client);
      return false;
    }
    if (!this.#granted.has(client)) this.#grant(now, client, expiresAt);
    return true;
  }

  /** A server on the same wire was chosen: ours must not keep an address for nothing. */
  #chosenOther(message: DhcpMessage): void {
    const client = clientOf(message);
    this.#pending.delete(client);
    const isKnown = this.#offers.has(client) || this.#host.lease(client) !== undefined;
    if (this.#servesClient(client) && isKnown) this.giveBack(client);
  }

  #decline(message: DhcpMessage): void {
    const client = clientOf(message);
    if (!this.#servesClient(client)) return this.#context.drop("bad-field");
    const ip = ipOption(message, DHCP_OPTIONS.requestedIp);
    if (ip === undefined || this.#lease(client)?.ip !== ip) return;
    this.#forget(client);
    this.#context.emit({ kind: "decline", client, ip });
  }

  #release(message: DhcpMessage): void {
    const client = clientOf(message);
    if (!this.#servesClient(client)) return this.#context.drop("bad-field");
    if (this.#lease(client)?.ip === message.ciaddr) this.giveBack(client);
  }

  #inform(request: DhcpRequest): void {
    const { options } = this.#context;
    const ip = request.message.ciaddr;
    if (subnetContains(options.range, ip)) this.#toTap(grantFrame(options, request, ip, undefined));
  }

  #forget(client: string): void {
    this.#granted.delete(client);
    this.#offers.close(client);
    this.#host.forget(client);
  }

  /** The TAP's own lease in the modes where the agent asks for it lives as long as the agent. */
  #servesClient(client: string): boolean {
    return this.#context.options.mode === "dhcp" || client !== this.#host.client;
  }

  #grant(now: Millis, client: string, until: Millis): void {
    if (!this.#servesClient(client) || until <= now) return;
    if (this.#granted.size >= ENGINE_LIMITS.macsPerSession && !this.#granted.has(client)) return;
    this.#granted.set(client, until);
    this.#deadline = Math.min(this.#deadline, until);
  }

  /**
   * Whether an address may be leased to the card that the message names. The TAP's own lease, where the
   * agent asks for it, belongs to no other card: a machine behind the bridge could take it away by name.
   */
  #isOneMachine(message: DhcpMessage): boolean {
    const { mac, serverMac } = this.#context.options;
    const { chaddr } = message;
    if (isGroupMac(chaddr) || chaddr === NO_MAC || chaddr === serverMac) return false;
    return chaddr === mac || this.#servesClient(clientOf(message));
  }

  /** @returns false when too many wait */
  #remember(now: Millis, client: string, request: DhcpRequest): boolean {
    this.#pending.delete(client);
    for (const [old, { at }] of this.#pending) {
      if (now - at < PENDING_MS) break;
      this.#pending.delete(old);
    }
    if (this.#pending.size >= PENDING_MAX) return false;
    this.#pending.set(client, { request, at: now });
    return true;
  }

  #takePending(now: Millis, client: string): DhcpRequest | undefined {
    const pending = this.#pending.get(client);
    this.#pending.delete(client);
    return pending !== undefined && now - pending.at < PENDING_MS ? pending.request : undefined;
  }

  #nak(request: DhcpRequest, why: string): void {
    this.#toTap(nakFrame(this.#context.options, request, why));
  }

  #toTap(bytes: Uint8Array): void {
    this.#context.engine({ op: "frame-to-tap", bytes });
  }
}

/** The client identifier, else the type and address of the card, as hex. */
export function clientOf(message: DhcpMessage): string {
  const id = message.options.get(DHCP_OPTIONS.clientIdentifier);
  const text = id === undefined ? "" : toHex(id.subarray(0, MAX_CLIENT_BYTES));
  return text === "" ? clientOfMac(message.chaddr) : text;
}

/** As long as one option can be, and as a lease record keeps it. */
const MAX_CLIENT_BYTES = 255;

/** Option 12 in lower case, without a domain; undefined when it is no host name. */
function hostNameOf(message: DhcpMessage): string | undefined {
  const bytes = message.options.get(DHCP_OPTIONS.hostName) ?? new Uint8Array(0);
  const name = String.fromCharCode(...bytes.subarray(0, MAX_NAME_BYTES)).toLowerCase();
  return /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(?=$|\.)/.exec(name)?.[0];
}

/** RFC 1035, 2.3.4. */
const MAX_NAME_BYTES = 255;

/** Renewing and rebinding clients put their address into ciaddr, the others into option 50. */
function askedFor(message: DhcpMessage): Ip | undefined {
  if (message.type === "request" && message.ciaddr !== NOBODY) return message.ciaddr;
  return ipOption(message, DHCP_OPTIONS.requestedIp);
}

/** Never more than the record's own life: the client must stop when our claim ends. */
function secondsLeft(now: Millis, lease: LeaseState): number {
  return Math.min(lease.leaseSeconds, Math.floor((lease.expiresAt - now) / 1_000));
}
