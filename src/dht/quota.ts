/** 250 unattested records of the usual 250 B: what a site writes before its leases are vouched for. */
const SIGNER_BYTES = 65_536;
/** A lease with its proof (about 1.3 KB) and the MAC record beside it. */
const ATTESTED_BYTES = 2_048;
/** What one node gives to the table of all. */
const STORE_BYTES = 16_777_216;
/** Records nobody vouched for take half at most: many made-up signers cannot crowd leases out. */
const UNATTESTED_BYTES = STORE_BYTES / 2;
/** A site of 1,024 clients that gives all of them back at once, 400 B each, and some rest. */
const GRAVES_OF_SIGNER_BYTES = 524_288;
/** Tombstones of all, beside the records: who gives back loses no room for what it holds. */
const GRAVES_BYTES = 4_194_304;

export interface QuotaLimits {
  readonly signerBytes: number;
  /** More of one signer for each of its attested records. */
  readonly attestedBytes: number;
  readonly storeBytes: number;
  readonly unattestedBytes: number;
}

export const RECORD_LIMITS: QuotaLimits = {
  signerBytes: SIGNER_BYTES,
  attestedBytes: ATTESTED_BYTES,
  storeBytes: STORE_BYTES,
  unattestedBytes: UNATTESTED_BYTES,
};

export const GRAVE_LIMITS: QuotaLimits = {
  signerBytes: GRAVES_OF_SIGNER_BYTES,
  attestedBytes: 0,
  storeBytes: GRAVES_BYTES,
  unattestedBytes: GRAVES_BYTES,
};

interface Use {
  bytes: number;
  records: number;
  attested: number;
}

/** Who uses how many bytes of the store. Signers without records are forgotten. */
export class Quota {
  readonly #limits: QuotaLimits;
  readonly #own: string | undefined;
  readonly #bySigner = new Map<string, Use>();
  #bytes = 0;
  #unattestedBytes = 0;
  #records = 0;

  /**
   * @param own a signer without a limit of its own: this node, whose writers have theirs. While it
   *   is alone nobody vouches for what it holds.
   */
  constructor(limits: QuotaLimits, own?: string) {
    this.#limits = limits;
    this.#own = own;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get records(): number {
    return this.#records;
  }

  /** False, with nothing changed, when the record is over the signer's or the store's limit. */
  take(signer: string, bytes: number, attested: boolean): boolean {
    const use = this.#bySigner.get(signer) ?? { bytes: 0, records: 0, attested: 0 };
    const { signerBytes, attestedBytes, storeBytes, unattestedBytes } = this.#limits;
    const allowance = signerBytes + attestedBytes * (use.attested + (attested ? 1 : 0));
    if (signer !== this.#own && use.bytes + bytes > allowance) return false;
    if (this.#bytes + bytes > storeBytes) return false;
    if (!attested && this.#unattestedBytes + bytes > unattestedBytes) return false;
    this.#bySigner.set(signer, use);
    this.#add(use, bytes, attested, 1);
    return true;
  }

  /** The inverse of a `take` that succeeded. */
  give(signer: string, bytes: number, attested: boolean): void {
    const use = this.#bySigner.get(signer);
    if (use === undefined) return;
    this.#add(use, bytes, attested, -1);
    if (use.records === 0) this.#bySigner.delete(signer);
  }

  #add(use: Use, bytes: number, attested: boolean, sign: 1 | -1): void {
    use.bytes += sign * bytes;
    use.records += sign;
    if (attested) use.attested += sign;
    else this.#unattestedBytes += sign * bytes;
    this.#bytes += sign * bytes;
    this.#records += sign;
  }
}
