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
import { Avoided } from "./avoided.ts";
import { candidatesOf } from "./candidate.ts";
import { addressOf, type Claim, type Hold, type Search, wakeAt } from "./claim.ts";
import { Desk } from "./desk.ts";
import { Keeper, type Loss } from "./keeper.ts";
import { leaseKey } from "./lease-record.ts";
import type { LeaseState, SavedLease } from "./lease-state.ts";
import { Refusals } from "./refusals.ts";
import { isReservedFor, type Reservation, reservedFor } from "./reservation.ts";
import { Searcher } from "./searcher.ts";
import type { Claim as FileClaim } from "./winner.ts";

export type { LeaseFacts } from "./lease-record.ts";
export { leaseKey, parseLeaseRecord } from "./lease-record.ts";
export type { LeaseState, SavedLease } from "./lease-state.ts";
export type { Reservation } from "./reservation.ts";

export type LeasesInput =
  | { readonly kind: "timeout" }
  | { readonly kind: "phase"; readonly phase: "waiting" | "alone" | "joined" }
  /** Most linked members have another range: nothing is asked for until they agree again. */
  | { readonly kind: "dispute"; readonly isDisputed: boolean }
  | {
      readonly kind: "want";
      /** hex of the client identifier, 1..255 bytes */
      readonly client: string;
      readonly mac: Mac;
      /** tried first, then the usual search */
      readonly requested?: Ip;
      /** this address or none */
      readonly fixed?: Ip;
      /** `requested` or none: the client will not take another one */
      readonly isExact?: boolean;
      /** not the client's before `confirm`; neither saved nor proven until then */
      readonly isOffer?: boolean;
      /** the host name it goes by, lower case; reservations may be by name */
      readonly name?: string;
    }
  | { readonly kind: "confirm"; readonly client: string }
  | { readonly kind: "release"; readonly client: string }
  | { readonly kind: "decline"; readonly client: string; readonly ip: Ip }
  | { readonly kind: "restore"; readonly leases: readonly SavedLease[] }
  | {
      readonly kind: "dht-result";
      readonly request: number;
      readonly key: RingAddress;
      readonly result: DhtResult;
    };

export type RefusedReason = "pool-full" | "site-full" | "taken" | "unavailable" | "outside-range";

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
  /** Addresses of the file's `reservations:`; leased at any site, to the machine named alone. */
  readonly reservations?: readonly Reservation[];
}

/** Clients of one site: as many as the engine filters MACs for. */
const MAX_CLIENTS = 1_024;
/** Whoever answered for the address may be gone after this. */
const DECLINED_MS = 300_000;
/** Declines come one per client at a time. */
const MAX_DECLINED = 256;
/** Clients that meet a full pool do not all walk through it: what one found taken the others skip. */
const TAKEN_MS = 10_000;
/** All addresses of the largest pool that a search goes through, four times over. */
const MAX_TAKEN = 4_096;

/** The addresses of this node and the machines behind it: one claim per DHCP client. */
export class Leases implements Machine<LeasesInput, LeasesOutput> {
  readonly #options: LeasesOptions;
  readonly #outbox = new Outbox<LeasesOutput>();
  readonly #claims = new Map<string, Claim>();
  readonly #saved = new Map<string, SavedLease>();
  readonly #declined = new Avoided(DECLINED_MS, MAX_DECLINED);
  readonly #taken = new Avoided(TAKEN_MS, MAX_TAKEN);
  readonly #refusals: Refusals;
  readonly #desk: Desk;
  readonly #searcher: Searcher;
  readonly #keeper: Keeper;
  #phase: "waiting" | "alone" | "joined" = "waiting";
  #isDisputed = false;
  #now: Millis = 0;

  /** The deadline since the last input; undefined = to be found again. */
  #wakeAt: Millis | undefined;
  /** Which claim is about an address; undefined = to be found again. */
  #inUse: Map<Ip, Claim> | undefined;

