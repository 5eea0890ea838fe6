import type { Ip } from "../base/net.ts";
import { jitter } from "../base/rng.ts";
import { type Millis, NEVER } from "../base/time.ts";
import type { DhtResult } from "../dht/result.ts";
import type { DhtRecord } from "../wire/record.ts";
import type { Claim, Search } from "./claim.ts";
import type { Desk } from "./desk.ts";
import { parseLeaseRecord } from "./lease-record.ts";
import type { SavedLease } from "./lease-state.ts";
import type { RefusedReason } from "./leases.ts";

/** Unavailable is mostly a ring that is still settling: ask soon, then ever less often. */
const FIRST_RETRY_MS = 250;
const LAST_RETRY_MS = 5_000;
/** After this many the client is told, while the search goes on. */
const FAILURES_TOLD = 3;
/** Our own older record may be above what we remember; a few steps find its version. */
const MAX_BUMPS = 8;
/** A replica that remembers a version but holds no record cannot show it: step far above. */
const BLIND_BUMP = 65_536;

export interface SearcherOptions {
  readonly desk: Desk;
  readonly candidates: (claim: Claim) => Iterator<Ip>;
  readonly saved: (client: string) => SavedLease | undefined;
  readonly isAlone: () => boolean;
  readonly onFound: (now: Millis, claim: Claim, found: Found) => void;
  /** Another member holds the address. */
  readonly onTaken: (now: Millis, ip: Ip) => void;
  readonly onRefused: (now: Millis, claim: Claim, reason: RefusedReason) => void;
}

export interface Found {
  readonly search: Search;
  readonly result: Extract<DhtResult, { status: "stored" }>;
}

/** Finds an address for a client: tries candidates with `create` until one is stored by a quorum. */
export class Searcher {
  readonly #options: SearcherOptions;

  constructor(options: SearcherOptions) {
    this.#options = options;
  }

  start(now: Millis, claim: Claim): void {
    const search: Search = {
      candidates: this.#options.candidates(claim),
      ip: "",
      epoch: 1,
      version: 1,
      request: 0,
      sentAt: now,
      alone: false,
      failures: 0,
      bumps: 0,
      retryAt: NEVER,
    };
    claim.state = { kind: "claiming", search };
    this.#next(now, claim, search);
  }

  timeout(now: Millis, claim: Claim, search: Search): void {
    if (search.request === 0 && search.retryAt <= now) this.#create(now, claim, search);
  }

  accept(now: Millis, claim: Claim, search: Search, result: DhtResult): void {
    search.request = 0;
    search.retryAt = NEVER;
    switch (result.status) {
      case "stored":
        return this.#options.onFound(now, claim, { search, result });
      case "exists":
        this.#options.onTaken(now, search.ip);
        return this.#next(now, claim, search);
      case "stale":
        return this.#rise(now, claim, search, result.record);
      default:
        return this.#retry(now, claim, search);
    }
  }

  #next(now: Millis, claim: Claim, search: Search): void {
    const candidate = search.candidates.next();
    if (candidate.done === true) {
      const isChoosy = claim.fixed !== undefined || claim.isExact;
      return this.#options.onRefused(now, claim, isChoosy ? "taken" : "pool-full");
    }
    const saved = this.#options.saved(claim.client);
    const isSaved = saved?.ip === candidate.value;
    search.ip = candidate.value;
    search.epoch = isSaved ? saved.epoch : 1;
    search.version = isSaved ? saved.version + 1 : 1;
    search.bumps = 0;
    this.#create(now, claim, search);
  }

  #create(now: Millis, claim: Claim, search: Search): void {
    const { ip, epoch, version } = search;
    search.alone = this.#options.isAlone();
    search.sentAt = now;
    search.retryAt = NEVER;
    const draft = { ip, epoch, version, alone: search.alone, attestations: [] };
    search.request = this.#options.desk.write(claim, "create", draft);
  }

  /** A record of our own is there: take it up, unless it is another of our clients'. */
  #rise(now: Millis, claim: Claim, search: Search, record: DhtRecord): void {
    const facts = record.ttlSeconds === 0 ? undefined : parseLeaseRecord(record);
    const isOthers = facts?.ok === true && facts.value.client !== claim.client;
    if (isOthers || search.bumps >= MAX_BUMPS) return this.#next(now, claim, search);
    const isBlind = record.epoch === search.epoch && record.version === search.version;
    const above = Math.max(record.version, search.version) + (isBlind ? BLIND_BUMP : 1);
    search.epoch = Math.max(record.epoch, search.epoch);
    search.version = above;
    search.bumps++;
    this.#create(now, claim, search);
  }

  #retry(now: Millis, claim: Claim, search: Search): void {
    const { desk } = this.#options;
    const wait = Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** search.failures);
    search.failures++;
    search.retryAt = now + jitter(desk.rng, wait, 0.2);
    if (search.failures === FAILURES_TOLD) {
      desk.output({ kind: "refused", client: claim.client, reason: "unavailable" });
    }
  }
}
