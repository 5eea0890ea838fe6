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

/** A record about to be written. */
export interface Draft {
  readonly ip: Ip;
  readonly epoch: number;
  readonly version: number;
  readonly alone: boolean;
  readonly attestations: readonly Attestation[];
}

/** Writes records and asks the DHT for the claims; knows which claim waits for which answer. */
export class Desk {
  readonly #options: DeskOptions;
  readonly #waiting = new Map<number, Claim>();
  #requests = 0;

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
    const claim = this.#waiting.get(request);
    this.#waiting.delete(request);
    return claim;
  }

  event(event: Omit<CoreEvent, "area" | "coolDownMs">): void {
    this.output({ kind: "event", event: { area: "lease", coolDownMs: 0, ...event } });
  }

  #ask(claim: Claim, make: (request: number) => DhtInput): number {
    const request = this.#nextRequest();
    this.#waiting.set(request, claim);
    this.output({ kind: "dht", input: make(request) });
    return request;
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
