import type { CoreEvent } from "../base/event.ts";
import type { Ip } from "../base/net.ts";
import type { RingAddress } from "../base/ring-address.ts";
import type { Rng } from "../base/rng.ts";
import type { Identity } from "../crypto/identity.ts";
import type { CryptoSuite } from "../crypto/suite.ts";
import type { DhtInput } from "../dht/dht.ts";
import type { Attestation } from "../dht/result.ts";
import { clampCounter, clampTtlSeconds, type DhtRecord, signedBytes } from "../wire/record.ts";
import type { Claim } from "./claim.ts";
import { emitLeaseBody, leaseKey } from "./lease-record.ts";
import type { LeasesOutput } from "./leases.ts";

export interface DeskOptions {
  readonly suite: CryptoSuite;
  readonly rng: Rng;
  readonly networkId: Uint8Array;
  readonly identity: Identity;
  readonly self: RingAddress;
  readonly leaseSeconds: number;
  readonly output: (output: LeasesOutput) => void;
}

interface Queued {
  readonly claim: Claim;
  readonly input: DhtInput;
}

/** A record about to be written. */
export interface Draft {
  readonly ip: Ip;
  readonly epoch: number;
  readonly version: number;
  readonly alone: boolean;
  readonly attestations: readonly Attestation[];
}

/**
 * Questions to the DHT under way: 80 a second at 100 ms. A site of hundreds that boots at once asks
 * as fast as it is answered; on a busy machine more would fill the links with repetitions, until
 * nobody gets an answer in time.
 */
const MAX_UNDER_WAY = 8;
/**
 * One question of so many looks for an address, however many held ones wait: where renewals alone
 * take all there is, a machine that comes now still gets its own.
 */
const SOUGHT_EVERY = 4;

/** Writes records and asks the DHT for the claims; knows which claim waits for which answer. */
export class Desk {
  readonly #options: DeskOptions;
  /** Asked and not answered; the DHT always answers. */
  readonly #underWay = new Map<number, Claim>();
  /**
   * To be asked, oldest first; at most one for each claim. What is held comes before what is looked
   * for: proven leases make room in this node's share of the DHT for new ones (dht/quota.ts). All but
   * one question of SOUGHT_EVERY.
   */
  readonly #queues = [new Map<number, Queued>(), new Map<number, Queued>()] as const;
  #requests = 0;
  /** Questions since the last one that looked for an address. */
  #sinceSought = 0;

  constructor(options: DeskOptions) {
    this.#options = options;
  }

  get rng(): Rng {
    return this.#options.rng;
  }

  get self(): RingAddress {
    return this.#options.self;
  }

  get leaseSeconds(): number {
    return clampTtlSeconds(this.#options.leaseSeconds);
  }

  output(output: LeasesOutput): void {
    this.#options.output(output);
  }

  /** @returns the request number that the result will carry */
  write(claim: Claim, op: "create" | "put", draft: Draft): number {
    const record = this.#leaseRecord(claim, draft);
    return this.#ask(claim, (request) => ({ kind: op, owner: "lease", request, record }));
  }

  read(claim: Claim, ip: Ip): number {
    const key = this.#keyOf(ip);
    return this.#ask(claim, (request) => ({ kind: "get", owner: "lease", request, key }));
  }

  /** Gives an address back; nobody waits, an unheard removal ends with the record's ttl. */
  remove(ip: Ip, epoch: number, version: number): void {
    const record = this.#sign({
      key: this.#keyOf(ip),
      epoch,
      version,
      ttlSeconds: 0,
      body: new Uint8Array(0),
    });
    this.output({
      kind: "dht",
      input: { kind: "remove", owner: "lease", request: this.#nextRequest(), record },
    });
  }

  /** The claim that waits for this answer, once. */
  takeWaiting(request: number): Claim | undefined {
    const claim = this.#underWay.get(request);
    if (this.#underWay.delete(request)) this.#askNext();
    return claim;
  }

  /** @returns true when it was not asked yet, and now never is */
  cancel(request: number): boolean {
    return this.#queues.some((queue) => queue.delete(request));
  }

  event(event: Omit<CoreEvent, "area" | "coolDownMs">): void {
    this.output({ kind: "event", event: { area: "lease", coolDownMs: 0, ...event } });
  }

  #ask(claim: Claim, make: (request: number) => DhtInput): number {
    const request = this.#nextRequest();
    const input = make(request);
    const [held, sought] = this.#queues;
    (input.kind === "create" ? sought : held).set(request, { claim, input });
    this.#askNext();
    return request;
  }

  #askNext(): void {
    if (this.#underWay.size >= MAX_UNDER_WAY) return;
    const queue = this.#nextQueue();
    for (const [request, { claim, input }] of queue ?? []) {
      queue?.delete(request);
      this.#underWay.set(request, claim);
      this.#sinceSought = input.kind === "create" ? 0 : this.#sinceSought + 1;
      return this.output({ kind: "dht", input });
    }
  }

  #nextQueue(): Map<number, Queued> | undefined {
    const [held, sought] = this.#queues;
    const isTheTurnOfSought = this.#sinceSought >= SOUGHT_EVERY - 1;
    const inOrder = isTheTurnOfSought ? [sought, held] : [held, sought];
    return inOrder.find(({ size }) => size > 0);
  }

  /** Never 0: that means "nothing is under way". */
  #nextRequest(): number {
    this.#requests++;
    return this.#requests;
  }

  #keyOf(ip: Ip): RingAddress {
    return leaseKey(this.#options.suite, this.#options.networkId, ip);
  }

  #leaseRecord(claim: Claim, draft: Draft): DhtRecord {
    const { ip, epoch, version, alone, attestations } = draft;
    const renewals = attestations[0]?.renewals ?? 0;
    const { client, mac } = claim;
    const holder = this.#options.self;
    const body = emitLeaseBody({ ip, mac, holder, client, alone, renewals, attestations });
    const key = this.#keyOf(ip);
    return this.#sign({ key, epoch, version, ttlSeconds: this.leaseSeconds, body });
  }

  #sign(fields: Omit<DhtRecord, "kind" | "signer" | "signature">): DhtRecord {
    const { suite, networkId, identity } = this.#options;
    const { publicKey, secretKey } = identity.signing;
    const epoch = clampCounter(fields.epoch);
    const version = clampCounter(fields.version);
    const plain = { ...fields, epoch, version, kind: "lease", signer: publicKey } as const;
    return { ...plain, signature: suite.sign(secretKey, signedBytes(networkId, plain)) };
  }
}
