import type { CoreEvent } from "../base/event.ts";
import { type Machine, Outbox } from "../base/machine.ts";
import {
  type Ip,
  ipv4Number,
  type Mac,
  type Subnet,
  subnetContains,
  subnetSize,
} from "../base/net.ts";
import { addressText, type RingAddress } from "../base/ring-address.ts";
import type { Rng } from "../base/rng.ts";
import { type Millis, NEVER } from "../base/time.ts";
import type { Identity } from "../crypto/identity.ts";
import type { CryptoSuite } from "../crypto/suite.ts";
import type { DhtInput } from "../dht/dht.ts";
import type { DhtResult } from "../dht/result.ts";
import { candidatesOf } from "./candidate.ts";
import { addressOf, type Claim, type Hold, wakeAt } from "./claim.ts";
import { Desk } from "./desk.ts";
import { Keeper, type Loss } from "./keeper.ts";
import type { LeaseState, SavedLease } from "./lease-state.ts";
import { Searcher } from "./searcher.ts";
import type { Claim as FileClaim } from "./winner.ts";

export type { LeaseFacts } from "./lease-record.ts";
export { leaseKey, parseLeaseRecord } from "./lease-record.ts";
export type { LeaseState, SavedLease } from "./lease-state.ts";

export type LeasesInput =
  | { readonly kind: "timeout" }
  | { readonly kind: "phase"; readonly phase: "waiting" | "alone" | "joined" }
  | {
      readonly kind: "want";
      /** hex of the client identifier, 1..255 bytes */
      readonly client: string;
      readonly mac: Mac;
      /** tried first, then the usual search */
      readonly requested?: Ip;
      /** this address or none */
      readonly fixed?: Ip;
    }
  | { readonly kind: "release"; readonly client: string }
  | { readonly kind: "decline"; readonly client: string; readonly ip: Ip }
  | { readonly kind: "restore"; readonly leases: readonly SavedLease[] }
  | {
      readonly kind: "dht-result";
      readonly request: number;
      readonly key: RingAddress;
      readonly result: DhtResult;
    };

export type RefusedReason = "pool-full" | "taken" | "unavailable" | "outside-range";

export type LeasesOutput =
  | { readonly kind: "dht"; readonly input: DhtInput }
  /** Also after each renewal. */
  | { readonly kind: "bound"; readonly lease: LeaseState }
  | { readonly kind: "refused"; readonly client: string; readonly reason: RefusedReason }
  | {
      readonly kind: "lost";
      readonly client: string;
      readonly ip: Ip;
      readonly mac: Mac;
      readonly reason: string;
      readonly winner?: RingAddress;
    }
  | { readonly kind: "save"; readonly leases: readonly SavedLease[] }
  | { readonly kind: "event"; readonly event: CoreEvent };

export interface LeasesOptions {
  readonly suite: CryptoSuite;
  readonly rng: Rng;
  readonly networkId: Uint8Array;
  readonly identity: Identity;
  readonly self: RingAddress;
  /** This node's name, as in `claims`. */
  readonly name: string;
  readonly range: Subnet;
  readonly leaseSeconds: number;
  /** Never leased by anybody: the DHCP server's own address. */
  readonly reserved: readonly Ip[];
  /** Fixed addresses of the file's `nodes:`; leased only to those who ask for just them. */
  readonly claims: readonly FileClaim[];
}

/** Clients of one site: as many as the engine filters MACs for. */
const MAX_CLIENTS = 1_024;
/** Whoever answered for the address may be gone after this. */
const DECLINED_MS = 300_000;
/** Declines come one per client at a time; past this the oldest is forgotten. */
const MAX_DECLINED = 256;

/** The addresses of this node and the machines behind it: one claim per DHCP client. */
export class Leases implements Machine<LeasesInput, LeasesOutput> {
  readonly #options: LeasesOptions;
  readonly #outbox = new Outbox<LeasesOutput>();
  readonly #claims = new Map<string, Claim>();
  readonly #saved = new Map<string, SavedLease>();
  readonly #declined = new Map<Ip, Millis>();
  readonly #desk: Desk;
  readonly #searcher: Searcher;
  readonly #keeper: Keeper;
  #phase: "waiting" | "alone" | "joined" = "waiting";
  #now: Millis = 0;

  /** The deadline since the last input; undefined = to be found again. */
  #wakeAt: Millis | undefined;

