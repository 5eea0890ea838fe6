/**
 * Who a flood is from: certificates checked once, a rate for each origin, a window for each of its
 * runs. A member that makes up run after run uses up its own rate, not the node's.
 */
import { toHex } from "../base/bytes.ts";
import { dropped, type Parsed, parsed } from "../base/drop-reason.ts";
import type { RingAddress } from "../base/ring-address.ts";
import { endOf } from "../crypto/authority-rules.ts";
import type { Member } from "../crypto/membership.ts";
import { type Flood, floodSignedText } from "../wire/flood.ts";
import { FloodWindow } from "./flood-window.ts";
import { TokenBucket } from "./token-bucket.ts";
import type { VnetOptions } from "./vnet-messages.ts";

/** Broadcasts of one member a second: a busy bridged site sends tens. */
export const ORIGIN_PER_SECOND = 200;
/** Members that flooded lately; 320 bytes each, and as much again for each further run. */
const ORIGINS_MAX = 4_096;
/** Starts of one member within a flood's time on its way: a crash loop has one in seconds. */
const RUNS_MAX = 4;

export class Origin {
  readonly address: RingAddress;
  /** Ed25519, 32 bytes */
  readonly publicKey: Uint8Array;
  readonly name: string;
  readonly groups: readonly string[];
  /** Of its certificates, unix seconds; an end of 0 = never. */
  readonly #start: number;
  readonly #end: number;
  readonly bucket = new TokenBucket(ORIGIN_PER_SECOND, ORIGIN_PER_SECOND);
  readonly #windows = new Map<bigint, FloodWindow>();

  constructor({ address, certificate, issuers }: Member) {
    this.address = address;
    this.publicKey = certificate.publicKey;
    this.name = certificate.name;
    this.groups = certificate.groups;
    this.#start = Math.max(...[certificate, ...issuers].map(({ notBefore }) => notBefore));
    this.#end = endOf([certificate, ...issuers]);
  }

  /** The wall clock goes on, and may be set back. */
  isGoodAt(wallSeconds: number): boolean {
    return wallSeconds >= this.#start && (this.#end === 0 || wallSeconds <= this.#end);
  }

  /** How the flood stands, without counting it. */
  look({ run, sequence }: Flood["body"]): "new" | "seen" | "spent" {
    return this.#windows.get(run)?.look(sequence) ?? "new";
  }

  /** Counts one acceptance of a flood that is not `spent`. */
  mark({ run, sequence }: Flood["body"]): void {
    const window = this.#windows.get(run) ?? new FloodWindow();
    const oldest = this.#windows.keys().next();
    const isFull = this.#windows.size >= RUNS_MAX && !this.#windows.has(run);
    if (isFull && !oldest.done) this.#windows.delete(oldest.value);
    this.#windows.set(run, window);
    window.mark(sequence);
  }
}

export class FloodOrigins {
  readonly #options: VnetOptions;
  readonly #origins = new Map<string, Origin>();
  #wallSeconds = 0;

  constructor(options: VnetOptions) {
    this.#options = options;
  }

  setWall(wallSeconds: number): void {
    this.#wallSeconds = wallSeconds;
  }

  /** Somebody was shut out: everybody is judged anew. */
  forget(): void {
    this.#origins.clear();
  }

  /** What is known without any check of signatures: enough to drop repetitions cheaply. */
  known(flood: Flood): Origin | undefined {
    const origin = this.#origins.get(originName(flood));
    return origin?.isGoodAt(this.#wallSeconds) ? origin : undefined;
  }

  /** Checks certificate and signature. Errors: `bad-certificate`, `foreign-network`, `bad-signature`. */
  verify(flood: Flood): Parsed<Origin> {
    const known = this.known(flood);
    const origin = known === undefined ? this.#newOrigin(flood) : parsed(known);
    if (!origin.ok) return origin;
    const { suite, networkId } = this.#options;
    const text = floodSignedText(networkId, flood.signed);
    if (!suite.verify(origin.value.publicKey, text, flood.signature)) {
      return dropped("bad-signature");
    }
    this.#remember(originName(flood), origin.value);
    return origin;
  }

  #newOrigin(flood: Flood): Parsed<Origin> {
    const member = this.#options.membership.verify(flood.body.certificate, this.#wallSeconds);
    if (!member.ok) return member;
    return parsed(new Origin(member.value));
  }

  /** The least recently heard makes room. */
  #remember(name: string, origin: Origin): void {
    this.#origins.delete(name);
    const oldest = this.#origins.keys().next();
    if (this.#origins.size >= ORIGINS_MAX && !oldest.done) this.#origins.delete(oldest.value);
    this.#origins.set(name, origin);
  }
}

function originName(flood: Flood): string {
  return toHex(flood.body.certificate);
}
