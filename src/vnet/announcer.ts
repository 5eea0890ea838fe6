/**
 * Keeps the MAC records of our own machines in the DHT.
 *
 *      announce ──> create ── stored ──> put again at a third of its life
 *                     │ stale: our own record of an earlier start ──> put above it
 *                     │ exists: another member's MAC ──> event, later again
 *                     └ unavailable ──> soon again
 */
import type { Mac } from "../base/net.ts";
import { type Millis, NEVER } from "../base/time.ts";
import type { DhtResult } from "../dht/dht.ts";
import { clampTtlSeconds, type DhtRecord, signedBytes } from "../wire/record.ts";
import type { VnetContext } from "./context.ts";
import { emitMacBody, macKey } from "./mac-record.ts";

interface Announcement {
  readonly mac: Mac;
  version: number;
  /** create until it was stored once, then put */
  isStored: boolean;
  /** The request under way. */
  request: number | undefined;
  nextAt: Millis;
  retryMs: Millis;
}

/** Records move with their author only by expiry, so the epoch never grows here. */
const EPOCH = 1;
/** Below the lease's usual hour: a MAC that moved to another site is free again soon. */
const TTL_MAX_SECONDS = 600;
/** A replica that remembers a version but holds no record cannot show it: step far above. */
const BLIND_BUMP = 65_536;
const RETRY_FIRST_MS = 1_000;
const RETRY_LAST_MS = 30_000;
/** A MAC that another member holds: cloned, or not yet given back by the site it left. */
const CLASH_RETRY_MS = 30_000;
/** The DHT answers within 3 s by its contract. */
const LOST_MS = 10_000;
/** Machines of one site that boot at once are announced as fast as the DHT answers, not faster. */
const UNDER_WAY_MAX = 4;

export class Announcer {
  readonly #context: VnetContext;
  /** As many as the host has leases. */
  readonly #announcements = new Map<Mac, Announcement>();
  #deadline: Millis = NEVER;

  constructor(context: VnetContext) {
    this.#context = context;
  }

  /** Announces these MACs and withdraws all others. */
  keep(now: Millis, macs: ReadonlySet<Mac>): void {
    for (const mac of this.#announcements.keys()) if (!macs.has(mac)) this.#withdraw(mac);
    for (const mac of macs) this.#announce(now, mac);
    this.#putDue(now);
  }

  settle(now: Millis, request: number, result: DhtResult): void {
    for (const announcement of this.#announcements.values()) {
      if (announcement.request !== request) continue;
      this.#settled(now, announcement, result);
      return this.#putDue(now);
    }
  }

  timeout(now: Millis): void {
    if (now >= this.#deadline) this.#putDue(now);
  }

  deadline(): Millis {
    return this.#deadline;
  }

  get #ttlSeconds(): number {
    return clampTtlSeconds(Math.min(TTL_MAX_SECONDS, this.#context.options.leaseSeconds));
  }

  #announce(now: Millis, mac: Mac): void {
    if (this.#announcements.has(mac)) return;
    const fresh = { version: 1, isStored: false, request: undefined };
    this.#announcements.set(mac, { mac, ...fresh, nextAt: now, retryMs: RETRY_FIRST_MS });
  }

  /** Those whose time has come, as far as there is room; the others follow when one is answered. */
  #putDue(now: Millis): void {
    const all = [...this.#announcements.values()];
    let underWay = all.filter((one) => one.request !== undefined && one.nextAt > now).length;
    this.#deadline = NEVER;
    for (const announcement of all) {
      if (announcement.nextAt <= now && underWay < UNDER_WAY_MAX) {
        this.#put(now, announcement);
        underWay++;
      }
      if (announcement.nextAt > now) {
        this.#deadline = Math.min(this.#deadline, announcement.nextAt);
      }
    }
  }

  /** The MAC is no longer ours: others may announce it at once. */
  #withdraw(mac: Mac): void {
    const announcement = this.#announcements.get(mac);
    if (announcement === undefined) return;
    this.#announcements.delete(mac);
    const record = this.#record(mac, announcement.version + 1, 0);
    const request = this.#context.nextRequest();
    this.#context.dht({ kind: "remove", owner: "vnet", request, record });
  }

  #put(now: Millis, announcement: Announcement): void {
    const request = this.#context.nextRequest();
    announcement.request = request;
    announcement.nextAt = now + LOST_MS;
    const kind = announcement.isStored ? "put" : "create";
    const record = this.#record(announcement.mac, announcement.version, this.#ttlSeconds);
    this.#context.dht({ kind, owner: "vnet", request, record });
  }

  #settled(now: Millis, announcement: Announcement, result: DhtResult): void {
    announcement.request = undefined;
    switch (result.status) {
      case "stored":
        announcement.version += 1;
        announcement.isStored = true;
        announcement.retryMs = RETRY_FIRST_MS;
        announcement.nextAt = now + (this.#ttlSeconds * 1_000) / 3;
        return;
      case "stale":
        announcement.version = above(announcement.version, result.record.version);
        announcement.isStored = true;
        return this.#retry(now, announcement);
      case "exists":
        announcement.isStored = false;
        this.#reportClash(announcement.mac);
        announcement.nextAt = now + CLASH_RETRY_MS;
        return;
      default:
        announcement.isStored = false;
        return this.#retry(now, announcement);
    }
  }

  #retry(now: Millis, announcement: Announcement): void {
    announcement.nextAt = now + announcement.retryMs;
    announcement.retryMs = Math.min(RETRY_LAST_MS, announcement.retryMs * 2);
  }

  #reportClash(mac: Mac): void {
    this.#context.event({
      what: "cloned-mac",
      condition: "another member's record holds this MAC",
      action: "asking again until it is free",
      effect: "members drop frames of this MAC from here",
      coolDownMs: CLASH_RETRY_MS,
      fields: { mac },
    });
  }

  #record(mac: Mac, version: number, ttlSeconds: number): DhtRecord {
    const { suite, networkId, identity, self } = this.#context.options;
    const unsigned = {
      key: macKey(suite, networkId, mac),
      kind: "mac" as const,
      signer: identity.signing.publicKey,
      epoch: EPOCH,
      version,
      ttlSeconds,
      body: emitMacBody(mac, self),
    };
    const signature = suite.sign(identity.signing.secretKey, signedBytes(networkId, unsigned));
    return { ...unsigned, signature };
  }
}

/** Above our own record that is in the way, or is only remembered: then the DHT names ours again. */
function above(sent: number, found: number): number {
  return Math.max(sent, found) + (found === sent ? BLIND_BUMP : 1);
}