  constructor(options: LeasesOptions) {
    this.#options = options;
    this.#desk = new Desk({ ...options, output: (output) => this.#outbox.push(output) });
    const isAlone = () => this.#phase === "alone";
    this.#keeper = new Keeper({
      desk: this.#desk,
      isAlone,
      isJoined: () => this.#phase === "joined",
      isDisputed: () => this.#isDisputed,
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
        if (!claim.isOffer) this.#save();
      },
      onTaken: (now, ip) => this.#taken.add(now, ip),
      onRefused: (now, claim, reason) => this.#refuse(now, claim, reason),
    });
    this.#refusals = new Refusals((event) => this.#desk.event(event), options.range);
  }

  handle(now: Millis, input: LeasesInput): void {
    this.#wakeAt = undefined;
    this.#inUse = undefined;
    this.#now = now;
    switch (input.kind) {
      case "timeout":
        return this.#timeout(now);
      case "phase":
        return this.#setPhase(now, input.phase);
      case "dispute":
        return this.#setDispute(now, input.isDisputed);
      case "want":
        return this.#want(now, input);
      case "confirm":
        return this.#confirm(now, input.client);
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

  /** Where the DHT keeps the lease of an address. */
  keyOf(ip: Ip): RingAddress {
    return leaseKey(this.#options.suite, this.#options.networkId, ip);
  }

  /** Lines that need a person. */
  health(now: Millis): string[] {
    return this.#refusals.health(now);
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
    if (!this.#mayAsk) return;
    for (const claim of [...this.#claims.values()]) {
      const { state } = claim;
      if (state.kind === "waiting") this.#searcher.start(now, claim);
      else if (state.kind === "bound") this.#keeper.reclaim(now, claim, state.hold);
    }
  }

  get #mayAsk(): boolean {
    return this.#phase !== "waiting" && !this.#isDisputed;
  }

  /** What is held stays: its replicas judge it by their own ranges, and its life bounds it. */
  #setDispute(now: Millis, isDisputed: boolean): void {
    if (this.#isDisputed === isDisputed) return;
    this.#isDisputed = isDisputed;
    if (!isDisputed) return this.#setPhase(now, this.#phase);
    for (const claim of this.#claims.values()) {
      if (claim.state.kind !== "claiming") continue;
      this.#takeBack(claim.state.search);
      claim.state = { kind: "waiting" };
    }
  }

  #want(now: Millis, want: Extract<LeasesInput, { kind: "want" }>): void {
    const { client, mac, requested, isExact = false, isOffer = false } = want;
    const known = this.#claims.get(client);
    const fixed = this.#fixedOf(want, known);
    if (known !== undefined && known.fixed === fixed) return this.#wantAgain(now, known, want);
    if (known !== undefined) this.#release(client);
    const wish = { client, mac, requested, fixed, isExact, isOffer };
    const claim: Claim = { ...wish, state: { kind: "waiting" } };
    if (fixed !== undefined && !this.#isUsable(fixed)) {
      return this.#refuse(now, claim, "outside-range");
    }
    if (this.#claims.size >= MAX_CLIENTS) return this.#refuse(now, claim, "site-full");
    this.#claims.set(client, claim);
    if (this.#mayAsk) this.#searcher.start(now, claim);
  }

  /** Not every message of a client carries its name: what was found by it once stays. */
  #fixedOf(want: Extract<LeasesInput, { kind: "want" }>, known: Claim | undefined) {
    const reserved = reservedFor(this.#options.reservations ?? [], want);
    const before = want.name === undefined ? known?.fixed : undefined;
    return want.fixed ?? reserved ?? before;
  }

  #wantAgain(now: Millis, claim: Claim, want: Extract<LeasesInput, { kind: "want" }>): void {
    const { state } = claim;
    const moved = claim.mac !== want.mac;
    claim.mac = want.mac;
    claim.isExact &&= want.isExact === true;
    if (state.kind !== "bound") return;
    const { hold } = state;
    if (!moved) this.#outbox.push({ kind: "bound", lease: hold.lease });
    else if (hold.question === undefined) this.#keeper.renew(now, claim, hold);
    else hold.renewAt = now;
  }

  /** The client took what it was offered. */
  #confirm(now: Millis, client: string): void {
    const claim = this.#claims.get(client);
    if (claim === undefined || !claim.isOffer) return;
    claim.isOffer = false;
    if (claim.state.kind !== "bound") return;
    this.#keeper.confirm(now, claim, claim.state.hold);
    this.#save();
  }

  /** The record goes with a higher version than any that may still be on its way. */
  #release(client: string): void {
    const claim = this.#claims.get(client);
    this.#claims.delete(client);
    if (claim?.state.kind === "bound") {
      const { lease, question, version } = claim.state.hold;
      if (question !== undefined) this.#desk.cancel(question.request);
      this.#desk.remove(lease.ip, lease.epoch, version + 1);
      if (!claim.isOffer) this.#save();
    } else if (claim?.state.kind === "claiming") this.#takeBack(claim.state.search);
  }

  /** The `create` under way, if one is. */
  #takeBack({ ip, epoch, request, version }: Search): void {
    if (request === 0 || this.#desk.cancel(request)) return;
    this.#desk.remove(ip, epoch, version + 1);
  }

  #decline(now: Millis, input: { client: string; ip: Ip }): void {
    this.#declined.add(now, input.ip);
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

  #refuse(now: Millis, claim: Claim, reason: RefusedReason): void {
    this.#claims.delete(claim.client);
    this.#outbox.push({ kind: "refused", client: claim.client, reason });
    this.#refusals.note(now, claim, reason);
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
    const leases: SavedLease[] = [];
    for (const { isOffer, state } of this.#claims.values()) {
      if (isOffer || state.kind !== "bound") continue;
      const { client, mac, ip, epoch, version } = state.hold.lease;
      leases.push({ client, mac, ip, epoch, version });
    }
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
    for (const ip of this.#wishesOf(claim)) {
      // The claim is about another address now.
      this.#inUse = undefined;
      yield ip;
    }
  }

  *#wishesOf(claim: Claim): Generator<Ip> {
    if (claim.fixed !== undefined) {
      yield claim.fixed;
      return;
    }
    const isFree = (ip: Ip) => this.#isFree(claim, ip);
    const wishes = [claim.requested, this.#saved.get(claim.client)?.ip];
    const tried = new Set<Ip>();
    for (const ip of wishes) {
      if (ip === undefined || tried.has(ip) || !this.#isUsable(ip) || !isFree(ip)) continue;
      if (claim.isExact && ip !== claim.requested) continue;
      tried.add(ip);
      yield ip;
    }
    const { suite, range } = this.#options;
    const isWorthwhile = (ip: Ip) => isFree(ip) && !this.#taken.has(this.#now, ip);
    const all = candidatesOf(suite, claim.client, range, isWorthwhile);
    for (const ip of all) {
      if (claim.isExact) return;
      if (!tried.has(ip)) yield ip;
    }
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
    if (this.#declined.has(this.#now, ip) || this.#isKept(claim, ip)) return false;
    this.#inUse ??= this.#findInUse();
    const user = this.#inUse.get(ip);
    return user === undefined || user === claim;
  }

  /** Reserved for another machine; who got it by a name keeps it over a restart, without the name. */
  #isKept(claim: Claim, ip: Ip): boolean {
    const found = this.#options.reservations?.find((one) => one.ip === ip);
    if (found === undefined || isReservedFor(found, claim)) return false;
    return found.by.kind !== "name" || this.#saved.get(claim.client)?.ip !== ip;
  }

  #findInUse(): Map<Ip, Claim> {
    const inUse = new Map<Ip, Claim>();
    for (const claim of this.#claims.values()) {
      const ip = addressOf(claim);
      if (ip !== undefined) inUse.set(ip, claim);
    }
    return inUse;
  }
}

function winnerText(winner: RingAddress | undefined): string {
  return winner === undefined ? "nobody" : addressText(winner);
}