  constructor(options: LeasesOptions) {
    this.#options = options;
    this.#desk = new Desk({ ...options, output: (output) => this.#outbox.push(output) });
    const isAlone = () => this.#phase === "alone";
    this.#keeper = new Keeper({
      desk: this.#desk,
      isAlone,
      isJoined: () => this.#phase === "joined",
      leaseCount: () => this.#claims.size,
      onLost: (_claim, hold, loss) => this.#lose(hold, loss),
    });
    this.#searcher = new Searcher({
      desk: this.#desk,
      candidates: (claim) => this.#candidates(claim),
      saved: (client) => this.#saved.get(client),
      isAlone,
      onFound: (now, claim, found) => {
        this.#keeper.bind(now, claim, found);
        this.#save();
      },
      onRefused: (claim, reason) => this.#refuse(claim, reason),
    });
  }

  handle(now: Millis, input: LeasesInput): void {
    this.#wakeAt = undefined;
    this.#now = now;
    switch (input.kind) {
      case "timeout":
        return this.#timeout(now);
      case "phase":
        return this.#setPhase(now, input.phase);
      case "want":
        return this.#want(now, input);
      case "release":
        return this.#release(input.client);
      case "decline":
        return this.#decline(now, input);
      case "restore":
        for (const lease of input.leases.slice(0, MAX_CLIENTS)) {
          this.#saved.set(lease.client, lease);
        }
        return;
      case "dht-result":
        return this.#accept(now, input.request, input.result);
    }
  }

  poll(): LeasesOutput | undefined {
    return this.#outbox.poll();
  }

  deadline(): Millis {
    if (this.#wakeAt === undefined) {
      this.#wakeAt = NEVER;
      for (const claim of this.#claims.values()) {
        this.#wakeAt = Math.min(this.#wakeAt, wakeAt(claim));
      }
    }
    return this.#wakeAt;
  }

  /** The addresses held now. */
  states(): readonly LeaseState[] {
    const out: LeaseState[] = [];
    for (const { state } of this.#claims.values()) {
      if (state.kind === "bound") out.push(state.hold.lease);
    }
    return out;
  }

  #timeout(now: Millis): void {
    for (const claim of [...this.#claims.values()]) {
      if (wakeAt(claim) > now) continue;
      const { state } = claim;
      if (state.kind === "bound") this.#keeper.timeout(now, claim, state.hold);
      else if (state.kind === "claiming") this.#searcher.timeout(now, claim, state.search);
    }
  }

  #setPhase(now: Millis, phase: "waiting" | "alone" | "joined"): void {
    this.#phase = phase;
    if (phase === "waiting") return;
    for (const claim of [...this.#claims.values()]) {
      const { state } = claim;
      if (state.kind === "waiting") this.#searcher.start(now, claim);
      else if (state.kind === "bound") this.#keeper.reclaim(now, claim, state.hold);
    }
  }

  #want(now: Millis, want: Extract<LeasesInput, { kind: "want" }>): void {
    const { client, mac, requested, fixed } = want;
    const known = this.#claims.get(client);
    if (known !== undefined && known.fixed === fixed) return this.#wantAgain(now, known, mac);
    if (known !== undefined) this.#release(client);
    if (fixed !== undefined && !this.#isUsable(fixed)) {
      this.#outbox.push({ kind: "refused", client, reason: "outside-range" });
      return;
    }
    if (this.#claims.size >= MAX_CLIENTS) {
      this.#outbox.push({ kind: "refused", client, reason: "pool-full" });
      return;
    }
    const claim: Claim = { client, mac, requested, fixed, state: { kind: "waiting" } };
    this.#claims.set(client, claim);
    if (this.#phase !== "waiting") this.#searcher.start(now, claim);
  }

  #wantAgain(now: Millis, claim: Claim, mac: Mac): void {
    const { state } = claim;
    const moved = claim.mac !== mac;
    claim.mac = mac;
    if (state.kind !== "bound") return;
    const { hold } = state;
    if (!moved) this.#outbox.push({ kind: "bound", lease: hold.lease });
    else if (hold.question === undefined) this.#keeper.renew(now, claim, hold);
    else hold.renewAt = now;
  }

  /** The record goes with a higher version than any that may still be on its way. */
  #release(client: string): void {
    const claim = this.#claims.get(client);
    this.#claims.delete(client);
    if (claim?.state.kind === "bound") {
      const { lease, version } = claim.state.hold;
      this.#desk.remove(lease.ip, lease.epoch, version + 1);
      this.#save();
    } else if (claim?.state.kind === "claiming" && claim.state.search.request !== 0) {
      const { ip, epoch, version } = claim.state.search;
      this.#desk.remove(ip, epoch, version + 1);
    }
  }

  #decline(now: Millis, input: { client: string; ip: Ip }): void {
    if (this.#declined.size >= MAX_DECLINED) {
      const oldest = this.#declined.keys().next();
      if (!oldest.done) this.#declined.delete(oldest.value);
    }
    this.#declined.set(input.ip, now + DECLINED_MS);
    const claim = this.#claims.get(input.client);
    if (claim !== undefined && addressOf(claim) === input.ip) this.#release(input.client);
  }

  #accept(now: Millis, request: number, result: DhtResult): void {
    const claim = this.#desk.takeWaiting(request);
    if (claim === undefined || this.#claims.get(claim.client) !== claim) return;
    const { state } = claim;
    if (state.kind === "claiming" && state.search.request === request) {
      this.#searcher.accept(now, claim, state.search, result);
    } else if (state.kind === "bound" && state.hold.question?.request === request) {
      this.#keeper.accept(now, claim, state.hold, result);
    }
  }

  #refuse(claim: Claim, reason: RefusedReason): void {
    this.#claims.delete(claim.client);
    this.#outbox.push({ kind: "refused", client: claim.client, reason });
    const subject = claim.fixed ?? "any address";
    this.#desk.event({
      what: "lease-refused",
      condition: `${reason} while looking for ${subject}`,
      action: "told the client that there is none",
      effect: "it has no address until it asks again",
      fields: { client: claim.client, reason },
    });
  }

  #lose(hold: Hold, loss: Loss): void {
    const { client, mac, ip } = hold.lease;
    const { reason, winner } = loss;
    this.#claims.delete(client);
    this.#saved.delete(client);
    this.#outbox.push({
      kind: "lost",
      ...{ client, ip, mac, reason },
      ...(winner === undefined ? {} : { winner }),
    });
    this.#desk.event({
      what: "lease-lost",
      condition: `${ip}: ${reason}`,
      action: "stopped using the address",
      effect: `${mac} has to ask for another one`,
      fields: { ip, mac, loser: addressText(this.#options.self), winner: winnerText(winner) },
    });
    this.#save();
  }

  /** Told after each change of who holds what; renewals alone are not worth a disk write. */
  #save(): void {
    const leases = this.states().map(({ client, mac, ip, epoch, version }) => {
      return { client, mac, ip, epoch, version };
    });
    for (const lease of leases) this.#remember(lease);
    this.#outbox.push({ kind: "save", leases });
  }

  #remember(lease: SavedLease): void {
    this.#saved.delete(lease.client);
    if (this.#saved.size >= MAX_CLIENTS) {
      const oldest = this.#saved.keys().next();
      if (!oldest.done) this.#saved.delete(oldest.value);
    }
    this.#saved.set(lease.client, lease);
  }

  /** Saved and requested address first, each address once. */
  *#candidates(claim: Claim): Generator<Ip> {
    if (claim.fixed !== undefined) {
      yield claim.fixed;
      return;
    }
    const isFree = (ip: Ip) => this.#isFree(claim, ip);
    const wishes = [claim.requested, this.#saved.get(claim.client)?.ip];
    const tried = new Set<Ip>();
    for (const ip of wishes) {
      if (ip === undefined || tried.has(ip) || !this.#isUsable(ip) || !isFree(ip)) continue;
      tried.add(ip);
      yield ip;
    }
    const { suite, range } = this.#options;
    const all = candidatesOf(suite, claim.client, range, isFree);
    for (const ip of all) if (!tried.has(ip)) yield ip;
  }

  /** A host address of the range, and not the server's. */
  #isUsable(ip: Ip): boolean {
    const { range, reserved } = this.#options;
    const offset = ipv4Number(ip) - ipv4Number(range.first);
    const isHost = subnetContains(range, ip) && offset > 0 && offset < subnetSize(range) - 1;
    return isHost && !reserved.includes(ip);
  }

  #isFree(claim: Claim, ip: Ip): boolean {
    const { reserved, claims } = this.#options;
    if (reserved.includes(ip) || claims.some((one) => one.ip === ip)) return false;
    if ((this.#declined.get(ip) ?? 0) > this.#now) return false;
    for (const other of this.#claims.values()) {
      if (other !== claim && addressOf(other) === ip) return false;
    }
    return true;
  }
}

function winnerText(winner: RingAddress | undefined): string {
  return winner === undefined ? "nobody" : addressText(winner);
}
