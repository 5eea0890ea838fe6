/** Who a flood is from: certificates checked once, a window and a rate for each run of an origin. */
import { toHex } from "../base/bytes.ts";
import { dropped, type Parsed, parsed } from "../base/drop-reason.ts";
import type { RingAddress } from "../base/ring-address.ts";
import { type Flood, floodSignedText } from "../wire/flood.ts";
import { FloodWindow } from "./flood-window.ts";
import { TokenBucket } from "./token-bucket.ts";
import type { VnetOptions } from "./vnet-messages.ts";

/** Broadcasts of one member a second: a busy bridged site sends tens. */
export const ORIGIN_PER_SECOND = 200;
/** Members that flooded lately; 320 bytes each. */
const ORIGINS_MAX = 4_096;

export interface Origin {
  readonly address: RingAddress;
  /** Ed25519, 32 bytes */
  readonly publicKey: Uint8Array;
  readonly window: FloodWindow;
  readonly bucket: TokenBucket;
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

  /** What is known without any check of signatures: enough to drop repetitions cheaply. */
  known(flood: Flood): Origin | undefined {
    return this.#origins.get(originName(flood));
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
    return parsed({
      address: member.value.address,
      publicKey: member.value.certificate.publicKey,
      window: new FloodWindow(),
      bucket: new TokenBucket(ORIGIN_PER_SECOND, ORIGIN_PER_SECOND),
    });
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
  return `${flood.body.run} ${toHex(flood.body.certificate)}`;
}
